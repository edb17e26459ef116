"""A device that runs this bundle: prepare it, flash it once, connect, make sure of what it is, say why it is gone."""

from stapes.device.connection import connect, connect_live, greet
from stapes.device.constants import constants_problem, verify_constants
from stapes.device.fault import describe_fault, explain_loss
from stapes.device.identity import geometry, verify_identity
from stapes.device.prepared import (
    APPS,
    Prepared,
    build_directory,
    history_text,
    live_definitions,
    prepare,
    prepare_recorder,
)

__all__ = [
    "APPS",
    "Prepared",
    "build_directory",
    "connect",
    "connect_live",
    "constants_problem",
    "describe_fault",
    "explain_loss",
    "geometry",
    "greet",
    "history_text",
    "live_definitions",
    "prepare",
    "prepare_recorder",
    "verify_constants",
    "verify_identity",
]
