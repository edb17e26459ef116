"""Graphs written back to files, with another input or turned, compute the same bits in the TFLM interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.graph import (
    Graph,
    NotTransposable,
    check_supported,
    read_tflite,
    simplify,
    transposed,
    up_to,
    weighted_layers,
    with_input,
    with_int4_weights,
    with_probabilities,
    write_tflite,
)
from stapes.graph.int4 import int4_steps, largest
from stapes.int8 import run_graph
from stapes.reference import TflmOracle

BANDS, FRAMES = 12, 18


def cnn(shape: tuple[int, ...] = (1, BANDS, FRAMES, 1), *, flat: bool = True) -> ModelMaker:
    """Everything that knows the two axes of a map, none of them symmetric."""
    maker = ModelMaker(3).input(shape, 0.08, 50)
    if shape != (1, BANDS, FRAMES, 1):
        maker.reshape((1, BANDS, FRAMES, 1))
    maker.pad([(0, 0), (1, 0), (2, 1), (0, 0)])
    maker.conv_2d(6, kernel=(3, 5), stride=(2, 1), activation="RELU")
    maker.depthwise_conv_2d(kernel=(2, 3), stride=(1, 2), padding="VALID", activation="RELU6")
    left = maker.last
    maker.conv_2d(6, kernel=(1, 1))
    maker.binary("ADD", left, maker.last, 0.1, 3)
    _, height, _, channels = maker.shape()
    rows = maker.constant(
        maker.random.integers(-9, 9, (height, 1, channels)), "INT8", scale=0.05, zero_point=1
    )
    maker.binary("MUL", maker.last, rows, 0.1, -2)
    joined = maker.last
    maker.unary("LEAKY_RELU", alpha=0.2)
    maker.concatenation([joined, maker.last], axis=2)
    maker.pool("MAX_POOL_2D", (1, 2))
    if flat:
        maker.reshape((1, int(np.prod(maker.shape())))).fully_connected(5, activation="RELU")
    else:
        maker.reduce("MEAN", (1, 2), scale=0.1, zero_point=0)
    return maker.fully_connected(4).softmax()


def rows_of(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(BANDS, FRAMES).T.reshape(1, FRAMES, BANDS, 1))


def scores(graph: Graph, data: bytes, values: np.ndarray) -> np.ndarray:
    """Of NumPy and of TFLM, which must be equal."""
    ours = run_graph(graph, [values])[graph.outputs[0]]
    oracle = TflmOracle(data)
    np.testing.assert_array_equal(oracle.run([values])[oracle.graph.outputs[0]], ours)
    return ours.reshape(-1)


def random_inputs(shape: tuple[int, ...], count: int = 4) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [random.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("shape", [(1, BANDS, FRAMES, 1), (1, 1, BANDS, FRAMES), (1, BANDS, FRAMES)])
def test_a_turned_network_gives_the_same_bits(flat: bool, shape: tuple[int, ...]) -> None:
    data = cnn(shape, flat=flat).build()
    graph = simplify(read_tflite(data))
    written = write_tflite(transposed(graph))
    turned = simplify(read_tflite(written))
    check_supported(turned)
    assert turned.tensor(turned.inputs[0]).shape == (1, FRAMES, BANDS, 1)
    for values in random_inputs(shape):
        expected = scores(graph, data, values)
        np.testing.assert_array_equal(scores(turned, written, rows_of(values)), expected)


def test_a_transpose_in_front_gives_the_same_bits() -> None:
    data = cnn((1, 1, BANDS, FRAMES)).build()
    graph = simplify(read_tflite(data))
    written = write_tflite(with_input(graph, (1, FRAMES, BANDS, 1), (0, 2, 1, 3)))
    turned = simplify(read_tflite(written))
    for values in random_inputs((1, 1, BANDS, FRAMES)):
        expected = scores(graph, data, values)
        np.testing.assert_array_equal(scores(turned, written, rows_of(values)), expected)


@pytest.mark.parametrize("output", ["map", "mean over one axis", "a reshape to another map"])
def test_what_cannot_be_turned_says_where(output: str) -> None:
    maker = ModelMaker(1).input((1, BANDS, FRAMES, 1), 0.08, 50).conv_2d(2)
    if output == "mean over one axis":
        maker.reduce("MEAN", (1,), scale=0.1, zero_point=0)
    elif output == "a reshape to another map":
        maker.reshape((1, FRAMES, BANDS, 2)).conv_2d(2)
    with pytest.raises(NotTransposable, match=r"its output is a map|MEAN|RESHAPE"):
        transposed(simplify(read_tflite(maker.build())))


def test_a_graph_is_written_as_it_was_read() -> None:
    """Operators of every table of options, compared by what they compute and by what is read back."""
    data = cnn().build()
    graph = read_tflite(data)
    again = read_tflite(write_tflite(graph))
    assert [(op.kind, op.inputs, op.outputs, dict(op.attributes)) for op in graph.ops] == [
        (op.kind, op.inputs, op.outputs, dict(op.attributes)) for op in again.ops
    ]
    for one, other in zip(graph.tensors, again.tensors, strict=True):
        assert (one.name, one.shape, one.type_name) == (other.name, other.shape, other.type_name)
        assert (one.quantization is None) == (other.quantization is None)
        if one.quantization is not None and other.quantization is not None:
            np.testing.assert_array_equal(one.quantization.scale, other.quantization.scale)
            np.testing.assert_array_equal(one.quantization.zero_point, other.quantization.zero_point)
            assert one.quantization.axis == other.quantization.axis
        if one.data is not None:
            np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("kind", ["SOFTMAX", "LOGISTIC"])
def test_probabilities_are_put_behind(kind: str) -> None:
    maker = ModelMaker(2).input((1, 9), 0.1, 4).fully_connected(5)
    graph = simplify(read_tflite(maker.build()))
    written = write_tflite(with_probabilities(graph, kind))
    found = simplify(read_tflite(written))
    tensor = found.tensor(found.outputs[0])
    assert (tensor.scale, tensor.zero_point) == (2.0**-8, -128)
    for values in random_inputs((1, 9)):
        logits = (run_graph(graph, [values])[graph.outputs[0]].astype(float) - 4) * maker.scale()
        real = np.exp(logits) / np.exp(logits).sum() if kind == "SOFTMAX" else 1 / (1 + np.exp(-logits))
        got = (scores(found, written, values).astype(float) + 128) / 256
        assert np.abs(got - real.reshape(-1)).max() <= 1.5 / 256


def test_a_network_is_cut_where_it_is_asked() -> None:
    data = cnn(flat=False).build()
    graph = simplify(read_tflite(data))
    mean = next(op for op in graph.ops if op.kind == "MEAN").outputs[0]
    cut = up_to(graph, mean)
    written = write_tflite(cut)
    assert [op.kind for op in cut.ops][-1] == "MEAN"
    for values in random_inputs((1, BANDS, FRAMES, 1)):
        np.testing.assert_array_equal(
            scores(simplify(read_tflite(written)), written, values),
            run_graph(graph, [values])[mean].reshape(-1),
        )


def test_weights_of_four_bits_are_near_those_of_eight() -> None:
    data = cnn().build()
    graph = read_tflite(data)
    chosen = [op.index for op in weighted_layers(graph)[1:-1] if op.kind != "DEPTHWISE_CONV_2D"]
    assert [graph.ops[index].kind for index in chosen] == ["CONV_2D", "FULLY_CONNECTED"]
    written = write_tflite(with_int4_weights(graph, chosen))
    again = read_tflite(written)
    for old, new in zip(graph.ops, again.ops, strict=True):
        if old.index not in chosen:
            assert all(
                np.array_equal(graph.tensor(a).data, again.tensor(b).data)
                for a, b in zip(old.inputs[1:], new.inputs[1:], strict=True)
            )
            continue
        before, after = graph.tensor(old.inputs[1]), again.tensor(new.inputs[1])
        assert after.type_name == "INT4" and np.abs(after.data).max() == 7
        exact, found = (
            each.data.reshape(len(each.data), -1) * each.quantization.scale[:, None]
            for each in (before, after)
        )
        assert (np.abs(found - exact) <= 0.41 * np.abs(exact).max()).all(), "clipped by 0.4 at most"
        assert np.abs(found - exact).mean() < np.abs(exact).max() / 20
        scale = graph.tensor(old.inputs[0]).scale * after.quantization.scale
        moved = again.tensor(new.inputs[2])
        np.testing.assert_allclose(moved.quantization.scale, scale, rtol=1e-6)
        was = graph.tensor(old.inputs[2])
        assert (np.abs(moved.data * scale - was.data * was.quantization.scale) <= 0.51 * scale).all()
    values = np.random.default_rng(1).integers(-128, 128, graph.tensor(graph.inputs[0]).shape).astype(np.int8)
    scores(again, written, values)
    index = chosen[-1]
    found, exact = (run_graph(each, [values])[each.ops[index].outputs[0]] for each in (again, graph))
    assert not np.array_equal(found, exact)


def test_real_weights_are_rounded_once() -> None:
    graph = read_tflite(cnn().build())
    index = weighted_layers(graph)[2].index
    real = np.random.default_rng(5).normal(size=(6, 1, 1, 6)).astype(np.float32)
    changed = with_int4_weights(graph, [index], {index: real})
    weights = changed.tensor(changed.ops[index].inputs[1])
    step = int4_steps(real.reshape(6, 6))
    np.testing.assert_allclose(weights.quantization.scale, step, rtol=1e-6)
    assert np.array_equal(
        weights.data.reshape(6, 6),
        np.clip(np.rint(real.reshape(6, 6) / step[:, None].astype(np.float32)), -7, 7),
    )


def test_four_bits_are_for_the_largest_layers_but_the_first_and_the_last() -> None:
    assert largest([144, 4608, 18432, 55296, 110592, 2560]) == (3, 4)
    assert largest([900, 10, 20, 900]) == (1, 2)
    assert largest([5, 100, 100, 100, 5]) == (1, 2, 3)
    assert largest([5, 5]) == largest([5]) == largest([]) == ()
