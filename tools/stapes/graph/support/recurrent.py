"""Layers that keep something from row to row and from run to run: what is supported of them."""

from __future__ import annotations

import math

import numpy as np

from stapes.graph.ir import Tensor
from stapes.graph.support.inspection import Inspection, Operator

_INT32_LIMIT = 2**31 - 1
_LSTM_INPUTS, _GATES = 24, 4
_RECURRENT, _BIASES, _HIDDEN, _CELL = 5, 12, 18, 19
_CELL_POWERS = range(-22, 1)


def _lstm(check: Inspection) -> None:
    op, output = check.op, check.output
    check.require(len(op.inputs) == _LSTM_INPUTS, f"{len(op.inputs)} inputs")
    check.require(len(op.outputs) == 1, f"{len(op.outputs)} outputs")
    needed = [0, *range(2, 9), *range(13, 16), _HIDDEN, _CELL]
    check.require(all(op.inputs[position] >= 0 for position in needed), "an input is missing")
    if op.inputs[1] < 0 or op.inputs[_BIASES] < 0:
        check.refuse("coupled input and forget gates", "use a plain LSTM")
        return
    if any(op.inputs[position] >= 0 for position in (9, 10, 11, 16, 17, 20, 21, 22, 23)):
        check.refuse("peepholes, projection or layer normalisation", "use a plain LSTM")
        return
    if op.integer("diagonal"):
        check.refuse("diagonal recurrent weights", "use a plain LSTM")
    source, hidden, cell = check.input(0), check.input(_HIDDEN), check.input(_CELL)
    check.require(len(source.shape) == 3, f"{len(source.shape)} dimensions, not 3")
    time, batch = (0, 1) if op.integer("time_major") else (1, 0)
    if source.shape[batch] != 1:
        check.refuse(f"a batch of {source.shape[batch]}", "export the network with a batch of 1")
        return
    units = hidden.elements
    check.shape((*source.shape[:2], units))
    check.require(source.shape[time] >= 1 and units >= 1, "no rows or no units")
    check.require(hidden.is_variable and cell.is_variable, "its state is no variable")
    check.require(cell.elements == units, f"{cell.elements} cells for {units} units")
    if op.text("activation") != "TANH":
        check.refuse(f"activation {op.text('activation')}", "use tanh")
    if op.real("cell_clip") < 0:
        check.require(False, f"a clip of {op.real('cell_clip')}")
    if not check.quantized(source, hidden, output):
        return
    check.same_quantization(hidden, output)
    if cell.type_name != "INT16" or cell.quantization is None or cell.quantization.scale.size != 1:
        check.refuse(f"{cell.type_name} cell {cell.name}", "convert to full int8 (int16 cells)")
        return
    power = math.log2(cell.scale) if cell.scale > 0 else math.nan
    if power not in _CELL_POWERS or cell.zero_point != 0:
        check.refuse(f"cells in steps of {cell.scale:.6g}", "convert again: a power of two from 2^-22 to 1")
        return
    for gate in range(_GATES):
        biases = _biases(check, check.input(_BIASES + gate), units)
        for position, depth, operand in (
            (1 + gate, source.shape[2], source),
            (_RECURRENT + gate, units, hidden),
        ):
            weights = check.input(position)
            largest = biases if position < _RECURRENT else 0
            if _weights(check, weights, (units, depth), largest):
                check.rescale(operand.scale * weights.scale * 4096)
    check.rescale(2.0**-30 / hidden.scale)


def _svdf(check: Inspection) -> None:
    check.arity(5, 5)
    op, source, state, output = check.op, check.input(0), check.input(4), check.output
    feature, time = check.input(1), check.input(2)
    check.require(len(source.shape) == len(feature.shape) == len(time.shape) == 2, "not two dimensions")
    filters, memory = time.shape
    rank = op.integer("rank")
    check.require(rank >= 1 and memory >= 1 and filters % rank == 0, f"{filters} filters of rank {rank}")
    if source.shape[0] != 1:
        check.refuse(f"a batch of {source.shape[0]}", "export the network with a batch of 1")
        return
    check.shape((1, filters // rank))
    check.require(state.is_variable, "its state is no variable")
    check.require(state.elements == filters * memory, f"{state.elements} values of {filters} x {memory}")
    if op.text("activation") not in ("NONE", "RELU"):
        check.refuse(f"fused activation {op.text('activation')}", "use RELU")
    if not check.quantized(source, output):
        return
    kinds = (state.type_name, time.type_name)
    if kinds not in (("INT16", "INT16"), ("INT8", "INT8")):
        check.refuse(f"{kinds[0]} state with {kinds[1]} time weights", "convert to full int8")
        return
    if state.quantization is None or state.quantization.scale.size != 1:
        check.refuse(f"state {state.name} without a single scale", "convert to full int8")
        return
    if state.zero_point != 0:
        # Versions of TFLM differ in whether it is added before or after the value is saturated.
        check.refuse(f"zero point {state.zero_point} of the state", "convert with a symmetric state")
        return
    largest = _biases(check, check.input(3), filters // rank)
    fits = _weights(check, feature, (filters, source.shape[1]), 0)
    reach = 255 if state.type_name == "INT8" else 1 << 16
    if _weights(check, time, (filters, memory), largest, reach, rank) and fits:
        check.rescale(source.scale * feature.scale / state.scale)
        check.rescale(state.scale * time.scale / output.scale)


def _biases(check: Inspection, tensor: Tensor, count: int) -> int:
    """The largest bias; notes what is no constant int32."""
    if tensor.type_name != "INT32" or tensor.data is None:
        check.refuse(f"{tensor.type_name} bias {tensor.name}", "convert to full int8 (constant int32 biases)")
        return 0
    check.require(tensor.elements == count, f"{tensor.elements} biases for {count}")
    return int(np.abs(tensor.data.astype(np.int64)).max())


def _weights(
    check: Inspection, tensor: Tensor, shape: tuple[int, int], bias: int, reach: int = 255, rank: int = 1
) -> bool:
    """Constant weights with one symmetric scale whose sums over inputs (less than `reach` each) fit 32 bits."""
    if tensor.data is None or tensor.type_name not in ("INT8", "INT16"):
        check.refuse(
            f"{tensor.type_name} weights {tensor.name}", "convert to full int8 with constant weights"
        )
        return False
    check.require(tensor.shape == shape, f"weights of the shape {list(tensor.shape)}, not {list(shape)}")
    if tensor.quantization is None or tensor.quantization.scale.size != 1 or tensor.zero_point != 0:
        check.refuse(f"weights {tensor.name} without a single symmetric scale", "convert to full int8")
        return False
    sums = np.abs(tensor.data.astype(np.int64)).sum(axis=1)
    if reach * int(sums.reshape(-1, rank).sum(axis=1).max()) + bias > _INT32_LIMIT:
        check.refuse("a sum that may exceed 32 bits", "use smaller weights or a smaller bias")
        return False
    return True


OPERATORS = {
    "SVDF": Operator(_svdf, "batch 1; int16 state and time weights, or both int8; fused RELU or none"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator(
        _lstm, "batch 1; int16 cell; no peepholes, projection, layer normalisation or coupled gates"
    ),
}
