"""What the compiler supports, one file per family of operators."""

from stapes.graph.support.check import OPERATORS, check_supported, operator_rows
from stapes.graph.support.forest import STATISTICS_KINDS, STATISTICS_LAG

__all__ = ["OPERATORS", "STATISTICS_KINDS", "STATISTICS_LAG", "check_supported", "operator_rows"]
