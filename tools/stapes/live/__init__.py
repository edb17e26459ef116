"""Listening for ever: devices, recordings, events."""

from stapes.live.bench import bench_live
from stapes.live.calibrate import calibrate, section
from stapes.live.events import audacity_labels, json_line, score_of
from stapes.live.host import HostListener
from stapes.live.hour import bench_events
from stapes.live.label import label_recording
from stapes.live.session import LiveState, Session, listening, run_session

__all__ = [
    "HostListener",
    "LiveState",
    "Session",
    "audacity_labels",
    "bench_events",
    "bench_live",
    "calibrate",
    "json_line",
    "label_recording",
    "listening",
    "run_session",
    "score_of",
    "section",
]
