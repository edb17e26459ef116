"""Listening for ever: devices, recordings, events."""

from stapes.live.calibrate import calibrate, section
from stapes.live.events import audacity_labels, json_line, score_of
from stapes.live.host import HostListener
from stapes.live.label import label_recording, label_segments
from stapes.live.run import run_session
from stapes.live.session import Session, listening
from stapes.live.state import LiveState

__all__ = [
    "HostListener",
    "LiveState",
    "Session",
    "audacity_labels",
    "calibrate",
    "json_line",
    "label_recording",
    "label_segments",
    "listening",
    "run_session",
    "score_of",
    "section",
]
