"""Proofs of a small network: what they say, and that no planted fault passes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelmaker import ModelMaker
from planting import Alter, field, layer, line, more, number, swap, tensor

from stapes.codegen import model as codegen
from stapes.compiler.builder import ALIASES
from stapes.compiler.compile import LOWERINGS
from stapes.int8.elementwise import UNARY
from stapes.int8.run import KERNELS
from stapes.proof import Proof, prove, prove_model
from stapes.proof.device import FAMILIES
from stapes.proof.values import MOVES, PAIRS, POOLS

SOUND = codegen.generate_model
ROOT = Path(__file__).parents[3]
MODEL, WEIGHTS = "stapes_app_model.c", "stapes_app_weights.c"


def network() -> bytes:
    """A convolution, depthwise, dense layers, both pools, a table, a sum."""
    maker = ModelMaker(4).input((1, 4, 8, 2), scale=0.05, zero_point=-3)
    maker.conv_2d(8, kernel=(3, 3), stride=(1, 1), activation="RELU")
    maker.depthwise_conv_2d(kernel=(3, 3), stride=(1, 1))
    before = maker.last
    maker.unary("LOGISTIC", 1 / 256, -128)
    maker.binary("ADD", before, maker.last)
    maker.pool("MAX_POOL_2D", (2, 2)).pool("AVERAGE_POOL_2D", (1, 2))
    return maker.conv_2d(5, kernel=(1, 1)).fully_connected(6).fully_connected(4).build()


@pytest.fixture(scope="module")
def model() -> bytes:
    return network()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One build directory, so that only what changed is compiled."""
    return tmp_path_factory.mktemp("proof")


@pytest.fixture(scope="module")
def sound(model: bytes, workshop: Path) -> Proof:
    return prove_model(model, "host", workshop)


def test_every_layer_of_a_sound_network_is_proved(sound: Proof) -> None:
    problems = [claim.how for layer in sound.layers for claim in layer.claims if claim.verdict != "proved"]
    assert not problems and sound.verdict == "proved"
    assert sound.schedule is not None and sound.schedule.count > 30
    kernels = {layer.kernel for layer in sound.layers}
    assert {"conv_2d_carry", "depthwise_3x3", "lookup", "add", "average_pool_2d", "max_pool_2d"} <= kernels


def test_every_reachable_sum_was_compared(model: bytes, sound: Proof) -> None:
    """As many as the bounds say, in each tile's code."""
    layer = sound.layers[0]
    swept = next(claim for claim in layer.claims if claim.part == "requantisation")
    graph = prove.simplify(prove.read_tflite(model, "model"))
    weights = graph.tensor(graph.ops[0].inputs[1]).data
    assert weights is not None
    reach = 255 * np.abs(weights.reshape(8, -1).astype(int)).sum() + 8
    assert swept.count == 2 * reach  # eight columns: by threes, then two


def test_what_was_shown_is_not_shown_again(
    model: bytes, sound: Proof, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "build_network", None)
    assert prove_model(model, "host", workshop).as_json() == sound.as_json()


def test_a_proof_goes_on_where_it_was_interrupted(model: bytes, sound: Proof, workshop: Path) -> None:
    kept = workshop / "proof-host.json"
    whole = kept.read_text()
    value = json.loads(whole)
    value["layers"], value["schedule"], value["wiring"] = value["layers"][:3], None, None
    kept.write_text(json.dumps(value))
    seen: list[str] = []
    again = prove_model(model, "host", workshop, progress=lambda what, done, total: seen.append(what))
    assert again.as_json() == sound.as_json()
    assert not any(what == "0: CONV_2D, sums" for what in seen)


def test_the_documentation_names_what_is_never_proved() -> None:
    plain = {*MOVES, *ALIASES, *UNARY, *PAIRS, *POOLS, "REDUCE_MAX", "SOFTMAX", "LOG_SOFTMAX"}
    sums = {
        kind for kind, lowering in LOWERINGS.items() if any(kernel in FAMILIES for kernel in lowering.kernels)
    }
    table = (
        (ROOT / "docs/proof-runs.md").read_text().partition("## Tested only, and why")[2].split("\n## ")[0]
    )
    named = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    assert named & set(KERNELS) == set(KERNELS) - plain - sums


def first(old: str, new: str) -> Alter:
    """Replace the first of several."""
    return lambda text: text.replace(old, new, 1)


# name: (file, alteration, layer or "schedule"/"wiring", words of the message)
FAULTS: dict[str, tuple[str, Alter, int | str, str]] = {
    "weight bit": (WEIGHTS, number("stapes_app_layer_0_weights", 24, lambda v: v ^ 64), 0, "weight of row"),
    "weight by one": (WEIGHTS, number("stapes_app_layer_0_weights", 9, lambda v: v - 1), 0, "weight of row"),
    "last weight": (WEIGHTS, number("stapes_app_layer_0_weights", -1, lambda v: v ^ 1), 0, "weight of row"),
    "pair swapped": (WEIGHTS, swap("stapes_app_layer_0_weights", 0, 1), 0, "weight of row"),
    "bias by one": (WEIGHTS, number("stapes_app_layer_0_channels", 2, lambda v: v + 1), 0, "channel 1: bias"),
    "multiplier by one": (
        WEIGHTS,
        number("stapes_app_layer_0_channels", 7, lambda v: v + 1),
        0,
        "channel 3: multiplier",
    ),
    "channels swapped": (
        WEIGHTS,
        number("stapes_app_layer_0_channels", 11, more),
        0,
        "channel 5: multiplier",
    ),
    "shift": (WEIGHTS, number("stapes_app_layer_0_shifts", 1, lambda v: v + 1), 0, "channel 1: shift"),
    "rounding constant": (MODEL, field("layer_0", "rounding", "1"), 0, "rounding constant"),
    "saturates early": (MODEL, field("layer_0", "maximum", "126"), 0, "activation's maximum"),
    "activation missing": (MODEL, field("layer_0", "minimum", "-127"), 0, "activation's minimum"),
    "a run too short": (MODEL, field("layer_0", "segment_bytes", "5"), 0, "weight of row"),
    "columns too near": (MODEL, field("layer_0", "column_step", "1"), 0, "weight of row"),
    "one column missing": (MODEL, field("layer_0", "columns", "7"), 0, "weight of row"),
    "depthwise weight": (
        WEIGHTS,
        number("stapes_app_layer_1_weights", 33, lambda v: v ^ 1),
        1,
        "weight of row",
    ),
    "depthwise bias": (
        WEIGHTS,
        number("stapes_app_layer_1_channels", 8, lambda v: v - 1),
        1,
        "channel 4: bias",
    ),
    "depthwise taps": (MODEL, field("layer_1", "tap_step", "5"), 1, "weight of row"),
    "depthwise padding": (MODEL, field("layer_1", "zero_point", "1"), 1, "zero point"),
    "table entry": (WEIGHTS, number("stapes_app_layer_2_table", 77, lambda v: v ^ 1), 2, "row"),
    "table's last": (WEIGHTS, number("stapes_app_layer_2_table", 255, lambda v: v ^ 1), 2, "row"),
    "sum's multiplier": (MODEL, field("layer_3", "multiplier1", "1234567890"), 3, "row"),
    "sum's shift": (MODEL, field("layer_3", "shift2", "-2"), 3, "row"),
    "mean of fewer": (MODEL, field("layer_5", "kernel_width", "1"), 5, "row"),
    "mean's limit": (MODEL, field("layer_5", "maximum", "100"), 5, "row"),
    "maximum's limit": (MODEL, field("layer_4", "maximum", "100"), 4, "row"),
    "pointwise weights of another": (
        MODEL,
        line(".weights = stapes_app_layer_6_weights", ".weights = stapes_app_layer_0_weights"),
        6,
        "weight of row",
    ),
    "odd channel's bias": (
        WEIGHTS,
        number("stapes_app_layer_6_channels", 8, lambda v: v + 1),
        6,
        "channel 4",
    ),
    "rows off by one": (MODEL, field("stapes_input_t inputs_0[]", "before", "0"), "wiring", "conv_2d_0"),
    "padding of another zero point": (MODEL, tensor(0, "zero_point", "3"), "wiring", "input 0's zero point"),
    "ring one row too short": (MODEL, tensor(0, "height", "2"), "schedule", "row of the ring"),
    "another ring one row too short": (MODEL, tensor(1, "height", "2"), "schedule", "layer 1"),
    "rows overlap": (MODEL, tensor(1, "stride", "60"), "wiring", "conv_2d_0"),
    "a row outside of the map": (
        WEIGHTS,
        number("stapes_app_outside_minus_3", 5, more),
        "wiring",
        "conv_2d_0): byte 5 of a row outside",
    ),
    "another output": (MODEL, first("outputs[] = {9}", "outputs[] = {8}"), "wiring", "output 0 is 8, not 9"),
    "steps": (MODEL, layer("add_3", "steps", "3"), "wiring", "layer 3 (add_3): steps is 3, not 4"),
    "scratch over its own input": (
        MODEL,
        layer("conv_2d_6", "scratch", "60"),
        "schedule",
        "layer 6 (conv_2d_6), step 0, input 0, row 0: what it reads",
    ),
    "output over its own input": (
        MODEL,
        first("{{.offset = 900}, 10", "{{.offset = 72}, 10"),
        "schedule",
        "layer 6 (conv_2d_6), step 0, input 0, row 0: what it reads",
    ),
    "scratch over a ring": (
        MODEL,
        first(".scratch = 40", ".scratch = 484"),
        "schedule",
        "layer 0 (conv_2d_0)",
    ),
}


def alter_sources(directory: Path, name: str, alter: Alter) -> None:
    text = (directory / name).read_text()
    assert alter(text) != text, "nothing was planted"
    (directory / name).write_text(alter(text))


def batches() -> list[list[str]]:
    """Faults that are seen in one run: of a layer one that its constants show, and one that its outputs show."""
    found: list[dict[object, str]] = []
    for name, (_, _, place, words) in FAULTS.items():
        kind = (place, words.startswith("weight")) if isinstance(place, int) else name
        free = next((batch for batch in found if kind not in batch), None) if isinstance(place, int) else None
        if free is None:
            found.append({kind: name})
        else:
            free[kind] = name
    return [list(batch.values()) for batch in found]


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 30 and sorted(name for batch in batches() for name in batch) == sorted(FAULTS)


@pytest.fixture
def kept(sound: Proof, workshop: Path) -> Iterator[Path]:
    """What the sound network's proof has left, taken away for a test and put back behind it."""
    path = workshop / "proof-host.json"
    whole = path.read_text()
    path.unlink()
    yield path
    path.write_text(whole)


@pytest.mark.parametrize("names", batches(), ids=lambda names: f"{names[0]} and {len(names) - 1} more")
def test_planted_faults_are_named(
    model: bytes, workshop: Path, kept: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(plan: Any, directory: Path, *rest: Any, **options: Any) -> list[Path]:
        files = SOUND(plan, directory, *rest, **options)
        for name in names:
            alter_sources(directory, *FAULTS[name][:2])
        return files

    monkeypatch.setattr(codegen, "generate_model", generate)
    proof = prove_model(model, "host", workshop)
    assert proof.verdict == "failed"
    faults = [FAULTS[name][2:] for name in names]
    for place, words in faults:
        claims = proof.layers[place].claims if isinstance(place, int) else (getattr(proof, place),)
        failed = [claim.how for claim in claims if claim.verdict == "failed"]
        assert any(words in how for how in failed), (place, words, claims)
    layers = {place for place, _ in faults if isinstance(place, int)}
    assert {layer.index for layer in proof.layers if layer.verdict == "failed"} == layers


def test_a_channel_that_the_image_takes_the_short_way_beyond_its_bounds(
    workshop: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum between 2^29 and 2^30 comes out right on this core and not on every other: only the bounds tell."""
    maker = ModelMaker(1).input((1, 8)).fully_connected(2, scale=3e5)
    biases = maker.tensors[maker.ops[0].inputs[2]]
    biases.data = np.array([5, 600_000_000], np.int32)
    model = maker.build()
    layer = prove_model(model, "host", workshop).layers[0]
    assert layer.verdict == "proved" and "1 of 2 channels take the long way" in layer.claims[0].how

    def generate(plan: Any, directory: Path, *rest: Any, **options: Any) -> list[Path]:
        files = SOUND(plan, directory, *rest, **options)
        alter_sources(directory, WEIGHTS, number("stapes_app_layer_0_shifts", 1, lambda v: -v - 65))
        alter_sources(directory, MODEL, field("layer_0", "is_short", "1"))
        return files

    kept.unlink()
    monkeypatch.setattr(codegen, "generate_model", generate)
    layer = prove_model(model, "host", workshop).layers[0]
    failed = {claim.part: claim.how for claim in layer.claims if claim.verdict == "failed"}
    assert list(failed) == ["bounds"]
    assert failed["bounds"].startswith("channel 1: its short requantisation wants sums below 2^29")
