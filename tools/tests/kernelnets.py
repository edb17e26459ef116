"""Networks that between them use every kernel in every way; each is one .tflite file's bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from modelmaker import ModelMaker

from stapes.graph.windows import output_size


def convolution(random: np.random.Generator) -> dict[str, Any]:
    """Arguments of any convolution."""
    return {
        "kernel": (int(random.integers(1, 5)), int(random.integers(1, 5))),
        "stride": (int(random.integers(1, 4)), int(random.integers(1, 4))),
        "padding": str(random.choice(["SAME", "VALID"])),
        "activation": str(random.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])),
        "per_channel": bool(random.integers(2)),
        "bias": bool(random.integers(4)),
        "zero_point": int(random.choice([-128, -5, 0, 17, 127])),
    }


def convolutions(seed: int) -> bytes:
    """Five convolutions from one input: dense, grouped, depthwise; every shape, every padding."""
    random = np.random.default_rng(seed)
    groups = int(random.choice([1, 2, 3]))
    depth = groups * int(random.integers(1, 8))
    shape = (1, int(random.integers(9, 20)), int(random.integers(9, 20)), depth)
    maker = ModelMaker(seed).input(shape, zero_point=int(random.integers(-128, 128)))
    source, outputs = maker.last, []
    for _ in range(2):
        dilation = (int(random.integers(1, 3)), int(random.integers(1, 3)))
        maker.conv_2d(int(random.integers(1, 9)), dilation=dilation, source=source, **convolution(random))
        outputs.append(maker.last)
        maker.depthwise_conv_2d(
            int(random.integers(1, 4)), dilation=dilation, source=source, **convolution(random)
        )
        outputs.append(maker.last)
    maker.conv_2d(groups * 3, groups=groups, source=source, **convolution(random))
    outputs.append(maker.last)
    return maker.build(outputs)


def short_runs() -> bytes:
    """Patches of one to six neighbouring bytes a row, as first layers have them; outputs that begin at -128 and not."""
    maker = ModelMaker(21).input((1, 12, 23, 1), zero_point=-9)
    source, outputs = maker.last, []
    for width in range(1, 7):
        for kernel, stride, zero_point, padding in (
            ((3, width), (2, 2), -128, "SAME"),
            ((1, width), (1, 1), -3, "VALID"),
            ((10 if width == 4 else 2, width), (1, 3), -128, "VALID"),
        ):
            maker.conv_2d(7, kernel, stride, padding=padding, zero_point=zero_point, source=source)
            outputs.append(maker.last)
    return maker.build(outputs)


def multipliers_of_every_size(scale: float) -> bytes:
    """From a right shift beyond the accumulator to a left shift, which takes the long way."""
    maker = ModelMaker(3).input((1, 5, 6, 5), scale=0.02, zero_point=-7)
    source = maker.last
    outputs = []
    maker.conv_2d(6, scale=scale, source=source)
    outputs.append(maker.last)
    maker.depthwise_conv_2d(1, scale=scale, source=source)
    outputs.append(maker.last)
    maker.fully_connected(7, scale=scale, source=source)
    outputs.append(maker.last)
    return maker.build(outputs)


def rounding_ties() -> bytes:
    """Outputs of 2^-1 to 2^-8 times a sum of either sign: every second to 256th lies between two."""
    maker = ModelMaker(9).input((1, 16, 8, 8), scale=1.0, zero_point=0)
    source, outputs = maker.last, []
    scales = [2.0**-shift for shift in range(1, 9)]
    ones = maker.tensor((1, 1, 1, 8), scales, data=np.ones(8), axis=3)
    windows: dict[str, Any] = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "activation": "NONE"}
    windows |= {"dilation_h": 1, "dilation_w": 1}
    maker.op("DEPTHWISE_CONV_2D", [source, ones], (1, 16, 8, 8), 1.0, 0, depth_multiplier=1, **windows)
    outputs.append(maker.last)
    signs = maker.tensor((8, 1, 1, 8), scales, data=np.random.default_rng(9).integers(-1, 2, 64))
    maker.op("CONV_2D", [source, signs], (1, 16, 8, 8), 1.0, -3, **windows)
    outputs.append(maker.last)
    return maker.build(outputs)


def chain_by_rows(seed: int) -> bytes:
    """A deep chain with residual additions needs a fraction of its maps."""
    random = np.random.default_rng(100 + seed)
    maker = (
        ModelMaker(seed).input((1, 40, 16, 1)).conv_2d(8, stride=(2, 2), activation="RELU", zero_point=-128)
    )
    for _ in range(3):
        trunk = maker.last
        maker.depthwise_conv_2d(1, activation="RELU", zero_point=-128)
        maker.conv_2d(8, (1, 1), zero_point=int(random.integers(-20, 20)))
        maker.binary("ADD", trunk, maker.last, 0.2, int(random.integers(-128, 128)), activation="RELU6")
    maker.pool("AVERAGE_POOL_2D", (20, 8)).fully_connected(5).softmax()
    return maker.build()


def pools(seed: int) -> bytes:
    random = np.random.default_rng(200 + seed)
    maker = ModelMaker(seed).input((1, 12, 9, 5), zero_point=int(random.integers(-128, 128)))
    source, outputs = maker.last, []
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for kernel in ((3, 2), (12, 1), (12, 9), (13, 4)):
            stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
            padding = "SAME" if kernel[0] > 12 else str(random.choice(["SAME", "VALID"]))
            activation = str(random.choice(["NONE", "RELU", "RELU6"]))
            maker.pool(kind, kernel, stride, padding, activation, source=source)
            outputs.append(maker.last)
    for axes in ((1,), (2,), (1, 2)):
        maker.reduce(
            "MEAN", axes, keep_dims=bool(random.integers(2)), scale=0.03, zero_point=9, source=source
        )
        outputs.append(maker.last)
    return maker.build(outputs)


def dense_layers() -> bytes:
    """Over one row, over a flattened map row by row, and over the last axis only; odd sizes."""
    maker = ModelMaker(1).input((1, 6, 3, 7))
    source, outputs = maker.last, []
    for units in (1, 4, 9):
        maker.fully_connected(units, activation="RELU", source=source)
        outputs.append(maker.last)
        maker.fully_connected(units, keep_num_dims=True, source=source)
        outputs.append(maker.last)
    maker.reshape((1, 126), source=source).fully_connected(11).fully_connected(3).softmax()
    outputs.append(maker.last)
    return maker.build(outputs)


def elementwise() -> bytes:
    maker = ModelMaker(2).input((1, 5, 4, 3), scale=0.03, zero_point=11)
    source, outputs = maker.last, []
    constant = maker.constant(np.arange(-1, 2), "INT8", scale=0.5, zero_point=3)
    plane = maker.constant(np.arange(20).reshape(1, 5, 4, 1), "INT8", scale=0.01, zero_point=-3)
    gate = maker.reduce("MEAN", (1, 2), keep_dims=True, scale=0.01, zero_point=2, source=source).last
    for kind in ("ADD", "SUB", "MUL"):
        for operands in ((source, source), (source, constant), (plane, source), (source, gate)):
            maker.binary(kind, *operands, 0.05, -4, activation="RELU6")
            outputs.append(maker.last)
    floor = maker.constant(np.array([-20, 0, 90]), "INT8", scale=0.03, zero_point=11)
    for kind in ("MAXIMUM", "MINIMUM"):
        for operands in (
            (source, floor),
            (floor, source),
            (source, maker.unary("LOGISTIC", 1 / 256, -128, source=source).unary("QUANTIZE", 0.03, 11).last),
        ):
            maker.binary(kind, *operands)
            outputs.append(maker.last)
    for kind, scale, zero_point in (
        ("RELU", 0.02, -100),
        ("RELU6", 0.03, 11),
        ("LOGISTIC", 1 / 256, -128),
        ("TANH", 1 / 128, 0),
        ("HARD_SWISH", 0.02, -10),
        ("QUANTIZE", 0.07, 50),
    ):
        maker.unary(kind, scale, zero_point, source=source)
        outputs.append(maker.last)
    maker.op(
        "PRELU",
        [source, maker.constant([-90, 5, 120], "INT8", scale=0.01, zero_point=-4)],
        (1, 5, 4, 3),
        0.02,
        -7,
    )
    outputs.append(maker.last)
    maker.unary("LEAKY_RELU", 0.02, 1, source=source, alpha=0.1)
    outputs.append(maker.last)
    maker.softmax(source=source)
    outputs.append(maker.last)
    maker.softmax(0.3, source=source)
    outputs.append(maker.last)
    return maker.build(outputs)


def bytes_that_move() -> bytes:
    maker = ModelMaker(4).input((1, 6, 5, 4)).conv_2d(4, (1, 1))
    source, outputs = maker.last, []
    for axis in (1, 2, 3):
        maker.concatenation([source, source, source], axis)
        outputs.append(maker.last)
    maker.pad([(0, 0), (1, 2), (2, 1), (0, 3)], source=source)
    outputs.append(maker.last)
    maker.pad([(0, 0), (2, 0), (0, 1), (0, 0)], source=source).conv_2d(3, padding="VALID", stride=(2, 1))
    outputs.append(maker.last)
    maker.pad([(0, 0), (1, 1), (1, 1), (0, 0)], source=source).depthwise_conv_2d(padding="SAME")
    outputs.append(maker.last)
    maker.reshape((1, 10, 3, 4), source=source).conv_2d(2)
    outputs.append(maker.last)
    maker.reshape((1, 120), source=source).reshape((1, 3, 40)).fully_connected(3, keep_num_dims=True)
    outputs.append(maker.last)
    return maker.build(outputs)


def parts_and_orders() -> bytes:
    maker = ModelMaker(7).input((1, 6, 5, 4))
    source, outputs = maker.last, []
    for begin, end, strides, shape, masks in (
        ((0, 1, 0, 0), (1, 6, 5, 4), (1, 2, 1, 1), (1, 3, 5, 4), {}),
        ((0, 5, 4, 3), (1, 0, 0, 0), (1, -2, -1, -3), (1, 3, 4, 1), {}),
        ((0, 2, 0, 1), (1, 3, 5, 3), (1, 1, 2, 1), (1, 3, 2), {"shrink_axis_mask": 2}),
        ((0, 0, 1, 0), (1, 6, 2, 4), (1, 1, 1, 1), (1, 6, 4), {"shrink_axis_mask": 4}),
    ):
        maker.strided_slice(begin, end, strides, shape, source=source, **masks)
        outputs.append(maker.last)
    for axis, count in ((1, 3), (3, 2)):
        outputs += maker.split(count, axis, source=source)
    for order in ((0, 2, 1, 3), (0, 1, 3, 2), (0, 3, 2, 1), (1, 0, 2, 3), (3, 2, 1, 0)):
        maker.transpose(order, source=source)
        outputs.append(maker.last)
    maker.transpose((0, 2, 1, 3), source=source).conv_2d(3).reduce("MEAN", (1,)).softmax()
    outputs.append(maker.last)
    return maker.build(outputs)


def parts_and_joints() -> bytes:
    """SLICE, SPLIT_V, UNPACK, PACK and GATHER along every axis, with one part and with several."""
    maker = ModelMaker(9).input((1, 6, 5, 4))
    source, outputs = maker.last, []
    for begin, size in (
        ((0, 2, 0, 0), (1, 3, -1, 4)),
        ((0, 1, 2, 1), (1, -1, 2, 3)),
        ((0, 5, 0, 0), (1, 1, 5, 4)),
    ):
        outputs.append(maker.slice(begin, size, source=source).last)
    for axis, sizes in ((1, (1, 3, 2)), (2, (4, -1)), (3, (3, 1)), (1, (6,))):
        outputs += maker.split_v(sizes, axis, source=source)
    for axis in range(4):
        parts = maker.unpack(axis, source=source)
        outputs += [*parts, maker.pack(parts, axis).last, maker.pack(parts[:2], -1).last]
    for axis, indices in (
        (1, [3, 0, 0, 5]),
        (2, [[1, 4, 2], [0, 0, 3]]),
        (3, [2, 1]),
        (1, [[4, 0], [1, 1]]),
        (2, 3),
    ):
        outputs.append(maker.gather(indices, axis, source=source).last)
    states = maker.reshape((4, 30), source=source).unpack(0)
    outputs.append(maker.concatenation(states, 0).fully_connected(5, keep_num_dims=True).last)
    return maker.build(outputs)


def any_rank(seed: int) -> bytes:
    """Operators over a tensor of two to five dimensions, none of which need be 1."""
    random = np.random.default_rng(400 + seed)
    rank = 2 + seed % 4
    shape = tuple(int(size) for size in random.integers(1, 5, rank))
    if random.integers(2):
        shape = (int(random.integers(2, 5)), *shape[1:])
    maker = ModelMaker(seed).input(shape, zero_point=int(random.integers(-128, 128)))
    source, outputs = maker.last, []

    def some_axes() -> tuple[int, ...]:
        return tuple(int(axis) for axis in random.permutation(rank)[: int(random.integers(1, rank + 1))])

    def operand(ones: tuple[int, ...]) -> int:
        sizes = [1 if axis in ones else size for axis, size in enumerate(shape)]
        values = random.integers(
            -128, 128, sizes[int(random.integers(2)) if sizes[0] == 1 and rank > 2 else 0 :]
        )
        return maker.constant(values, "INT8", scale=0.04, zero_point=-5)

    maker.fully_connected(int(random.integers(1, 9)), keep_num_dims=True, source=source)
    outputs.append(maker.last)
    maker.fully_connected(int(random.integers(1, 9)), source=source)
    outputs.append(maker.last)
    outputs.append(maker.unary("LOGISTIC", 1 / 256, -128, source=source).softmax().last)
    for kind in ("ADD", "SUB", "MUL"):
        pair = [source, operand(some_axes()[: rank - 1])]
        random.shuffle(pair)
        outputs.append(maker.binary(kind, *pair, 0.1, 7).last)
    for kind in ("MEAN", "SUM", "REDUCE_MAX"):
        scale = None if kind == "REDUCE_MAX" else 0.06
        keep = bool(random.integers(2)) or rank == 2
        outputs.append(maker.reduce(kind, some_axes(), keep, scale, source=source).last)
    axis = int(random.integers(rank))
    outputs.append(maker.concatenation([source, source], axis).last)
    parts = maker.unpack(axis, source=source)
    outputs += [*parts[:2], maker.pack(parts[:3], int(random.integers(rank))).last]
    outputs.append(maker.gather(random.integers(0, shape[axis], 3), axis, source=source).last)
    outputs.append(maker.transpose([int(axis) for axis in random.permutation(rank)], source=source).last)
    amounts = [(int(low), int(high)) for low, high in random.integers(0, 3, (rank, 2))]
    outputs.append(maker.pad(amounts, int(random.integers(-128, 128)), source=source).last)
    first = [int(random.integers(size)) for size in shape]
    outputs.append(maker.slice(first, [-1] * rank, source=source).last)
    return maker.build(outputs)


def resized() -> bytes:
    """Maps made larger and smaller, and tables of functions."""
    maker = ModelMaker(17).input((1, 5, 4, 3), scale=0.05, zero_point=-20)
    source, outputs = maker.last, []
    for kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        for size, align, half in (((10, 8), False, False), ((7, 3), False, True), ((9, 7), True, False)):
            outputs.append(maker.resize(kind, size, align, half, source=source).last)
    for size, kernel, stride, padding in (
        ((10, 8), (3, 3), (2, 2), "SAME"),
        ((11, 9), (3, 3), (2, 2), "VALID"),
        ((9, 4), (5, 2), (1, 1), "SAME"),
    ):
        shape = [output_size(padding, size[i], kernel[i], stride[i]) for i in (0, 1)]
        cut = maker.slice((0, 0, 0, 0), (1, min(5, shape[0]), min(4, shape[1]), 3), source=source).last
        if maker.shape(cut)[1:3] == tuple(shape):
            outputs.append(maker.transpose_conv(4, size, kernel, stride, padding, "RELU", source=cut).last)
    outputs.append(maker.unary("ABS", 0.04, 9, source=source).last)
    outputs.append(maker.unary("ELU", 0.06, -4, source=source).last)
    outputs.append(maker.unary("LOG_SOFTMAX", 1 / 16, 127, source=source).last)
    mean = maker.reduce("MEAN", (3,), keep_dims=True, scale=0.03, zero_point=4, source=source).last
    variance = maker.binary("SQUARED_DIFFERENCE", source, mean, 0.02, -128).last
    outputs += [mean, variance]
    divisors = maker.constant([[[3, -7, 90]]], "INT8", scale=0.03, zero_point=5)
    outputs.append(maker.binary("DIV", source, divisors, 0.02, 3, "RELU").last)
    return maker.build(outputs)


def products() -> bytes:
    """BATCH_MATMUL of what is computed, transposed or not, one of them a single matrix."""
    maker = ModelMaker(19).input((1, 3, 5, 4)).input((1, 3, 6, 4), scale=0.02, zero_point=9)
    left, right = maker.inputs
    outputs = [maker.batch_matmul(left, right, adj_y=True).last]
    outputs.append(maker.batch_matmul(left, maker.transpose((0, 1, 3, 2), source=right).last).last)
    single = maker.constant(np.arange(-12, 12).reshape(1, 1, 4, 6), "INT8", scale=0.1, zero_point=2)
    outputs.append(maker.batch_matmul(left, single).last)
    flat = maker.reshape((1, 15, 4), source=left).last
    outputs.append(maker.batch_matmul(flat, flat, adj_x=True).last)
    return maker.build(outputs)


def tiled() -> bytes:
    """TILE, which TFLM does not have, along every axis."""
    maker = ModelMaker(18).input((1, 5, 4, 3))
    source = maker.last
    counts = ((1, 2, 1, 1), (1, 1, 3, 1), (1, 3, 1, 2), (2, 1, 2, 1))
    return maker.build([maker.tile(count, source=source).last for count in counts])


def aliases() -> bytes:
    """Outputs that are an input's bytes, that a padded convolution reads too, that are one tensor twice."""
    maker = ModelMaker(14).input((1, 6, 5, 2))
    source = maker.last
    whole = maker.reshape((6, 10), source=source).last
    convolved = maker.conv_2d(3, source=source).last
    again = maker.reshape((1, 90), source=convolved).last
    return maker.build([whole, convolved, again, maker.conv_2d(2, source=convolved).last])


def one_reshape() -> bytes:
    return ModelMaker(15).input((1, 6, 5)).reshape((1, 5, 6)).build()


def scalar() -> bytes:
    """One value, without a dimension."""
    return ModelMaker(16).input(()).unary("LOGISTIC", 1 / 256, -128).build()


def many_joined() -> bytes:
    """More than TFLM joins at once, one of which is all there is of it."""
    maker = ModelMaker(10).input((1, 300, 3))
    steps = maker.unpack(1)
    alone = maker.concatenation(steps[:1], 1).last
    joined = maker.concatenation(steps, 1).last
    return maker.build([maker.pack(steps, 1).last, joined, maker.unary("RELU", source=alone).last])


def several_inputs() -> bytes:
    maker = ModelMaker(5).input((1, 7, 4, 3))
    left = maker.last
    maker.input((1, 7, 4, 3), scale=0.1, zero_point=5)
    right = maker.last
    maker.binary("ADD", left, right, 0.1, 0).conv_2d(2)
    outputs = [maker.last, left]
    maker.fully_connected(3, source=right)
    return maker.build([outputs[0], maker.last])


def flat_input_is_cut_into_rows() -> bytes:
    """A network fed [1, 80] that reshapes it to ten rows of eight is fed by rows of eight."""
    maker = ModelMaker(6).input((1, 80)).reshape((1, 10, 8, 1)).conv_2d(3)
    return maker.build()


def pairs_of_channels() -> bytes:
    """Even and odd numbers of channels, of inputs and of columns; sums beyond 24 bits; a weight of -128 beside a
    negative one; one channel of a large scale among others.
    """
    maker = ModelMaker(11).input((1, 6, 7, 6), scale=0.05, zero_point=-128)
    source, outputs = maker.last, []
    for channels, kernel, stride in (
        (8, (3, 3), 1),
        (5, (2, 3), 1),
        (6, (1, 1), 2),
        (2, (3, 2), 3),
        (4, (6, 7), 1),
    ):
        for activation in ("NONE", "RELU"):
            maker.conv_2d(
                channels, kernel, (stride, stride), padding="VALID", activation=activation, source=source
            )
            outputs.append(maker.last)
    windows: dict[str, Any] = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "activation": "NONE"}
    windows |= {"dilation_h": 1, "dilation_w": 1}
    random = np.random.default_rng(11)
    scales = [1e-3, 2e-3, 40.0, 1e-3]
    ends = maker.tensor((4, 3, 3, 6), scales, data=random.choice([-128, -1, 127], (4, 3, 3, 6)))
    maker.op("CONV_2D", [source, ends], (1, 6, 7, 4), 0.1, 3, **windows)
    outputs.append(maker.last)
    spoilt = maker.tensor((1, 3, 3, 6), [*scales, 1e-3, 1e-3], data=random.integers(-127, 128, 54), axis=3)
    maker.op("DEPTHWISE_CONV_2D", [source, spoilt], (1, 6, 7, 6), 0.1, 3, depth_multiplier=1, **windows)
    outputs.append(maker.last)
    maker.reshape((1, 252), source=source).fully_connected(8).fully_connected(3)
    outputs.append(maker.last)
    return maker.build(outputs)


def large_sums() -> bytes:
    """Sums of every second channel that do not fit 24 bits, in one row and over several."""
    maker = ModelMaker(12).input((1, 2, 1, 2400), scale=0.05, zero_point=-128)
    source, outputs = maker.last, []
    wide = maker.tensor((4, 4800), 1e-3, data=np.full((4, 4800), [[127], [-127], [126], [127]]))
    maker.reshape((1, 4800), source=source)
    maker.op("FULLY_CONNECTED", [maker.last, wide], (1, 4), 1000.0, 3, activation="NONE")
    outputs.append(maker.last)
    maker.conv_2d(4, (1, 1), source=source)
    outputs.append(maker.last)
    return maker.build(outputs)


def depthwise_shapes() -> bytes:
    """Kernels with code of their own, others, and over a single column."""
    maker = ModelMaker(13).input((1, 12, 9, 8), zero_point=-7)
    source, outputs = maker.last, []
    for kernel, stride in (
        ((3, 3), (1, 1)),
        ((3, 3), (2, 2)),
        ((5, 5), (2, 2)),
        ((4, 3), (1, 1)),
        ((2, 5), (1, 2)),
    ):
        for padding in ("SAME", "VALID"):
            maker.depthwise_conv_2d(1, kernel, stride, padding=padding, activation="RELU", source=source)
            outputs.append(maker.last)
    maker.conv_2d(8, (3, 3), groups=8, source=source)
    outputs.append(maker.last)
    maker.conv_2d(8, (12, 9), padding="VALID", groups=8, source=source)
    outputs.append(maker.last)
    maker.reshape((1, 108, 1, 8), source=source).depthwise_conv_2d(1, (9, 1), padding="SAME")
    outputs.append(maker.last)
    return maker.build(outputs)


def short_map() -> bytes:
    """Kernels as high as the map: by rows, every ring would hold all of it at once."""
    maker = ModelMaker(8).input((1, 4, 6, 3))
    for channels in (16, 16, 16, 16):
        maker.conv_2d(channels, (5, 3), activation="RELU")
    return maker.fully_connected(4).build()


def unpadded(seed: int) -> bytes:
    """Nothing pads along time: convolutions, pools, a branch, functions of one element; then every way to end the
    time axis.
    """
    random = np.random.default_rng(300 + seed)
    rows, columns = int(random.integers(28, 48)), int(random.integers(7, 12))
    maker = ModelMaker(seed).input(
        (1, rows, columns, int(random.integers(1, 4))), zero_point=int(random.integers(-128, 128))
    )
    for _ in range(int(random.integers(1, 5))):
        kind = str(random.choice(["conv", "depthwise", "pool", "branch", "function"]))
        height, width = maker.shape()[1:3]
        kernel = (int(random.integers(1, min(4, height // 2 + 1) + 1)), int(random.integers(1, 4)))
        stride = (int(random.choice([1, 1, 2])) if height > 11 else 1, 1)
        if kind == "function":
            maker.unary("LOGISTIC", 1 / 256, -128)
            continue
        maker.pad([(0, 0), (0, 0), (1, 2), (0, 0)])
        if kind == "conv":
            maker.conv_2d(int(random.integers(1, 9)), kernel, stride, padding="VALID", activation="RELU")
        elif kind == "depthwise":
            maker.depthwise_conv_2d(1, kernel, stride, padding="VALID")
        elif kind == "pool":
            maker.pool(str(random.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), kernel, stride)
        else:
            source = maker.last
            left = maker.conv_2d(3, kernel, stride, padding="VALID", source=source).last
            right = maker.conv_2d(3, kernel, stride, padding="VALID", source=source).last
            maker.binary("ADD", left, right, 0.2, 3)
    if random.integers(3):
        maker.pool("AVERAGE_POOL_2D", (1, maker.shape()[2]))
    height, width, channels = maker.shape()[1:]
    last = maker.last
    ending = str(random.choice(["mean and max", "reduce", "dense", "convolution"]))
    if ending == "mean and max":
        mean = maker.pool("AVERAGE_POOL_2D", (height, 1), source=last).last
        peak = maker.pool("MAX_POOL_2D", (height, 1), source=last).last
        maker.concatenation([mean, peak]).reshape((1, 2 * width * channels))
    elif ending == "reduce":
        maker.reduce("MEAN", (1, 2), scale=0.05, zero_point=5)
    elif ending == "convolution":
        maker.conv_2d(4, (height, 1), padding="VALID").reshape((1, 4 * width))
    return maker.fully_connected(int(random.integers(2, 6))).softmax().build()


def streaming(seed: int) -> bytes:
    """As streaming wake words: rows of the steps before in front of new ones, convolutions over them, parts of them."""
    random = np.random.default_rng(500 + seed)
    rows = int(random.integers(1, 4))
    columns = int(random.integers(1, 4))
    maker = ModelMaker(seed).input((1, rows, columns, 4), zero_point=int(random.integers(-128, 128)))
    outputs = []
    for number in range(4):
        shape = maker.shape()
        kept = int(random.integers(1, 9))
        initial = None if random.integers(2) else random.integers(-128, 128, (1, kept, *shape[2:]))
        maker.remember(f"stream{number}", kept, initial)
        joined, height = maker.last, maker.shape()[1]
        kernel = (kept + 1, int(random.integers(1, shape[2] + 1)))
        kind = number if seed == 0 else int(random.integers(4))
        if kind == 0:  # wherever it pads, it pads
            maker.conv_2d(4, (3, 1), padding="SAME", activation="RELU", source=joined)
            outputs.append(maker.last)
            maker.conv_2d(4, kernel, padding="VALID", activation="RELU", source=joined)
        elif kind == 1:
            maker.depthwise_conv_2d(2, kernel, padding="VALID", source=joined)
        elif kind == 2:  # a convolution for each half of the channels
            parts = []
            for part in maker.split(2, 3, source=joined):
                first = int(random.integers(0, kept))
                size = [1, height - first, *maker.shape(part)[2:]]
                maker.strided_slice([0, first, 0, 0], [0, 0, 0, 0], [1] * 4, size, source=part, end_mask=15)
                maker.depthwise_conv_2d(
                    1, (size[1] - shape[1] + 1, 1), padding="VALID", scale=0.2, zero_point=1
                )
                parts.append(maker.last)
            maker.concatenation(parts)
        else:
            flat = (1, int(np.prod(maker.shape())))
            maker.reshape(flat, source=joined).fully_connected(5)
            outputs.append(maker.last)
            maker.pool("MAX_POOL_2D", (kept + 1, 1), (1, 1), source=joined)
        maker.unary("LOGISTIC", 1 / 256, -128)
    outputs.append(maker.last)
    return maker.build(outputs)


def recurrent_by_hand() -> bytes:
    """Variables in every other way: a gated cell, a line of delays, read after they were assigned, assigned twice,
    never assigned, never read; outputs that are variables.
    """
    maker = ModelMaker(21).input((1, 6), scale=0.05, zero_point=-3)
    source = maker.last
    hidden = maker.variable("hidden", np.full((1, 6), -3))
    gates = maker.concatenation([source, hidden]).fully_connected(6).unary("LOGISTIC", 1 / 256, -128).last
    maker.concatenation([source, hidden]).fully_connected(6).unary("TANH", 1 / 128, 0)
    maker.binary("MUL", maker.last, gates, 0.05, -3)
    maker.assign("hidden")
    following, outputs = maker.last, [maker.last]
    first = maker.variable("first", np.arange(6).reshape(1, 6))
    second = maker.variable("second", np.full((1, 6), 9))
    maker.assign("second", first).assign("first", source)
    maker.binary("ADD", second, maker.read("first"), 0.1, 0)
    outputs.append(maker.last)
    fixed = maker.variable("fixed", np.arange(6)[None] * 9)
    maker.binary("ADD", maker.last, fixed, 0.1, 0)
    outputs.append(maker.last)
    maker.variable("unread", np.zeros((1, 6)))
    maker.assign("unread", following)
    twin = maker.variable("twin", np.zeros((1, 6)))
    maker.assign("twin", source).assign("twin", following)
    maker.binary("MAXIMUM", twin, first)
    outputs.append(maker.last)
    map_of = maker.reshape((1, 3, 1, 2), source=source).last
    maps = maker.variable("map", np.zeros((1, 3, 1, 2)))
    maker.conv_2d(2, (2, 1), source=maps, scale=0.05, zero_point=-3)
    maker.binary("ADD", maker.last, map_of, 0.05, -3)
    maker.assign("map")
    outputs.append(maker.last)
    maker.reshape((1, 6), source=map_of)
    maker.binary("ADD", maker.last, hidden, 0.1, 0)
    outputs.append(maker.last)
    return maker.build(outputs)


def recurrent(seed: int) -> bytes:
    """LSTM over rows of either order, one behind the other, and SVDF with either state."""
    random = np.random.default_rng(600 + seed)
    maker = ModelMaker(seed).input((1, 7, 9), scale=0.05, zero_point=int(random.integers(-128, 128)))
    source, outputs = maker.last, []
    for power, clip in ((-12, 10.0), (-11, 0.0), (-9, 3.0), (-15, 10.0), (-20, 0.0)):
        zero_point = int(random.integers(-128, 128))
        maker.lstm(int(random.integers(1, 12)), 1 / 128, zero_point, power, cell_clip=clip, source=source)
        outputs.append(maker.last)
    maker.lstm(5)
    maker.reshape((7, 1, 5)).lstm(6, time_major=True)
    maker.reshape((1, 42)).svdf(6, 2, 5)
    outputs.append(maker.last)
    maker.svdf(4, 1, 8, "INT8", zero_point=3)
    outputs.append(maker.last)
    maker.svdf(3, 3, 1)
    return maker.build([*outputs, maker.last])


def with_four_bits(make: Callable[[], bytes]) -> bytes:
    """A network whose random weights are int4."""
    ModelMaker.int4 = True
    try:
        return make()
    finally:
        ModelMaker.int4 = False


def with_sixteen_bits(make: Callable[[], bytes]) -> bytes:
    """A network whose activations are int16."""
    ModelMaker.int16 = True
    try:
        return make()
    finally:
        ModelMaker.int16 = False


def elementwise_of_sixteen_bits() -> bytes:
    """Everything on single elements that has int16, and the ways between int8 and int16."""
    maker = ModelMaker(2).input((1, 5, 4, 3), scale=0.0003)
    source, outputs = maker.last, []
    row = maker.constant([-9000, 1, 32767], "INT16", scale=0.0001)
    plane = maker.constant(np.arange(20).reshape(1, 5, 4, 1) * 700, "INT16", scale=0.0001)
    gate = maker.reduce("MEAN", (1, 2), keep_dims=True, scale=0.0002, source=source).last
    for kind in ("ADD", "SUB", "MUL"):
        for operands in ((source, source), (source, row), (plane, source), (source, gate)):
            maker.binary(kind, *operands, 0.0004, 0, activation="RELU6")
            outputs.append(maker.last)
    floor = maker.constant([-20, 0, 9000], "INT16", scale=0.0003)
    for kind in ("MAXIMUM", "MINIMUM"):
        outputs += [maker.binary(kind, source, floor).last, maker.binary(kind, floor, source).last]
    for kind, scale in (
        ("RELU", 0.0002),
        ("RELU6", 0.0003),
        ("LOGISTIC", 2.0**-15),
        ("TANH", 2.0**-15),
        ("QUANTIZE", 0.0007),
    ):
        outputs.append(maker.unary(kind, scale, 0, source=source).last)
    outputs.append(maker.unary("LEAKY_RELU", 0.0002, 0, source=source, alpha=0.1).last)
    for scale in (2.0**-12, 2.0**-11):  # steps that the table of sigmoids has
        maker.unary("QUANTIZE", scale, 0, source=source)
        table = maker.last
        outputs += [maker.unary(kind, 2.0**-15, 0, source=table).last for kind in ("LOGISTIC", "TANH")]
    outputs += [maker.softmax(beta, source=source).last for beta in (1.0, 0.3)]
    ModelMaker.int16 = False
    narrow = maker.op("QUANTIZE", [source], (1, 5, 4, 3), 0.08, -17).last
    ModelMaker.int16 = True
    outputs += [narrow, maker.op("QUANTIZE", [narrow], (1, 5, 4, 3), 0.0003, 0).last]
    return maker.build(outputs)


def sums_of_32_bits() -> bytes:
    """int16 activations with int32 biases, whose sums are rounded twice."""
    maker = ModelMaker(3).input((1, 4, 3, 5), scale=0.0004)
    source, outputs = maker.last, []
    for _ in range(2):
        maker.conv_2d(3, source=source)
        outputs.append(maker.last)
        maker.fully_connected(4, source=source)
        outputs.append(maker.last)
        for op in maker.ops[-2:]:
            bias = maker.tensors[op.inputs[2]]
            assert bias.data is not None
            bias.type_name, bias.data = "INT32", bias.data.astype(np.int32)
    return maker.build(outputs)


def widened() -> bytes:
    """Larger maps, and sums over more than fit 32 bits."""
    maker = ModelMaker(5).input((1, 3, 4, 600), scale=0.0002)
    source, outputs = maker.last, []
    for stride, kernel, padding in (
        ((2, 2), (3, 3), "SAME"),
        ((1, 2), (2, 3), "SAME"),
        ((2, 2), (3, 3), "VALID"),
    ):
        size = (3 * stride[0], 4 * stride[1])  # unpadded, less than the map scatters
        maker.transpose_conv(3, size, kernel, stride, padding, "RELU", source=source)
        outputs.append(maker.last)
    outputs.append(maker.conv_2d(2, (3, 3), source=source).last)
    return maker.build(outputs)


def large_sums_of_four_bits() -> bytes:
    """Sums of every second channel that do not fit 24 bits, in one row and over several; all weights that there are."""
    maker = ModelMaker(14).input((1, 2, 1, 9000), scale=0.05, zero_point=-128)
    source, outputs = maker.last, []
    signs = np.array([[7], [-8], [7], [7]])
    wide = maker.tensor((4, 1, 1, 9000), 1e-2, data=np.tile(signs, 9000), type_name="INT4")
    windows: dict[str, Any] = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "activation": "NONE"}
    windows |= {"dilation_h": 1, "dilation_w": 1}
    maker.op("CONV_2D", [source, wide], (1, 2, 1, 4), 1000.0, 3, **windows)
    outputs.append(maker.last)
    all_of_them = np.arange(4 * 18000).reshape(4, 18000) % 16 - 8
    flat = maker.tensor((4, 18000), 1e-3, data=all_of_them, type_name="INT4")
    maker.reshape((1, 18000), source=source)
    maker.op("FULLY_CONNECTED", [maker.last, flat], (1, 4), 100.0, 3, activation="NONE")
    outputs.append(maker.last)
    return maker.build(outputs)


_FOUR_BITS: dict[str, Callable[[], bytes]] = {
    **{f"convolutions-{seed}": partial(convolutions, seed) for seed in range(4)},
    "multipliers": partial(multipliers_of_every_size, 8.0),
    "chain": partial(chain_by_rows, 3),
    "dense": dense_layers,
    "depthwise": depthwise_shapes,
    "pairs": pairs_of_channels,
}
_SIXTEEN_BITS: dict[str, Callable[[], bytes]] = {
    **{f"convolutions-{seed}": partial(convolutions, seed) for seed in range(4)},
    **{f"pools-{seed}": partial(pools, seed) for seed in range(2)},
    "dense": dense_layers,
    "move": bytes_that_move,
    "parts": parts_and_orders,
    "joints": parts_and_joints,
    "elementwise": elementwise_of_sixteen_bits,
    "narrow": sums_of_32_bits,
    "widened": widened,
}
NETWORKS: dict[str, Callable[[], bytes]] = {
    **{f"convolutions-{seed}": partial(convolutions, seed) for seed in range(8)},
    **{
        f"multipliers-{scale}": partial(multipliers_of_every_size, scale)
        for scale in (1e-6, 0.0004, 0.25, 8.0)
    },
    "ties": rounding_ties,
    **{f"chain-{seed}": partial(chain_by_rows, seed) for seed in range(4)},
    **{f"pools-{seed}": partial(pools, seed) for seed in range(4)},
    "dense": dense_layers,
    "convolutions of short runs": short_runs,
    "convolutions of pairs": pairs_of_channels,
    "dense large sums": large_sums,
    "convolutions of single channels": depthwise_shapes,
    "elementwise": elementwise,
    "move": bytes_that_move,
    "parts": parts_and_orders,
    "joints": parts_and_joints,
    **{f"rank-{2 + seed % 4}-{seed}": partial(any_rank, seed) for seed in range(4)},
    "products": products,
    "resized": resized,
    "aliases": aliases,
    "one reshape": one_reshape,
    "scalar": scalar,
    "several inputs": several_inputs,
    "short map": short_map,
    "flat input": flat_input_is_cut_into_rows,
    **{f"unpadded-{seed}": partial(unpadded, seed) for seed in range(3)},
    **{f"streaming-{seed}": partial(streaming, seed) for seed in range(3)},
    "variables": recurrent_by_hand,
    **{f"recurrent-{seed}": partial(recurrent, seed) for seed in range(2)},
    **{f"four bits {name}": partial(with_four_bits, make) for name, make in _FOUR_BITS.items()},
    "four bits, large sums": large_sums_of_four_bits,
    **{f"sixteen bits {name}": partial(with_sixteen_bits, make) for name, make in _SIXTEEN_BITS.items()},
}
