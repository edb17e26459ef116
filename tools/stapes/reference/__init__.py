"""What a device must compute: the TFLM interpreter, the whole pipeline, decision and live loop."""

from stapes.reference.classifier import Classification, Classifier
from stapes.reference.decision import UNKNOWN, DecisionRule, Verdict
from stapes.reference.live import LiveEvent, LiveKind, LiveReference, LiveRule, LiveTwin
from stapes.reference.pipeline import (
    ClipReference,
    Reference,
    WindowReference,
    decision_rule,
    output_quantization,
)
from stapes.reference.tflm import TflmOracle
from stapes.reference.votes import vote

__all__ = [
    "UNKNOWN",
    "Classification",
    "Classifier",
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
    "output_quantization",
    "vote",
]
