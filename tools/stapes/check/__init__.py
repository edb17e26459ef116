"""Run clips on a target, compare stage by stage, name the first difference."""

from stapes.check.baseline import Outcome, baseline_path, compare_with_baseline, load_baseline
from stapes.check.clips import ClipSet, select_clips
from stapes.check.compare import ClipComparer, ClipResult
from stapes.check.cost import Cost, recipe_cost
from stapes.check.difference import Difference, classify, first_difference
from stapes.check.evaluate import evaluate_bundle, evaluate_robustness, recorded
from stapes.check.run import CheckReport, Prepared, check_bundle, connect, prepare, verify_identity

__all__ = [
    "CheckReport",
    "ClipComparer",
    "ClipResult",
    "ClipSet",
    "Cost",
    "Difference",
    "Outcome",
    "Prepared",
    "baseline_path",
    "check_bundle",
    "classify",
    "compare_with_baseline",
    "connect",
    "evaluate_bundle",
    "evaluate_robustness",
    "first_difference",
    "load_baseline",
    "prepare",
    "recipe_cost",
    "recorded",
    "select_clips",
    "verify_identity",
]
