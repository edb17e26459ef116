"""Networks at the edges of the widths of the runtime's fields: raw sound as columns and as rows, and more than fits.

Each is one .tflite file's bytes. Built from a shape (1, rows, columns, channels); `turned` exchanges rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from modelmaker import ModelMaker

SOUND = 80_000
"""Samples: five seconds at 16 kHz."""

Build = Callable[[ModelMaker, bool], object]


def _pair(along: int, turned: bool) -> tuple[int, int]:
    """A kernel, stride or dilation along the sound."""
    return (along, 1) if turned else (1, along)


def _shape(length: int, channels: int, turned: bool) -> tuple[int, int, int, int]:
    return (1, length, 1, channels) if turned else (1, 1, length, channels)


def _axis(turned: bool) -> int:
    return 1 if turned else 2


def _pads(
    amounts: tuple[int, int], turned: bool, channels: tuple[int, int] = (0, 0)
) -> list[tuple[int, int]]:
    pads = [(0, 0), (0, 0), (0, 0), channels]
    pads[_axis(turned)] = amounts
    return pads


def _residual(maker: ModelMaker, kind: str) -> object:
    source = maker.last
    maker.unary("LOGISTIC", 1 / 256, -128)
    return maker.binary(kind, source, maker.last, 0.1, 3)


def _broadcast(maker: ModelMaker) -> object:
    values = maker.random.integers(-128, 128, (1, 1, 1, maker.shape()[3]))
    return maker.binary("ADD", maker.last, maker.constant(values, "INT8", scale=0.03, zero_point=2), 0.1, 0)


def _column(maker: ModelMaker) -> object:
    """Every sample times the mean of its row: one operand has a single channel."""
    source = maker.last
    maker.reduce("MEAN", (3,), keep_dims=True)
    return maker.binary("MUL", source, maker.last, 0.01, 1)


def _prelu(maker: ModelMaker) -> object:
    shape = (1, 1, maker.shape()[3])
    slopes = maker.constant(maker.random.integers(-128, 128, shape), "INT8", scale=0.01, zero_point=0)
    return maker.op("PRELU", [maker.last, slopes], maker.shape(), 0.06, -2)


def _concatenation(maker: ModelMaker, axis: int) -> object:
    return maker.concatenation([maker.last, maker.last], axis)


def _slice(maker: ModelMaker, turned: bool) -> object:
    shape = list(maker.shape())
    axis = _axis(turned)
    begin, end, strides = [0] * 4, list(shape), [1] * 4
    begin[axis], strides[axis] = 5, 3
    shape[axis] = -(-(shape[axis] - 5) // 3)
    return maker.strided_slice(begin, end, strides, shape)


def _split(maker: ModelMaker, turned: bool) -> object:
    first, second = maker.split(2, _axis(turned))
    return maker.binary("SUB", first, second, 0.1, 0)


def _dense(maker: ModelMaker, units: int) -> object:
    return maker.reshape((1, int(np.prod(maker.shape())))).fully_connected(units)


def _global(maker: ModelMaker, kind: str) -> object:
    return maker.pool(kind, maker.shape()[1:3])


OPERATORS: dict[str, tuple[int, Build]] = {
    "conv": (1, lambda m, t: m.conv_2d(3, _pair(5, t))),
    "conv strided": (2, lambda m, t: m.conv_2d(2, _pair(4, t), stride=_pair(3, t), padding="VALID")),
    "conv dilated": (2, lambda m, t: m.conv_2d(3, _pair(3, t), dilation=_pair(7, t))),
    "conv groups": (4, lambda m, t: m.conv_2d(4, _pair(3, t), groups=2, activation="RELU")),
    "depthwise": (4, lambda m, t: m.depthwise_conv_2d(1, _pair(3, t))),
    "depthwise twice": (3, lambda m, t: m.depthwise_conv_2d(2, _pair(3, t), stride=_pair(2, t))),
    "average pool": (4, lambda m, t: m.pool("AVERAGE_POOL_2D", _pair(4, t), _pair(2, t), "SAME")),
    "max pool": (2, lambda m, t: m.pool("MAX_POOL_2D", _pair(3, t))),
    "all averaged": (3, lambda m, t: _global(m, "AVERAGE_POOL_2D")),
    "greatest": (3, lambda m, t: _global(m, "MAX_POOL_2D")),
    "logistic": (1, lambda m, t: m.unary("LOGISTIC", 1 / 256, -128)),
    "add": (1, lambda m, t: _residual(m, "ADD")),
    "add to every one": (3, lambda m, t: _broadcast(m)),
    "multiply by columns": (2, lambda m, t: _column(m)),
    "prelu": (2, lambda m, t: _prelu(m)),
    "concatenate channels": (1, lambda m, t: _concatenation(m, 3)),
    "concatenate time": (1, lambda m, t: _concatenation(m, _axis(t))),
    "transpose": (1, lambda m, t: m.transpose((0, 2, 1, 3))),
    "time to channels": (1, lambda m, t: m.transpose((0, 3, 1, 2) if not t else (0, 2, 3, 1))),
    "softmax": (3, lambda m, t: m.softmax()),
    "dense": (1, lambda m, t: _dense(m, 3)),
    "dense channels": (2, lambda m, t: m.fully_connected(3, keep_num_dims=True)),
    "mean": (2, lambda m, t: m.reduce("MEAN", (1, 2))),
    "sum": (2, lambda m, t: m.reduce("SUM", (1, 2), scale=90.0, zero_point=-100)),
    "maximum": (2, lambda m, t: m.reduce("REDUCE_MAX", (_axis(t),), keep_dims=True)),
    "pad": (2, lambda m, t: m.pad(_pads((70_000, 3), t)).unary("TANH", 1 / 128, 0)),
    "pad channels": (2, lambda m, t: m.pad(_pads((1, 2), t, (2, 1)), value=9)),
    "pad before conv": (1, lambda m, t: m.pad(_pads((9, 4), t)).conv_2d(2, _pair(3, t), padding="VALID")),
    "slice": (2, lambda m, t: _slice(m, t)),
    "split": (1, lambda m, t: _split(m, t)),
    "rows of another length": (1, lambda m, t: m.reshape((1, 200, 400, 1)).conv_2d(2)),
}
"""By name: channels of the sound, and what is done to it."""


def wide_networks() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    for name, (channels, build) in OPERATORS.items():
        for turned in (False, True):
            maker = ModelMaker(len(name)).input(_shape(SOUND, channels, turned))
            build(maker, turned)
            yield f"{name}, {'rows' if turned else 'columns'}", maker.build()
