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
    with_input,
    with_probabilities,
    write_tflite,
)
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
