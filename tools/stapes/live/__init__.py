"""Listening for ever: devices, recordings, events."""

from stapes.live.events import audacity_labels, json_line, score_of
from stapes.live.host import HostListener

__all__ = ["HostListener", "audacity_labels", "json_line", "score_of"]
