"""A listening session as lines of text: exactly `width` by `height` characters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from rich.text import Text

from stapes.live.events import score_of
from stapes.live.state import LiveState
from stapes.reference import LiveEvent, LiveKind

FLOOR_DBFS, CEILING_DBFS = -90.0, 0.0
_SHADES = (16, 17, 18, 54, 90, 126, 162, 197, 203, 209, 215, 221, 227, 230)
"""Colours of the terminal's 256, from quiet to loud."""


def picture(state: LiveState, width: int, height: int) -> Text:
    """Head, level meter, spectrogram, scores, events, foot."""
    width, height = max(width, 20), max(height, 10)
    below = max(3, min(len(state.labels), (height - 4) // 2))
    lines = [
        _head(state, width),
        _meter(state, width),
        *_spectrogram(state, width, height - 4 - below),
        _rule(width, "scores", "events"),
        *_scores_and_events(state, width, below),
        _foot(state, width),
    ]
    return Text("\n").join(lines)


def _fit(text: str, width: int) -> str:
    return text[:width].ljust(width)


def _head(state: LiveState, width: int) -> Text:
    status = state.status
    seconds = status.samples / state.sample_rate if status else 0.0
    clock = f"{int(seconds) // 3600:d}:{int(seconds) // 60 % 60:02d}:{seconds % 60:04.1f}"
    decided = "…"
    if status:
        decided = state.labels[status.decided] if status.decided >= 0 else "unknown"
        decided = decided if status.gate_is_open else "silence"
    left = f" {state.title}  {decided}"
    return Text(_fit(left, width - len(clock) - 1) + clock + " ", style="bold reverse")


def _meter(state: LiveState, width: int) -> Text:
    level = state.status.level / 100 if state.status else FLOOR_DBFS
    label = f" {max(level, -99.9):6.1f} dBFS "
    room = width - len(label)
    share = (min(max(level, FLOOR_DBFS), CEILING_DBFS) - FLOOR_DBFS) / (CEILING_DBFS - FLOOR_DBFS)
    full = round(share * room)
    colour = "red" if level > -3 else "yellow" if level > -12 else "green"
    return Text(label) + Text("█" * full, style=colour) + Text("·" * (room - full), style="dim")


def _spectrogram(state: LiveState, width: int, height: int) -> list[Text]:
    """The newest rows, time to the right, two bands a character, high bands above."""
    if not state.rows:
        return [
            Text(_fit("  waiting for the first frames …" if line == 0 else "", width))
            for line in range(height)
        ]
    rows = np.stack(list(state.rows)[-width:]).astype(np.int64) + 128
    bands = rows.shape[1]
    edges = np.linspace(0, bands, 2 * height + 1).astype(int)
    cells = np.stack([rows[:, low : max(high, low + 1)].max(axis=1) for low, high in pairwise(edges)])
    shades = np.minimum(cells * len(_SHADES) // 256, len(_SHADES) - 1)[::-1]
    lines = []
    for line in range(height):
        text = Text(" " * (width - len(rows)))
        for upper, lower in zip(shades[2 * line], shades[2 * line + 1], strict=True):
            text.append("▀", style=f"color({_SHADES[upper]}) on color({_SHADES[lower]})")
        lines.append(text)
    return lines


def _rule(width: int, left: str, right: str) -> Text:
    half = width // 2
    return Text(f"─ {left} ".ljust(half, "─") + f"─ {right} ".ljust(width - half, "─"), style="dim")


def _scores_and_events(state: LiveState, width: int, height: int) -> list[Text]:
    half = width // 2
    scores = state.scores()
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[:height]
    events = list(state.events)[-height:][::-1]
    lines = []
    for line in range(height):
        text = (
            _score(state, order[line], scores[order[line]], half) if line < len(order) else Text(" " * half)
        )
        lines.append(
            text
            + (
                _event(state, events[line], width - half)
                if line < len(events)
                else Text(" " * (width - half))
            )
        )
    return lines


def _score(state: LiveState, index: int, score: float, width: int) -> Text:
    name = _fit(f" {state.labels[index]}", min(16, width // 2))
    number = f" {score:4.2f} "
    room = width - len(name) - len(number)
    full = round(min(max(score, 0.0), 1.0) * room)
    style = "bold green" if score >= state.thresholds[index] else "blue"
    return Text(name + number) + Text("█" * full, style=style) + Text(" " * (room - full))


def _event(state: LiveState, event: LiveEvent, width: int) -> Text:
    start = event.start / state.sample_rate
    if event.kind == LiveKind.GAP:
        return Text(_fit(f"{start:8.1f} s  {event.dropped} samples lost", width), style="bold red")
    length = (
        f"{(event.end - event.start) / state.sample_rate:5.1f} s" if event.kind == LiveKind.END else "begins "
    )
    text = f"{start:8.1f} s {length} {state.labels[event.class_index]} {score_of(event, state.scale):.2f}"
    return Text(_fit(text, width), style="bold" if event.kind == LiveKind.END else "")


def _foot(state: LiveState, width: int) -> Text:
    status = state.status
    parts = [
        f"CPU {100 * state.load:.1f} %",
        f"dropped {status.dropped if status else 0}",
        f"events {state.count}",
    ]
    if state.lost_events:
        parts.append(f"lost events {state.lost_events}")
    if state.drift_ppm is not None:
        parts.append(f"drift {state.drift_ppm:+.0f} ppm")
    if state.saved:
        parts.append(f"uncertain {state.saved}")
    keys = "ended; q quits" if state.ended else "q quits"
    left = " " + "  ".join(parts)
    return Text(_fit(left, width - len(keys) - 1) + keys + " ", style="reverse")
