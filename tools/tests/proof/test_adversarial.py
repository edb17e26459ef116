"""Random layers at the extremes of their sums: what is proved is what TFLM computes, and what the image computes."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from modelmaker import ModelMaker

from stapes.compiler import Layer, compile_graph
from stapes.compiler.bounds import EVERYTHING, SumBounds
from stapes.graph import Graph, Op, read_tflite, simplify
from stapes.proof import prove_model
from stapes.proof.device import ProofDevice
from stapes.proof.linear import Linear, linear_of
from stapes.proof.prove import build_prover, op_of
from stapes.reference import TflmOracle
from stapes.targets import open_target

INPUTS = 250
"""Of each network."""
COUNT = int(os.environ.get("STAPES_EXTREMES", str(INPUTS)))

Map = npt.NDArray[np.int8]


def network(seed: int) -> bytes:
    """A convolution, a depthwise one and a dense layer beside each other on one input, all of them random."""
    random = np.random.default_rng(seed)
    height, width = (int(random.integers(4, 9)) for _ in range(2))
    depth = int(random.integers(1, 7))
    maker = ModelMaker(seed).input((1, height, width, depth), zero_point=int(random.integers(-128, 128)))
    source, outputs = maker.last, []
    for kind in ("conv", "depthwise", "dense"):
        kernel = int(random.integers(1, 4)), int(random.integers(1, 5))
        stride = int(random.integers(1, 4)), int(random.integers(1, 4))
        activation = str(random.choice(["NONE", "RELU", "RELU6"]))
        padding = str(random.choice(["SAME", "VALID"]))
        if kind == "conv":
            channels = int(random.integers(2, 10))
            maker.conv_2d(channels, kernel, stride, padding=padding, activation=activation, source=source)
            inputs = kernel[0] * kernel[1] * depth
        elif kind == "depthwise":
            multiplier = int(random.integers(1, 3))
            maker.depthwise_conv_2d(
                multiplier, kernel, stride, padding=padding, activation=activation, source=source
            )
            inputs = kernel[0] * kernel[1]
        else:
            maker.fully_connected(int(random.integers(2, 10)), activation=activation, source=source)
            inputs = height * width * depth
        # So wide that the extremes are about where outputs saturate, some of them before, some after.
        made = maker.tensors[maker.last]
        made.scales = (float(made.scales[0] * random.uniform(0.4, 1.2) * max(1.0, inputs**0.5)),)
        outputs.append(maker.last)
    return maker.build(outputs)


def padded(graph: Graph, op: Op, x: Map) -> tuple[Map, tuple[int, int], tuple[int, int]]:
    """The input with its padding, the kernel's size and its stride."""
    weights = graph.tensor(op.inputs[1])
    (_, height, width, _), stride = weights.shape, (op.integer("stride_h"), op.integer("stride_w"))
    _, rows, columns, _ = graph.tensor(op.outputs[0]).shape
    more = [
        max(0, (out - 1) * step + size - given) if op.text("padding") == "SAME" else 0
        for out, step, size, given in zip((rows, columns), stride, (height, width), x.shape, strict=False)
    ]
    pads = [(each // 2, each - each // 2) for each in more] + [(0, 0)]
    zero_point = graph.tensor(op.inputs[0]).zero_point
    return np.pad(x, pads, constant_values=zero_point), (height, width), stride


def sums_by_definition(graph: Graph, op: Op, x: Map) -> npt.NDArray[np.int64]:
    """[outputs of a channel, channels]: each from its own window, as the operator is defined."""
    source, weights, biases = (graph.tensor(index) for index in op.inputs)
    assert weights.data is not None and biases.data is not None
    wide = weights.data.astype(np.int64)
    if op.kind == "FULLY_CONNECTED":
        sums = (wide @ (x.reshape(-1).astype(np.int64) - source.zero_point))[None]
    else:
        whole, size, stride = padded(graph, op, x)
        views = np.lib.stride_tricks.sliding_window_view(
            whole.astype(np.int64) - source.zero_point, size, (0, 1)
        )
        views = views[:: stride[0], :: stride[1]]  # [rows, columns, depth, height, width]
        if op.kind == "CONV_2D":
            sums = np.einsum("yxdhw,chwd->yxc", views, wide)
        else:
            repeated = np.repeat(views, wide.shape[3] // x.shape[2], axis=2)
            sums = np.einsum("yxchw,hwc->yxc", repeated, wide[0])
        sums = sums.reshape(-1, sums.shape[2])
    return np.asarray(sums + biases.data.reshape(-1))


def extreme(
    graph: Graph, op: Op, channel: int, sign: int, x: Map, random: np.random.Generator
) -> tuple[int, bool]:
    """Write the signs of a channel's weights into `x` where some output sees them; the number of that output, and
    whether it sees no padding.
    """
    weights = graph.tensor(op.inputs[1]).data
    assert weights is not None
    if op.kind == "FULLY_CONNECTED":
        x[:] = np.where(sign * weights[channel].reshape(x.shape) > 0, 127, -128)
        return 0, True
    whole, (height, width), stride = padded(graph, op, x)
    left = [(full - given) // 2 for full, given in zip(whole.shape, x.shape, strict=True)]
    _, rows, columns, channels = graph.tensor(op.outputs[0]).shape
    row, column = int(random.integers(rows)), int(random.integers(columns))
    top, first = row * stride[0] - left[0], column * stride[1] - left[1]
    inside = top >= 0 and top + height <= x.shape[0] and first >= 0 and first + width <= x.shape[1]
    for y in range(height):
        for z in range(width):
            at = top + y, first + z
            if 0 <= at[0] < x.shape[0] and 0 <= at[1] < x.shape[1]:
                if op.kind == "CONV_2D":
                    x[at] = np.where(sign * weights[channel, y, z] > 0, 127, -128)
                else:
                    x[at][channel // (channels // x.shape[2])] = (
                        127 if sign * weights[0, y, z, channel] > 0 else -128
                    )
    return row * columns + column, inside


@pytest.mark.skipif(not TflmOracle.available(), reason="tflite-micro is not installed")
@pytest.mark.parametrize("seed", range(-(-COUNT // INPUTS)))
def test_what_is_proved_is_what_tflm_computes_at_the_extremes(seed: int, tmp_path: Path) -> None:
    """`STAPES_EXTREMES=10000` for so many inputs; each makes one channel's least or greatest sum in one place."""
    model = network(seed)
    graph = simplify(read_tflite(model, "model"))
    plan = compile_graph(graph, "model")
    proof = prove_model(model, "host", tmp_path)
    assert proof.verdict == "proved", [claim for layer in proof.layers for claim in layer.claims]
    layers: list[tuple[Layer, Op, Linear, SumBounds]] = []
    for layer in plan.layers:
        op = op_of(graph, layer)
        if op is not None and len(op.inputs) == 3:
            linear = linear_of(graph, op, layer)
            layers.append((layer, op, linear, linear.bounds(EVERYTHING)))
    assert len(layers) == 3
    image = build_prover(plan, model, tmp_path, "host")
    oracle, random = TflmOracle(model), np.random.default_rng(seed)
    reached = 0
    shape = graph.tensor(graph.inputs[0]).shape[1:]
    with open_target("host", image.elf, counts=False) as stream:
        device = ProofDevice(stream)
        for number in range(INPUTS):
            x = random.integers(-128, 128, shape).astype(np.int8)
            _, aimed, linear, bounds = layers[number % 3]
            channel = number // 6 % linear.channels
            sign = 1 if number // 3 % 2 else -1
            at, inside = extreme(graph, aimed, channel, sign, x, random)
            wanted = oracle.run([x[None]])
            found = device.window([x.reshape(shape[0], -1)], goes_on=False)
            for layer, op, each, limits in layers:
                sums = sums_by_definition(graph, op, x)
                ruled = np.stack([each.rules[c].outputs(sums[:, c]) for c in range(each.channels)], axis=1)
                assert np.array_equal(ruled.reshape(-1), wanted[layer.tensor].reshape(-1)), (
                    number,
                    layer.name,
                )
                assert found[layer.index] == zlib.crc32(wanted[layer.tensor].tobytes()), (number, layer.name)
                assert (sums >= limits.lowest).all()
                assert (sums <= limits.highest).all()
                if op is aimed and inside:
                    assert sums[at, channel] == (bounds.highest if sign > 0 else bounds.lowest)[channel]
                    reached += 1
    assert reached > INPUTS // 3
