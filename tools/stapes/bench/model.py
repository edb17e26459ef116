"""What a network costs on a target: firmware/app/bench_model.c, its numbers, and whether its outputs are right."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer, Plan, compile_graph, layer_costs
from stapes.cycles import BoardTrace, KnownError, known_error
from stapes.errors import ModelError, TargetError
from stapes.firmware import build_network
from stapes.firmware.boards import Board
from stapes.graph import Graph, read_tflite, simplify
from stapes.int8 import initial_state, run_graph
from stapes.progress import Progress, no_progress
from stapes.reference import TflmOracle
from stapes.targets import Stream, board_for_target, open_target

WINDOW_SECONDS = 60.0
"""Longest wait for the next line of the target."""

Window = list[npt.NDArray[np.generic]]


@dataclass(frozen=True)
class ModelBench:
    """Costs of one window. Instructions are None where the target does not count them: only QEMU does; cycles where it
    counts none: a board does, an estimate too.
    """

    plan: Plan
    inputs: int
    different_outputs: int
    different_layers: tuple[str, ...]
    """Layers whose rows differ in the first window."""
    instructions: int | None
    layer_instructions: tuple[int, ...]
    cycles: int | None
    layer_cycles: tuple[int, ...]
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    reference: str
    """What the outputs were compared with, and why not with TFLM."""

    @property
    def equal(self) -> bool:
        """Whether every output, and every layer of the first window, equals the reference."""
        return self.different_outputs == 0 and not self.different_layers

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes bench --json`."""
        plan = self.plan
        uncounted = (None,) * len(plan.layers)
        counted = zip(self.layer_instructions or uncounted, self.layer_cycles or uncounted, strict=True)
        return {
            "equal_to_reference": self.equal,
            "reference": self.reference,
            "inputs": self.inputs,
            "different_outputs": self.different_outputs,
            "different_layers": list(self.different_layers),
            "macs": plan.macs,
            "instructions": self.instructions,
            "cycles": self.cycles,
            "flash_bytes": {
                "code": self.flash_bytes - plan.weights_bytes,
                "weights": plan.weights_bytes,
                "total": self.flash_bytes,
            },
            "ram_bytes": {
                "arena": plan.arena_bytes,
                "static": self.ram_bytes - plan.arena_bytes,
                "stack": self.stack_bytes,
                "total": self.ram_bytes + self.stack_bytes,
            },
            "layers": [
                {**cost, "instructions": instructions, "cycles": cycles}
                for cost, (instructions, cycles) in zip(layer_costs(plan), counted, strict=True)
            ],
        }


@dataclass(frozen=True)
class CycleEstimate:
    """Cycles that one window would take on a board at `mhz`, and how wrong the same estimate was where it is known."""

    board: str
    bench: ModelBench
    mhz: int
    known: KnownError

    @property
    def cycles(self) -> int:
        """Of one window."""
        assert self.bench.cycles is not None
        return self.bench.cycles

    @property
    def uncounted(self) -> ModelBench:
        """All of `bench` that is not estimated."""
        return replace(self.bench, cycles=None, layer_cycles=())

    def as_json(self) -> dict[str, Any]:
        """The key `estimate` of `stapes bench --json`."""
        return {
            "board": self.board,
            "cycles": self.cycles,
            "mhz": self.mhz,
            "milliseconds": self.cycles / (1e3 * self.mhz),
            "layer_cycles": list(self.bench.layer_cycles),
            "equal_to_reference": self.bench.equal,
            "known_error": {
                "figures": self.known.figures,
                "median_percent": self.known.median,
                "worst_percent": self.known.worst,
            },
        }


def bench_model(
    model: bytes,
    target: str,
    directory: Path,
    *,
    name: str = "model",
    hop: int | None = None,
    inputs: int = 200,
    progress: Progress = no_progress,
) -> ModelBench:
    """Generate, build and run the benchmark of a .tflite in `directory`; compare with the TFLM interpreter (the NumPy
    reference where that is not installed, or does not take the network), which keeps its state from input to input as
    the target does. `hop` as for `compile_graph`.
    """
    board = board_for_target(target)
    if board is None:
        raise TargetError(
            f"no benchmark on {target}", hint="give host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT"
        )

    def start(elf: Path) -> AbstractContextManager[Stream]:
        return open_target(target, elf)

    counter = {"qemu": "instructions", "renode": "instructions", "board": "cycles"}.get(
        target.partition(":")[0]
    )
    return _bench(model, board, directory, start, counter, target, name, hop, inputs, progress)


def estimate_cycles(
    model: bytes,
    board: str,
    directory: Path,
    *,
    name: str = "model",
    hop: int | None = None,
    progress: Progress = no_progress,
) -> CycleEstimate:
    """What one window takes on a board that is not there: `bench_model` of its image in a trace. Raises `TargetError`
    where the trace is not known to be right (`stapes.cycles.known_error`).
    """
    known = known_error(Board.load(board))
    traces: list[BoardTrace] = []

    def start(elf: Path) -> AbstractContextManager[Stream]:
        traces.append(BoardTrace(elf, Board.load(board)))
        return nullcontext(traces[0])

    bench = _bench(model, board, directory, start, "cycles", f"the trace of {board}", name, hop, 1, progress)
    return CycleEstimate(board, bench, traces[0].mhz, known)


def _bench(
    model: bytes,
    board: str,
    directory: Path,
    start: Callable[[Path], AbstractContextManager[Stream]],
    counter: str | None,
    where: str,
    name: str,
    hop: int | None,
    inputs: int,
    progress: Progress,
) -> ModelBench:
    """Build the benchmark, run what `start` makes of its image, and compare. `counter` is what its ticks are."""
    graph = simplify(read_tflite(model, name))
    plan = compile_graph(graph, name, hop)
    macro = f"STAPES_BENCH_WINDOWS={inputs}"
    result = build_network(plan, model, directory, board, "bench_model", macro, name=name, progress=progress)
    oracle, reference = _oracle(model)
    windows = _windows(graph, inputs)
    state = initial_state(graph)
    different = 0
    ticks: list[int] = []
    layers: list[tuple[int, int]] = []
    with start(result.elf) as stream:
        for words in _lines(stream):
            if words[0] == "output":
                window = windows[len(ticks)]
                expected = (
                    oracle.run(window, goes_on=bool(ticks)) if oracle else run_graph(graph, window, state)
                )
                wanted = b"".join(expected[index].tobytes() for index in graph.outputs).hex()
                different += words[2] != wanted
                ticks.append(int(words[1], 16))
                progress("windows", len(ticks), inputs)
            elif words[0] == "layer":
                layers.append((int(words[1], 16), int(words[2], 16)))
            elif words[0] == "end":
                numerator, denominator, stack, status = (int(word, 16) for word in words[1:5])
                stream.write(b"\n")
                break
    if status != 1 or len(ticks) != inputs:
        raise TargetError(
            f"{where} stopped with status {status - (status >> 31 << 32)}", hint="build it again"
        )
    first = run_graph(graph, windows[0])
    wrong = tuple(
        layer.name
        for layer, (_, rows) in zip(plan.layers, layers, strict=True)
        if rows != _row_hash(first, layer)
    )
    total = round(sum(ticks) / inputs * numerator / denominator)
    each = tuple(round(t * numerator / denominator) for t, _ in layers)
    has_instructions, has_cycles = counter == "instructions", counter == "cycles"
    return ModelBench(
        plan,
        inputs,
        different,
        wrong,
        total if has_instructions else None,
        each if has_instructions else (),
        total if has_cycles else None,
        each if has_cycles else (),
        result.flash_bytes,
        result.ram_bytes,
        stack,
        reference,
    )


def _oracle(model: bytes) -> tuple[TflmOracle | None, str]:
    """The TFLM interpreter with the network, or None; and what to call the reference."""
    if not TflmOracle.available():
        return None, "NumPy (tflite-micro is not installed)"
    try:
        return TflmOracle(model), "TFLM"
    except ModelError as error:
        return None, f"NumPy ({error.message})"


def _lines(stream: Any) -> Any:
    """The target's lines as lists of words; a silent target is an error."""
    pending = b""
    deadline = time.monotonic() + WINDOW_SECONDS
    while True:
        data = stream.read(4096)
        if not data:
            if time.monotonic() > deadline:
                raise TargetError("the target is silent", hint="flash it with the benchmark, then reset it")
            continue
        deadline = time.monotonic() + WINDOW_SECONDS
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split()
            if words and words[0] in ("output", "layer", "end"):
                yield words


def _windows(graph: Graph, count: int) -> list[Window]:
    """The pseudo-random inputs of bench_model.c: bytes, the high ones of a linear congruential generator."""
    tensors = [graph.tensor(index) for index in graph.inputs]
    sizes = [tensor.elements * tensor.dtype.itemsize for tensor in tensors]
    total = count * sum(sizes)
    powers = np.cumprod(np.full(total, 1664525, np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate([np.ones(1, np.uint32), powers[:-1]]), dtype=np.uint32)
    states = powers + sums * np.uint32(1013904223)  # from the state 1
    values = (states >> np.uint32(24)).astype(np.uint8).view(np.int8)
    windows: list[Window] = []
    at = 0
    for _ in range(count):
        window: Window = []
        for tensor, size in zip(tensors, sizes, strict=True):
            window.append(values[at : at + size].view(tensor.dtype).reshape(tensor.shape))
            at += size
        windows.append(window)
    return windows


def _row_hash(activations: dict[int, npt.NDArray[np.generic]], layer: Layer) -> int:
    """FNV-1a of all rows of a layer."""
    value = 2166136261
    for byte in activations[layer.tensor].tobytes():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value
