"""Bit-exact int8 operators in NumPy, the TFLM interpreter, and the whole pipeline."""

from stapes.reference.decision import UNKNOWN, DecisionRule, Verdict
from stapes.reference.live import LiveEvent, LiveKind, LiveReference, LiveRule, LiveTwin
from stapes.reference.pipeline import (
    ClipReference,
    Reference,
    WindowReference,
    decision_rule,
    load_graph,
    output_quantization,
)
from stapes.reference.run import run_graph
from stapes.reference.tflm import TflmOracle
from stapes.reference.votes import vote

__all__ = [
    "UNKNOWN",
    "ClipReference",
    "DecisionRule",
    "LiveEvent",
    "LiveKind",
    "LiveReference",
    "LiveRule",
    "LiveTwin",
    "Reference",
    "TflmOracle",
    "Verdict",
    "WindowReference",
    "decision_rule",
    "load_graph",
    "output_quantization",
    "run_graph",
    "vote",
]
