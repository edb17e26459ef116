"""Faults planted in the C that is built: 200 windows of noise do not see them, a proof does."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from modelmaker import ModelMaker
from planting import Alter, field, number

from stapes.codegen import model as codegen
from stapes.compiler import Plan, compile_graph
from stapes.compiler.bounds import EVERYTHING, SumBounds, value_ranges
from stapes.graph import Graph, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.proof import Proof, prove_model
from stapes.proof.device import ProofDevice
from stapes.proof.linear import Linear, linear_of
from stapes.proof.prove import build_prover, op_of
from stapes.reference import TflmOracle
from stapes.targets import board_for_target, open_target

SOUND = codegen.generate_model
MODEL, WEIGHTS = "stapes_app_model.c", "stapes_app_weights.c"
WINDOWS = 200
TARGET = "qemu:mps2-an386"
Map = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Fault:
    """One fault: where it is planted, and what the proof says of it."""

    layer: int
    file: str
    alter: Alter
    words: tuple[str, ...]


def plant(patch: pytest.MonkeyPatch, faults: list[Fault]) -> None:
    """Every generated network has them from now on."""

    def generate(plan: Any, directory: Path, *rest: Any, **options: Any) -> list[Path]:
        files = SOUND(plan, directory, *rest, **options)
        for fault in faults:
            text = (directory / fault.file).read_text()
            assert fault.alter(text) != text, "nothing was planted"
            (directory / fault.file).write_text(fault.alter(text))
        return files

    patch.setattr(codegen, "generate_model", generate)


def differing(
    graph: Graph, plan: Plan, model: bytes, directory: Path, target: str, windows: list[Map]
) -> list[int]:
    """Run windows through the built image; the layers of which any output differs from the reference."""
    board = board_for_target(target)
    assert board is not None
    image = build_prover(plan, model, directory, board)
    storage, wrong = plan.storages[0], set()
    with open_target(target, image.elf, counts=False) as stream:
        device = ProofDevice(stream)
        for window in windows:
            found = device.window([window.reshape(storage.rows, storage.row_bytes)], goes_on=False)
            expected = run_graph(graph, [window])
            wrong |= {
                layer.index
                for layer in plan.layers
                if found[layer.index] != zlib.crc32(expected[layer.tensor].tobytes())
            }
    return sorted(wrong)


def noise(graph: Graph, count: int) -> list[Map]:
    random, shape = np.random.default_rng(1), graph.tensor(graph.inputs[0]).shape
    return [random.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


def failures(proof: Proof, index: int) -> str:
    return "; ".join(claim.how for claim in proof.layers[index].claims if claim.verdict == "failed")


def linears(graph: Graph, plan: Plan) -> dict[int, tuple[Linear, SumBounds]]:
    """Of each layer with weights what it computes, and its sums' bounds."""
    ranges = value_ranges(graph)
    found = {}
    for layer in plan.layers:
        op = op_of(graph, layer)
        if op is not None and len(op.inputs) == 3:
            linear = linear_of(graph, op, layer)
            found[layer.index] = linear, linear.bounds(ranges.get(op.inputs[0], EVERYTHING))
    return found


def wrong_multiplier(index: int, linear: Linear, bounds: SumBounds) -> Fault:
    """A channel's multiplier by as little as makes some reachable sum another output, of 2^30 or more."""
    for more in (1, 1 << 4, 1 << 8, 1 << 12):
        for channel, rule in enumerate(linear.rules):
            low, high = int(bounds.lowest[channel]), int(bounds.highest[channel])
            wrong = replace(rule, multiplier=rule.multiplier + more).changes(low, high)
            different = wrong.difference(rule.changes(low, high))
            if different is not None:
                alter = number(
                    f"stapes_app_layer_{index}_channels", 2 * channel + 1, lambda v, by=more: v + by
                )  # type: ignore[misc]
                found = (
                    f"channel {channel}: the sum {different[0]:,} becomes {different[1]}, not {different[2]}"
                )
                return Fault(index, WEIGHTS, alter, (f"channel {channel}: multiplier", found))
    raise AssertionError(f"layer {index} does not show its multipliers")


@pytest.mark.slow
def test_faults_in_built_code_pass_two_hundred_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six, one in each layer, all at once: no output of any layer differs in any window."""
    maker = ModelMaker(4).input((1, 4, 8, 2))
    maker.conv_2d(8, kernel=(3, 3)).depthwise_conv_2d(kernel=(3, 3))
    # So wide that noise fills only a part of the outputs.
    maker.conv_2d(6, kernel=(1, 1), scale=8 * maker.scale()).unary("LOGISTIC", 1 / 256, -128)
    model = maker.fully_connected(3, scale=0.5).fully_connected(4).build()
    graph = simplify(read_tflite(model, "model"))
    plan = compile_graph(graph, "model")
    known = linears(graph, plan)
    faults = [wrong_multiplier(index, *known[index]) for index in (0, 1, 5)]
    saturating = (
        "activation's maximum 126, not 127",
        f"channel 0: the sum {known[2][0].rules[0].changes(*ends(known[2][1], 0)).sums[-1]:,} becomes 126, not 127",
    )
    faults += [
        Fault(2, MODEL, field("layer_2", "maximum", "126"), saturating),
        Fault(3, WEIGHTS, number("stapes_app_layer_3_table", 128 + 90, lambda v: v ^ 1), ("row",)),
        Fault(4, WEIGHTS, number("stapes_app_layer_4_channels", 4, lambda v: v + 1), ("channel 2: bias",)),
    ]
    plant(monkeypatch, faults)
    assert differing(graph, plan, model, tmp_path, "host", noise(graph, WINDOWS)) == []
    proof = prove_model(model, "host", tmp_path)
    assert [layer.index for layer in proof.layers if layer.verdict == "failed"] == [0, 1, 2, 3, 4, 5]
    for fault in faults:
        assert all(words in failures(proof, fault.layer) for words in fault.words), (
            fault,
            proof.layers[fault.layer],
        )


def ends(bounds: SumBounds, channel: int) -> tuple[int, int]:
    return int(bounds.lowest[channel]), int(bounds.highest[channel])


@pytest.fixture(scope="module")
def wide() -> bytes:
    """560 weights of 127 in the second of two channels: its sums leave the 24 bits of a register's upper part."""
    maker = ModelMaker(2).input((1, 560)).fully_connected(2)
    weights = maker.tensors[maker.ops[0].inputs[1]]
    weights.data = np.repeat(np.array([[1], [127]], np.int8), 560, axis=1)
    return maker.build()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wide")


EXTREMES: list[Map] = [np.full((1, 560), value, np.int8) for value in (-128, -124, 124, 127)]


@pytest.mark.slow
def test_where_a_fast_kernel_would_be_wrong_it_is_not_taken(wide: bytes, workshop: Path) -> None:
    """Built, run and proved with the DSP's instructions: the second channel takes the long way."""
    graph = simplify(read_tflite(wide, "model"))
    plan = compile_graph(graph, "model")
    layer = plan.layers[0]
    proof = prove_model(wide, TARGET, workshop)
    assert proof.core == "DSP" and layer.kernel == "conv_2d_carry" and proof.verdict == "proved"
    assert "1 of 2 channels take the long way" in proof.layers[0].claims[0].how
    assert differing(graph, plan, wide, workshop, TARGET, EXTREMES + noise(graph, 20)) == []
    if TflmOracle.available():
        oracle = TflmOracle(wide)
        for window in EXTREMES:
            made = run_graph(graph, [window])[layer.tensor]
            assert np.array_equal(oracle.run([window])[layer.tensor], made)


def test_a_bound_too_small_passes_two_hundred_windows(
    wide: bytes, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a compiler that believed in smaller sums would write: noise does not see it, one window of 127s does."""
    graph = simplify(read_tflite(wide, "model"))
    plan = compile_graph(graph, "model")
    faults = [
        Fault(0, WEIGHTS, number("stapes_app_layer_0_shifts", 1, lambda v: -v - 65), ()),
        Fault(0, MODEL, field("layer_0", "is_short", "1"), ()),
    ]
    plant(monkeypatch, faults)
    (workshop / "proof-mps2_an386.json").unlink(missing_ok=True)
    assert differing(graph, plan, wide, workshop, TARGET, noise(graph, WINDOWS)) == []
    assert differing(graph, plan, wide, workshop, TARGET, EXTREMES) == [0]
    proof = prove_model(wide, TARGET, workshop)
    assert proof.verdict == "failed" and "channel 1: the sum" in failures(proof, 0)
    assert "channel 1: its sum may not fit the 24 bits beside another's" in failures(proof, 0)
