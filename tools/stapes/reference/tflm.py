"""The TensorFlow Lite for Microcontrollers interpreter as an independent oracle."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError, ToolError
from stapes.graph import Graph, Tensor, read_tflite, simplify

Array = npt.NDArray[np.generic]


class TflmOracle:
    """One network in the TFLM interpreter, reusable for any number of inputs.

    Raises `ToolError` without the package tflite-micro, `ModelError` when TFLM refuses the network.
    """

    def __init__(self, model: bytes) -> None:
        try:
            from tflite_micro import runtime
        except ImportError as error:
            raise ToolError(
                "the Python package tflite-micro is missing",
                hint="pip install 'stapes[hil]' (Linux x86-64), or use the NumPy reference",
            ) from error
        self._model = model
        self._graph = read_tflite(model)
        self._inputs = simplify(self._graph).inputs
        activations = sum(t.elements * t.dtype.itemsize for t in self._graph.tensors if t.data is None)
        # The arena is only touched where it is used, so a generous one costs nothing.
        arena = (32 << 20) + 4 * activations + 4 * len(model)
        self._interpreter: Any
        with _stderr() as printed:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(
                    model, arena_size=arena, intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
                )
            except Exception as error:  # its own reader raises whatever a corrupt file leads it to
                raise ModelError(f"TFLM refuses the network: {printed() or error}") from error

    @staticmethod
    def available() -> bool:
        """Whether the package tflite-micro is installed."""
        try:
            import tflite_micro  # noqa: F401
        except ImportError:
            return False
        return True

    @property
    def graph(self) -> Graph:
        """The network as it is in the file, unsimplified."""
        return self._graph

    def run(self, inputs: Sequence[Array]) -> dict[int, Array]:
        """Every activation by tensor index, after running on `inputs`, int8 as for `run_graph`.

        Where the file itself begins in float32 or uint8, its input is the same value in that type.
        """
        graph = self._graph
        if len(inputs) != len(graph.inputs):
            raise ValueError(f"{len(inputs)} inputs for a network with {len(graph.inputs)}")
        with _stderr() as printed:
            try:
                for position, values in enumerate(inputs):
                    inside = graph.tensor(self._inputs[position])
                    outside = graph.tensor(graph.inputs[position])
                    given = np.ascontiguousarray(_at_edge(values, inside, outside))
                    self._interpreter.set_input(given, position)
                self._interpreter.invoke()
            except RuntimeError as error:
                raise ModelError(f"TFLM fails on the network: {printed() or error}") from error
        made = {index for op in graph.ops for index in op.outputs}
        results: dict[int, Array] = {
            index: self._interpreter.GetTensor(index, 0)["tensor_data"] for index in sorted(made)
        }
        results.update(zip(self._inputs, inputs, strict=True))
        return results


def _at_edge(values: Array, inside: Tensor, outside: Tensor) -> Array:
    """int8 `values` of `inside` as the file's own input takes them."""
    if outside.dtype == np.float32:
        return (values.astype(np.float32) - np.float32(inside.zero_point)) * np.float32(inside.scale)
    if outside.dtype == np.uint8:
        return (values.astype(np.int16) + 128).astype(np.uint8)
    return values


@contextmanager
def _stderr() -> Iterator[Callable[[], str]]:
    """Keep what native code prints to standard error; the function given returns it in one line."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)

        def printed() -> str:
            stream.seek(0)
            return " ".join(stream.read().decode("utf-8", "replace").split())

        try:
            yield printed
        finally:
            os.dup2(saved, 2)
            os.close(saved)
