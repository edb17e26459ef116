"""Results for people and programs: JSON first, then terminal tables."""

from stapes.report.check import check_summary, check_table, print_check
from stapes.report.comparison import comparison_table
from stapes.report.evaluation import evaluation_table

__all__ = ["check_summary", "check_table", "comparison_table", "evaluation_table", "print_check"]
