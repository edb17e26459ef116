"""Reading .tflite files: what is in them, and what happens to corrupt ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import modelmaker
import numpy as np
import pytest
from graph.fuzz_models import attempt, campaign, rewritten_model, small_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from modelmaker import ModelMaker

from stapes.errors import ModelError
from stapes.graph import Graph, read_tflite
from stapes.graph.int4 import pack_int4, unpack_int4


def test_a_convolution_comes_back_as_it_was_written():
    maker = ModelMaker(1).input((1, 9, 8, 3), 0.5, -7)
    maker.conv_2d(5, (3, 2), (2, 1), (1, 2), "VALID", "RELU6", scale=0.25, zero_point=11)
    graph = read_tflite(maker.build())
    assert [op.kind for op in graph.ops] == ["CONV_2D"]
    op = graph.ops[0]
    assert op.attributes == {
        "padding": "VALID",
        "stride_h": 2,
        "stride_w": 1,
        "dilation_h": 1,
        "dilation_w": 2,
        "activation": "RELU6",
    }
    source, weights, bias = (graph.tensor(index) for index in op.inputs)
    output = graph.tensor(op.outputs[0])
    assert (source.shape, source.scale, source.zero_point) == ((1, 9, 8, 3), 0.5, -7)
    assert (output.scale, output.zero_point, output.name) == (0.25, 11, "conv_2d_0")
    assert weights.shape == (5, 3, 2, 3)
    np.testing.assert_array_equal(weights.data, maker.tensors[1].data)
    np.testing.assert_array_equal(bias.data, maker.tensors[2].data)
    assert weights.quantization is not None and weights.quantization.axis == 0
    assert len(weights.quantization.scale) == 5
    assert weights.data is not None and not weights.data.flags.writeable
    assert graph.inputs == (0,) and graph.outputs == op.outputs
    assert len(graph.sha256) == 64


def test_a_per_tensor_scale_has_no_axis_and_many_have_no_single():
    graph = read_tflite(ModelMaker().input((1, 4)).fully_connected(3, per_channel=True).build())
    with pytest.raises(ValueError, match="no single scale"):
        _ = graph.tensor(1).scale
    graph = read_tflite(ModelMaker().input((1, 4)).fully_connected(3).build())
    quantization = graph.tensor(1).quantization
    assert quantization is not None and quantization.axis is None


def broken(maker: ModelMaker, **changes: object) -> bytes:
    """The network with an attribute of its last tensor or operator changed."""
    for name, value in changes.items():
        target = maker.ops[-1] if hasattr(maker.ops[-1], name) else maker.tensors[-1]
        setattr(target, name, value)
    return maker.build()


def dense() -> ModelMaker:
    return ModelMaker().input((1, 4)).fully_connected(3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "identifier"),
        (b"RIFF" * 100, "identifier"),
        (dense().build()[:200], "outside the file"),
        (broken(dense(), inputs=(0, 77, 2)), "reads tensor 77 of 4"),
        (broken(dense(), outputs=(-1,)), "writes tensor -1 of 4"),
        (broken(dense(), outputs=(1,)), "writes tensor 1, which is a constant"),
        (broken(dense(), inputs=(3, 1, 2)), "reads tensor 3 before anything has made it"),
        (broken(dense(), shape=(1, 1 << 30)), "absurd shape"),
        (broken(dense(), shape=(1, -3)), r"has the shape \[1, -3\]"),
        (broken(dense(), shape=(1,) * 9), "9 dimensions"),
        (broken(dense(), scales=(float("nan"),)), "negative or infinite scale"),
        (broken(dense(), scales=(0.1, 0.2)), "2 scales and 1 zero points"),
        (
            broken(dense(), scales=(0.1, 0.2), zero_points=(0, 0)),
            r"2 scales along axis 0 of the shape \[1, 3\]",
        ),
        (dense().build([1 << 20]), "output is tensor 1048576 of 4"),
        (dense().build([]), "without inputs or outputs"),
        (dense().build([3, 3]), "names an output twice"),
    ],
)
def test_corrupt_files_end_in_one_line(data, message):
    with pytest.raises(ModelError, match=message) as caught:
        read_tflite(data, "bad.tflite")
    assert str(caught.value).startswith("bad.tflite: ")
    assert "\n" not in str(caught.value)


def test_a_constant_shorter_than_its_shape_is_corrupt():
    maker = dense()
    maker.tensors[1].shape = (3, 5)
    with pytest.raises(ModelError, match=r"12 bytes, its shape \[3, 5\] takes 15"):
        read_tflite(maker.build())


def test_a_name_is_one_line_whatever_is_in_it():
    maker = ModelMaker().input((1, 4)).unary("CUSTOM:two\nlines")
    maker.tensors[-1].name = "é\n\x1b[31m"
    graph = read_tflite(maker.build())
    assert (graph.tensor(1).name, graph.ops[0].kind) == ("é??[31m", "CUSTOM:two?lines")


def test_a_cycle_is_corrupt():
    maker = ModelMaker().input((1, 4))
    a, b = maker.tensor((1, 4), 0.1), maker.tensor((1, 4), 0.1)
    maker.raw_op("RELU", [b], [a]).raw_op("RELU", [a], [b])
    with pytest.raises(ModelError, match="before anything has made it"):
        read_tflite(maker.build())


def test_an_operator_without_its_options_is_corrupt(monkeypatch):
    monkeypatch.setattr(modelmaker, "OPTIONS", {})
    data = ModelMaker().input((1, 4)).softmax().build()
    with pytest.raises(ModelError, match=r"SOFTMAX.* has no SoftmaxOptions"):
        read_tflite(data)


@pytest.mark.parametrize("field", ["DeprecatedBuiltinCode", "BuiltinCode"])
def test_the_larger_of_both_operator_codes_counts(monkeypatch, field):
    original = modelmaker._table

    def zeroed(builder, name, values):
        return original(builder, name, {**values, field: 0} if name == "OperatorCode" else values)

    monkeypatch.setattr(modelmaker, "_table", zeroed)
    assert read_tflite(ModelMaker().input((1, 4)).unary("RELU").build()).ops[0].kind == "RELU"


@pytest.mark.parametrize("make", [small_model, rewritten_model])
def test_some_hundred_mutations_of_a_small_network_never_crash_the_reader(make):
    data = make()
    assert attempt(data, run=True) == "accepted"
    tally = campaign(data, 400, seed=1)
    assert tally.failures == []
    assert tally.outcomes["corrupt"] > 100 and tally.outcomes["accepted"] > 10


@pytest.mark.parametrize("name", ["kws_dscnn_mlperf_tiny.tflite", "stride_ds24_random.tflite"])
def test_some_hundred_mutations_of_a_real_network_never_crash_the_reader(name):
    folder = os.environ.get("STAPES_MODELS")
    if not folder:
        pytest.skip("STAPES_MODELS does not name a directory with networks")
    tally = campaign((Path(folder) / name).read_bytes(), 150, seed=2)
    assert tally.failures == []


def test_importing_the_room_does_not_import_the_flatbuffer_schema():
    rooms = "stapes.graph, stapes.int8, stapes.reference"
    code = f"import sys, {rooms}; print({{'tflite', 'tflite_micro'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_graph_knows_its_tensors():
    graph = read_tflite(dense().build())
    assert isinstance(graph, Graph)
    assert graph.tensor(0).elements == 4


@given(values=arrays(np.int8, st.integers(0, 40), elements=st.integers(-8, 7)))
def test_four_bits_are_packed_by_twos_the_low_half_first(values):
    packed = pack_int4(values)
    assert packed.tobytes() == bytes(
        (int(low) & 15) | (int(high) & 15) << 4
        for low, high in zip(values[0::2], [*values[1::2], *[0] * (len(values) % 2)], strict=True)
    )
    assert np.array_equal(unpack_int4(packed)[: len(values)], values)


def test_weights_of_four_bits_are_read_one_by_one():
    maker = ModelMaker().input((1, 5))
    weights = maker.tensor((3, 5), 0.1, data=np.arange(15) - 8, type_name="INT4")
    data = maker.op("FULLY_CONNECTED", [maker.last, weights], (1, 3), 1.0, 0).build()
    tensor = read_tflite(data).tensor(weights)
    assert np.array_equal(tensor.data, np.arange(15).reshape(3, 5) - 8)
    maker.tensors[weights].shape = (3, 7)
    with pytest.raises(ModelError, match=r"has 8 bytes, its shape \[3, 7\] takes 11"):
        read_tflite(maker.build())
    with pytest.raises(ValueError, match="from 0 to 8 do not fit four bits"):
        pack_int4(np.array([0, 8]))
