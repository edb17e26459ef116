"""Events of a listening device as JSON lines and Audacity labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from stapes.datasets.audacity import label_line, lost_line
from stapes.reference import LiveEvent, LiveKind


def score_of(event: LiveEvent, scale: float) -> float:
    """The event's smoothed score, 0 to 1 for a softmax; `scale` is that of the network's output."""
    return event.score * scale / 256


def json_line(event: LiveEvent, labels: Sequence[str], sample_rate: int, scale: float) -> str:
    """One event as a line of JSON; times in seconds since the stream began."""
    value: dict[str, object] = {
        "kind": event.kind.name.lower(),
        "start": round(event.start / sample_rate, 6),
        "end": round(event.end / sample_rate, 6),
        "level_dbfs": event.level / 100,
        "dropped": event.dropped,
    }
    if event.class_index >= 0:
        value |= {"class": labels[event.class_index], "score": round(score_of(event, scale), 6)}
    return json.dumps(value)


def audacity_labels(
    events: Iterable[LiveEvent], labels: Sequence[str], sample_rate: int, scale: float
) -> Iterable[str]:
    """Lines of an Audacity label track: complete events with their scores, and gaps where samples were lost."""
    for event in events:
        start, end = event.start / sample_rate, event.end / sample_rate
        if event.kind == LiveKind.END:
            yield label_line(start, end, labels[event.class_index], score_of(event, scale))
        elif event.kind == LiveKind.GAP:
            yield lost_line(start, end, event.dropped)
