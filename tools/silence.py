#!/usr/bin/env python3
"""How long a command keeps silent: `python3 tools/silence.py [--terminal] -- make demo`.

Runs the command with its output in a pipe, or with --terminal on a terminal of its own, passes on what it says, and
then tells when the first line came, the longest silence and what was said before it. In a pipe only whole lines count,
for these are what a log shows. The status is the command's, or 1 where the first line or a silence took too long.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Silence:
    """What was heard when; all times in seconds since the start."""

    terminal: bool
    begin: float = field(default_factory=time.monotonic)
    first: float | None = None
    last: float = 0.0
    longest: float = 0.0
    before: str = "the start"
    text: bytes = b""

    def hear(self, data: bytes) -> None:
        """`data` was just said; b"" at the end."""
        now, said = time.monotonic() - self.begin, self._said()
        self.text += data
        if data and not (b"\n" in data or (self.terminal and data.strip())):
            return
        if now - self.last > self.longest:
            self.longest, self.before = now - self.last, said
        if data:
            self.last = now
            self.first = now if self.first is None else self.first
            self.text = self.text[-4000:]

    def _said(self) -> str:
        lines = self.text.decode(errors="replace").replace("\r", "\n").split("\n")
        return next((line.strip()[-200:] for line in reversed(lines) if line.strip()), "the start")


def run(command: list[str], terminal: bool) -> tuple[int, Silence]:
    """Status of the command, and what was heard of it."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs if terminal else None)
    os.close(theirs)
    silence = Silence(terminal)
    while True:
        select.select([ours], [], [])
        try:
            data = os.read(ours, 65536)
        except OSError:  # how a terminal ends
            data = b""
        silence.hear(data)
        if not data:
            return process.wait(), silence
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def main() -> int:
    """Run the command of the arguments and say what was heard."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--terminal", action="store_true", help="on a terminal rather than into a pipe")
    parser.add_argument("--first", type=float, default=5.0, metavar="SECONDS", help="to the first line [5]")
    parser.add_argument("--most", type=float, default=30.0, metavar="SECONDS", help="of silence [30]")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    status, silence = run(asked.command, asked.terminal)
    total = time.monotonic() - silence.begin
    first = "never" if silence.first is None else f"after {silence.first:.1f} s"
    print(
        f"silence: first line {first}; longest {silence.longest:.1f} s, after {silence.before!r}; "
        f"status {status} after {total:.0f} s, {'on a terminal' if asked.terminal else 'in a pipe'}",
        file=sys.stderr,
    )
    late = silence.first is None or silence.first > asked.first or silence.longest > asked.most
    return status or int(late)


if __name__ == "__main__":
    sys.exit(main())
