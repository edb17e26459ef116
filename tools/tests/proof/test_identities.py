"""What the argument of docs/proof.md leans on: rounding as in TFLM, channels that share a word."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelmaker import ModelMaker

from stapes.compiler.bounds import sum_bounds
from stapes.graph import read_tflite, simplify
from stapes.int8.arithmetic import multiply_by_quantized_multiplier, quantize_multiplier
from stapes.proof.tflm import Changes, Rule, quantized_multiplier
from stapes.reference import TflmOracle

INT32 = st.integers(-(2**31), 2**31 - 1)


def test_two_weights_in_a_word_are_exact_for_every_pair() -> None:
    """Read as an int16, a beside b less the borrow is a + 256 b; SXTB16 gives a alone."""
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    carried = b - (a < 0)
    fits = carried >= -128  # what can_carry asks for
    word = (a & 255) | ((carried & 255) << 8)
    assert np.array_equal(word.astype(np.uint16).view(np.int16)[fits], (a + 256 * b)[fits])
    assert np.array_equal((word & 255).astype(np.uint8).view(np.int8), a)


@given(a=INT32, b=st.integers(-(2**23), 2**23 - 1))
def test_the_second_sum_comes_out_of_the_first(a: int, b: int) -> None:
    raw = (a + 256 * b) & 0xFFFFFFFF
    difference = (raw - a) & 0xFFFFFFFF
    assert (difference - (difference >> 31 << 32)) >> 8 == b


@given(
    sums=st.lists(INT32, min_size=1, max_size=50),
    multiplier=st.integers(2**30, 2**31 - 1),
    shift=st.integers(-31, 8),
    zero_point=st.integers(-128, 127),
)
def test_the_second_rounding_is_the_first(
    sums: list[int], multiplier: int, shift: int, zero_point: int
) -> None:
    given_sums = np.array(sums, np.int64)
    wanted = multiply_by_quantized_multiplier(given_sums, multiplier, shift) + zero_point
    rule = Rule(multiplier, shift, zero_point, -128, 127)
    assert np.array_equal(rule.outputs(given_sums), np.clip(wanted, -128, 127))


@given(st.floats(1e-12, 1e6))
def test_multipliers_are_the_same(real: float) -> None:
    assert quantized_multiplier(real) == quantize_multiplier(real)


@given(
    low=st.integers(-(2**20), 2**20),
    size=st.integers(1, 70_000),
    multiplier=st.integers(2**30, 2**31 - 1),
    shift=st.integers(-16, 0),
)
@settings(max_examples=20, deadline=None)
def test_changes_say_all_of_a_range(low: int, size: int, multiplier: int, shift: int) -> None:
    rule = Rule(multiplier, shift, 3, -100, 100)
    sums = np.arange(low, low + size)
    changes = rule.changes(low, low + size - 1)
    places = np.searchsorted(np.array(changes.sums), sums, side="right") - 1
    assert np.array_equal(np.array(changes.outputs)[places], rule.outputs(sums))


def test_the_first_difference_is_found() -> None:
    one = Changes((0, 10, 20), (1, 2, 3))
    assert one.difference(one) is None
    assert one.difference(Changes((0, 11, 20), (1, 2, 3))) == (10, 2, 1)
    assert one.difference(Changes((0, 10), (1, 2))) == (20, 3, 2)


@pytest.mark.skipif(not TflmOracle.available(), reason="tflite-micro is not installed")
@pytest.mark.parametrize("seed", range(-(-int(os.environ.get("STAPES_EXTREMES", "1600")) // 400)))
def test_extremes_of_every_channel_are_reached_in_tflm(seed: int) -> None:
    """The inputs that the weights' signs choose make the bounds' sums, and TFLM makes of them what the rule says: 400
    inputs a network, `STAPES_EXTREMES=10000` for so many.
    """
    channels, inputs = 200, 20 + 37 * seed % 200
    maker = ModelMaker(seed).input((1, inputs), scale=0.05, zero_point=seed * 29 % 256 - 128)
    model = maker.fully_connected(channels).build()
    graph = simplify(read_tflite(model, "model"))
    op = graph.ops[0]
    weights, biases = graph.tensor(op.inputs[1]), graph.tensor(op.inputs[2])
    assert weights.data is not None and biases.data is not None and weights.quantization is not None
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    wide = weights.data.astype(np.int64)
    folded = biases.data.astype(np.int64) - source.zero_point * wide.sum(axis=1)
    bounds = sum_bounds(weights.data.astype(np.int8), folded)
    scales = np.broadcast_to(weights.quantization.scale, (channels,))
    oracle = TflmOracle(model)
    for channel in range(channels):
        multiplier, shift = quantized_multiplier(source.scale * float(scales[channel]) / output.scale)
        rule = Rule(multiplier, shift, output.zero_point, -128, 127)
        for sign, bound in ((1, bounds.highest), (-1, bounds.lowest)):
            x = np.where(sign * wide[channel] > 0, 127, -128).astype(np.int8).reshape(1, -1)
            assert int(wide[channel] @ x[0].astype(np.int64) + folded[channel]) == bound[channel]
            got = oracle.run([x])[graph.outputs[0]].reshape(-1)[channel]
            assert got == rule.outputs(bound[channel : channel + 1])[0]
