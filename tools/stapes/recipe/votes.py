"""The votes that there are: firmware/runtime/include/stapes/votes.def, the list that the C expands too."""

from __future__ import annotations

from dataclasses import dataclass

from stapes.definitions import read_definitions


@dataclass(frozen=True)
class VoteEntry:
    """One line of the list: `words` is the 32-bit counters that each class takes on the device, `text` what it is."""

    name: str
    words: int
    text: str


VOTES = {
    name: VoteEntry(name, int(words), text)
    for name, words, text in (e.arguments for e in read_definitions("runtime/include/stapes/votes.def"))
}
"""By name, in the list's order."""
