"""What listening costs on a target: `stapes bench live`.

Two programs: firmware/app/bench_live.c runs the network alone, sliding and from scratch; firmware/app/live.c, the whole
product, hears `seconds` of sound over the link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.bench.frontend import COUNTERS, read_answer
from stapes.compiler import Plan
from stapes.datasets import synthetic_clips
from stapes.device import connect_live, prepare
from stapes.errors import TargetError
from stapes.firmware import build_firmware
from stapes.link import LiveClient, LiveStatus
from stapes.recipe import Bundle
from stapes.reference import LiveEvent, LiveReference, Reference
from stapes.targets import board_for_target, open_target, require_target, unit_of_counter

MHZ = 80
"""Clock to which instructions per second are compared: one instruction a cycle is a stand-in, not a measurement."""


@dataclass(frozen=True)
class NetworkCost:
    """Counts of the network alone: of a hop that shares rows, of its kernels alone, of a window from scratch."""

    equal: bool
    hop: int | None
    ideal: int | None
    scratch: int
    worst_row: int | None


def bench_live(
    bundle: Bundle,
    target: str,
    directory: Path,
    *,
    seconds: float = 20.0,
    pcm: npt.NDArray[np.int16] | None = None,
) -> dict[str, Any]:
    """Build, run, measure; the keys of `stapes bench live --json`. `pcm` replaces synthetic clips."""
    board = board_for_target(target)
    if board is None:
        raise TargetError(
            f"{target} runs a program of its own",
            hint="give host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT",
        )
    require_target(target)
    prepared = prepare(bundle, target, directory, "live")
    plan, build = prepared.generated.plan, prepared.build
    assert build is not None  # the target has a board
    network, counter = _network(plan, prepared.generated.directory, board, target, directory)
    spec = bundle.manifest.frontend
    if pcm is None:
        pcm = _sound(bundle.manifest.labels, spec.sample_rate)
    pcm = np.resize(pcm, round(seconds * spec.sample_rate))
    reference = LiveReference(Reference(bundle))
    reference.push(pcm)
    with connect_live(bundle, target, build.elf, build_id=build.build_id) as (client, _):
        events, lost, status = _hear(client, pcm, spec.sample_rate)
        stack = client.stats().stack_high_water
    per_second = round(status.busy / seconds)
    counts = counter == "instructions"
    slide = plan.slide
    return {
        "target": target,
        "bundle": bundle.manifest.name,
        "counter": counter,
        "slides": slide is not None,
        "why": next(note for note in plan.notes if note.startswith("sliding: ")).removeprefix("sliding: "),
        "sliding_equals_scratch": network.equal if slide else None,
        "events_equal_to_python": events == reference.events and lost == 0,
        "events": len(events),
        "windows": status.windows,
        "dropped_samples": status.dropped,
        "seconds": seconds,
        "hops_per_second": spec.sample_rate / (bundle.manifest.window.hop_frames * spec.hop_length),
        "overlap": max(0.0, 1 - bundle.manifest.window.hop_frames / bundle.manifest.window.frames),
        "counts_per_second": per_second,
        "instructions_per_second": per_second if counts else None,
        "instructions_per_hop": network.hop if counts else None,
        "instructions_per_hop_ideal": network.ideal if counts else None,
        "instructions_per_window_from_scratch": network.scratch if counts else None,
        "hop_over_ideal": network.hop / network.ideal if network.hop and network.ideal else None,
        "hop_over_scratch": network.hop / network.scratch if network.hop else None,
        "worst_step": round(status.worst_step),
        "worst_step_instructions": round(status.worst_step) if counts else None,
        "worst_row_of_the_network": network.worst_row,
        "cpu_percent_at_80_mhz": 100 * per_second / (MHZ * 1e6) if counts else None,
        "worst_step_ms_at_80_mhz": status.worst_step / (MHZ * 1e3) if counts else None,
        "frame_ms": 1000 * spec.hop_length / spec.sample_rate,
        "flash_bytes": {"total": build.flash_bytes},
        "ram_bytes": {
            "static": build.ram_bytes,
            "arena": plan.arena_bytes,
            "stack": max(stack, build.stack_bytes),
            "total": build.ram_bytes + max(stack, build.stack_bytes),
        },
    }


def _network(
    plan: Plan, generated: Path, board: str, target: str, directory: Path
) -> tuple[NetworkCost, str]:
    build = build_firmware(generated, board, directory / "network", app="bench_live")
    with open_target(target, build.elf) as stream:
        answer = read_answer(stream)
    if answer["status"] != 0:
        raise TargetError(f"{target} stopped with status -{answer['status']}", hint="build it again")
    scale = answer["numerator"] / answer["denominator"] / answer["hops"]
    slide = plan.slide
    ideal = 0.0
    for layer in plan.layers:
        share = 1.0
        if slide and layer.accumulates and layer.inputs[0].tensor <= slide.trunk:
            share = slide.advance[layer.inputs[0].tensor] / layer.steps  # pooling of new rows only
        ideal += share * answer[f"layer{layer.index}"] * scale
    return (
        NetworkCost(
            answer["different"] == 0,
            round(answer["hop_ticks"] * scale) if slide else None,
            round(ideal) if slide else None,
            round(answer["scratch_ticks"] * scale),
            round(answer["worst_row"] * scale * answer["hops"]) if slide else None,
        ),
        unit_of_counter(target, COUNTERS[answer["counter"]]),
    )


def _hear(
    client: LiveClient, pcm: npt.NDArray[np.int16], sample_rate: int
) -> tuple[list[LiveEvent], int, LiveStatus]:
    """All of `pcm` through a device from a fresh stream; its events, how many were lost, its status at the end."""
    client.reset()
    events: list[LiveEvent] = []
    lost = 0
    for position in range(0, len(pcm), sample_rate):
        if client.feed(position, pcm[position : position + sample_rate]):
            found, lost = client.events()
            events += found
    return events, lost, client.status()


def _sound(labels: Sequence[str], sample_rate: int) -> npt.NDArray[np.int16]:
    """One synthetic clip of every kind, one after the other."""
    clips = synthetic_clips(labels, len(labels), sample_rate, 4.0, 1)
    return np.concatenate([clip.pcm for clip in clips])
