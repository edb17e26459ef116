"""The TensorFlow Lite for Microcontrollers interpreter as an independent oracle, in a process of its own.

Some networks make it abort; then the process dies, and the command that asked says so.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError, ToolError
from stapes.graph import Graph, Tensor, read_tflite, simplify, write_tflite
from stapes.int8 import initial_state
from stapes.packages import is_there, require

Array = npt.NDArray[np.generic]
WORKER = Path(__file__).with_name("tflm_worker.py")


class _Died(Exception):
    """The process ended; the text says how, and what it printed last."""


class _Failed(Exception):
    """TFLM refused, or failed; the text is what it printed."""


class _Worker:
    """One process for all networks of a command; started with the first, gone with the command."""

    def __init__(self) -> None:
        require("the TFLM interpreter", "tflite_micro", instead="use the NumPy reference")
        self.owner = os.getpid()
        self.unneeded: list[int] = []
        """Numbers of networks that nobody holds any more; told with the next request."""
        self._loaded = 0
        self._lock = threading.Lock()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it multiplies no matrices in NumPy
            )
        except OSError as error:
            raise ToolError(f"cannot start {sys.executable}: {error.strerror}") from error
        try:
            self._receive()
        except (_Died, _Failed) as error:
            raise ToolError(
                f"the TFLM interpreter does not start: {error}",
                hint="pip install 'stapes[hil]' (Linux x86-64), or use the NumPy reference",
            ) from error
        atexit.register(self.end)

    @property
    def lives(self) -> bool:
        """Whether this process can ask it."""
        return self.owner == os.getpid() and self._process.poll() is None

    def load(self, model: bytes, arena: int) -> int:
        """Prepare one more network; its number."""
        with self._lock:
            self._loaded += 1
            self._ask(self._loaded, "load", model, arena)
            return self._loaded

    def run(self, number: int, inputs: Sequence[Array], tensors: Sequence[int], resets: bool) -> list[Array]:
        """The values of `tensors` after a run, from the beginning if it `resets`."""
        with self._lock:
            found: list[Array] = self._ask(number, "run", inputs, tensors, resets)
        return found

    def _ask(self, *request: Any) -> Any:
        self._printed.seek(0)
        self._printed.truncate()
        unneeded, self.unneeded[:] = list(self.unneeded), []
        assert self._process.stdin
        try:
            with contextlib.suppress(BrokenPipeError):  # the answer says why
                pickle.dump((unneeded, *request), self._process.stdin, protocol=5)
                self._process.stdin.flush()
            return self._receive()
        except (_Died, _Failed):
            raise
        except BaseException:  # half a request or answer: nobody can go on from here
            self.end()
            raise

    def _receive(self) -> Any:
        assert self._process.stdout
        try:
            good, value = pickle.load(self._process.stdout)  # from our own program
        except (EOFError, pickle.UnpicklingError):
            status = self._process.wait()
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise _Died(" ".join(f"{how} {self._text()}".split())) from None
        if not good:
            raise _Failed(self._text() or value)
        return value

    def _text(self) -> str:
        self._printed.seek(0)
        return " ".join(self._printed.read(1 << 16).decode("utf-8", "replace").split())

    def end(self) -> None:
        """Stop it."""
        if self.owner != os.getpid():
            return
        self._process.kill()
        self._process.wait()


_worker: _Worker | None = None


def _the_worker() -> _Worker:
    global _worker
    if _worker is None or not _worker.lives:
        _worker = _Worker()
    return _worker


class TflmOracle:
    """One network in the TFLM interpreter, reusable for any number of inputs.

    Raises `ToolError` without the package tflite-micro, `ModelError` when TFLM refuses the network or dies of it.
    """

    def __init__(self, model: bytes) -> None:
        self._graph = read_tflite(model)
        if _pads_with_chance(self._graph):
            self._graph = simplify(self._graph)
            model = write_tflite(self._graph)
        self._model = _with_batches(model, self._graph)
        self._inputs = simplify(self._graph).inputs
        self._made = sorted({index for op in self._graph.ops for index in op.outputs})
        self._keeps = bool(initial_state(self._graph))
        self._worker = _the_worker()
        self._number = self._load()

    def _load(self) -> int:
        activations = sum(t.elements * t.dtype.itemsize for t in self._graph.tensors if t.data is None)
        # The arena is only touched where it is used, so a generous one costs nothing.
        arena = (32 << 20) + 4 * activations + 4 * len(self._model)
        try:
            number = self._worker.load(self._model, arena)
        except _Failed as error:
            raise ModelError(f"TFLM refuses the network: {error}") from error
        except _Died as error:
            raise _died(error) from error
        weakref.finalize(self, self._worker.unneeded.append, number)
        return number

    @staticmethod
    def available() -> bool:
        """Whether the package tflite-micro is installed."""
        return is_there("tflite_micro")

    @property
    def graph(self) -> Graph:
        """The network as TFLM runs it: as it is in the file, unsimplified, where TFLM runs that rightly."""
        return self._graph

    def run(self, inputs: Sequence[Array], goes_on: bool = False) -> dict[int, Array]:
        """Every activation by tensor index, after running on `inputs`, int8 as for `run_graph`.

        A network that keeps something from run to run starts from the beginning, or, if it `goes_on`, from what the
        last run left. Where the file itself begins in float32 or uint8, its input is the same value in that type.
        """
        graph = self._graph
        if len(inputs) != len(graph.inputs):
            raise ValueError(f"{len(inputs)} inputs for a network with {len(graph.inputs)}")
        if not self._worker.lives:  # another network ended it, or this is another process than then
            self._worker = _the_worker()
            self._number = self._load()
        given = [
            np.asarray(  # ascontiguousarray would give a scalar a dimension
                _at_edge(values, graph.tensor(self._inputs[position]), graph.tensor(graph.inputs[position])),
                order="C",
            )
            for position, values in enumerate(inputs)
        ]
        try:
            found = self._worker.run(self._number, given, self._made, self._keeps and not goes_on)
        except _Failed as error:
            raise ModelError(f"TFLM fails on the network: {error}") from error
        except _Died as error:
            raise _died(error) from error
        results: dict[int, Array] = dict(zip(self._made, found, strict=True))
        results.update(zip(self._inputs, inputs, strict=True))
        return results


def _pads_with_chance(graph: Graph) -> bool:
    """Whether SPACE_TO_BATCH_ND pads: TFLM's does it with what it finds in memory (TensorFlow Lite's with the zero
    point). Such a network runs in it as it is simplified, with one dilated convolution instead.
    """
    for op in graph.ops:
        if op.kind == "SPACE_TO_BATCH_ND" and len(op.inputs) == 3 and not graph.states:
            pads = graph.tensor(op.inputs[2]).data
            if pads is None or pads.any():
                return True
    return False


def _with_batches(model: bytes, graph: Graph) -> bytes:
    """The file with the batch that SPACE_TO_BATCH_ND multiplies in its shapes. Written for an unknown batch, they only
    hold a placeholder, which TFLM, other than TensorFlow Lite, takes at its word: it writes beyond the tensors.
    """
    import tflite

    factors: dict[int, int] = {}
    for op in graph.ops:
        factor = max((factors.get(index, 1) for index in op.inputs), default=1)
        if op.kind == "SPACE_TO_BATCH_ND" and len(op.inputs) == 3:
            blocks = graph.tensor(op.inputs[1]).data
            if blocks is not None and graph.tensor(op.outputs[0]).shape[:1] == (1,):
                factor = int(np.prod(blocks.astype(np.int64)))
        elif op.kind == "BATCH_TO_SPACE_ND":
            factor = 1
        if factor > 1:
            factors.update(dict.fromkeys(op.outputs, factor))
    if not factors:
        return model
    changed = bytearray(model)
    tensors = tflite.Model.GetRootAs(changed).Subgraphs(0)
    for index, factor in factors.items():
        shape = tensors.Tensors(index).ShapeAsNumpy()
        if not isinstance(shape, int) and len(shape):
            shape[0] *= factor
    return bytes(changed)


def _died(error: _Died) -> ModelError:
    return ModelError(
        f"the TFLM interpreter died of the network ({error})",
        hint="it cannot be the reference for this network: make the layer that it names smaller",
    )


def _at_edge(values: Array, inside: Tensor, outside: Tensor) -> Array:
    """int8 `values` of `inside` as the file's own input takes them."""
    if outside.dtype == np.float32:
        return (values.astype(np.float32) - np.float32(inside.zero_point)) * np.float32(inside.scale)
    if outside.dtype == np.uint8:
        return (values.astype(np.int16) + 128).astype(np.uint8)
    return values
