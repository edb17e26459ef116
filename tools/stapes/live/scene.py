"""Long recordings with known events: clips between stretches of silence and noise, made piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
Sound = tuple[str, Pcm]
"""Label and samples."""

SILENCE_DBFS, NOISE_DBFS = -75.0, -48.0
SHORTEST_GAP, LONGEST_GAP = 2.0, 20.0
ACTIVE_DB = 40.0
"""A frame of a clip is part of its event when it is at most this far below the clip's loudest frame."""
_FRAME_SECONDS = 0.02


@dataclass(frozen=True)
class Truth:
    """An event that is in the scene: seconds since its beginning."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Piece:
    """A stretch of sound and the event in it, if any."""

    pcm: Pcm
    truth: Truth | None


def scene(sounds: Sequence[Sound], sample_rate: int, seconds: float, seed: int = 1) -> Iterator[Piece]:
    """`seconds` of gaps and sounds in turn; a third of the gaps holds noise, the others near silence.

    The sounds come in random order, every one as often as any other. The same arguments give the same samples.
    """
    random = np.random.default_rng(seed)
    total, position = round(seconds * sample_rate), 0
    waiting: list[Sound] = []
    while position < total:
        length = round(random.uniform(SHORTEST_GAP, LONGEST_GAP) * sample_rate)
        level = NOISE_DBFS if random.random() < 1 / 3 else SILENCE_DBFS
        gap = random.normal(0.0, 32768 * 10 ** (level / 20), length)
        piece = np.clip(np.rint(gap), -32768, 32767).astype(np.int16)[: total - position]
        yield Piece(piece, None)
        position += len(piece)
        if not waiting:
            waiting = [sounds[index] for index in random.permutation(len(sounds))]
        label, pcm = waiting.pop()
        if position + len(pcm) > total:
            break
        start, end = active_span(pcm, sample_rate)
        begin = position / sample_rate
        yield Piece(pcm, Truth(label, begin + start, begin + end))
        position += len(pcm)
    if position < total:
        yield Piece(np.zeros(total - position, np.int16), None)


def active_span(pcm: Pcm, sample_rate: int) -> tuple[float, float]:
    """From the first to the last frame that is loud for the clip, in seconds."""
    frame = round(_FRAME_SECONDS * sample_rate)
    count = max(1, len(pcm) // frame)
    frames = pcm[: count * frame].astype(np.float64).reshape(count, -1)
    energy = (frames**2).mean(axis=1)
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-ACTIVE_DB / 10))
    return float(loud[0]) * _FRAME_SECONDS, float(loud[-1] + 1) * _FRAME_SECONDS
