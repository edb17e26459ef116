"""Frames and messages over a target's byte stream; docs/link-protocol.md is the specification."""

from stapes.link.client import Client, LostSamplesError, Statistics
from stapes.link.live import LiveClient, LiveStatus
from stapes.link.messages import Decision, Fault, Hello, Pushed, Raise, SelfTest, Stats, WindowResult

__all__ = [
    "Client",
    "Decision",
    "Fault",
    "Hello",
    "LiveClient",
    "LiveStatus",
    "LostSamplesError",
    "Pushed",
    "Raise",
    "SelfTest",
    "Statistics",
    "Stats",
    "WindowResult",
]
