"""A recording of any length through the firmware's arithmetic to a track of labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stapes.datasets.audio import audio_blocks, audio_info
from stapes.errors import StapesError
from stapes.files import write_atomic
from stapes.graph import load_graph
from stapes.live.events import audacity_labels
from stapes.live.host import HostListener
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle
from stapes.reference import LiveEvent, LiveKind


def label_recording(
    bundle: Bundle,
    recording: Path,
    out: Path,
    directory: Path,
    *,
    progress: Progress = no_progress,
    on_event: Callable[[LiveEvent], None] | None = None,
) -> dict[str, Any]:
    """Write an Audacity label track of `recording` to `out`; the keys of `stapes label --json`.

    The device's C runs in this process, compiled in `directory`. Memory does not grow with the recording. The track
    is written when all of the recording was read: a damaged one leaves none.
    """
    rate = bundle.manifest.frontend.sample_rate
    graph = load_graph(bundle)
    scale = graph.tensor(graph.outputs[0]).scale
    total = round(audio_info(recording).seconds)
    listener = HostListener.build(bundle, directory)
    counts = {kind: 0 for kind in LiveKind}
    samples = 0
    begin = time.monotonic()
    lines: list[str] = []

    def take(events: list[LiveEvent]) -> None:
        for event in events:
            counts[event.kind] += 1
            if on_event:
                on_event(event)
        lines.extend(audacity_labels(events, bundle.manifest.labels, rate, scale))

    for block in audio_blocks(recording, rate):
        take(listener.push(block))
        samples += len(block)
        progress("seconds", samples // rate, total)
    take(listener.flush())
    try:
        write_atomic(out, "".join(lines))
    except OSError as error:
        raise StapesError(
            f"cannot write {out}: {error.strerror}", hint="choose another --out FILE"
        ) from error
    spent = time.monotonic() - begin
    return {
        "recording": str(recording),
        "seconds": samples / rate,
        "events": counts[LiveKind.END],
        "windows": listener.windows,
        "times_real_time": samples / rate / spent if spent else None,
        "track": str(out),
    }
