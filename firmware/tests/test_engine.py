"""The engine's interface: wrong use is answered, right use in any order gives the same bits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kernelnets import NETWORKS

from stapes.codegen.emitter import Provenance
from stapes.codegen.model import generate_model
from stapes.compiler import compile_graph
from stapes.graph import read_tflite, simplify

FIRMWARE = Path(__file__).parents[1]


def generate(name: str, directory: Path) -> None:
    plan = compile_graph(simplify(read_tflite(NETWORKS[name]())))
    generate_model(plan, directory, Provenance({}), name="app")


@pytest.mark.parametrize("name", ["chain-0", "flat input"])
def test_interface(name: str, tmp_path: Path) -> None:
    generate(name, tmp_path)
    runtime = FIRMWARE / "runtime"
    sources = [
        *(runtime / "src").glob("kernel*.c"),
        *(runtime / "src" / name for name in ("integer.c", "engine.c", "requantize.c")),
    ]
    subprocess.run(
        [
            "cc", "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{runtime / 'include'}",
            f"-I{tmp_path}", *map(str, sources), *map(str, tmp_path.glob("*.c")),
            str(FIRMWARE / "tests/engine_driver.c"), "-o", str(tmp_path / "driver"),
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run([tmp_path / "driver"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_another_version_does_not_compile(tmp_path: Path) -> None:
    generate("dense", tmp_path)
    old = tmp_path / "stapes/version.h"
    old.parent.mkdir()
    old.write_text("#define STAPES_API_VERSION 99\n")
    command = ["cc", "-std=c99", f"-I{tmp_path}", f"-I{FIRMWARE / 'runtime/include'}", "-fsyntax-only"]
    done = subprocess.run([*command, str(tmp_path / "stapes_app_model.c")], capture_output=True, text=True)
    assert done.returncode != 0
    assert "regenerate" in done.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_generated_code_is_clean(compiler: str, tmp_path: Path) -> None:
    generate("parts", tmp_path)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-fsyntax-only"]
    includes = [f"-I{tmp_path}", f"-I{FIRMWARE / 'runtime/include'}"]
    try:
        subprocess.run([compiler, *flags, *includes, *map(str, tmp_path.glob("*.c"))], check=True)
    except FileNotFoundError:
        pytest.skip(f"{compiler} is not installed")
    lines = (tmp_path / "stapes_app_model.c").read_text().splitlines()
    assert max(map(len, lines)) < 200
