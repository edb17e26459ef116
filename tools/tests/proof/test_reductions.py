"""Proofs of MEAN, SUM, REDUCE_MAX, LOG_SOFTMAX and of four-bit weights; and that no planted fault passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelmaker import ModelMaker
from planting import Alter, field, number

from stapes.codegen import model as codegen
from stapes.int8.pool import mean_constants
from stapes.proof import Proof, prove_model
from stapes.proof.reduction import single_inputs
from stapes.proof.tflm import mean_multiplier

SOUND = codegen.generate_model
MODEL, WEIGHTS = "stapes_app_model.c", "stapes_app_weights.c"


def network() -> bytes:
    """Weights of four bits in every kind of layer; sums and the greatest over columns, means over rows."""
    maker = ModelMaker(6)
    maker.int4 = True
    maker.input((1, 4, 5, 4)).conv_2d(4, kernel=(3, 3)).depthwise_conv_2d(kernel=(3, 3)).conv_2d(
        64, kernel=(1, 1)
    )
    kept = maker.last
    maker.reduce("SUM", (2,), scale=0.2).reduce("MEAN", (1,))  # rows of columns, then all rows
    mean = maker.last
    maker.reduce("REDUCE_MAX", (2,), source=kept).reduce("MEAN", (1,))
    maker.binary("ADD", mean, maker.last, scale=0.1).fully_connected(5)
    return maker.unary("LOG_SOFTMAX", 1 / 16, 127).build()


FAULTS: dict[int, tuple[str, Alter, str]] = {
    0: (WEIGHTS, number("stapes_app_layer_0_weights", 7, lambda v: v ^ 1), "weight of row"),
    1: (WEIGHTS, number("stapes_app_layer_1_weights", 5, lambda v: v ^ 16), "weight of row"),
    3: (MODEL, field("layer_3", "multiplier", "1234567890"), "multiplier 1234567890"),
    4: (MODEL, field("layer_4", "inner", "63"), "finds"),
    5: (MODEL, field("layer_5", "added", "4"), "row 0"),
    9: (MODEL, field("layer_9", "reverse_shift", "-4"), "from a logarithm to a difference"),
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reductions")


@pytest.fixture(scope="module")
def sound(workshop: Path) -> Proof:
    return prove_model(network(), "host", workshop)


def test_activations_of_sixteen_bits_are_tested_only(tmp_path: Path) -> None:
    ModelMaker.int16 = True
    try:
        model = ModelMaker().input((1, 4, 5), scale=0.0003).fully_connected(3).softmax().build()
    finally:
        ModelMaker.int16 = False
    proof = prove_model(model, "host", tmp_path)
    assert proof.verdict == "tested only"
    assert {claim.verdict for layer in proof.layers for claim in layer.claims} == {"tested only"}


def test_every_layer_is_proved(sound: Proof) -> None:
    problems = [claim.how for layer in sound.layers for claim in layer.claims if claim.verdict != "proved"]
    assert not problems and sound.verdict == "proved"
    kernels = {layer.kernel for layer in sound.layers}
    assert {"conv_2d_int4", "depthwise_int4", "reduce_sum", "reduce_max"} <= kernels


def test_every_reachable_sum_was_compared(sound: Proof) -> None:
    swept = {
        layer.index: claim.count
        for layer in sound.layers
        for claim in layer.claims
        if claim.part == "requantisation"
    }
    assert swept[3] == 255 * 5 + 1  # five columns
    assert swept[4] == 255 * 4 + 1  # four rows
    assert (
        sound.layers[9].claims[0].count > (4 << 19) + 256
    )  # one to five exponentials of one, and differences


def test_planted_faults_are_named(sound: Proof, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def generate(plan: Any, directory: Path, *rest: Any, **options: Any) -> list[Path]:
        files = SOUND(plan, directory, *rest, **options)
        for name, alter, _ in FAULTS.values():
            text = (directory / name).read_text()
            assert alter(text) != text, "nothing was planted"
            (directory / name).write_text(alter(text))
        return files

    (workshop / "proof-host.json").unlink()
    monkeypatch.setattr(codegen, "generate_model", generate)
    proof = prove_model(network(), "host", workshop)
    for index, (_, _, words) in FAULTS.items():
        failed = [claim.how for claim in proof.layers[index].claims if claim.verdict == "failed"]
        assert any(words in how for how in failed), (index, words, proof.layers[index])
    assert {layer.index for layer in proof.layers if layer.verdict == "failed"} == set(FAULTS)


@given(
    outputs=st.integers(1, 9),
    inputs=st.integers(1, 4),
    wrong=st.tuples(st.integers(0, 8), st.integers(0, 35)),
)
def test_single_inputs_tell_every_other_way_to_add(outputs: int, inputs: int, wrong: tuple[int, int]) -> None:
    """One read too many, too few or from elsewhere shows in at least one row."""
    places = np.random.default_rng(outputs).permutation(outputs * inputs).reshape(outputs, inputs)
    right = np.zeros((outputs, outputs * inputs), np.int64)
    right[np.arange(outputs)[:, None], places] = 1
    output, byte = wrong[0] % outputs, wrong[1] % (outputs * inputs)
    more, less, moved = right.copy(), right.copy(), right.copy()
    more[output, byte] += 1
    less[output, places[output, 0]] = 0
    moved[output, places[output, 0]] -= 1
    moved[output, byte] += 1
    rows = list(single_inputs(places, 2, 0))
    for other in (more, less, moved):
        same = all(np.array_equal(other @ x, right @ x) for x in rows)
        assert same == np.array_equal(other, right)


@given(real=st.floats(1e-6, 1e3), other=st.floats(1e-3, 1e3), count=st.integers(1, 2**20))
def test_the_multiplier_of_a_mean_is_the_same(real: float, other: float, count: int) -> None:
    assert mean_multiplier(float(np.float64(real) / np.float64(other)), count) == mean_constants(
        real, other, count
    )
