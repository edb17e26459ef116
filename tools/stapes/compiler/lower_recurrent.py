"""Layers that keep something from row to row and from window to window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.plan import Array, Input
from stapes.graph import Op
from stapes.int8.recurrent import BIASES, GATES, HIDDEN, RECURRENT, LstmConstants, svdf_limits, svdf_scalings


def lstm(builder: Builder, op: Op) -> None:
    """One row a step; cells and hidden values are the layer's state."""
    source, hidden = builder.tensor(op.inputs[0]), builder.tensor(op.inputs[HIDDEN])
    constants = LstmConstants.of(builder.graph, op)
    count = len(GATES)
    weights, recurrent = (
        np.concatenate([_data(builder, op.inputs[first + gate]) for gate in range(count)])
        for first in (1, RECURRENT)
    )
    biases = np.concatenate([_data(builder, op.inputs[BIASES + gate]) for gate in range(count)])
    units, inputs = weights.shape[0] // count, weights.shape[1]
    rows = source.elements // inputs
    builder.add_layer(
        op=op,
        kernel="lstm",
        inputs=(Input(builder.source(op, op.inputs[0], Shape(rows, 1, inputs))),),
        shape=Shape(rows, 1, units),
        fields={
            "weights": Array("int8_t", weights.reshape(-1)),
            "recurrent": Array("int8_t", recurrent.reshape(-1)),
            "biases": Array("int32_t", _with_zero_point(weights, source.zero_point, biases)),
            "recurrent_biases": Array("int32_t", _with_zero_point(recurrent, hidden.zero_point)),
            "multipliers": [multiplier for multiplier, _ in constants.rows],
            "recurrent_multipliers": [multiplier for multiplier, _ in constants.recurrent],
            "output_multiplier": constants.output[0],
            "shifts": [shift for _, shift in constants.rows],
            "recurrent_shifts": [shift for _, shift in constants.recurrent],
            "output_shift": constants.output[1],
            "update_shift": constants.update[1],
            "tanh_shift": -12 - constants.cell_power,
            "zero_point": hidden.zero_point,
            "cell_clip": constants.cell_clip,
            "inputs": inputs,
            "units": units,
        },
        macs=rows * (weights.size + recurrent.size),
        state_bytes=3 * units,
        keeps_state=True,
        scratch_bytes=units,
        knows_row=True,
        details=f"{units} units",
    )


def svdf(builder: Builder, op: Op) -> None:
    """The last values of every filter are the layer's state."""
    source, output = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    feature, time, biases = (_data(builder, index) for index in op.inputs[1:4])
    first, second = svdf_scalings(builder.graph, op)
    low, high = svdf_limits(builder.graph, op)
    builder.add_layer(
        op=op,
        kernel="svdf",
        inputs=(Input(builder.source(op, op.inputs[0], Shape(1, 1, source.elements))),),
        fields={
            "feature_weights": Array("int8_t", feature.reshape(-1)),
            "time_weights": Array("int16_t", time.reshape(-1)),
            "feature_biases": Array("int32_t", _with_zero_point(feature, source.zero_point)),
            "biases": Array("int32_t", biases.reshape(-1)),
            "feature_multiplier": first[0],
            "multiplier": second[0],
            "feature_shift": first[1],
            "shift": second[1],
            "zero_point": output.zero_point,
            "minimum": low,
            "maximum": high,
            "inputs": source.elements,
            "units": output.elements,
            "rank": op.integer("rank"),
            "memory": time.shape[1],
        },
        macs=feature.size + time.size,
        state_bytes=2 * time.size,
        keeps_state=True,
        knows_row=True,
        details=f"{len(feature)} filters over {time.shape[1]} steps",
    )


def _data(builder: Builder, index: int) -> npt.NDArray[np.int64]:
    data = builder.tensor(index).data
    assert data is not None
    return data.astype(np.int64)


def _with_zero_point(
    weights: npt.NDArray[np.int64], zero_point: int, biases: npt.NDArray[np.int64] | int = 0
) -> npt.NDArray[np.int32]:
    """Biases of sums of values with their zero point: sum((q - z) w) = sum(q w) - z sum(w), modulo 2^32."""
    folded: npt.NDArray[np.int64] = biases - zero_point * weights.sum(axis=1)
    return folded.astype(np.int32)


LOWERINGS = {
    "SVDF": Lowering(svdf, ("svdf",)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Lowering(lstm, ("lstm",)),
}
