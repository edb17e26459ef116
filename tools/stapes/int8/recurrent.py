"""Layers that keep something from row to row and from run to run, as the TFLM reference computes them, in NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op, Tensor
from stapes.int8.arithmetic import (
    IntArray,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap_int32,
)
from stapes.int8.fixed_point import interpolated_sigmoid, interpolated_tanh

Arrays = list[npt.NDArray[np.generic]]
Scaling = tuple[int, int]
"""Multiplier and shift."""

GATES = ("input", "forget", "cell", "output")
"""In the order of the operator's weights: from input 1 on those of the rows, from 5 on those of the hidden state."""
RECURRENT, BIASES, HIDDEN, CELL = 5, 12, 18, 19
"""Where among the inputs of an LSTM its recurrent weights, biases, hidden and cell state begin."""
_GATE_SCALE, _ACTIVATED_SCALE = 2.0**-12, 2.0**-15
FORGET = (1 << 30, -14)
"""A gate times the cell, in the cell's steps."""


def tanh_int16(values: IntArray, scale_power: int) -> npt.NDArray[np.int64]:
    """Of steps of 2^scale_power, in steps of 2^-15."""
    multiplier, shift = tanh_scaling(scale_power)
    return interpolated_tanh((values.astype(np.int64) * multiplier + (1 << shift >> 1)) >> shift)


def tanh_scaling(scale_power: int) -> Scaling:
    """Multiplier and right shift that bring steps of 2^scale_power to those of the table."""
    left = 12 + scale_power
    return (3 << left, 0) if left >= 0 else (3, -left)


@dataclass(frozen=True)
class LstmConstants:
    """Everything about an LSTM that follows from scales and options."""

    rows: tuple[Scaling, ...]
    """Of the sums over the input row, a gate each."""
    recurrent: tuple[Scaling, ...]
    """Of the sums over the hidden state, a gate each."""
    update: Scaling
    """Input gate times cell gate, in the cell's steps, of which there are a power of two."""
    output: Scaling
    """Output gate times tanh of the cell, in the hidden state's steps."""
    cell_power: int
    """The cell's step is 2 to this power."""
    cell_clip: int
    """The cell is at most this; 0: any int16."""

    @classmethod
    def of(cls, graph: Graph, op: Op) -> LstmConstants:
        """From the scales, in float32 where TFLM multiplies in float32."""
        source, hidden, cell = (graph.tensor(op.inputs[i]) for i in (0, HIDDEN, CELL))

        def gates(first: int, operand: Tensor) -> tuple[Scaling, ...]:
            weights = [graph.tensor(op.inputs[first + gate]) for gate in range(len(GATES))]
            products = [np.float32(operand.scale) * np.float32(each.scale) for each in weights]
            return tuple(quantize_multiplier(float(product) / _GATE_SCALE) for product in products)

        squared = _ACTIVATED_SCALE * _ACTIVATED_SCALE
        clip = op.real("cell_clip")
        return cls(
            gates(1, source),
            gates(RECURRENT, hidden),
            quantize_multiplier(squared / cell.scale),
            quantize_multiplier(squared / hidden.scale),
            round(math.log2(cell.scale)),
            int(min(max(clip / cell.scale, -32768.0), 32767.0)),
        )


def unidirectional_sequence_lstm(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """int8 rows, int8 hidden state, int16 cell; both states are changed where they are."""
    constants = LstmConstants.of(graph, op)
    source, hidden = graph.tensor(op.inputs[0]), graph.tensor(op.inputs[HIDDEN])
    rows = inputs[0].reshape(-1, source.shape[-1]).astype(np.int64) - source.zero_point
    state, cell = inputs[HIDDEN].reshape(-1), inputs[CELL].reshape(-1)
    weights = [inputs[1 + gate].astype(np.int64) for gate in range(len(GATES))]
    recurrent = [inputs[RECURRENT + gate].astype(np.int64) for gate in range(len(GATES))]
    biases = [inputs[BIASES + gate].astype(np.int64) for gate in range(len(GATES))]
    found = np.empty((len(rows), len(state)), np.int8)
    for step, row in enumerate(rows):
        before = state.astype(np.int64) - hidden.zero_point
        gates = []
        for gate in range(len(GATES)):
            ours = _scaled_int16(weights[gate] @ row + biases[gate], constants.rows[gate])
            theirs = _scaled_int16(recurrent[gate] @ before, constants.recurrent[gate])
            total = _int16(ours + theirs)
            gates.append(tanh_int16(total, -12) if GATES[gate] == "cell" else interpolated_sigmoid(3 * total))
        kept = _scaled_int16(gates[1] * cell.astype(np.int64), FORGET)
        added = _scaled_int16(gates[0] * gates[2], constants.update)
        now = _int16(kept + added)
        if constants.cell_clip > 0:
            now = np.clip(now, -constants.cell_clip, constants.cell_clip)
        cell[:] = now
        activated = tanh_int16(now, constants.cell_power)
        scaled = multiply_by_quantized_multiplier(gates[3] * activated, *constants.output)
        state[:] = np.clip(scaled + hidden.zero_point, -128, 127)
        found[step] = state
    return [found.reshape(graph.tensor(op.outputs[0]).shape)]


def _scaled_int16(values: IntArray, scaling: Scaling) -> npt.NDArray[np.int64]:
    return _int16(multiply_by_quantized_multiplier(wrap_int32(values), *scaling))


def _int16(values: IntArray) -> npt.NDArray[np.int64]:
    return np.clip(values.astype(np.int64), -32768, 32767)


def svdf_scalings(graph: Graph, op: Op) -> tuple[Scaling, Scaling]:
    """From sums over the input to the state's steps, and from sums over the memory to the output's."""
    source, feature, time, state = (graph.tensor(op.inputs[i]) for i in (0, 1, 2, 4))
    output = graph.tensor(op.outputs[0])
    scale, of_feature, of_time, of_state, of_output = (
        np.float32(tensor.scale) for tensor in (source, feature, time, state, output)
    )
    return (
        quantize_multiplier(float(scale * of_feature / of_state)),
        quantize_multiplier(float(of_state * of_time / of_output)),
    )


def svdf_limits(graph: Graph, op: Op) -> tuple[int, int]:
    """The lowest and the highest value of the state."""
    half = 1 << (8 * graph.tensor(op.inputs[4]).dtype.itemsize - 1)
    return -half, half - 1


def svdf(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Filters over the input, then over the last values of each filter; the state is changed where it is."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    first, second = svdf_scalings(graph, op)
    feature, time = inputs[1].astype(np.int64), inputs[2].astype(np.int64)
    filters, memory = time.shape
    past = inputs[4].reshape(filters, memory)
    past[:, :-1] = past[:, 1:]
    sums = feature @ (inputs[0].reshape(-1).astype(np.int64) - source.zero_point)
    newest = multiply_by_quantized_multiplier(wrap_int32(sums), *first)
    past[:, -1] = np.clip(newest, *svdf_limits(graph, op))
    each = (time * past.astype(np.int64)).sum(axis=1)
    totals = each.reshape(-1, op.integer("rank")).sum(axis=1) + inputs[3].astype(np.int64)
    scaled = multiply_by_quantized_multiplier(wrap_int32(totals), *second) + output.zero_point
    return [np.clip(scaled, -128, 127).astype(np.int8).reshape(output.shape)]


KERNELS = {
    "SVDF": svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": unidirectional_sequence_lstm,
}
