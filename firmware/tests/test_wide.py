"""Raw sound and everything else at the edges of the widths of fields: equal to the reference or refused by name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from widenets import REFUSED, names, wide_network

from stapes.codegen.emitter import Provenance
from stapes.codegen.model import generate_model
from stapes.compiler import compile_graph
from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.reference import TflmOracle

FIRMWARE = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}",
]  # fmt: skip
BATCHES = 4
WINDOWS = 2


def in_tflm(graph: Graph) -> bool:
    """TFLM has 16 bits for strides and dilations and cuts larger ones; it has none of our own operators."""
    large = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    return all(
        not op.kind.startswith("CUSTOM")
        and all(op.integer(name) < 1 << 15 for name in large if name in op.attributes)
        for op in graph.ops
    )


def test_there_are_enough() -> None:
    assert len(names()) >= 66
    assert sum(name.endswith(REFUSED) for name in names()) < len(names()) / 4


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Objects of the engine and of every kernel."""
    sources = FIRMWARE / "runtime/src"
    files = [
        *sorted(sources.glob("kernel*.c")),
        *(sources / name for name in ("engine.c", "integer.c", "requantize.c")),
    ]
    return compiled(tmp_path_factory.mktemp("runtime"), "-O1", *files)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_wide_networks(batch: int, tmp_path: Path, runtime: list[Path]) -> None:
    random = np.random.default_rng(batch)
    accepted, expected, given, lines = [], [], [], []
    for name in names()[batch::BATCHES]:
        data = wide_network(name)
        graph = simplify(read_tflite(data))
        try:
            plan = compile_graph(graph)
        except UnsupportedModelError as error:
            assert name.endswith(REFUSED), error
            assert all(" at most " in finding for finding in error.unsupported), error
            continue
        assert not name.endswith(REFUSED), name
        number = len(accepted)
        accepted.append(name)
        generate_model(plan, tmp_path, Provenance({}), name=f"w{number}")
        (tmp_path / f"w{number}.c").write_text(
            f'#include "stapes_w{number}_model.c"\n#include "stapes_w{number}_weights.c"\n'
        )
        lines.append(f'{{"{name}", &stapes_w{number}_model, STAPES_W{number}_MODEL_ARENA_BYTES}},')
        oracle = TflmOracle(data) if TflmOracle.available() and in_tflm(graph) else None
        for window in range(WINDOWS):
            shapes = [graph.tensor(index).shape for index in graph.inputs]
            values = [random.integers(-128, 128, shape, dtype=np.int8) for shape in shapes]
            if window:
                values = [np.where(part < 100, -128, 127).astype(np.int8) for part in values]
            run = oracle.run(values) if oracle else run_graph(graph, values)
            expected.append(b"".join(run[index].tobytes() for index in graph.outputs))
            given += [part.tobytes() for part in values]
    ran = build_and_run(tmp_path, runtime, lines, b"".join(given))
    position, wrong = 0, []
    for number, name in enumerate(accepted):
        for wanted in expected[number * WINDOWS : (number + 1) * WINDOWS]:
            if ran[position : position + len(wanted)] != wanted:
                wrong.append(name)
            position += len(wanted)
    assert wrong == []
    assert position == len(ran)


def compiled(directory: Path, *arguments: str | Path) -> list[Path]:
    subprocess.run(["cc", *FLAGS, "-c", *map(str, arguments)], check=True, cwd=directory)
    return sorted(directory.glob("*.o"))


def build_and_run(directory: Path, runtime: list[Path], lines: list[str], given: bytes) -> bytes:
    includes = [f'#include "stapes_w{number}_model.h"' for number in range(len(lines))]
    table = [
        "typedef struct { const char *name; const stapes_model_t *model; size_t arena_bytes; } network_t;",
        "static const network_t networks[] = {",
        *lines,
        "};",
    ]
    (directory / "wide_networks.h").write_text("\n".join([*includes, *table]) + "\n")
    generated = [directory / f"w{number}.c" for number in range(len(lines))]
    objects = compiled(directory, "-O0", f"-I{directory}", *generated, FIRMWARE / "tests/wide_driver.c")
    program = directory / "wide"
    subprocess.run(["cc", *FLAGS, *map(str, [*objects, *runtime]), "-o", str(program)], check=True)
    ran = subprocess.run([program, str(WINDOWS)], input=given, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout
