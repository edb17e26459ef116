"""The votes that there are: firmware/runtime/include/stapes/votes.def, the list that the C expands too."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stapes.files import firmware_dir


@dataclass(frozen=True)
class VoteEntry:
    """One line of the list: `words` is the 32-bit counters that each class takes on the device, `text` what it is."""

    name: str
    words: int
    text: str


def _read() -> dict[str, VoteEntry]:
    text = (firmware_dir() / "runtime/include/stapes/votes.def").read_text(encoding="utf-8")
    found = re.findall(r'^X\((\w+), (\d+), "(.*)"\)$', text, flags=re.MULTILINE)
    return {name: VoteEntry(name, int(words), what) for name, words, what in found}


VOTES = _read()
"""By name, in the list's order."""
