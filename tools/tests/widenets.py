"""Networks at the edges of the widths of the runtime's fields: raw sound as columns and as rows, and more than fits.

Each is one .tflite file's bytes. Built from a shape (1, rows, columns, channels); `turned` exchanges rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

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


def _sound(length: int, channels: int, build: Callable[[ModelMaker], object], turned: bool = False) -> bytes:
    maker = ModelMaker(length % 97).input(_shape(length, channels, turned))
    build(maker)
    return maker.build()


def _padded(left: int) -> bytes:
    return _sound(9, 1, lambda m: m.pad(_pads((left, 0), False)).conv_2d(1, (1, 3), (1, 7), padding="VALID"))


def _wide_depthwise(padding: str) -> bytes:
    """Its taps are 65,536 bytes apart."""
    return _sound(140, 1024, lambda m: m.depthwise_conv_2d(1, (1, 3), dilation=(1, 64), padding=padding))


def _statistics(bands: int) -> bytes:
    maker = ModelMaker(1).input((1, 7, bands, 1))
    return maker.op("CUSTOM:stapes_statistics", [maker.last], (1, 6 * bands)).build()


def _edge_conv(kernel: int, stride: int, turned: bool = False, **given: Any) -> bytes:
    """One output or two: what counts is that the sums are long."""
    strides = _pair(stride, turned)
    return _sound(
        SOUND, 1, lambda m: m.conv_2d(1, _pair(kernel, turned), strides, padding="VALID", **given), turned
    )


def _edge_pool(kind: str, kernel: int, stride: int, turned: bool = False) -> bytes:
    return _sound(SOUND, 2, lambda m: m.pool(kind, _pair(kernel, turned), _pair(stride, turned)), turned)


def _every(step: int, turned: bool) -> bytes:
    def build(maker: ModelMaker) -> object:
        shape = list(maker.shape())
        end, strides = list(shape), [1] * 4
        strides[_axis(turned)] = step
        shape[_axis(turned)] = -(-SOUND // step)
        return maker.strided_slice([0] * 4, end, strides, shape)

    return _sound(SOUND, 1, build, turned)


def _flat(size: int) -> bytes:
    """Not a map at all: one row of one column."""
    maker = ModelMaker(2).input((1, size))
    return maker.binary("MUL", maker.last, maker.unary("LOGISTIC", 1 / 256, -128).last, 0.02, 5).build()


REFUSED = "refused"
"""What the name of a network ends with that must be refused."""

EDGES: dict[str, Callable[[], bytes]] = {
    "16,000 columns of 8 twice": lambda: _sound(16_000, 8, lambda m: _concatenation(m, 3)),
    "16,000 rows of 8 twice": lambda: _sound(16_000, 8, lambda m: _concatenation(m, 3), True),
    "16,000 rows, conv": lambda: _sound(16_000, 1, lambda m: m.conv_2d(4, (9, 1), (4, 1)), True),
    "padding 65,535": lambda: _padded(65_535),
    "padding 65,536, refused": lambda: _padded(65_536),
    "padding 75,000, refused": lambda: _padded(75_000),
    "65,535 outputs": lambda: _sound(1, 2, lambda m: _dense(m, 65_535)),
    "65,536 outputs, refused": lambda: _sound(1, 2, lambda m: _dense(m, 65_536)),
    "70,000 outputs, refused": lambda: _sound(1, 2, lambda m: _dense(m, 70_000)),
    "taps 65,536 apart": lambda: _wide_depthwise("VALID"),
    "taps 65,536 apart and padded, refused": lambda: _wide_depthwise("SAME"),
    "depthwise of 65,535": lambda: _sound(
        2, 65_535, lambda m: m.depthwise_conv_2d(1, (1, 2), padding="VALID")
    ),
    "depthwise of 65,536, refused": lambda: _sound(
        2, 65_536, lambda m: m.depthwise_conv_2d(1, (1, 2), padding="VALID")
    ),
    "depthwise times 256": lambda: _sound(
        3, 256, lambda m: m.depthwise_conv_2d(255, (1, 2), padding="VALID")
    ),
    "depthwise times 257, refused": lambda: _sound(
        3, 256, lambda m: m.depthwise_conv_2d(257, (1, 2), padding="VALID")
    ),
    "65,535 groups": lambda: _sound(1, 65_535, lambda m: m.conv_2d(65_535, (1, 1), groups=65_535)),
    "65,536 groups, refused": lambda: _sound(1, 65_536, lambda m: m.conv_2d(65_536, (1, 1), groups=65_536)),
    "kernel of 80,000 columns": lambda: _edge_conv(80_000, 1),
    "kernel of 65,535 rows": lambda: _edge_conv(65_535, 9_000, True),
    "kernel of 65,536 rows, refused": lambda: _edge_conv(65_536, 9_000, True),
    "stride of 65,536 columns": lambda: _edge_conv(3, 65_536),
    "stride of 65,535 rows": lambda: _edge_conv(3, 65_535, True),
    "stride of 65,536 rows, refused": lambda: _edge_conv(3, 65_536, True),
    "dilation of 65,535 rows": lambda: _edge_conv(2, 3, True, dilation=(65_535, 1)),
    "dilation of 65,536 rows, refused": lambda: _edge_conv(2, 3, True, dilation=(65_536, 1)),
    "dilation of 65,536 columns": lambda: _edge_conv(2, 3, dilation=(1, 65_536)),
    "depthwise kernel of 65,535": lambda: _sound(
        SOUND, 2, lambda m: m.depthwise_conv_2d(1, (1, 65_535), (1, 9_000), padding="VALID")
    ),
    "depthwise kernel of 65,536, refused": lambda: _sound(
        SOUND, 2, lambda m: m.depthwise_conv_2d(1, (1, 65_536), (1, 9_000), padding="VALID")
    ),
    **{
        f"{kind} of {kernel:,} {'rows' if turned else 'columns'}": partial(
            _edge_pool, kind, kernel, 14_000, turned
        )
        for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
        for kernel, turned in ((65_535, False), (65_536, False), (32_768, True), (65_536, True))
    },
    "pool of 65,535 channels": lambda: _sound(2, 65_535, lambda m: _global(m, "AVERAGE_POOL_2D")),
    "pool of 65,536 channels, refused": lambda: _sound(2, 65_536, lambda m: _global(m, "AVERAGE_POOL_2D")),
    "every 65,535th row": lambda: _every(65_535, True),
    "every 65,536th row, refused": lambda: _every(65_536, True),
    "every 65,536th column": lambda: _every(65_536, False),
    "65,535 flat": lambda: _flat(65_535),
    "65,536 flat": lambda: _flat(65_536),
    "softmax of 4,095": lambda: _sound(2, 4_095, lambda m: m.softmax()),
    "sum of 32,768 rows": lambda: _sound(
        32_768, 1, lambda m: m.reduce("SUM", (1,), scale=40.0, zero_point=0), True
    ),
    "mean of 65,536 channels": lambda: _sound(1, 65_536, lambda m: m.reduce("MEAN", (3,), keep_dims=True)),
    "statistics of 65,535 bands": lambda: _statistics(65_535),
    "statistics of 65,536 bands, refused": lambda: _statistics(65_536),
}


def names() -> list[str]:
    """Of all networks."""
    return [*(f"{name}, {along}" for name in OPERATORS for along in ("columns", "rows")), *EDGES]


def wide_network(name: str) -> bytes:
    """One of them."""
    if name in EDGES:
        return EDGES[name]()
    channels, build = OPERATORS[name.rpartition(", ")[0]]
    turned = name.endswith("rows")
    maker = ModelMaker(len(name)).input(_shape(SOUND, channels, turned))
    build(maker, turned)
    return maker.build()
