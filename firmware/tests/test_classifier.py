"""The classifier that harness, exports and the live loop share: wrong use is answered, every way of use gives the
reference's scores, whether windows share rows or not.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from live_bundle import make_live_bundle
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.errors import BundleError
from stapes.recipe import Bundle
from stapes.reference import Reference

FIRMWARE = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}",
]  # fmt: skip
ROOMS = {"runtime/include/stapes": 10, "link": 4, "audio": 5}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The runtime's objects."""
    directory = tmp_path_factory.mktemp("runtime")
    sources = sorted((FIRMWARE / "runtime/src").glob("*.c"))
    subprocess.run(["cc", *FLAGS, "-c", *map(str, sources)], check=True, cwd=directory)
    return sorted(directory.glob("*.o"))


def build(bundle: Bundle, directory: Path, runtime: list[Path]) -> Path:
    generated = generate(bundle, directory / "generated").directory
    program = directory / "driver"
    sources = [FIRMWARE / "tests/classifier_driver.c", *generated.glob("*.c"), *runtime]
    subprocess.run(["cc", *FLAGS, f"-I{generated}", *map(str, sources), "-o", str(program)], check=True)
    return program


BUNDLES: dict[str, Callable[[Path], Bundle]] = {
    "scratch": make_small_bundle,
    "majority": lambda path: make_small_bundle(path, vote="majority", seed=4),
    "gaps between windows": lambda path: make_small_bundle(path, hop_frames=27),
    "every row a window": lambda path: make_small_bundle(path, hop_frames=1),
    "sliding": make_live_bundle,
    "sliding by a window": lambda path: make_live_bundle(path, hop=20, frames=20),
    "padded": lambda path: make_live_bundle(path, padded=True, hop=5),
}


@pytest.mark.parametrize("name", list(BUNDLES))
def test_pushed_and_in_steps(name: str, runtime: list[Path], tmp_path: Path) -> None:
    bundle = BUNDLES[name](tmp_path / "bundle")
    program = build(bundle, tmp_path, runtime)
    random = np.random.default_rng(7)
    level = np.repeat(random.choice([30.0, 900.0, 25000.0], 60), 500)
    pcm = (random.uniform(-1, 1, len(level)) * level).astype(np.int16)
    expected = Reference(bundle, "numpy").clip(pcm)
    assert len(expected.windows) >= 3
    verdict = expected.verdict
    for piece in (1, 777, 100_000):
        done = subprocess.run([program, str(piece)], input=pcm.astype("<i2").tobytes(), capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        *windows, last = done.stdout.decode().splitlines()
        assert [list(map(int, line.split())) for line in windows] == [
            window.scores.tolist() for window in expected.windows
        ]
        assert last == f"{verdict.class_index} {verdict.best} {verdict.confidence}"


@pytest.mark.parametrize(
    "name", ["app", "live", "classifier", "bundle", "model", "frontend", "decision", "selftest", "a-1_b"]
)
def test_names_that_the_runtime_has_too(name: str, tmp_path: Path) -> None:
    """A bundle can be called what a header or a structure of the runtime is called."""
    bundle = make_small_bundle(tmp_path / "bundle", name=name)
    generated = generate(bundle, tmp_path / "generated", exported=name != "app").directory
    includes = [f"-I{FIRMWARE / 'runtime/include'}", f"-I{generated}"]
    for source in generated.glob("*.c"):
        subprocess.run(["cc", *FLAGS, *includes, "-fsyntax-only", str(source)], check=True)
    prefix = f"stapes_{name.replace('-', '_')}"
    symbols = re.findall(r"^(?:extern )?(?:STAPES_ALIGNED )?const \w+ (\w+)", text_of(generated), re.M)
    assert symbols and all(symbol == prefix or symbol.startswith(f"{prefix}_") for symbol in symbols)
    macros = set(re.findall(r"^#define (\w+)", text_of(generated, "h"), re.M))
    assert macros and all(macro.startswith(f"{prefix.upper()}_") for macro in macros)
    assert all(path.name.startswith(prefix) for path in generated.glob("*.[ch]"))


@pytest.mark.parametrize("name", ["softmax", "frontend-reset", "crc32", "vote_mean"])
def test_names_that_are_taken_are_refused(name: str, tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", name=name)
    with pytest.raises(BundleError, match=f"{name}: the runtime has stapes_{name.replace('-', '_')} already"):
        generate(bundle, tmp_path / "generated")
    assert not (tmp_path / "generated").exists()


def text_of(directory: Path, suffixes: str = "ch") -> str:
    return "\n".join(path.read_text() for path in sorted(directory.glob(f"*.[{suffixes}]")))


def test_a_directory_holds_one_bundle(tmp_path: Path) -> None:
    """What was generated for another would be compiled too; what a person put there stays."""
    generate(make_small_bundle(tmp_path / "first", name="first"), tmp_path / "c")
    (tmp_path / "c/stapes_mine.c").write_text("/* Generated by stapes? No: written by hand. */\n")
    generate(make_small_bundle(tmp_path / "second", name="second"), tmp_path / "c")
    names = {path.name for path in (tmp_path / "c").glob("*.[ch]")}
    assert "stapes_mine.c" in names and "stapes_second.c" in names
    assert not any(name.startswith("stapes_first") for name in names)
    assert "stapes_second.h" in (tmp_path / "c/stapes_app.h").read_text()


@pytest.mark.parametrize("room", list(ROOMS))
def test_headers_are_for_cplusplus_too(room: str) -> None:
    """Each alone compiles as C++, and what it declares has C's names."""
    headers = sorted((FIRMWARE / room).glob("*.h"))
    assert len(headers) >= ROOMS[room]
    includes = [f"-I{FIRMWARE / path}" for path in ("runtime/include", "link", "audio")]
    for header in headers:
        text = header.read_text()
        if re.search(r"^[a-z][\w ]*[ *]\w+\([^;{]*\)[;{ ]", text, flags=re.M):
            assert 'extern "C"' in text, header.name
        subprocess.run(
            [
                "c++",
                "-std=c++17",
                "-Wall",
                "-Wextra",
                "-Werror",
                *includes,
                "-fsyntax-only",
                "-x",
                "c++",
                str(header),
            ],
            check=True,
        )
