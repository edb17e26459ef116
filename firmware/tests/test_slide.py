"""Windows that share rows give the bits of windows run from scratch; the compiler says which networks can."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernelnets import chain_by_rows, unpadded
from modelmaker import ModelMaker

from stapes.codegen.emitter import Provenance
from stapes.codegen.model import generate_model
from stapes.compiler import Plan, compile_graph
from stapes.compiler.sliding import time_strides
from stapes.graph import read_tflite, simplify
from stapes.int8 import run_graph
from stapes.reference import TflmOracle

FIRMWARE = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}",
]  # fmt: skip

Slide = Callable[[bytes, int, int, bool], Plan]


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    """Slide over random rows under the sanitizers; every window must equal itself from scratch, in C and here."""
    objects = tmp_path_factory.mktemp("runtime")
    runtime = FIRMWARE / "runtime/src"
    sources = [
        *sorted(runtime.glob("kernel*.c")),
        *sorted(runtime.glob("engine*.c")),
        runtime / "integer.c",
        runtime / "requantize.c",
    ]
    subprocess.run(["cc", *FLAGS, "-c", *map(str, sources)], check=True, cwd=objects)
    counter = iter(range(1_000_000))

    def run(data: bytes, hop: int, windows: int, filled: bool) -> Plan:
        graph = simplify(read_tflite(data))
        plan = compile_graph(graph, hop=hop)
        assert plan.slide is not None, plan.notes
        directory = tmp_path_factory.mktemp(f"model{next(counter)}")
        generate_model(plan, directory, Provenance({}), name="app")
        program = directory / "driver"
        files = [*directory.glob("*.c"), FIRMWARE / "tests/slide_driver.c", *objects.glob("*.o")]
        subprocess.run(["cc", *FLAGS, f"-I{directory}", *map(str, files), "-o", str(program)], check=True)
        length, row_bytes = plan.storages[0].rows, plan.storages[0].row_bytes
        count = 1 + windows * hop if filled else length + (windows - 1) * hop
        rows = np.random.default_rng(hop).integers(-128, 128, (count, row_bytes), dtype=np.int8)
        arguments = ["filled"] if filled else []
        ran = subprocess.run([program, *arguments], input=rows.tobytes(), capture_output=True)
        assert ran.returncode == 0, ran.stderr.decode()
        if filled:
            rows = np.concatenate([np.repeat(rows[:1], length, axis=0), rows[1:]])[hop:]
        shape = graph.tensor(graph.inputs[0]).shape
        outputs = np.frombuffer(ran.stdout, np.int8).reshape(windows, -1)
        oracle = TflmOracle(data) if TflmOracle.available() else None
        for number in (0, 1, windows - 1):
            window = [rows[number * hop :][:length].reshape(shape)]
            expected = oracle.run(window) if oracle else run_graph(graph, window)
            assert outputs[number].tobytes() == expected[graph.outputs[0]].tobytes(), number
        return plan

    return run


def hop_of(data: bytes, multiple: int) -> int:
    """A hop that the network can slide by."""
    plan = compile_graph(simplify(read_tflite(data)))
    product = max(time_strides(1, plan.layers, plan.storages))
    return min(product * multiple, plan.storages[0].rows // product * product)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), multiple=st.integers(1, 7), filled=st.booleans())
def test_sliding_equals_scratch(slide: Slide, seed: int, multiple: int, filled: bool) -> None:
    data = unpadded(seed)
    hop = hop_of(data, multiple)
    period = compile_graph(simplify(read_tflite(data)), hop=hop).slide.period  # type: ignore[union-attr]
    slide(data, hop, min(2 * period + 3, 200), filled)


def test_counters_start_again_after_every_period(slide: Slide) -> None:
    maker = ModelMaker(4).input((1, 40, 6, 1))
    for kernel in (3, 5, 2):
        maker.conv_2d(4, (kernel, 1), padding="VALID")
    data = maker.reduce("MEAN", (1, 2)).fully_connected(3).build()
    plan = slide(data, 7, 700, False)
    assert plan.slide is not None and 1 < plan.slide.period < 350


def network(padding: str = "VALID", rows: int = 40) -> ModelMaker:
    maker = ModelMaker(5).input((1, rows, 6, 1))
    return maker.conv_2d(4, (3, 3), (2, 1), padding=padding).conv_2d(4, (3, 1), (2, 1), padding="VALID")


def ended(maker: ModelMaker) -> bytes:
    return maker.reduce("MEAN", (1, 2)).fully_connected(3).build()


def gated(maker: ModelMaker) -> bytes:
    source = maker.last
    gate = maker.reduce("MEAN", (1, 2), keep_dims=True, source=source).last
    return ended(maker.binary("MUL", source, gate, 0.05, 0))


@pytest.mark.parametrize(
    ("data", "hop", "reason"),
    [
        (ended(network("SAME")), 8, r"layer 0 \(CONV_2D conv_2d_0\) pads along time"),
        (ended(network()), 6, "the hop of 6 rows is no multiple of 4"),
        (ended(network()), 44, "do not overlap"),
        (gated(network()), 8, "rows behind a layer that ended the time axis|needs the whole window"),
        (network().build(), 8, "an output of the network is a map"),
        (chain_by_rows(0), 2, "pads along time"),
        (ended(ModelMaker(1).input((1, 40, 6, 1)).transpose((0, 2, 1, 3))), 8, "TRANSPOSE along time"),
    ],
)  # fmt: skip
def test_the_reason_is_named(data: bytes, hop: int, reason: str) -> None:
    plan = compile_graph(simplify(read_tflite(data)), hop=hop)
    assert plan.slide is None
    assert any(re.search(f"windows share nothing: .*({reason})", note) for note in plan.notes), plan.notes


def test_without_a_hop_the_plan_is_that_of_single_windows() -> None:
    graph = simplify(read_tflite(ended(network())))
    plan = compile_graph(graph)
    assert plan.slide is None
    assert any("multiple of 4 rows apart" in note for note in plan.notes)
    sliding = compile_graph(graph, hop=8)
    assert sliding.slide is not None
    assert plan.arena_bytes <= sliding.arena_bytes
