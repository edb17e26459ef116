"""State that is kept from window to window: the engine's own behaviour, and published networks step by step."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.bench.model import ModelBench, bench_model
from stapes.codegen.emitter import Provenance
from stapes.codegen.model import generate_model
from stapes.compiler import compile_graph
from stapes.errors import ToolError
from stapes.graph import read_tflite, simplify
from stapes.targets import require_target

FIRMWARE = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}",
]  # fmt: skip


def streaming() -> bytes:
    """Three new rows a step, seven kept ones before them that are no zero points, an LSTM and an SVDF behind."""
    random = np.random.default_rng(3)
    maker = ModelMaker(3).input((1, 3, 2, 4))
    maker.remember("stream", 7, random.integers(-128, 128, (1, 7, 2, 4)))
    maker.conv_2d(4, (8, 2), padding="VALID", activation="RELU").reshape((1, 3, 4)).lstm(5)
    return maker.reshape((1, 15)).svdf(4, 2, 3, zero_point=0).build()


def recurrent() -> bytes:
    """State in a layer alone, no variable."""
    return ModelMaker(5).input((1, 3, 8)).lstm(5).reshape((1, 15)).build()


@pytest.mark.parametrize("make", [streaming, recurrent])
def test_next_goes_on_and_reset_begins_anew(tmp_path: Path, make: Callable[[], bytes]) -> None:
    graph = simplify(read_tflite(make()))
    generate_model(compile_graph(graph), tmp_path, Provenance({}), name="app")
    runtime = FIRMWARE / "runtime/src"
    kernels = ("conv_2d", "recurrent", "move")
    sources = [
        *(runtime / f"kernel_{name}.c" for name in kernels),
        *(runtime / f"{name}.c" for name in ("engine", "requantize")),
        FIRMWARE / "tests/state_driver.c",
        *tmp_path.glob("*.c"),
    ]
    program = tmp_path / "driver"
    subprocess.run(["cc", *FLAGS, f"-I{tmp_path}", *map(str, sources), "-o", str(program)], check=True)
    windows = np.random.default_rng(4).integers(-128, 128, (5, 3, 2, 4), dtype=np.int8)
    ran = subprocess.run([program], input=windows.tobytes(), capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()


def test_nothing_is_copied() -> None:
    """A ring for each variable and its concatenation, no layer for any of its slices."""
    maker = ModelMaker(3).input((1, 3, 1, 8)).remember("stream", 4)
    rest = maker.last
    outputs = []
    for part in maker.split_v([2, 6], 3, source=rest):
        maker.slice([0, 1, 0, 0], [1, -1, -1, -1], source=part).depthwise_conv_2d(1, (6, 1), padding="VALID")
        outputs.append(maker.last)
    plan = compile_graph(simplify(read_tflite(maker.build(outputs))))
    assert [layer.op for layer in plan.layers] == ["DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D"]
    assert [(state.rows, state.initial) for state in plan.states] == [(4, None)]
    assert plan.storages[0].rows == plan.storages[0].height == 7


def foreign(name: str) -> bytes:
    """A published network, or the reason why not."""
    models = os.environ.get("STAPES_MODELS")
    path = Path(models or "") / "foreign" / f"{name}.tflite"
    if not models or not path.is_file():
        pytest.skip("STAPES_MODELS=DIR with foreign/*.tflite is not set")
    return path.read_bytes()


def bench(name: str, target: str, directory: Path, steps: int) -> ModelBench:
    data = foreign(name)
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    found = bench_model(data, target, directory, inputs=steps)
    assert found.different_layers == ()
    assert found.equal
    return found


@pytest.mark.parametrize("target", ["host", "qemu:mps2-an386"])
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("esphome__okay_nabu__2", 150),
        ("esphome__vad", 150),
        ("tflm__trained_lstm_int8", 20),
        ("tflm__micro_speech_lstm", 3),
    ],
)
def test_published_networks_step_by_step(name: str, steps: int, target: str, tmp_path: Path) -> None:
    found = bench(name, target, tmp_path, steps)
    if name == "esphome__okay_nabu__2" and target != "host":
        assert found.instructions is not None
        assert found.instructions <= 60_000
        assert found.flash_bytes <= 42_000
        assert found.ram_bytes + found.stack_bytes <= 6_000
