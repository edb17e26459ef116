"""The front end in C equals the one in Python in every bit, whatever the chunks."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.codegen.emitter import Provenance
from stapes.codegen.frontend import generate_frontend
from stapes.features import FixedFrontend, OutputQuantization, Tables
from stapes.recipe import FrontendSpec

ROOT = Path(__file__).parents[1]
OUTPUT = OutputQuantization(mean=-6.0, std=3.5, scale=0.028, zero_point=5)
SPECS = {
    "default": FrontendSpec(),
    "one_radix2_stage": FrontendSpec(
        n_fft=1024, frame_length=999, hop_length=333, n_mels=80, fmin=0, fmax=8000, window="none",
        mel_scale="htk", mel_norm="none", log="db", log_floor=1e-10, log_floor_mode="clamp",
    ),
    "small": FrontendSpec(n_fft=128, frame_length=100, hop_length=100, n_mels=20, window="hamming"),
    "large": FrontendSpec(n_fft=4096, frame_length=4096, hop_length=4000, n_mels=128),
}  # fmt: skip

Run = Callable[[np.ndarray, int], np.ndarray]


@pytest.fixture(scope="module", params=SPECS.values(), ids=SPECS.keys())
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FrontendSpec, Run]:
    spec: FrontendSpec = request.param
    directory = tmp_path_factory.mktemp("frontend")
    generate_frontend(Tables.build(spec, OUTPUT), directory, Provenance({}))
    program = directory / "driver"
    subprocess.run(
        [
            "cc", "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            f"-I{ROOT / 'runtime/include'}", f"-I{directory}", "-o", str(program),
            *map(str, sorted(ROOT.glob("runtime/src/frontend*.c"))), str(ROOT / "runtime/src/fft.c"),
            str(directory / "stapes_frontend_tables.c"), str(ROOT / "tests/frontend_driver.c"),
        ],
        check=True,
    )  # fmt: skip

    def run(pcm: np.ndarray, chunk: int) -> np.ndarray:
        result = subprocess.run(
            [program, str(chunk)], input=pcm.astype("<i2").tobytes(), capture_output=True, check=True
        )
        return np.frombuffer(result.stdout, np.int8).reshape(-1, spec.n_mels)

    return spec, run


def extremes(samples: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    index = np.arange(samples)
    signals = {
        "silence": np.zeros(samples),
        "impulse": 32767 * (index == samples // 3),
        "lowest": np.full(samples, -32768),
        "square": np.where(index // 37 % 2, 32767, -32768),
        "loud": random.integers(-32768, 32768, samples),
        "quiet": random.integers(-1, 2, samples),
        "swell": random.integers(-32768, 32768, samples) * index // samples,
    }
    return {name: signal.astype(np.int16) for name, signal in signals.items()}


def test_extremes(built: tuple[FrontendSpec, Run]) -> None:
    spec, run = built
    frontend = FixedFrontend(spec)
    for name, pcm in extremes(3 * spec.frame_length + 5000).items():
        expected = frontend.features(pcm, OUTPUT)
        for chunk in (0, 1, 100000):
            np.testing.assert_array_equal(run(pcm, chunk), expected, err_msg=f"{name}, chunks of {chunk}")


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.integers(0, 15),
    chunk=st.integers(0, 3000),
    samples=st.integers(0, 9000),
)
def test_any_chunks(built: tuple[FrontendSpec, Run], seed: int, shift: int, chunk: int, samples: int) -> None:
    spec, run = built
    pcm = (np.random.default_rng(seed).integers(-32768, 32768, samples) >> shift).astype(np.int16)
    np.testing.assert_array_equal(run(pcm, chunk), FixedFrontend(spec).features(pcm, OUTPUT))
