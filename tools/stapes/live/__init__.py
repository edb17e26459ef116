"""Listening for ever: devices, recordings, events."""

from stapes.live.bench import bench_live
from stapes.live.events import audacity_labels, json_line, score_of
from stapes.live.host import HostListener

__all__ = ["HostListener", "audacity_labels", "bench_live", "json_line", "score_of"]
