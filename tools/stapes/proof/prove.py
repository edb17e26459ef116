"""`stapes prove`: shows for every layer that a target computes what TFLM computes, for all inputs."""

from __future__ import annotations

import datetime
import math
import zlib
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stapes.compiler import Layer, Plan, compile_graph
from stapes.compiler.bounds import EVERYTHING, Range, SumBounds, value_ranges
from stapes.errors import TargetError
from stapes.files import canonical_json, package_hash, parse_json, sha256, write_json
from stapes.firmware import BuildResult, build_network
from stapes.firmware.build import compiler_version, source_hash
from stapes.graph import Graph, Op, read_tflite, simplify
from stapes.int8 import initial_state, run_graph
from stapes.int8.arithmetic import limits_of
from stapes.progress import Progress, no_progress
from stapes.proof.claim import FAILED, PROVED, TESTED, Claim, LayerProof
from stapes.proof.device import FAMILIES, ProofDevice, description_of, work_bytes
from stapes.proof.frontend import Frontend, prove_frontend
from stapes.proof.line import NoRoomError
from stapes.proof.linear import (
    Linear,
    check_bounds,
    check_constants,
    check_products,
    check_requantisation,
    linear_of,
    sums_of,
)
from stapes.proof.reduction import Reduction, check_reduction, reduction_of
from stapes.proof.values import check_values, runner_of
from stapes.targets import board_for_target, open_target

MOST_WINDOWS = 2000
AT_ONCE = 2
"""Of the host's program or an emulator, through which sums go."""
WINDOWS = 3
"""Of noise, through the whole network."""

NOT_PROVED = (
    "the C compiler and the silicon or emulator: the image that was asked is what was shown, not its source",
    "that kernels of multiply-adds and moves branch on no data: read, not shown; `check` and `bench` run whole windows",
    "TFLM's own code: compared with a second implementation of its rounding, held against the interpreter by the tests",
    "that the front end's C computes what its NumPy twin computes for all samples: hard frames are compared, the "
    "distance from librosa is measured",
)
"""What every certificate says besides."""


@dataclass
class Proof:
    """All that was shown about one network on one target."""

    network: str
    """Hex SHA-256 of the .tflite."""
    target: str
    core: str
    compiler: str
    key: str
    """Hex SHA-256 over the network, all of stapes, the firmware's sources and the compiler's version."""
    date: str
    layers: list[LayerProof] = field(default_factory=list)
    wiring: Claim | None = None
    schedule: Claim | None = None
    frontend: list[LayerProof] | None = None
    """Of a bundle's front end its parts."""

    @property
    def verdict(self) -> str:
        """That of the network's weakest layer; failed where a part of the front end has failed. What is only tested of
        the front end is not in it: that is said beside.
        """
        verdicts = {layer.verdict for layer in self.layers}
        verdicts |= {claim.verdict if claim else FAILED for claim in (self.wiring, self.schedule)}
        verdicts |= {FAILED for part in self.frontend or [] if part.verdict == FAILED}
        return next((each for each in (FAILED, TESTED) if each in verdicts), PROVED)

    @property
    def compared(self) -> int:
        """Values of layers that were compared."""
        return sum(claim.count for layer in self.layers for claim in layer.claims)

    @property
    def about_frontend(self) -> str | None:
        """What was shown of the front end, in a few words; None without one, or where nothing is to be said."""
        bounds = [claim for part in self.frontend or [] for claim in part.claims if claim.part == "bounds"]
        if not bounds or any(claim.verdict != PROVED for claim in bounds):
            return None
        return "front end: no step overflows for any samples; its rows tested only"

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes prove --json`, and of a target in proof.json."""
        return {
            "verdict": self.verdict,
            "network": self.network,
            "target": self.target,
            "core": self.core,
            "compiler": self.compiler,
            "key": self.key,
            "date": self.date,
            "compared": self.compared,
            "wiring": asdict(self.wiring) if self.wiring else None,
            "schedule": asdict(self.schedule) if self.schedule else None,
            "layers": [layer.as_json() for layer in self.layers],
            "frontend": None if self.frontend is None else [part.as_json() for part in self.frontend],
            "not_proved": list(NOT_PROVED),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Proof:
        """Of `as_json`."""
        wiring, schedule = (Claim(**value[name]) if value[name] else None for name in ("wiring", "schedule"))
        layers = [LayerProof.from_json(layer) for layer in value["layers"]]
        parts = value["frontend"]
        return cls(
            network=value["network"],
            target=value["target"],
            core=value["core"],
            compiler=value["compiler"],
            key=value["key"],
            date=value["date"],
            layers=layers,
            wiring=wiring,
            schedule=schedule,
            frontend=None if parts is None else [LayerProof.from_json(part) for part in parts],
        )


def proof_key(model: bytes, hop: int | None, board: str, frontend: Frontend | None = None) -> str:
    """What a proof holds for: it is void when any of it differs."""
    parts = [sha256(model), hop, package_hash(), source_hash(board, "prove"), compiler_version(board)]
    return sha256(canonical_json([*parts, frontend.identity] if frontend else parts))


def prove_model(
    model: bytes,
    target: str,
    directory: Path,
    *,
    name: str = "model",
    hop: int | None = None,
    frontend: Frontend | None = None,
    progress: Progress = no_progress,
) -> Proof:
    """Build the network's kernels for `target` and show of every layer what can be shown, and of `frontend`. What is
    finished is kept in `directory` and not done again for the same network, stapes and compiler. `hop` as for
    `compile_graph`.
    """
    board = board_for_target(target)
    if board is None:
        raise TargetError(
            f"{target} runs a program of its own", hint="give host, qemu:MACHINE or board:NAME@PORT"
        )
    graph = simplify(read_tflite(model, name))
    plan = compile_graph(graph, name, hop)
    key = proof_key(model, hop, board, frontend)
    kept = directory / f"proof-{board}.json"
    proof = _kept(kept, key)
    if proof is not None and proof.schedule is not None:
        if frontend is not None and proof.frontend is None:
            proof.frontend = prove_frontend(frontend, target, board, directory, progress)
            write_json(kept, proof.as_json())
        return proof
    result = build_prover(plan, model, directory, board, name=name, progress=progress)
    with ExitStack() as stack:
        count = AT_ONCE if target == "host" or target.startswith("qemu:") else 1
        devices = [
            ProofDevice(stack.enter_context(open_target(target, result.elf, counts=False)))
            for _ in range(count)
        ]
        device = devices[0]
        core = device.core()
        if proof is None:
            today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            proof = Proof(sha256(model), target, core, compiler_version(board), key, today)
        _prove_layers(devices, graph, plan, proof, kept, progress)
        another = _described(device, plan)
        # Of another network than the plan's no window can be run.
        proof.wiring = Claim("wiring", FAILED, another) if another else _wiring(device, graph, plan)
        proof.schedule = Claim("schedule", FAILED, another) if another else _schedule(device, plan)
        write_json(kept, proof.as_json())
    if frontend is not None:
        proof.frontend = prove_frontend(frontend, target, board, directory, progress)
        write_json(kept, proof.as_json())
    return proof


def build_prover(
    plan: Plan,
    model: bytes,
    directory: Path,
    board: str,
    *,
    name: str = "model",
    progress: Progress = no_progress,
) -> BuildResult:
    """The image of firmware/app/prove.c with the network, whose line `ProofDevice` speaks."""
    macro = f"STAPES_PROVE_BYTES={work_bytes(plan)}u"
    return build_network(plan, model, directory, board, "prove", macro, name=name, progress=progress)


def _kept(path: Path, key: str) -> Proof | None:
    """What an earlier run has shown of the same."""
    try:
        value = parse_json(path.read_bytes())
        proof = Proof.from_json(value)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return proof if proof.key == key else None


def op_of(graph: Graph, layer: Layer) -> Op | None:
    """The operator that a layer computes; None where it is none of the file's."""
    return next((op for op in graph.ops if op.kind == layer.op and layer.tensor in op.outputs), None) or next(
        (
            op
            for op in graph.ops
            if op.kind == layer.op
            and any(graph.tensor(index).same_as == layer.tensor for index in op.outputs)
        ),
        None,
    )


def _prove_layers(
    devices: list[ProofDevice], graph: Graph, plan: Plan, proof: Proof, kept: Path, progress: Progress
) -> None:
    device = devices[0]
    ranges = value_ranges(graph)
    total = done = 0
    operators = [op_of(graph, layer) for layer in plan.layers]
    linears: dict[int, tuple[Linear, Range, SumBounds]] = {}
    reductions: dict[int, tuple[Reduction, Range]] = {}
    for layer, op in zip(plan.layers, operators, strict=True):
        if layer.kernel not in FAMILIES or op is None or graph.is_wide(op):
            continue
        values = ranges.get(op.inputs[0], EVERYTHING)
        if layer.kernel == "reduce_sum":
            reduction = reduction_of(graph, plan, layer, op)
            if reduction is not None:
                reductions[layer.index] = reduction, values
                total += values[1] * reduction.count - values[0] * reduction.count + 1
        else:
            linear = linear_of(graph, op, layer)
            bounds = linear.bounds(values)
            linears[layer.index] = linear, values, bounds
            total += sums_of(layer, linear, bounds, proof.core)
    for layer, op in zip(plan.layers, operators, strict=True):

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(f"{layer.index}: {layer.op}, sums", done, total)  # noqa: B023

        progress(f"{layer.index}: {layer.op}", done, max(1, total))
        if layer.index < len(proof.layers):
            continue
        claims: list[Claim] = []
        try:
            if op is None:
                claims.append(Claim("values", TESTED, "its operator is not to be found in the file"))
            elif graph.is_wide(op):
                why = "its activations have 16 bits"
                claims.append(Claim("values", TESTED, f"by check and bench only: {why}"))
            elif layer.index in linears:
                linear, values, bounds = linears[layer.index]
                found = device.constants(layer)
                claims.append(check_bounds(layer, linear, bounds, values, proof.core, found))
                claims.append(check_constants(linear, found))
                claims.append(check_products(device, layer, linear))
                claims.append(check_requantisation(devices, layer, linear, bounds, proof.core, advance))
            elif layer.index in reductions:
                claims += check_reduction(device, layer, *reductions[layer.index], advance)
            else:
                runner = runner_of(device, graph, plan, layer, op)
                if runner is None:
                    why = "it reads what is kept from a window before, or parts of rows"
                    claims.append(Claim("values", TESTED, f"by check and bench only: {why}"))
                else:
                    claims.append(check_values(runner))
        except NoRoomError as error:
            claims.append(Claim("values", TESTED, f"by check and bench only: {error.message}"))
        proof.layers.append(LayerProof(layer.index, layer.name, layer.kernel, tuple(claims)))
        write_json(kept, proof.as_json())


def _described(device: ProofDevice, plan: Plan) -> str:
    """Where the image's model says something else of itself than the plan; "" where it does not."""
    found = device.description()
    wanted = description_of(plan, int(found[4]))
    for (name, right), got in zip(wanted, found.tolist(), strict=False):
        if got != right:
            return f"{name} is {got}, not {right}"
    for layer in plan.layers:
        for number, window in enumerate(layer.inputs):
            if window.fills_outside:
                source = plan.storages[window.tensor]
                row = device.outside_row(layer, number, window.left + source.row_bytes + window.right)
                if (row != source.zero_point).any():
                    at = int(np.flatnonzero(row != source.zero_point)[0])
                    return (
                        f"layer {layer.index} ({layer.name}): byte {at} of a row outside of the map is {row[at]}, "
                        f"not {source.zero_point}"
                    )
    return ""


def _wiring(device: ProofDevice, graph: Graph, plan: Plan) -> Claim:
    """Which row of which map a layer reads depends on no data: a few windows of noise show every mistake there."""
    random = np.random.default_rng(1)
    state = initial_state(graph)
    for window in range(WINDOWS):
        inputs = [
            random.integers(*limits_of(tensor.dtype), tensor.shape).astype(tensor.dtype)
            for tensor in (graph.tensor(index) for index in graph.inputs)
        ]
        rows = [
            given.view(np.int8).reshape(storage.rows - storage.kept, storage.row_bytes)
            for given, storage in zip(inputs, plan.storages, strict=False)
        ]
        found = device.window(rows, goes_on=window > 0)
        expected = run_graph(graph, inputs, state)
        for layer in plan.layers:
            if found[layer.index] != zlib.crc32(expected[layer.tensor].tobytes()):
                return Claim(
                    "wiring", FAILED, f"layer {layer.index} ({layer.name}): window {window} of noise differs"
                )
    how = "no row's address depends on data; every layer of windows of noise equal to NumPy"
    return Claim("wiring", PROVED, how, WINDOWS)


def _schedule(device: ProofDevice, plan: Plan) -> Claim:
    """Two whole periods of the rings, on row numbers."""
    period = 1
    for state in plan.states:
        storage = plan.storages[state.tensor]
        period = math.lcm(period, storage.height // math.gcd(storage.height, storage.rows - state.rows))
    modes = [(False, period)] if plan.slide is None else [(False, period), (True, plan.slide.period)]
    total = 0
    for slides, period in modes:
        windows = min(2 * period, MOST_WINDOWS)
        wrong, calls = device.schedule(plan, windows, slides=slides)
        total += calls
        if wrong:
            return Claim("schedule", FAILED, f"{'sliding: ' if slides else ''}{wrong}", total)
        if windows < 2 * period:
            return Claim(
                "schedule", TESTED, f"{windows:,} windows, less than twice a period of {period:,}", total
            )
    how = "the engine's own loop on row numbers over two periods: every kernel finds the rows that it must"
    if plan.slide is not None:
        how += "; with windows that share rows too"
    return Claim("schedule", PROVED, how, total)
