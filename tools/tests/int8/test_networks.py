"""Whole networks in NumPy and in TFLM, and what both say to wrong inputs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.errors import ModelError, UnsupportedModelError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.reference import TflmOracle

needs_tflm = pytest.mark.skipif(
    not TflmOracle.available(), reason="the package tflite-micro is not installed"
)


@needs_tflm
@pytest.mark.parametrize("name", ["kws_dscnn_mlperf_tiny.tflite", "stride_ds24_random.tflite"])
def test_real_networks_agree_in_every_activation(name):
    folder = os.environ.get("STAPES_MODELS")
    if not folder:
        pytest.skip("STAPES_MODELS does not name a directory with networks")
    data = (Path(folder) / name).read_bytes()
    graph = simplify(read_tflite(data))
    check_supported(graph)
    oracle = TflmOracle(data)
    random = np.random.default_rng(0)
    for _ in range(20):
        inputs = [random.integers(-128, 128, graph.tensor(i).shape, dtype=np.int8) for i in graph.inputs]
        ours, theirs = run_graph(graph, inputs), oracle.run(inputs)
        assert set(ours) == set(theirs) == {*graph.inputs, *(i for op in graph.ops for i in op.outputs)}
        for index, values in ours.items():
            np.testing.assert_array_equal(values, theirs[index])


def test_a_network_of_eight_million_products_is_quick():
    maker = ModelMaker().input((1, 96, 64, 1)).conv_2d(32, (5, 5), (2, 2), activation="RELU")
    maker.depthwise_conv_2d(1, (3, 3)).conv_2d(64, (1, 1)).depthwise_conv_2d(1, (3, 3), (2, 2))
    maker.conv_2d(96, (1, 1)).pool("AVERAGE_POOL_2D", (2, 2)).conv_2d(96, (1, 1))
    graph = read_tflite(maker.reduce("MEAN", (1, 2)).fully_connected(10).softmax().build())
    values = np.random.default_rng(0).integers(-128, 128, (1, 96, 64, 1), dtype=np.int8)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run_graph(graph, [values])
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.0  # some 50 ms on an idle machine


def dense() -> bytes:
    return ModelMaker().input((1, 6)).fully_connected(4).build()


@pytest.mark.parametrize("values", [np.zeros((1, 7), np.int8), np.zeros((1, 6), np.float32)])
def test_wrong_inputs_are_named(values):
    with pytest.raises(ValueError, match=r"input input0: .* not int8\[1, 6\]"):
        run_graph(read_tflite(dense()), [values])


def test_a_missing_input_is_named():
    with pytest.raises(ValueError, match="0 inputs for a network with 1"):
        run_graph(read_tflite(dense()), [])


def test_an_operator_without_a_twin_is_named():
    with pytest.raises(UnsupportedModelError, match="no reference for operator COS"):
        run_graph(read_tflite(ModelMaker().input((1, 6)).unary("COS").build()), [np.zeros((1, 6), np.int8)])


@needs_tflm
def test_the_interpreter_says_why_it_refuses(capfd):
    maker = ModelMaker().input((1, 6)).concatenation([0, 0])
    maker.tensors[-1].scales = (0.3,)
    with pytest.raises(ModelError, match=r"TFLM refuses the network: .*concatenation"):
        TflmOracle(maker.build())
    assert capfd.readouterr().err == ""


@needs_tflm
def test_the_interpreter_takes_the_right_number_of_inputs():
    with pytest.raises(ValueError, match="2 inputs for a network with 1"):
        TflmOracle(dense()).run([np.zeros((1, 6), np.int8)] * 2)
