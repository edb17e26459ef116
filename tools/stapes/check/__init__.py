"""Run clips on a target, compare stage by stage, name the first difference."""
