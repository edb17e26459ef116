"""Run clips on a target, compare stage by stage, name the first difference."""

from stapes.check.baseline import Outcome, baseline_path, compare_with_baseline, load_baseline
from stapes.check.clips import ClipSet, select_clips
from stapes.check.compare import ClipComparer, ClipResult
from stapes.check.difference import Difference, classify, first_difference
from stapes.check.evaluate import evaluate_bundle, evaluate_robustness, recorded
from stapes.check.run import CheckReport, check_bundle

__all__ = [
    "CheckReport",
    "ClipComparer",
    "ClipResult",
    "ClipSet",
    "Difference",
    "Outcome",
    "baseline_path",
    "check_bundle",
    "classify",
    "compare_with_baseline",
    "evaluate_bundle",
    "evaluate_robustness",
    "first_difference",
    "load_baseline",
    "recorded",
    "select_clips",
]
