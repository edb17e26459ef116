"""A recording of any length through the firmware's arithmetic: to a track of labels, or to its sections of a class."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stapes.datasets.audio import Span, audio_blocks, audio_info, read_audio, wav_bytes
from stapes.datasets.own import TABLE
from stapes.datasets.table import read_table
from stapes.errors import StapesError
from stapes.files import safe_name, write_all, write_atomic
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
) -> dict[str, Any]:
    """Write an Audacity label track of `recording` to `out`; the keys of `stapes label --json`.

    The device's C runs in this process, compiled in `directory`. Memory does not grow with the recording. The track
    is written when all of the recording was read: a damaged one leaves none.
    """
    rate = bundle.manifest.frontend.sample_rate
    graph = load_graph(bundle)
    scale = graph.tensor(graph.outputs[0]).scale
    lines: list[str] = []

    def take(events: list[LiveEvent]) -> None:
        lines.extend(audacity_labels(events, bundle.manifest.labels, rate, scale))

    result = _hear(bundle, recording, directory, take, progress)
    try:
        write_atomic(out, "".join(lines))
    except OSError as error:
        raise _unwritable(out, error, "FILE") from error
    return result | {"track": str(out)}


def label_segments(
    bundle: Bundle,
    recording: Path,
    label: str,
    out: Path,
    directory: Path,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Cut the sections of `recording` that are events of the class `label` into WAV files in the directory `out`, mono
    at the recording's rate; the keys of `stapes label --segments --json`.

    Names have the time in seconds; `clips.csv` in `out` lists all of them with the recording as `group`, after what it
    had before. Either all files are written or none is. Raises `StapesError` for a class that the bundle does not
    know, and for sections that are there already.
    """
    labels = bundle.manifest.labels
    if label not in labels:
        raise StapesError(
            f"--segments {label}: none of the bundle's classes", hint=f"it knows {', '.join(labels)}"
        )
    if label == bundle.manifest.live.other:
        raise StapesError(
            f"--segments {label}: this class means none of the others and is never an event",
            hint=f"choose another, or set live.other of {bundle.directory} to another class",
        )
    table = out / TABLE
    columns, rows = ["filename", "label", "group"], []
    if table.is_file():
        found = [dict(row.values) for row in read_table(table, columns[:2], "choose another --out DIR")]
        columns += [column for row in found[:1] for column in row if column not in columns]
        rows = [[row.get(column) or "" for column in columns] for row in found]
    spans: list[Span] = []
    rate = bundle.manifest.frontend.sample_rate

    def take(events: list[LiveEvent]) -> None:
        spans.extend(
            Span(event.start / rate, event.end / rate)
            for event in events
            if event.kind == LiveKind.END and labels[event.class_index] == label
        )

    result = _hear(bundle, recording, directory, take, progress)
    own_rate = audio_info(recording).sample_rate
    contents: dict[str, str | Callable[[], bytes]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        name = f"{safe_name(recording.stem)}-{span.start:010.2f}-{safe_name(label)}.wav"
        if (out / name).exists():
            raise StapesError(
                f"{out / name} is there already", hint="choose another --out DIR, or remove what is in it"
            )
        contents[name] = partial(_section, recording, own_rate, span)
        rows.append([name, label, recording.name, *([""] * (len(columns) - 3))])
    if contents:
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
        contents[TABLE] = stream.getvalue()
        try:
            write_all(out, contents)
        except OSError as error:
            raise _unwritable(out, error, "DIR") from error
    return result | {
        "directory": str(out),
        "segments": len(spans),
        "segment_seconds": sum(span.end - span.start for span in spans),
    }


def _section(recording: Path, rate: int, span: Span) -> bytes:
    return wav_bytes(read_audio(recording, rate, span=span), rate)


def _unwritable(out: Path, error: OSError, what: str) -> StapesError:
    return StapesError(f"cannot write {out}: {error.strerror}", hint=f"choose another --out {what}")


def _hear(
    bundle: Bundle,
    recording: Path,
    directory: Path,
    take: Callable[[list[LiveEvent]], None],
    progress: Progress,
) -> dict[str, Any]:
    """Give `take` the events of all of `recording` as they come; what there is to say of it."""
    rate = bundle.manifest.frontend.sample_rate
    total = round(audio_info(recording).seconds)
    listener = HostListener.build(bundle, directory)
    samples = complete = 0
    begin = time.monotonic()

    def pass_on(events: list[LiveEvent]) -> None:
        nonlocal complete
        complete += sum(event.kind == LiveKind.END for event in events)
        take(events)

    for block in audio_blocks(recording, rate):
        pass_on(listener.push(block))
        samples += len(block)
        progress("seconds", samples // rate, total)
    pass_on(listener.flush())
    spent = time.monotonic() - begin
    return {
        "recording": str(recording),
        "seconds": samples / rate,
        "events": complete,
        "windows": listener.windows,
        "times_real_time": samples / rate / spent if spent else None,
    }
