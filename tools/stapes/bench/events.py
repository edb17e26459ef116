"""An hour of sound with known events through the device: `stapes bench events`.

The same events as Python's, no sample lost, memory flat; how well the events fit the truth; how often quiet and noisy
stretches make a false alarm, with and without gate and rejection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.device import connect_live, prepare
from stapes.files import finite
from stapes.live.host import HostListener
from stapes.live.scene import Sound, Truth, scene
from stapes.packages import needed_for
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle, LiveSpec
from stapes.reference import LiveEvent, LiveKind, LiveReference, Reference

COLLAR = 0.5
"""Seconds by which an event's onset may be off, at most."""

SEGMENT = 1.0
"""Seconds of a segment, in which a class sounds or does not."""


def bench_events(
    bundle: Bundle,
    sounds: Sequence[Sound],
    directory: Path,
    *,
    seconds: float = 3600.0,
    target: str | None = None,
    target_seconds: float = 120.0,
    python: bool = True,
    seed: int = 1,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The keys of `stapes bench events --json`. `sounds` are those that the network was not trained on.

    The C in this process hears all of the scene, so does Python (unless `python` is False), `target` its first
    `target_seconds`.
    """
    _packages()  # before the long part
    rate = bundle.manifest.frontend.sample_rate
    listener = HostListener.build(bundle, directory / "library")
    events: list[LiveEvent] = []
    truth: list[Truth] = []
    samples = 0
    memory: list[int] = []
    busy = 0.0
    for piece in scene(sounds, rate, seconds, seed):
        begin = time.monotonic()
        events += listener.push(piece.pcm)
        busy += time.monotonic() - begin
        truth += [piece.truth] if piece.truth else []
        samples += len(piece.pcm)
        memory.append(_resident_bytes())
        progress("seconds", samples // rate, round(seconds))
    events += listener.flush()
    reference = LiveReference(Reference(bundle)) if python else None
    if reference:
        done = 0
        for piece in scene(sounds, rate, seconds, seed):
            reference.push(piece.pcm)
            done += len(piece.pcm)
            progress("seconds in Python", done // rate, round(seconds))
        reference.flush()
    result: dict[str, Any] = {
        "bundle": bundle.manifest.name,
        "seconds": samples / rate,
        "true_events": len(truth),
        "events": sum(event.kind == LiveKind.END for event in events),
        "equal_to_python": events == reference.events if reference else None,
        "dropped_samples": sum(event.dropped for event in events),
        "windows": listener.windows,
        "times_real_time": seconds / busy if busy else None,
        "state_bytes": listener.state_bytes,
        "process_growth_bytes": max(0, memory[-1] - memory[len(memory) // 4]),
        "scores": score_events(events, truth, bundle.manifest.labels, rate),
        "false_alarms_per_hour": _false_alarms(bundle, sounds, directory, seconds, seed),
    }
    if target:
        result["target"] = _on_target(bundle, sounds, directory, seconds, target, target_seconds, seed)
    return result


def _resident_bytes() -> int:
    """What this process holds in memory; 0 where that is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096


def score_events(
    events: Sequence[LiveEvent], truth: Sequence[Truth], labels: Sequence[str], sample_rate: int
) -> dict[str, Any]:
    """Event-based F1 of sed_eval (collar of 0.5 s; onsets alone, and with offsets), its segment-based F1 (segments of
    1 s), and clip accuracy; None where a figure is not defined (the precision of no events).

    Truth that nothing was found of has an F1 of 0: 2 TP / (2 TP + FP + FN).
    A clip counts as right when the event with the highest score that overlaps it has its label.
    """
    dcase_util, sed_eval = _packages()
    found = [
        Truth(labels[event.class_index], event.start / sample_rate, event.end / sample_rate)
        for event in events
        if event.kind == LiveKind.END
    ]

    def listed(spans: Sequence[Truth]) -> Any:
        return dcase_util.containers.MetaDataContainer(
            [{"file": "scene", "event_label": t.label, "onset": t.start, "offset": t.end} for t in spans]
        )

    sound_event = sed_eval.sound_event
    scored = {
        name: sound_event.EventBasedMetrics(
            event_label_list=list(labels),
            t_collar=COLLAR,
            percentage_of_length=0.5,
            evaluate_offset=with_offset,
        )
        for name, with_offset in (("onset", False), ("onset_and_offset", True))
    }
    scored["segment"] = sound_event.SegmentBasedMetrics(
        event_label_list=list(labels), time_resolution=SEGMENT
    )
    result: dict[str, Any] = {}
    for name, metrics in scored.items():
        metrics.evaluate(reference_event_list=listed(truth), estimated_event_list=listed(found))
        overall = metrics.overall_f_measure()
        # Where nothing was found, or nothing was there to be found, some of them are not defined.
        result[name] = {key: finite(float(overall[key])) for key in ("f_measure", "precision", "recall")}
        if truth or found:
            result[name]["f_measure"] = result[name]["f_measure"] or 0.0
    right = 0
    scores = [event.score for event in events if event.kind == LiveKind.END]
    for true in truth:
        overlapping = [
            (score, span.label)
            for span, score in zip(found, scores, strict=True)
            if span.start < true.end and span.end > true.start
        ]
        right += bool(overlapping) and max(overlapping)[1] == true.label
    result["clip_accuracy"] = right / len(truth) if truth else None
    return result


def _packages() -> tuple[Any, Any]:
    with needed_for("scoring events", "sed_eval", "dcase_util"):
        import dcase_util
        import sed_eval
    return dcase_util, sed_eval


def false_alarms(events: Sequence[LiveEvent], truth: Sequence[Truth], sample_rate: int, collar: float) -> int:
    """Events that lie outside of every true event, `collar` seconds on both sides included."""
    count = 0
    for event in events:
        if event.kind == LiveKind.END:
            start, end = event.start / sample_rate, event.end / sample_rate
            count += not any(start < t.end + collar and end > t.start - collar for t in truth)
    return count


def _false_alarms(
    bundle: Bundle, sounds: Sequence[Sound], directory: Path, seconds: float, seed: int
) -> dict[str, float]:
    """Per hour of the stretches without an event, for the four combinations of gate and rejection."""
    manifest = bundle.manifest
    rate = manifest.frontend.sample_rate
    window = manifest.frontend.samples(manifest.window.frames) / rate
    result = {}
    for gate in (True, False):
        for rejects in (True, False):
            changes: dict[str, Any] = {"gate": gate, "level_seconds": 0.0}
            if not rejects:
                changes |= {"threshold": 0.0, "thresholds": {}, "margin": 0.0}
            name = f"{'gate' if gate else 'no_gate'}_{'rejection' if rejects else 'no_rejection'}"
            live = LiveSpec.model_validate(manifest.live.model_dump() | changes)
            other = Bundle(bundle.directory, manifest.model_copy(update={"live": live}), bundle.files)
            listener = HostListener.build(other, directory / name)
            events: list[LiveEvent] = []
            truth: list[Truth] = []
            quiet = 0.0
            for piece in scene(sounds, rate, seconds, seed):
                events += listener.push(piece.pcm)
                if piece.truth:
                    truth.append(piece.truth)
                else:
                    quiet += len(piece.pcm) / rate
            events += listener.flush()
            result[name] = false_alarms(events, truth, rate, window) * 3600 / quiet
    return result


def _on_target(
    bundle: Bundle,
    sounds: Sequence[Sound],
    directory: Path,
    seconds: float,
    target: str,
    target_seconds: float,
    seed: int,
) -> dict[str, Any]:
    """The beginning of the scene through the live application on `target`, against Python."""
    rate = bundle.manifest.frontend.sample_rate
    parts: list[npt.NDArray[np.int16]] = []
    for piece in scene(sounds, rate, seconds, seed):
        parts.append(piece.pcm)
        if sum(map(len, parts)) >= target_seconds * rate:
            break
    pcm = np.concatenate(parts)[: round(target_seconds * rate)]
    reference = LiveReference(Reference(bundle))
    reference.push(pcm)
    reference.flush()
    prepared = prepare(bundle, target, directory, "live")
    with connect_live(bundle, target, prepared.elf, build_id=prepared.build_id) as (client, _):
        client.reset()
        events: list[LiveEvent] = []
        lost = 0
        for position in range(0, len(pcm), rate):
            client.feed(position, pcm[position : position + rate])
            found, lost = client.events()
            events += found
        client.flush()
        events += client.events()[0]
        status = client.status()
        stack = client.stats().stack_high_water
    return {
        "target": target,
        "seconds": len(pcm) / rate,
        "events": sum(event.kind == LiveKind.END for event in events),
        "equal_to_python": events == reference.events and lost == 0,
        "dropped_samples": status.dropped,
        "stack_high_water": stack,
    }
