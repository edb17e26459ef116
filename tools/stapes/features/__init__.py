"""The front end: tables, fixed point (what the firmware equals), librosa (what it is measured against)."""

from stapes.features.fixed import FixedFrontend
from stapes.features.librosa_reference import librosa_log_mel, librosa_values
from stapes.features.mel import band_weights
from stapes.features.micro import FrontendTables, MicroFrontend, MicroState, MicroTables, build_tables
from stapes.features.tables import LOG_FRACTION_BITS, LOG_UNIT, OutputQuantization, Tables
from stapes.features.window import WindowOutput, normalize_window

__all__ = [
    "LOG_FRACTION_BITS",
    "LOG_UNIT",
    "FixedFrontend",
    "FrontendTables",
    "MicroFrontend",
    "MicroState",
    "MicroTables",
    "OutputQuantization",
    "Tables",
    "WindowOutput",
    "band_weights",
    "build_tables",
    "librosa_log_mel",
    "librosa_values",
    "normalize_window",
]
