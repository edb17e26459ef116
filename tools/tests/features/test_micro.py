"""The micro front end against the package that microWakeWord's networks are trained with, bit for bit."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stapes.datasets import read_audio, synthetic_clips
from stapes.errors import RecipeError
from stapes.features import FixedFrontend, MicroFrontend, MicroState, MicroTables, OutputQuantization
from stapes.recipe import MICRO, FrontendSpec

SPEC = FrontendSpec(**MICRO, micro=True, hop_length=160)
OUTPUT = OutputQuantization(0.0, 1.0, 26 / 255, -128)
DATA = os.environ.get("STAPES_DATA")
"""Read before the tests, which do not see it."""
Pcm = np.ndarray


def theirs(pcm: Pcm) -> np.ndarray:
    """uint16[frames, 40] of pymicro-features."""
    package: Any = pytest.importorskip("pymicro_features", reason="pymicro-features is not installed")
    frontend, data, rows = package.MicroFrontend(), pcm.astype("<i2").tobytes(), []
    for at in range(0, len(data) - 319, 320):
        features = frontend.process_samples(data[at : at + 320]).features
        if features:
            rows.append(features)
    return np.rint(np.array(rows) * 25.6).astype(np.uint16)


def clipped(values: np.ndarray) -> Pcm:
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def sounds() -> dict[str, Pcm]:
    """Where fixed point breaks: full scale, single samples, silence, levels that jump; and what is usual."""
    random = np.random.default_rng(1)
    time = np.arange(16000)
    jumps = np.repeat(2.0 ** random.uniform(0, 15, 100), 480)
    labels = ("rain", "dog", "crying_baby", "clock_tick")
    return {
        "noise": clipped(random.normal(0, 3000, 48000)),
        "quiet": clipped(random.normal(0, 1, 16000)),
        "full scale": random.integers(-32768, 32768, 48000).astype(np.int16),
        "tone": clipped(32767 * np.sin(0.1 * time)),
        "square": np.where(time // 37 % 2 == 1, 32767, -32768).astype(np.int16),
        "lowest": np.full(16000, -32768, np.int16),
        "impulses": np.where(time % 1000 == 0, -32768, 0).astype(np.int16),
        "zeros": np.zeros(4000, np.int16),
        "jumps": clipped(random.normal(0, 1, 48000) * jumps),
        "clips": np.concatenate([clip.pcm for clip in synthetic_clips(labels, 4, 16000, 1.0, seed=2)]),
    }


def test_every_bit_of_hard_sounds() -> None:
    frontend = MicroFrontend(SPEC)
    for name, pcm in sounds().items():
        np.testing.assert_array_equal(frontend.steps(pcm), theirs(pcm), err_msg=name)


@pytest.mark.timeout(1800)
def test_every_bit_of_hours() -> None:
    """STAPES_MICRO_MINUTES=60: recordings and noise of every level, as one stream."""
    minutes = float(os.environ.get("STAPES_MICRO_MINUTES", "0"))
    if not minutes or not DATA:
        pytest.skip("STAPES_MICRO_MINUTES=60 and STAPES_DATA=DIR are not set")
    random = np.random.default_rng(3)
    recordings = [read_audio(path, 16000) for path in sorted(Path(DATA).glob("audio/*"))]
    parts: list[Pcm] = []
    while sum(map(len, parts)) < minutes * 60 * 16000:
        parts.append(recordings[random.integers(len(recordings))])
        parts.append(clipped(random.normal(0, 1, 8000) * 2.0 ** random.uniform(0, 14)))
    pcm = np.concatenate(parts)
    found, expected = MicroFrontend(SPEC).steps(pcm), theirs(pcm)
    assert len(found) > minutes * 5990
    np.testing.assert_array_equal(found, expected)


def test_the_same_bits_everywhere() -> None:
    """Where pymicro-features is not installed: what it gave once (version 2.0.2)."""
    digest = hashlib.sha256()
    for name in ("noise", "full scale", "square", "jumps"):
        digest.update(MicroFrontend(SPEC).steps(sounds()[name]).astype("<u2").tobytes())
    assert digest.hexdigest() == "47110487765f776de2be98f73f82becec9b9ab0a935f253fbc635f324b44a611"


def test_a_stream_in_pieces_is_the_whole() -> None:
    frontend, pcm = MicroFrontend(SPEC), sounds()["jumps"]
    whole, state, rows, left = frontend.steps(pcm), MicroState(), [], pcm[:0]
    for piece in np.array_split(pcm, 41):
        left = np.concatenate([left, piece])
        found = frontend.steps(left, state)
        rows.append(found)
        left = left[160 * len(found) :]
    np.testing.assert_array_equal(np.concatenate(rows), whole)


@pytest.mark.parametrize("scale", [26 / 255, 0.10217524319887161, 0.0517])
def test_int8_is_the_nearest_step(scale: float) -> None:
    """For every value that the logarithm can have (no scale here has ties). Beyond the range it is clipped, where
    pymicro-wakeword wraps around.
    """
    output = OutputQuantization(0.0, 1.0, scale, -128)
    tables = MicroTables.build(SPEC, output)
    values = np.arange(1420, dtype=np.int64)
    steps = (((values << 20) * tables.gain + (1 << 31)) >> 32) + tables.bias >> 16
    expected = np.clip(np.round(values / 25.6 / scale) - 128, -128, 127)
    np.testing.assert_array_equal(np.clip(steps, -128, 127), expected)
    frontend = FixedFrontend(SPEC)
    rows = frontend.features(sounds()["tone"], output)
    np.testing.assert_array_equal(
        rows, np.clip(np.round(frontend.values(sounds()["tone"]) / scale) - 128, -128, 127)
    )


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match="n_mels = 64 is not of it"):
        FrontendSpec(**{**MICRO, "n_mels": 64}, micro=True, hop_length=160)
    with pytest.raises(RecipeError, match="gives micro features, and log-mel was asked for"):
        FixedFrontend(SPEC).log_mel(np.zeros(1000, np.int16))
    with pytest.raises(RecipeError, match="out of range"):
        MicroTables.build(SPEC, OutputQuantization(0.0, 1.0, 1e-9, 0))
    with pytest.raises(TypeError, match="int16"):
        MicroFrontend(SPEC).steps(np.zeros(1000, np.float32))
