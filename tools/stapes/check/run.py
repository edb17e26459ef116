"""Check a bundle on a target: generate, build, start, stream clips, compare every stage with the reference."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.check.ahead import worked_ahead
from stapes.check.clips import ClipSet
from stapes.check.compare import ClipComparer, ClipResult, Example
from stapes.compiler import Plan
from stapes.device import Prepared, connect, constants_problem, describe_fault, prepare
from stapes.errors import LinkError
from stapes.files import canonical_json, sha256
from stapes.firmware import BuildResult
from stapes.link import Hello, SelfTest
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle
from stapes.reference import ClipReference, Reference


@dataclass
class CheckReport:
    """All that a check found; grows clip by clip, so that an interrupted check still says what it saw."""

    target: str
    bundle: Bundle
    plan: Plan
    source: str
    reference: str
    output_scale: float
    clips_hash: str = ""
    """Hex SHA-256 of the names, labels and PCM of the clips that were run."""
    held_out: frozenset[str] = frozenset()
    """Names of the clips that the network was not trained on."""
    hello: Hello | None = None
    build: BuildResult | None = None
    results: list[ClipResult] = field(default_factory=list)
    link: dict[str, float] = field(default_factory=dict)
    stack_high_water: int = 0
    interrupted: bool = False
    earlier_fault: str | None = None
    """The fault that the device's last restart before the check followed."""
    self_test: SelfTest | None = None
    constants_problem: str | None = None
    """What the self-test gives away of the constants in the device; None where nothing is wrong with them."""
    example: Example | None = None

    @property
    def first_difference(self) -> Any:
        """The first difference of all, or None."""
        return next((result.difference for result in self.results if result.difference is not None), None)

    @property
    def passed(self) -> bool:
        """Every clip ran, every stage of it was right, and so are the constants in the device."""
        return (
            bool(self.results)
            and not self.interrupted
            and self.first_difference is None
            and self.constants_problem is None
        )

    @property
    def judged(self) -> list[ClipResult]:
        """Results of clips that the network was not trained on: only these say how well it does."""
        return [result for result in self.results if result.clip in self.held_out]

    @property
    def accuracy(self) -> float | None:
        """Share of the judged clips whose decision is their label; None where there is none (synthetic clips)."""
        judged = self.judged
        if not judged:
            return None
        return sum(self.prediction(result) == result.label for result in judged) / len(judged)

    def prediction(self, result: ClipResult) -> str:
        """The decision's label, or "unknown"."""
        index = result.verdict.class_index
        return "unknown" if index < 0 else self.bundle.manifest.labels[index]

    def confidence(self, result: ClipResult) -> float:
        """The decision's confidence, 0 to 1 for a softmax output."""
        return result.verdict.confidence * self.output_scale

    @property
    def bits(self) -> dict[str, str]:
        """Hex SHA-256, stage by stage, of all that the device computed for these clips."""
        stages = self.results[0].bits if self.results else {}
        return {
            stage: sha256(canonical_json([result.bits[stage] for result in self.results])) for stage in stages
        }

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes check --json`."""
        windows = [count for result in self.results for count in result.window_counts]
        front = [count for result in self.results for count in result.frontend_counts]
        layers = [counts for result in self.results for counts in result.layer_counts]
        difference = self.first_difference
        return {
            "target": self.target,
            "bundle": self.bundle.manifest.name,
            "bundle_hash": self.bundle.hash,
            "labels": list(self.bundle.manifest.labels),
            "reference": self.reference,
            "source": self.source,
            "clips_hash": self.clips_hash,
            "bits": self.bits,
            "passed": self.passed,
            "interrupted": self.interrupted,
            "clips": len(self.results),
            "windows": len(windows),
            "pcm_equal": all(result.pcm_equal for result in self.results),
            "features_equal": all(result.features_equal for result in self.results),
            "layers_equal": all(result.layers_equal for result in self.results),
            "scores_equal": all(result.scores_equal for result in self.results),
            "decisions_equal": sum(result.decision_equal for result in self.results),
            "first_difference": None if difference is None else difference.as_json(),
            "accuracy": self.accuracy,
            "accuracy_clips": len(self.judged),
            "counter": self.hello.counter if self.hello else None,
            "instructions_per_window": _instructions(self.hello, windows),
            "instructions_frontend_per_window": _instructions(self.hello, front),
            "counts_per_window": median(windows) if windows else None,
            "board": self.hello.board if self.hello else None,
            "unique_id": self.hello.unique_id if self.hello else None,
            "earlier_fault": self.earlier_fault,
            "self_test": _self_test(self.self_test, self.constants_problem),
            "build_id": self.hello.build_id if self.hello else None,
            "flash_bytes": self.build.flash_bytes if self.build else None,
            "ram_bytes": self.build.ram_bytes if self.build else None,
            "stack_bytes": self.build.stack_bytes if self.build else None,
            "stack_high_water": self.stack_high_water,
            "arena_bytes": self.plan.arena_bytes,
            "layers": [
                {
                    "name": layer.name,
                    "op": layer.op,
                    "macs": layer.macs,
                    "count": median(counts[layer.index] for counts in layers) if layers else None,
                }
                for layer in self.plan.layers
            ],
            "memory": {
                "events": self.plan.events,
                "regions": [
                    {
                        "name": region.name,
                        "offset": region.offset,
                        "bytes": region.bytes,
                        "first": region.first,
                        "last": region.last,
                    }
                    for region in self.plan.regions
                ],
            },
            "example": None if self.example is None else _example(self.example),
            "link": self.link,
            "results": [
                {
                    "clip": result.clip,
                    "label": result.label,
                    "prediction": self.prediction(result),
                    "confidence": self.confidence(result),
                    "windows": result.windows,
                    "pcm_equal": result.pcm_equal,
                    "features_equal": result.features_equal,
                    "layers_equal": result.layers_equal,
                    "scores_equal": result.scores_equal,
                    "decision_equal": result.decision_equal,
                    "counts_per_window": median(result.window_counts) if result.window_counts else None,
                    "difference": None if result.difference is None else result.difference.as_json(),
                }
                for result in self.results
            ],
        }


def _self_test(test: SelfTest | None, problem: str | None) -> dict[str, Any] | None:
    """`passed` is None where the image has no checksum."""
    if test is None:
        return None
    passed = None if test.size == 0 and problem is None else problem is None
    return {**asdict(test), "passed": passed, "problem": problem}


def _example(example: Example) -> dict[str, Any]:
    """Features as base64 of int8 rows."""
    return {
        "clip": example.clip,
        "window": example.window,
        "shape": list(example.expected.shape),
        "expected": base64.b64encode(example.expected.tobytes()).decode(),
        "got": base64.b64encode(example.got.tobytes()).decode(),
    }


def _instructions(hello: Hello | None, counts: Sequence[float]) -> int | None:
    """Median of `counts` where the counter really counts instructions; never dressed-up cycles or time."""
    if hello is None or hello.counter != "instructions" or not counts:
        return None
    return round(median(counts))


def check_bundle(
    bundle: Bundle,
    target: str,
    clips: ClipSet,
    directory: str | os.PathLike[str],
    *,
    full: bool = False,
    prepared: Prepared | None = None,
    uart_log: Path | None = None,
    progress: Progress = no_progress,
) -> CheckReport:
    """Run `clips` on `target` and compare everything; Ctrl-C ends early with what was seen so far.

    `directory` receives generated and built files; `prepared` replaces that step (a test's altered firmware, say).
    `uart_log` is a file for every byte of the line.
    """
    progress("building", 0, 1)
    prepared = prepared or prepare(bundle, target, Path(directory), progress=progress)
    reference = Reference(bundle)
    report = CheckReport(
        target=target,
        bundle=bundle,
        plan=prepared.generated.plan,
        source=clips.source,
        reference=reference.network,
        held_out=clips.held_out,
        output_scale=reference.graph.tensor(reference.graph.outputs[0]).scale,
        build=prepared.build,
    )
    elf, build_id = prepared.elf, prepared.build_id
    layers = len(report.plan.layers)
    with connect(bundle, target, elf, build_id=build_id, layer_count=layers, uart_log=uart_log) as (
        client,
        hello,
    ):
        report.hello = hello
        report.self_test = client.self_test()
        report.constants_problem = constants_problem(report.self_test, elf)
        fault = client.fault()
        report.earlier_fault = describe_fault(fault, elf) if fault else None
        comparer = ClipComparer(client, report.plan, full=full)
        heard: list[list[object]] = []
        try:
            with worked_ahead(attrgetter("pcm"), partial(_expected, reference), clips.clips) as references:
                for clip, (expected, pcm_crc) in zip(clips.clips, references, strict=True):
                    progress(clip.name, len(heard), len(clips.clips))
                    report.results.append(comparer.run(clip.name, clip.label, expected))
                    heard.append([clip.name, clip.label, pcm_crc])
            progress("done", len(clips.clips), len(clips.clips))
            report.stack_high_water = client.stats().stack_high_water
        except KeyboardInterrupt:
            report.interrupted = True
        report.clips_hash = sha256(canonical_json(heard))
        report.example = comparer.example
        report.link = client.statistics.as_dict()
    if not report.results and not report.interrupted:
        raise LinkError("no clip was run", hint="give --clips 1 or more")
    return report


def _expected(reference: Reference, pcm: npt.NDArray[np.int16]) -> tuple[ClipReference, int]:
    """All that a clip must give, and the CRC-32 of its recording."""
    return reference.clip(pcm), zlib.crc32(pcm.tobytes())
