"""Simplifying a graph takes operators away and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.errors import ModelError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.reference import TflmOracle


def dynamic_batch_flatten() -> bytes:
    """What a converter writes for Flatten with an open batch: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    maker = ModelMaker().input((1, 4, 3, 2)).conv_2d(3)
    features = maker.last
    shape = maker.op("SHAPE", [features], (4,), type_name="INT32", zero_point=0).last
    ends = [maker.constant(np.array([value], np.int32)) for value in (0, 1, 1)]
    batch = maker.op(
        "STRIDED_SLICE", [shape, *ends], (), type_name="INT32", zero_point=0, shrink_axis_mask=1
    ).last
    width = maker.constant(np.array(36, np.int32))
    packed = maker.op("PACK", [batch, width], (2,), type_name="INT32", zero_point=0, axis=0, values_count=2)
    maker.op("RESHAPE", [features, packed.last], (1, 36)).fully_connected(4)
    return maker.build()


def float_edges(kind: str) -> bytes:
    maker = ModelMaker().input((1, 6), *((None, 0, "FLOAT32") if kind == "FLOAT32" else (0.1, 125, "UINT8")))
    maker.op("QUANTIZE", [maker.last], (1, 6), 0.1, -3).fully_connected(4, scale=0.2, zero_point=5)
    if kind == "FLOAT32":
        maker.op("DEQUANTIZE", [maker.last], (1, 4), type_name="FLOAT32", zero_point=0)
    else:
        maker.op("QUANTIZE", [maker.last], (1, 4), 0.2, 133, type_name="UINT8")
    return maker.build()


def compare_with_tflm(data: bytes) -> None:
    graph = simplify(read_tflite(data))
    if not TflmOracle.available():
        pytest.skip("the package tflite-micro is not installed")
    random = np.random.default_rng(0)
    oracle = TflmOracle(data)
    for _ in range(5):
        inputs = [random.integers(-128, 128, graph.tensor(i).shape, dtype=np.int8) for i in graph.inputs]
        ours, theirs = run_graph(graph, inputs), oracle.run(inputs)
        for index, values in ours.items():
            np.testing.assert_array_equal(values, theirs[index])


def test_shape_arithmetic_becomes_a_constant():
    data = dynamic_batch_flatten()
    graph = read_tflite(data)
    simple = simplify(graph)
    assert [op.kind for op in simple.ops] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert [op.index for op in simple.ops] == [0, 4, 5]
    assert [tensor.name for tensor in simple.tensors] == [tensor.name for tensor in graph.tensors]
    shape = simple.tensor(simple.ops[1].inputs[1]).data
    assert shape is not None and shape.tolist() == [1, 36]
    check_supported(simple)
    compare_with_tflm(data)


def test_products_of_gathered_sizes_become_a_constant():
    """What a dense layer over more than two axes leaves before its RESHAPE, for an unknown batch."""
    maker = ModelMaker().input((1, 4, 3, 2))

    def integers(kind: str, inputs: list[int], shape: tuple[int, ...], **attributes: int) -> int:
        return maker.op(kind, inputs, shape, type_name="INT32", zero_point=0, **attributes).last

    def constant(*values: int) -> int:
        return maker.constant(np.array(values, np.int32))

    shape = integers("SHAPE", [0], (4,))
    kept = integers("GATHER", [shape, constant(0, 1, 2)], (3,), axis=0)
    summed = integers("GATHER", [shape, constant(3)], (1,), axis=0)
    joined = integers("CONCATENATION", [kept, summed], (4,), axis=0)
    rows = integers("REDUCE_PROD", [kept, constant(0)], ())
    twice = integers("MUL", [rows, constant(2)], (1,))
    columns = integers("REDUCE_PROD", [summed, constant(0)], ())
    sizes = integers("PACK", [rows, columns], (2,), axis=0, values_count=2)
    maker.op("RESHAPE", [0, sizes], (1, 1))
    simple = simplify(read_tflite(maker.build([maker.last])))
    assert [op.kind for op in simple.ops] == ["RESHAPE"]
    assert simple.tensor(maker.last).shape == (12, 2)
    values = {index: simple.tensor(index).data for index in (joined, twice, sizes)}
    assert {index: data.tolist() for index, data in values.items() if data is not None} == {
        joined: [1, 4, 3, 2],
        twice: [24],
        sizes: [12, 2],
    }


def test_shape_arithmetic_that_is_not_understood_is_refused():
    maker = ModelMaker().input((1, 6))
    shape = maker.op("SHAPE", [0], (2,), type_name="INT32", zero_point=0).last
    ends = [maker.constant(np.array([value], np.int32)) for value in (0, 1, 0)]
    size = maker.op("STRIDED_SLICE", [shape, *ends], (1,), type_name="INT32", zero_point=0).last
    maker.op("RESHAPE", [0, size], (6,))
    with pytest.raises(ModelError, match="a stride of zero"):
        check_supported(simplify(read_tflite(maker.build())))


def test_a_placeholder_shape_behind_a_reshape_is_replaced():
    """What a dense layer over more than two axes leaves: TFLM refuses it, the twins run it."""
    maker = ModelMaker(2).input((1, 1, 1, 8))
    maker.op("RESHAPE", [0, maker.constant(np.array([-1, 8], np.int32))], (1, 1))
    placeholder = maker.last
    weights = maker.constant(maker.random.integers(-127, 128, (4, 8)), "INT8", scale=0.01)
    maker.op("FULLY_CONNECTED", [placeholder, weights], (1, 4), 0.3, 0, activation="NONE")
    simple = simplify(read_tflite(maker.build()))
    assert simple.tensor(placeholder).shape == (1, 8)
    check_supported(simple)
    whole = ModelMaker(2).input((1, 8))
    weights = whole.constant(whole.random.integers(-127, 128, (4, 8)), "INT8", scale=0.01)
    whole.op("FULLY_CONNECTED", [0, weights], (1, 4), 0.3, 0, activation="NONE")
    values = np.arange(-60, 100, 20).astype(np.int8)
    ours = run_graph(simple, [values.reshape(1, 1, 1, 8)])[simple.outputs[0]]
    theirs = run_graph(read_tflite(whole.build()), [values.reshape(1, 8)])[whole.last]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["FLOAT32", "UINT8"])
def test_float_and_uint8_edges_are_taken_off(kind):
    data = float_edges(kind)
    graph = read_tflite(data)
    simple = simplify(graph)
    assert [op.kind for op in simple.ops] == ["FULLY_CONNECTED"]
    assert simple.inputs == graph.ops[0].outputs
    assert simple.outputs == graph.ops[1].outputs
    check_supported(simple)
    compare_with_tflm(data)


def test_uint8_edges_in_other_steps_stay():
    maker = ModelMaker().input((1, 6), 0.1, 120, "UINT8")
    maker.op("QUANTIZE", [maker.last], (1, 6), 0.1, -3).fully_connected(4)
    assert [op.kind for op in simplify(read_tflite(maker.build())).ops] == ["QUANTIZE", "FULLY_CONNECTED"]


def test_what_reaches_no_output_is_dropped():
    maker = ModelMaker().input((1, 6)).fully_connected(4)
    kept = maker.last
    maker.softmax()
    assert [op.kind for op in simplify(read_tflite(maker.build([kept]))).ops] == ["FULLY_CONNECTED"]


def test_an_int8_network_stays_as_it_is():
    graph = read_tflite(ModelMaker().input((1, 6, 4, 1)).conv_2d(2).reshape((1, 48)).build())
    simple = simplify(graph)
    assert (simple.ops, simple.inputs, simple.outputs) == (graph.ops, graph.inputs, graph.outputs)
