"""The fault campaign: a known piece of sound, over and over, on a line that does its worst."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stapes.errors import LinkError, StapesError, TargetError
from stapes.link import Client, Hello, WindowResult
from stapes.link.faults import FaultyStream
from stapes.progress import Progress, no_progress
from stapes.targets import Stream

WINDOWS = 3
CLEAN_EVERY = 5  # rounds
LONGEST_PUSH = 192  # samples: many small frames rather than few large ones


@dataclass
class SoakReport:
    """What happened. `throughput_ratio` is samples per second with faults over without."""

    frames: int = 0
    requests: int = 0
    crashes: int = 0
    hangs: int = 0
    wrong_results_accepted: int = 0
    sessions_lost: int = 0
    rounds: int = 0
    throughput_clean: float = 0.0
    throughput_faulty: float = 0.0
    injected: dict[str, int] = field(default_factory=dict)
    first_wrong: str = ""

    @property
    def throughput_ratio(self) -> float:
        """Samples per second under faults, as a fraction of those on the clean line."""
        return self.throughput_faulty / self.throughput_clean if self.throughput_clean else 0.0

    @property
    def passed(self) -> bool:
        """No crash, no hang, no wrong result."""
        return self.crashes == self.hangs == self.wrong_results_accepted == 0

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes link soak --json`."""
        return {
            "frames": self.frames,
            "requests": self.requests,
            "crashes": self.crashes,
            "hangs": self.hangs,
            "wrong_results_accepted": self.wrong_results_accepted,
            "throughput_ratio": round(self.throughput_ratio, 4),
            "bytes_per_second_clean": round(2 * self.throughput_clean),
            "bytes_per_second_faulty": round(2 * self.throughput_faulty),
            "sessions_lost": self.sessions_lost,
            "rounds": self.rounds,
            "injected": self.injected,
            "first_wrong": self.first_wrong or None,
            "passed": self.passed,
        }


Results = list[tuple[object, ...]]


class _Workload:
    """A piece of sound that is streamed over and over, cut differently each time."""

    def __init__(self, hello: Hello, seed: int) -> None:
        step = hello.window_hop_frames * hello.hop_length
        length = hello.frame_length + (hello.window_frames - 1) * hello.hop_length + (WINDOWS - 1) * step
        self.pcm = np.random.default_rng(seed).integers(-8000, 8000, length).astype(np.int16)
        self.samples = 0  # that the device acknowledged, finished rounds or not

    def run(self, client: Client, seed: int) -> Results:
        """Everything the device says about the sound."""
        random = np.random.default_rng(seed)
        client.reset()
        results: Results = []
        position = 0
        while position < len(self.pcm):
            piece = self.pcm[position : position + int(random.integers(1, LONGEST_PUSH))]
            pushed = client.push(piece)
            self.samples += pushed.samples - position
            position = pushed.samples
            if pushed.window_ready:
                results.append((position, pushed.frames, pushed.windows, *_told(client.window())))
        results.append((client.features().tobytes(),))
        return [*results, (client.decision(),)]


def _told(window: WindowResult) -> tuple[object, ...]:
    return (window.index, window.features_crc, window.weight, window.scores.tobytes(), window.layer_crcs)


def soak(
    stream: Stream,
    *,
    faults: tuple[str, ...],
    frames: int,
    rate: float = 0.01,
    seed: int = 1,
    largest_payload: int | None = None,
    progress: Progress = no_progress,
) -> SoakReport:
    """Send `frames` frames (both ways together; a clean and a faulty round at least) over `stream`, each of the faulty
    rounds hit by one of `faults` with probability `rate`.

    The device's results are compared with those that it gave on the clean line at the start. Every fifth
    round is clean. A restart of the device (a fault of its own) ends the session; the round starts again.
    `largest_payload` limits requests, in bytes. `TargetError` (the program ended) is a crash, a request without
    an answer a hang.
    """
    report = SoakReport()
    line = FaultyStream(stream, faults, 0.0, seed)
    client = Client(line, largest_payload=largest_payload)
    work = _Workload(client.hello(), seed)
    expected = work.run(client, seed)
    connected = True
    speed = {False: _Speed(), True: _Speed()}
    while not report.crashes and (line.frames < frames or report.rounds < 2):
        progress("soak", line.frames, frames)
        # Clean rounds in between are what the throughput is compared with: the machine's mood is the same
        # for both.
        clean = report.rounds % CLEAN_EVERY == 0
        line.rate = 0.0 if clean else rate
        begin, work.samples = time.monotonic(), 0
        seed += 1
        report.rounds += 1
        try:
            if not connected:
                client.hello()
                connected = True
            if work.run(client, seed) != expected:
                report.wrong_results_accepted += 1
                report.first_wrong = report.first_wrong or f"round {report.rounds}"
        except (LinkError, TargetError) as error:
            connected = False
            _count(report, error, line.injected["reset"])
        speed[clean].samples += work.samples
        speed[clean].seconds += time.monotonic() - begin
    report.throughput_clean = speed[True].per_second
    report.throughput_faulty = speed[False].per_second
    report.frames = line.frames
    report.requests = client.statistics.requests
    report.injected = dict(line.injected)
    return report


@dataclass
class _Speed:
    samples: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.samples / self.seconds if self.seconds else 0.0


def _count(report: SoakReport, error: StapesError, restarts: int) -> None:
    """A session lost to a restart is as it should be; anything else is not."""
    if "STAPES_E_SESSION" in error.message and report.sessions_lost < restarts:
        report.sessions_lost += 1
        return
    if isinstance(error, TargetError):
        report.crashes += 1
    elif "no answer" in error.message:
        report.hangs += 1
    else:
        report.wrong_results_accepted += 1
    report.first_wrong = report.first_wrong or str(error)
