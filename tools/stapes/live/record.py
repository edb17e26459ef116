"""Recording a board's own microphone: a WAV file, what is known of it, and labels put down meanwhile."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.datasets.audacity import label_line, lost_line
from stapes.files import free_path, write_atomic, write_json
from stapes.link import Hello
from stapes.link.record import RecordClient
from stapes.live.wav import MOST_SAMPLES, WavWriter
from stapes.version import __version__

POLL_SECONDS = 0.02
METER_SECONDS = 0.125
SILENCE = -200.0
"""Dbfs that are said of zeros."""


@dataclass
class Meter:
    """The level of the newest `METER_SECONDS`, and the highest since the start. 0 dBFS is a square wave between the
    limits.
    """

    length: int
    level: float = SILENCE
    peak: float = SILENCE
    clipped: int = 0
    _squares: float = 0.0
    _count: int = 0

    def add(self, pcm: npt.NDArray[np.int16]) -> None:
        """More samples, int16[n]."""
        wide = pcm.astype(np.float64)
        self.peak = max(self.peak, _decibels(float(np.max(wide**2, initial=0.0))))
        self.clipped += int(np.count_nonzero((pcm == 32767) | (pcm == -32768)))
        self._squares += float(wide @ wide)
        self._count += len(pcm)
        if self._count >= self.length:
            self.level = _decibels(self._squares / self._count)
            self._squares, self._count = 0.0, 0


def _decibels(square: float) -> float:
    return max(SILENCE, 10 * math.log10(square / 2**30)) if square else SILENCE


@dataclass
class Labels:
    """Labels put down while it is recorded, times in samples of the file; one is open at a time."""

    names: tuple[str, ...]
    whole: str | None = None
    """A label of all of the recording."""
    done: list[tuple[int, int, str]] = field(default_factory=list)
    open: tuple[int, str] | None = None

    def press(self, key: str, at: int) -> None:
        """A key: 1 to 9 begin a label, and end the one before; the same again, or 0, only ends it."""
        if not key.isdecimal() or len(key) != 1 or int(key) > len(self.names):
            return
        name = self.names[int(key) - 1] if key != "0" else None
        was = self.open[1] if self.open else None
        self.end(at)
        if name is not None and name != was:
            self.open = (at, name)

    def end(self, at: int) -> None:
        """End the open label."""
        if self.open and at > self.open[0]:
            self.done.append((self.open[0], at, self.open[1]))
        self.open = None


class Recorder:
    """Samples of `client` into `directory`: `NAME.wav`, `NAME.json` with what is known of it, `NAME.txt` with labels.

    Losses are marked in the two latter and never filled: samples before and after one follow each other in the file.
    Both are true at any moment; `close` them when all is recorded. Raises `LinkError` when the device is gone.
    """

    def __init__(
        self,
        client: RecordClient,
        hello: Hello,
        directory: Path,
        sample_rate: int,
        labels: Labels | None = None,
    ) -> None:
        self.labels = labels or Labels(())
        self.sample_rate = sample_rate
        self.losses: list[tuple[int, int]] = []
        self.meter = Meter(round(METER_SECONDS * sample_rate))
        self._client, self._hello = client, hello
        self._begun = datetime.now(UTC).astimezone()
        self._expected = 0
        self._crc = 0
        self._is_whole = False
        directory.mkdir(parents=True, exist_ok=True)
        self.gain = client.start(sample_rate)
        name = self._begun.strftime("%Y-%m-%d-%H%M%S")
        self.path = free_path(directory, f"{name}-{self.labels.whole}" if self.labels.whole else name, ".wav")
        chip = f" {hello.unique_id}" if hello.unique_id else ""
        about = {
            "ISFT": f"stapes {__version__}",
            "ICRD": self._begun.isoformat(timespec="seconds"),
            "IART": f"{hello.board}{chip}",
            "ICMT": f"board {hello.board}{chip}, gain {self._gain_text()}, {sample_rate} Hz",
        }
        self._wav = WavWriter(self.path, sample_rate, about)
        self._keep()

    def _gain_text(self) -> str:
        return "not known" if self.gain is None else f"{self.gain:g} ({20 * math.log10(self.gain):.1f} dB)"

    @property
    def samples(self) -> int:
        """In the file."""
        return self._wav.samples

    @property
    def lost(self) -> int:
        """Samples that are missing in it."""
        return sum(count for _, count in self.losses)

    @property
    def sidecar(self) -> Path:
        """What is known of the recording."""
        return self.path.with_suffix(".json")

    @property
    def track(self) -> Path:
        """The label track; there is none without labels and losses."""
        return self.path.with_suffix(".txt")

    def step(self, most: int | None = None) -> bool:
        """Fetch what waits; False when the file has `most` samples, or all that a WAV file holds."""
        limit = MOST_SAMPLES if most is None else min(most, MOST_SAMPLES)
        first, pcm = self._client.samples()
        lost = first - self._expected
        self._expected = first + len(pcm)
        pcm, is_short = pcm[: limit - self.samples], len(pcm) < self._client.most_samples // 2
        if lost and len(pcm):
            self.losses.append((self.samples, lost))
        self._wav.add(pcm)
        self._crc = zlib.crc32(pcm.astype("<i2").tobytes(), self._crc)
        self.meter.add(pcm)
        if lost and len(pcm):
            self._keep()
        if self.samples >= limit:
            self._is_whole = True
            return False
        if is_short:
            time.sleep(POLL_SECONDS)
        return True

    def press(self, key: str) -> None:
        """A key that puts a label down here."""
        self.labels.press(key, self.samples)
        self._keep()

    def end(self) -> None:
        """What was wanted is recorded."""
        self._is_whole = True

    def as_json(self) -> dict[str, Any]:
        """What is known of the recording. `at` counts samples of the file; not `whole`: it was broken off."""
        rate, line = self.sample_rate, self._client.statistics
        return {
            "recording": self.path.name,
            "begun": self._begun.isoformat(timespec="milliseconds"),
            "board": self._hello.board,
            "unique_id": self._hello.unique_id,
            "build_id": self._hello.build_id,
            "sample_rate": rate,
            "gain": self.gain,
            "samples": self.samples,
            "seconds": self.samples / rate,
            "crc32": f"{self._crc:08x}",
            "whole": self._is_whole,
            "lost_samples": self.lost,
            "losses": [{"at": at, "seconds": at / rate, "samples": count} for at, count in self.losses],
            "peak_dbfs": round(self.meter.peak, 2),
            "clipped_samples": self.meter.clipped,
            "labels": len(self.labels.done) + (self.labels.whole is not None),
            "line": line.as_dict(),
        }

    def _keep(self) -> None:
        write_json(self.sidecar, self.as_json())
        rate = self.sample_rate
        spans = [*self.labels.done]
        if self.labels.open and self.samples > self.labels.open[0]:
            spans.append((self.labels.open[0], self.samples, self.labels.open[1]))
        if self.labels.whole is not None and self.samples:
            spans.append((0, self.samples, self.labels.whole))
        lines = [(start, label_line(start / rate, end / rate, name)) for start, end, name in spans]
        lines += [(at, lost_line(at / rate, at / rate, count)) for at, count in self.losses]
        if lines:
            write_atomic(self.track, "".join(line for _, line in sorted(lines)))

    def close(self) -> None:
        """End the file, the label that is open, and what is known of both. The device's microphone goes on."""
        self.labels.end(self.samples)
        self._wav.close()
        self._keep()
