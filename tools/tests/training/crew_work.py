"""Work for test_crew.py: workers import it by name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from stapes.errors import DataError


def square(number: int, report: Callable[[object], None], stop: Callable[[], bool]) -> tuple[int, int]:
    """The square and the process; a negative number is an error."""
    report(f"working on {number}")
    if number < 0:
        raise DataError(f"{number} is negative", hint="take another")
    return number * number, os.getpid()


def until_stopped(report: Callable[[object], None], stop: Callable[[], bool]) -> str:
    report("waiting")
    while not stop():
        time.sleep(0.01)
    return "stopped"
