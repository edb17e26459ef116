"""The front end in C equals the one in Python in every bit, whatever the chunks."""

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.bench.frontend import bench_frontend, signals
from stapes.codegen.emitter import Provenance
from stapes.codegen.frontend import generate_frontend
from stapes.errors import BuildError, TargetError, ToolError
from stapes.features import FixedFrontend, OutputQuantization, WindowOutput, build_tables, normalize_window
from stapes.recipe import MICRO, FrontendSpec, PcenSpec
from stapes.targets import require_target

ROOT = Path(__file__).parents[1]
SPECS = {
    "default": FrontendSpec(),
    "one_radix2_stage": FrontendSpec(
        n_fft=1024, frame_length=999, hop_length=333, n_mels=80, fmin=0, fmax=8000, window="none",
        mel_scale="htk", mel_norm="none", log="db", log_floor=1e-10, log_floor_mode="clamp",
    ),
    "small": FrontendSpec(n_fft=128, frame_length=100, hop_length=100, n_mels=20, window="hamming"),
    "large": FrontendSpec(n_fft=4096, frame_length=4096, hop_length=4000, n_mels=128),
    "empty_bands": FrontendSpec(n_fft=256, frame_length=256, hop_length=77, n_mels=128, spectrum="magnitude"),
    "conditioned": FrontendSpec(pre_emphasis=0.97, remove_dc=True, frame_length=501, hop_length=250),
    "mfcc": FrontendSpec(n_mfcc=13, lifter=22, pre_emphasis=0.9),
    "pcen": FrontendSpec(pcen=PcenSpec(), n_fft=256, frame_length=256, hop_length=100, n_mels=128),
    "micro": FrontendSpec(**MICRO, micro=True, hop_length=160),
}  # fmt: skip
OUTPUTS = {
    "mfcc": OutputQuantization([float(i) for i in range(13)], [5.0 + i for i in range(13)], 0.1, -3),
    "pcen": OutputQuantization(0.5, 0.5, 0.02, -40),
    "micro": OutputQuantization(0.0, 1.0, 26 / 255, -128),
}
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{ROOT / 'runtime/include'}")


class Built:
    """The driver of one setting, its specification and its int8 scale."""

    def __init__(self, name: str, directory: Path, *flags: str, values: bool = False) -> None:
        self.spec = SPECS[name]
        self.output = OUTPUTS.get(name, OutputQuantization(mean=-6.0, std=3.5, scale=0.028, zero_point=5))
        generate_frontend(
            build_tables(self.spec, self.output), directory, Provenance({}), name="app", values=values
        )
        self.program = directory / "driver"
        subprocess.run(
            [
                "cc", "-g", "-O1", *WARNINGS, *flags, "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                f"-I{directory}", "-o", str(self.program),
                *map(str, sorted(ROOT.glob("runtime/src/frontend*.c"))), str(ROOT / "runtime/src/fft.c"),
                str(directory / "stapes_app_frontend.c"), str(ROOT / "tests/frontend_driver.c"),
            ],
            check=True,
        )  # fmt: skip

    def run(self, pcm: np.ndarray, chunk: int) -> np.ndarray:
        result = subprocess.run(
            [self.program, str(chunk)], input=pcm.astype("<i2").tobytes(), capture_output=True, check=True
        )
        return np.frombuffer(result.stdout, np.int8).reshape(-1, self.spec.n_features)


@pytest.fixture(scope="module", params=SPECS.keys())
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(request.param, tmp_path_factory.mktemp("frontend"))


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


def test_extremes(built: Built) -> None:
    frontend = FixedFrontend(built.spec)
    for name, pcm in extremes(2 * built.spec.frame_length + 2000).items():
        expected = frontend.features(pcm, built.output)
        np.testing.assert_array_equal(built.run(pcm, 100000), expected, err_msg=name)
        assert len(expected) > 1


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.integers(0, 15),
    chunk=st.integers(0, 3000),
    samples=st.integers(0, 9000),
)
def test_any_chunks(built: Built, seed: int, shift: int, chunk: int, samples: int) -> None:
    pcm = (np.random.default_rng(seed).integers(-32768, 32768, samples) >> shift).astype(np.int16)
    expected = FixedFrontend(built.spec).features(pcm, built.output)
    np.testing.assert_array_equal(built.run(pcm, chunk), expected)
    np.testing.assert_array_equal(built.run(pcm, 1), expected)


@pytest.mark.parametrize("name", ["default", "pcen", "micro"])
def test_without_a_long_multiply(name: str, tmp_path: Path) -> None:
    built = Built(name, tmp_path, "-DSTAPES_LONG_MULTIPLY=0")
    for pcm in extremes(6000).values():
        expected = FixedFrontend(built.spec).features(pcm, built.output)
        np.testing.assert_array_equal(built.run(pcm, 0), expected)


def test_roots_of_magnitudes_are_exact(tmp_path: Path) -> None:
    """Of squares and their neighbours, where a root is off if anywhere, and of the ends of each half."""
    random = np.random.default_rng(7)
    roots = [1 << 31, (1 << 32) - 1, *(int(root) for root in random.integers(1 << 31, 1 << 32, 20000))]
    uppers = [1 << 30, (1 << 32) - 1, *(int(root) ** 2 for root in random.integers(1 << 15, 1 << 16, 5000))]
    values = {root * root + off for root in roots for off in (-1, 0, 1, 2 * root)}
    values |= {
        (upper + off) << 32 | low for upper in uppers for off in (-1, 0, 1) for low in (0, 1, (1 << 32) - 1)
    }
    asked = np.array(sorted(value for value in values if 1 << 62 <= value < 1 << 64), np.uint64)
    source = tmp_path / "main.c"
    source.write_text(
        """#include <stdio.h>
        #include "frontend_magnitude.c"
        int main(void) {
            uint64_t value;
            while (fread(&value, sizeof value, 1, stdin) == 1) {
                const uint32_t root = root_of(value);
                fwrite(&root, sizeof root, 1, stdout);
            }
            return 0;
        }"""
    )
    program = tmp_path / "roots"
    subprocess.run(
        ["cc", "-O1", *WARNINGS, f"-I{ROOT / 'runtime/src'}", str(source), "-o", str(program)], check=True
    )
    found = subprocess.run([program], input=asked.tobytes(), capture_output=True, check=True).stdout
    assert np.frombuffer(found, np.uint32).tolist() == [math.isqrt(value) for value in asked.tolist()]


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    generate_frontend(build_tables(FrontendSpec()), tmp_path, Provenance({}), name="app")
    source = tmp_path / "main.c"
    source.write_text(
        """#include "stapes/error.h"
        #include "stapes_app_frontend.h"
        static uint64_t memory[STAPES_APP_FRONTEND_MEMORY_BYTES / 8 + 1];
        int main(void) {
            stapes_frontend_t f;
            const stapes_frontend_tables_t *t = &stapes_app_frontend;
            size_t n = STAPES_APP_FRONTEND_MEMORY_BYTES;
            return !(stapes_frontend_init(NULL, t, memory, n) == STAPES_E_ARGUMENT &&
                     stapes_frontend_init(&f, NULL, memory, n) == STAPES_E_ARGUMENT &&
                     stapes_frontend_init(&f, t, NULL, n) == STAPES_E_ARGUMENT &&
                     stapes_frontend_init(&f, t, memory, n - 1) == STAPES_E_MEMORY &&
                     stapes_frontend_init(&f, t, (char *)memory + 2, n) == STAPES_E_MEMORY &&
                     stapes_frontend_init(&f, t, memory, n) == 0);
        }"""
    )
    sources = [source, tmp_path / "stapes_app_frontend.c", ROOT / "runtime/src/fft.c"]
    sources += sorted(ROOT.glob("runtime/src/frontend*.c"))
    subprocess.run(["cc", *WARNINGS, f"-I{tmp_path}", "-o", tmp_path / "main", *sources], check=True)
    subprocess.run([tmp_path / "main"], check=True)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("window") / "driver"
    subprocess.run(
        [
            "cc", "-g", "-O1", *WARNINGS, "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            "-o", str(program), str(ROOT / "tests/window_driver.c"), str(ROOT / "runtime/src/frontend_window.c"),
        ],
        check=True,
    )  # fmt: skip
    return program


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 30),
    centre=st.integers(-(2**29), 2**29),
    spread=st.integers(0, 2**29),
    scale=st.sampled_from([1 / 32, 0.0123, 0.5]),
    zero_point=st.integers(-128, 127),
)
def test_window_normalisation(
    window: Path, seed: int, frames: int, centre: int, spread: int, scale: float, zero_point: int
) -> None:
    random = np.random.default_rng(seed)
    values = (centre + random.integers(-spread, spread + 1, (frames, 20))).astype(np.int32)
    output = WindowOutput(scale, zero_point)
    result = subprocess.run(
        [window, str(output.numerator), str(zero_point)],
        input=values.astype("<i4").tobytes(),
        capture_output=True,
        check=True,
    )
    expected = normalize_window(values, output)
    np.testing.assert_array_equal(np.frombuffer(result.stdout, np.int8), expected.reshape(-1))


def test_rows_of_values_are_the_logarithms(tmp_path: Path) -> None:
    built = Built("default", tmp_path, values=True)
    for pcm in extremes(3000).values():
        result = subprocess.run(
            [built.program, "0"], input=pcm.astype("<i2").tobytes(), capture_output=True, check=True
        )
        expected = FixedFrontend(built.spec).log_mel(pcm)
        np.testing.assert_array_equal(np.frombuffer(result.stdout, "<i4"), expected.reshape(-1))


TARGETS = {
    "qemu:mps2-an385": 48_000,
    "qemu:mps2-an386": 24_000,
    "qemu:mps2-an500": 24_500,
    "qemu:microbit": 192_000,
    "qemu:riscv32-virt": 70_000,
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_bits_on_every_core_and_at_what_cost(target: str, tmp_path: Path) -> None:
    output = OutputQuantization(mean=-8.0, std=4.0, scale=1 / 32, zero_point=0)
    try:
        require_target(target)
    except (ToolError, TargetError, BuildError) as error:
        pytest.skip(str(error))
    found = bench_frontend(target, FrontendSpec(), output, tmp_path)
    assert found["equal"]
    assert found["frames"] == FrontendSpec().frames(len(signals()))
    assert 1000 < found["instructions_per_frame"] <= TARGETS[target]
    assert found["ram_bytes"]["total"] <= 4096
    if target == "qemu:mps2-an386":
        assert found["flash_bytes"]["total"] <= 8192


@pytest.mark.parametrize(("target", "most"), [("qemu:mps2-an386", 46_000), ("qemu:microbit", 110_000)])
def test_the_micro_front_end_on_cores(target: str, most: int, tmp_path: Path) -> None:
    try:
        require_target(target)
    except (ToolError, TargetError, BuildError) as error:
        pytest.skip(str(error))
    found = bench_frontend(target, SPECS["micro"], OUTPUTS["micro"], tmp_path)
    assert found["equal"]
    assert 1000 < found["instructions_per_frame"] <= most
    assert found["ram_bytes"]["memory"] <= 2_200
    if target == "qemu:mps2-an386":
        assert found["flash_bytes"]["total"] <= 5_200
