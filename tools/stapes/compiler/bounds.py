"""What values can be reached at all: of every activation, and of every sum of a convolution or dense layer.

The compiler chooses kernels by these bounds, and `stapes prove` shows from the same ones that the choice was right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.int8.arithmetic import activation_range
from stapes.int8.elementwise import UNARY, unary_table

Range = tuple[int, int]
"""The least and the greatest int8 value."""

EVERYTHING: Range = (-128, 127)
_CLAMPED = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "SUB")
_KEEPING = ("AVERAGE_POOL_2D", "CONCATENATION", "EXPAND_DIMS", "MAX_POOL_2D", "RESHAPE", "SQUEEZE")


@dataclass(frozen=True)
class SumBounds:
    """The least and greatest sum of every channel, biases and zero points in it: int64 arrays of one length.

    Exact for a single output: each weight meets the end of the range that makes the sum the least or greatest.
    """

    lowest: npt.NDArray[np.int64]
    highest: npt.NDArray[np.int64]

    @property
    def largest(self) -> npt.NDArray[np.int64]:
        """The greatest absolute value of every channel's sum."""
        return np.maximum(np.abs(self.lowest), np.abs(self.highest))


def sum_bounds(
    weights: npt.NDArray[np.int8], biases: npt.NDArray[np.int64], values: Range = EVERYTHING
) -> SumBounds:
    """Bounds of `biases` [channels] plus `weights` [channels, inputs of one output] times inputs within `values`."""
    wide = weights.astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    low, high = values
    return SumBounds(
        biases + positive * low + negative * high,
        biases + positive * high + negative * low,
    )


def value_ranges(graph: Graph) -> dict[int, Range]:
    """What every activation can hold, by its tensor; for any int8 inputs. Zero points are always within, since padding
    is made of them.
    """
    ranges: dict[int, Range] = {}
    for op in graph.ops:
        for index in op.outputs:
            tensor = graph.tensor(index)
            if tensor.type_name not in ("", "INT8") or tensor.quantization is None:
                continue
            low, high = _range(graph, op, ranges)
            if len(tensor.quantization.zero_point) == 1:
                low, high = min(low, tensor.zero_point), max(high, tensor.zero_point)
            ranges[index] = low, high
    return ranges


def _range(graph: Graph, op: Op, ranges: dict[int, Range]) -> Range:
    output = graph.tensor(op.outputs[0])
    if op.kind in _CLAMPED:
        return _limited(EVERYTHING, activation_range(op.text("activation"), output.scale, output.zero_point))
    if op.kind in UNARY:
        low, high = ranges.get(op.inputs[0], EVERYTHING)
        table = unary_table(graph, op)[low + 128 : high + 129]
        return int(table.min()), int(table.max())
    if op.kind in _KEEPING:
        inputs = op.inputs if op.kind == "CONCATENATION" else op.inputs[:1]
        given = [_of(graph, index, ranges) for index in inputs]
        joined = min(low for low, _ in given), max(high for _, high in given)
        activation = str(op.attributes.get("activation", "NONE"))
        return _limited(joined, activation_range(activation, output.scale, output.zero_point))
    return EVERYTHING


def _of(graph: Graph, index: int, ranges: dict[int, Range]) -> Range:
    data = graph.tensor(index).data if index >= 0 else None
    if data is None:
        return ranges.get(index, EVERYTHING)
    return (int(data.min()), int(data.max())) if data.size else EVERYTHING


def _limited(values: Range, limits: Range) -> Range:
    low, high = limits
    return min(max(values[0], low), high), max(min(values[1], high), low)
