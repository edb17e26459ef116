"""Results for people and programs: JSON first, then terminal tables."""

from stapes.report.check import check_summary, check_table, print_check
from stapes.report.comparison import comparison_table
from stapes.report.cost import cost_table
from stapes.report.evaluation import classes_table, evaluation_table, robustness_table
from stapes.report.farm import farm_tables, junit_xml, print_farm
from stapes.report.heard import Heard, hear
from stapes.report.html import html_report
from stapes.report.metrics import open_metrics
from stapes.report.results import checked_result, result_kind
from stapes.report.sheet import sheet

__all__ = [
    "Heard",
    "check_summary",
    "check_table",
    "checked_result",
    "classes_table",
    "comparison_table",
    "cost_table",
    "evaluation_table",
    "farm_tables",
    "hear",
    "html_report",
    "junit_xml",
    "open_metrics",
    "print_check",
    "print_farm",
    "result_kind",
    "robustness_table",
    "sheet",
]
