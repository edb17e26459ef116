"""Every figure of the documents has its command: a measured one stands in a section that names what gave it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

FIGURE = re.compile(
    r"(?<![\w.])\d[\d,.]*\s?(?:B|bytes|[KMG]i?B|kB|ms|µs|s|seconds|min|minutes?|hours?|%|instructions|cycles)(?![\w])"
)
CODE = re.compile(r"`([^`]*)`|^    (.*)$", re.MULTILINE)
COMMAND = re.compile(
    r"(?:^|\s)(?:stapes [a-z]+ |make [a-z]|(?:python3?|pytest) )\S|^(?:tools|firmware)/tests/.*\.py|^findings/.*\.sh"
)

NOT_MEASURED = {
    "docs/boards.md#The boards": "memories, from the chips' data sheets",
    "docs/boards.md#Clocks, speeds, what there is": "the same: tolerances of oscillators",
    "docs/datasets.md#Recordings": "a WAV format",
    "docs/emulators.md#Memory, clocks, watchdogs": "memories, from the machines' descriptions",
    "docs/flashing.md#The order of events": "limits that the code sets",
    "docs/import.md#The front end": "definitions of front ends",
    "docs/link-protocol.md#Sessions and sequence numbers": "limits that the code sets",
    "docs/link-protocol.md#Messages": "sizes of fields",
    "docs/link-protocol.md#What a peer may rely on": "sizes of buffers",
    "docs/renode.md#How it is driven": "limits and settings of the code",
    "docs/security.md#Devices": "limits that the code sets",
}
"""Sections whose figures are definitions, with what they are."""


def sections(page: Path) -> dict[str, str]:
    """Name and text of every part under a heading of one or two `#`; those of three belong to it."""
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    fences = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
    text = fences.sub(lambda block: re.sub(r"^", "    ", block[0], flags=re.MULTILINE), text)
    parts = re.split(r"^(?=##? )", text, flags=re.MULTILINE)
    name = page.relative_to(ROOT)
    return {f"{name}#{part.partition(chr(10))[0].lstrip('# ')}": part for part in parts}


def figures(text: str) -> list[str]:
    """What is measured, or looks like it: numbers with a unit, but those in code."""
    return FIGURE.findall(CODE.sub("", text))


def commands(text: str) -> list[str]:
    """Code that runs something: a command with an argument, a test, a script."""
    return [code for pair in CODE.findall(text) if COMMAND.search(code := pair[0] or pair[1])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_has_its_command(page: Path) -> None:
    for name, text in sections(page).items():
        if name not in NOT_MEASURED:
            assert commands(text) or not figures(text), f"{name}: what gave {figures(text)}?"


def test_exceptions_are_needed() -> None:
    found = {name: text for page in PAGES for name, text in sections(page).items()}
    for name in NOT_MEASURED:
        assert figures(found[name]) and not commands(found[name]), name


def test_a_figure_without_a_command_is_seen() -> None:
    for bare in (
        "It takes 40.8 KB.",
        "| a | 3,290,011 instructions |",
        "94.8 % ± 3.1 %",
        "`stapes` needs 3 ms",
    ):
        assert figures(bare) and not commands(bare)
    assert commands("40.8 KB (`stapes bench MODEL`)")
    assert not figures("    frames = 48   # 0.97 s") and not figures("16 bits of `8 KiB`, 3 steps")
