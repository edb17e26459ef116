"""What is proved of the front end: its bounds and tables for every setting, its built C, and planted faults of both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planting import Alter, field, line, number

from stapes.definitions import firmware_dir, numbered
from stapes.errors import RecipeError
from stapes.features import FixedFrontend, OutputQuantization, Tables
from stapes.features.gate import SETTINGS, extremes
from stapes.proof import LayerProof
from stapes.proof import frontend as proving
from stapes.proof.frontend_bounds import Step, frontend_steps
from stapes.proof.frontend_device import FrontendImage
from stapes.proof.frontend_tables import CHECKS, Definition
from stapes.recipe import FrontendSpec

OUTPUT = OutputQuantization(-8.0, 4.0, 1 / 32, 3)
DECIBELS = OutputQuantization(-35.0, 40.0, 1 / 32, 3)
SOUND = proving.generate_frontend


def image_of(tables: Tables) -> FrontendImage:
    """What a target would answer."""
    spec = tables.spec
    found = {
        "bins": tables.memory_bins,
        "first_count": tables.segments[0],
        "floor_clamp": spec.log_floor_mode == "clamp",
        "pcen_shift": tables.pcen.unit + 64 if tables.pcen else 0,
    }
    of = [name for name, _ in numbered("app/prove.def", "SETTING").items()]
    values = {
        name: int(found[name] if name in found else getattr(tables, name, None) or getattr(spec, name, 0))
        for name in of
    }
    full = spec.frame_length == spec.n_fft and not tables.radix2_first
    scaling = np.stack([tables.gain, tables.bias], axis=1)
    plain = spec.kind == "log-mel"
    return FrontendImage(
        values,
        "conditioned" if tables.emphasis or tables.reciprocal else "full" if full else "any",
        "log" if plain else "mfcc" if spec.n_mfcc else "pcen",
        spec.spectrum == "magnitude",
        tables.window,
        tables.twiddles,
        tables.split_twiddles,
        tables.weights,
        np.column_stack(
            [tables.segments[1:], tables.floor, *(scaling.T if plain else np.zeros((2, spec.n_mels), int))]
        ),
        tables.log_table,
        np.zeros((0, 2), np.int64) if plain else scaling,
        tables.dct,
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_as_defined_and_within_its_bounds(name: str) -> None:
    """And no signal that breaks careless arithmetic goes beyond them."""
    spec = SETTINGS[name]
    output = DECIBELS if spec.log == "db" else OUTPUT
    tables = Tables.build(spec, output)
    image, definition = image_of(tables), Definition(spec, output)
    assert definition.settings(image) is None
    assert [check(definition, image) for _, check in CHECKS] == [None] * len(CHECKS)
    steps = list(frontend_steps(image, tables))
    assert [str(step) for step in steps if not step.holds] == []

    most = {step.what: step.high for step in steps}
    for pcm in extremes(spec).values():
        mel, exponent = FixedFrontend(spec)._mel_powers(pcm)
        assert mel.max() <= most["a sum of bins"] and exponent.max() <= most["the exponent"]
        if not spec.pcen:
            log = FixedFrontend(spec)._device_log(mel, exponent)
            low = next(step.low for step in steps if step.what == "a logarithm")
            assert low <= log.min() and log.max() <= most["a logarithm"]


@given(
    n_fft=st.sampled_from([128, 256, 512, 1024, 2048, 4096]),
    part=st.integers(1, 8),
    n_mels=st.integers(20, 128),
    floor=st.integers(-12, 0),
    magnitude=st.booleans(),
    emphasis=st.sampled_from([0.0, 0.5, 0.97]),
    remove=st.booleans(),
    window=st.sampled_from(["hann", "hamming", "none"]),
    clamp=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_accepted_overflows_nowhere(
    n_fft: int,
    part: int,
    n_mels: int,
    floor: int,
    magnitude: bool,
    emphasis: float,
    remove: bool,
    window: Any,
    clamp: bool,
) -> None:
    spec = FrontendSpec(
        n_fft=n_fft,
        frame_length=n_fft * part // 8,
        hop_length=n_fft // 8,
        n_mels=n_mels,
        log_floor=10.0**floor,
        log_floor_mode="clamp" if clamp else "offset",
        spectrum="magnitude" if magnitude else "power",
        pre_emphasis=emphasis,
        remove_dc=remove,
        window=window,
    )
    try:
        tables = Tables.build(spec, OUTPUT)
    except RecipeError:
        return  # refused
    image = image_of(tables)
    definition = Definition(spec, OUTPUT)
    assert [check(definition, image) for _, check in CHECKS] == [None] * len(CHECKS)
    assert [str(step) for step in frontend_steps(image, tables) if not step.holds] == []


def changed(image: FrontendImage, **values: int) -> FrontendImage:
    return replace(image, settings=image.settings | values)


@pytest.mark.parametrize(
    ("values", "row", "words"),
    [
        ({"max_exponent": 28}, "logarithm", "the floor's shift"),
        ({"floor_shift": -60}, "logarithm", "the floor's shift"),
        ({"floor_shift": -51}, "logarithm", "a floor"),
        ({"frame_length": 1 << 31}, "window", "the energy of a frame"),
        ({"first_bin": 240}, "bands", "a bin's number"),
        ({"first_bin": 0}, "bands", "a bin's number"),
        ({"bins": 255}, "bands", "a place in memory"),
        ({"exponent_factor": 5}, "logarithm", "the floor's shift"),
    ],
)
def test_a_setting_that_lets_a_step_overflow_is_named(values: dict[str, int], row: str, words: str) -> None:
    tables = Tables.build(FrontendSpec(), OUTPUT)
    found = [step for step in frontend_steps(changed(image_of(tables), **values), tables) if not step.holds]
    assert any((step.row, words) == (step.row, step.what) and step.row == row for step in found), found


def test_tables_that_let_a_step_overflow_are_named() -> None:
    tables = Tables.build(FrontendSpec(), OUTPUT)
    image = image_of(tables)

    def broken(**values: Any) -> list[Step]:
        return [step for step in frontend_steps(replace(image, **values), tables) if not step.holds]

    bands = image.bands.copy()
    bands[:, 3] = 2**31 - 1
    assert [step.what for step in broken(bands=bands)] == ["a feature before it is int8, Q16,"]
    points = image.log_table.copy()
    points[7] = points[9]
    assert [step.what for step in broken(log_table=points)] == ["the rise between two points"]
    assert "a sum of its stage 2" in [step.what for step in broken(twiddles=image.twiddles * 2)]


# The built C.

TABLES: dict[str, tuple[Alter, str, str]] = {
    "window": (number("window", 17, lambda v: v + 1), "window", "entry 17 of the window"),
    "window's middle": (number("window", -1, lambda v: v - 1), "window", "entry 256 of the window"),
    "twiddle": (number("twiddles", 100, lambda v: v - 1), "transform", "entry 100 of the twiddles"),
    "split": (number("split_twiddles", 31, lambda v: -v), "transform", "entry 31 of the split's twiddles"),
    "weight": (number("weights", 40, lambda v: v + 1), "bands", "entry 40 of the weights"),
    "bins of a band": (number("bands", 0, lambda v: v + 1), "bands", "segment 2"),
    "floor": (number("bands", 4 * 3 + 1, lambda v: v + 1), "logarithm", "entry 3 of the floor"),
    "point": (number("log_table", 77, lambda v: v + 1), "logarithm", "entry 77 of the logarithm's table"),
    "gain": (number("bands", 4 * 5 + 2, lambda v: v + 1), "features", "entry 5 of the gains"),
    "bias": (number("bands", 4 * 9 + 3, lambda v: v - 1), "features", "entry 9 of the biases"),
    "first bin": (field("stapes_app_frontend", "first_bin", "3"), "bands", "segment 0"),
    "exponent": (field("stapes_app_frontend", "max_exponent", "29"), "settings", "max_exponent is 29"),
    "floor's shift": (field("stapes_app_frontend", "floor_shift", "0"), "settings", "floor_shift is 0"),
    "loading": (
        field("stapes_app_frontend", "load", "stapes_frontend_load_conditioned"),
        "settings",
        "loaded by conditioned",
    ),
}
CODE: dict[str, tuple[str, Alter, str, str]] = {
    "mantissa": (
        "frontend_log.h",
        line("(LOG_TABLE_BITS + 1)", "LOG_TABLE_BITS"),
        "logarithm",
        "mantissa 0x",
    ),
    "low word": (
        "frontend_log.h",
        line("low >> 1 >> (31", "low >> 1 >> (30"),
        "logarithm",
        "the logarithm of",
    ),
    "rounding": ("frontend_math.h", line("y + 0x80000000ll", "y + 0x7fffffffll"), "rows", "of "),
    "half": ("fft.c", line("z->z.im >> 1, b_re", "z->z.im, b_re"), "rows", "frame"),
    "energy": (
        "frontend_mel.c",
        line("#define ENERGY_BITS 60", "#define ENERGY_BITS 62"),
        "window",
        "energy",
    ),
}
"""Two of them change no row of hard frames: rounding, and a limit of the energy that is four times as high."""


@pytest.fixture
def one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """One 128th of all mantissas."""
    monkeypatch.setattr(proving, "SWEPT", 1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all is built, from a copy of the firmware that a test may alter: only what changed is compiled."""
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    place = tmp_path_factory.mktemp("frontend")
    shutil.copytree(firmware_dir(), place / "firmware")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stapes.firmware.build.firmware_dir", lambda: place / "firmware")
        yield place


def prove(workshop: Path, spec: FrontendSpec | None = None) -> list[LayerProof]:
    spec = spec or FrontendSpec()
    output = DECIBELS if spec.log == "db" else OUTPUT
    return proving.prove_frontend(proving.Frontend(spec, output), "host", "host", workshop / "built")


def failures(parts: list[LayerProof]) -> Iterator[tuple[str, str]]:
    for part in parts:
        for claim in part.claims:
            if claim.verdict == "failed":
                yield part.name, claim.how


@pytest.mark.usefixtures("one_point")
@pytest.mark.parametrize(
    "name", ["default", "20 MFCC, lifter, dB", "PCEN", "pre-emphasis", "magnitude, log2"]
)
def test_a_sound_front_end_is_proved_and_its_rows_are_tested(workshop: Path, name: str) -> None:
    parts = prove(workshop, SETTINGS[name])
    assert list(failures(parts)) == []
    verdicts = {part.name: part.verdict for part in parts}
    tested = {"rows"} | ({"logarithm"} if name == "PCEN" else set())
    assert {row for row, verdict in verdicts.items() if verdict == "tested only"} == tested
    assert {"window", "transform", "bands", "logarithm", "features"} <= verdicts.keys()
    swept = next(claim for claim in parts[3].claims if claim.part == "mantissas")
    assert swept.count == 1 << 24


@pytest.mark.usefixtures("one_point")
@pytest.mark.parametrize("batch", range(3))
def test_planted_faults_in_tables_are_named(
    workshop: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each row at a time."""
    rows: dict[str, list[str]] = {}
    for name, (_, row, _) in TABLES.items():
        rows.setdefault(row, []).append(name)
    names = [each[batch] for each in rows.values() if len(each) > batch and each is not rows["settings"]]
    for planted in (names, rows["settings"][batch : batch + 1]):

        def generate(tables: Any, directory: Path, *rest: Any, **options: Any) -> list[Path]:
            files = SOUND(tables, directory, *rest, **options)
            source = directory / "stapes_app_frontend.c"
            for name in planted:  # noqa: B023
                text = source.read_text()
                assert TABLES[name][0](text) != text, name
                source.write_text(TABLES[name][0](text))
            return files

        monkeypatch.setattr(proving, "generate_frontend", generate)
        found = list(failures(prove(workshop)))
        for name in planted:
            assert any(row == TABLES[name][1] and TABLES[name][2] in how for row, how in found), (name, found)


@pytest.mark.usefixtures("one_point")
@pytest.mark.parametrize("name", CODE)
def test_planted_faults_in_code_are_named(workshop: Path, name: str) -> None:
    file, alter, row, words = CODE[name]
    source = workshop / "firmware/runtime/src" / file
    text = source.read_text()
    assert alter(text) != text
    source.write_text(alter(text))
    try:
        found = list(failures(prove(workshop)))
    finally:
        source.write_text(text)
    assert any(part == row and words in how for part, how in found), found


def test_the_micro_front_end_is_tested_only(tmp_path: Path) -> None:
    spec = FrontendSpec(
        frame_length=480, hop_length=160, n_mels=40, fmin=125.0, fmax=7500.0, spectrum="magnitude", mel_scale="htk",
        mel_norm="none", mel_lines="mel", micro=True,
    )  # fmt: skip
    (part,) = prove(tmp_path, spec)
    assert part.verdict == "tested only" and "pymicro-features" in part.claims[0].how
