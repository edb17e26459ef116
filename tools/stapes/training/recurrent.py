"""Recurrent layers behind convolutions, and what they are while a network is converted."""

from __future__ import annotations

from functools import cache
from typing import Any

from stapes.recipe import ModelSpec
from stapes.training.backend import import_keras


def recurrent(x: Any, spec: ModelSpec, *, converting: bool) -> Any:
    """The last hidden state [batch, units] of a GRU or an LSTM over the rows of `x` [batch, rows, values].

    While `converting`, the layers have the same weights, and what TensorFlow Lite has for them comes out of the
    converter: one UNIDIRECTIONAL_SEQUENCE_LSTM, or the steps of the GRU one after the other.
    """
    layers = import_keras().layers
    trained = {"lstm": layers.LSTM, "gru": layers.GRU}
    converted = {"lstm": _fusable_lstm, "gru": _gru_in_steps}
    layer = converted[spec.recurrent]() if converting else trained[spec.recurrent]
    return layer(spec.units, name="recurrent")(x)


@cache
def _fusable_lstm() -> Any:
    """Keras' LSTM as one function with the name and the arguments by which the converter knows an LSTM.

    Keras 2 marked its own so; of Keras 3's the converter makes a loop in floating point.
    """
    keras = import_keras()
    import tensorflow as tf

    base: Any = keras.layers.LSTM

    def steps(rows: Any, hidden: Any, cells: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
        states = []
        for row in tf.unstack(rows, axis=1):
            sums = tf.matmul(row, kernel) + tf.matmul(hidden, recurrent_kernel) + bias
            enter, forget, new, leave = tf.split(sums, 4, axis=-1)
            cells = tf.sigmoid(forget) * cells + tf.sigmoid(enter) * tf.tanh(new)
            hidden = tf.sigmoid(leave) * tf.tanh(cells)
            states.append(hidden)
        return hidden, tf.stack(states, axis=1), hidden, cells, tf.constant(0.0)

    class FusableLSTM(base):  # type: ignore[misc]
        def call(
            self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
        ) -> Any:
            marks = {"api_implements": f"lstm_{self.name}", "time_major": False, "go_backwards": False}
            function = tf.function(steps, autograph=False, experimental_attributes=marks)
            cell = self.cell
            weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
            zeros = tf.zeros((sequences.shape[0], self.units))
            return function(sequences, zeros, zeros, *(tf.convert_to_tensor(w.value) for w in weights))[0]

    return FusableLSTM


@cache
def _gru_in_steps() -> Any:
    """Keras' GRU as its steps.

    Keras' own (`unroll=True`) splits its sums, and of a SPLIT of two constants, as the first step has it, the converter
    (TensorFlow 2.21) leaves now and then a part in floating point; a slice of them it always quantises.
    """
    keras = import_keras()
    import tensorflow as tf

    base: Any = keras.layers.GRU

    class GRUInSteps(base):  # type: ignore[misc]
        def call(
            self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
        ) -> Any:
            cell, units = self.cell, self.units
            bias, recurrent_bias = tf.unstack(tf.convert_to_tensor(cell.bias.value))
            hidden = tf.zeros((sequences.shape[0], units))

            def gates(sums: Any) -> list[Any]:
                return [sums[:, first : first + units] for first in range(0, 3 * units, units)]

            for row in tf.unstack(sequences, axis=1):
                update, reset, new = gates(tf.matmul(row, cell.kernel.value) + bias)
                sums = tf.matmul(hidden, cell.recurrent_kernel.value) + recurrent_bias
                recurrent_update, recurrent_reset, recurrent_new = gates(sums)
                keep = tf.sigmoid(update + recurrent_update)
                use = tf.sigmoid(reset + recurrent_reset)
                hidden = keep * hidden + (1.0 - keep) * tf.tanh(new + use * recurrent_new)
            return hidden

    return GRUInSteps
