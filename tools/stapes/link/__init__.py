"""Frames and messages over a target's byte stream; docs/link-protocol.md is the specification."""

from stapes.link.client import Client, Statistics
from stapes.link.messages import Decision, Hello, Pushed, SelfTest, Stats, WindowResult

__all__ = ["Client", "Decision", "Hello", "Pushed", "SelfTest", "Statistics", "Stats", "WindowResult"]
