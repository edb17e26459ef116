"""Results for people and programs: JSON first, then terminal tables."""
