"""Exports compile with bare compilers, run, and carry manifests that their build systems accept."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field
from small_bundle import make_small_bundle

from stapes.check import select_clips
from stapes.cli.app import run as run_command
from stapes.errors import StapesError, ToolError
from stapes.export import FORMATS, Exported, export_bundle, library
from stapes.export.formats import ARDUINO_ARCHITECTURES
from stapes.firmware import build_firmware, find_program
from stapes.recipe import Bundle
from stapes.reference import Reference

STRICT = ["-std=c99", "-O0", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
M4 = ["-mcpu=cortex-m4", "-mthumb"]
ARDUINO_H = """
#pragma once
#include <stddef.h>
#include <stdint.h>
void setup();
void loop();
void delay(unsigned long milliseconds);
struct Stream { void begin(unsigned long baud); size_t println(const char *text); };
extern Stream Serial;
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "small", name="my-bells-2")


@pytest.fixture(scope="module")
def exports(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    root = tmp_path_factory.mktemp("exports")
    return {name: export_bundle(bundle, name, root / name, link=name == "cmake") for name in FORMATS}


def need(*programs: str) -> None:
    missing = [program for program in programs if find_program(program) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_a_wrong_score(source: str) -> str:
    """The self-test's expectations, the first of them off by one."""
    wrong = re.sub(r"(\bscores\[\] = \{\n\s+)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) ^ 1}", source)
    assert wrong != source
    return wrong


def compile_library(compiler: str, flags: list[str], export: Path, out: Path, *includes: str) -> list[Path]:
    """Objects of every C file below src/, as that build system would make them."""
    out.mkdir()
    sources = sorted((export / "src").rglob("*.c"))
    assert len(sources) > 20
    paths = [f"-I{export / include}" for include in ("src", *includes)]
    run(compiler, *flags, *paths, "-c", *sources, cwd=out)
    return sorted(out.glob("*.o"))


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_file_is_in_the_provenance(name: str, exports: dict[str, Exported], bundle: Bundle) -> None:
    directory = exports[name].directory
    provenance = json.loads((directory / "provenance.json").read_text())
    assert provenance["bundle_sha256"] == bundle.hash and provenance["format"] == name
    on_disk = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert set(provenance["files"]) | {"provenance.json"} == on_disk == set(exports[name].files)
    for file, expected in provenance["files"].items():
        assert hashlib.sha256((directory / file).read_bytes()).hexdigest() == expected
    assert "Apache License" in (directory / "LICENSE").read_text()
    readme = (directory / "README.md").read_text()
    assert "stapes_my_bells_2" in readme and f"--format {name}" in readme


@pytest.fixture(scope="module")
def built(exports: dict[str, Exported], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CMake export, installed; its example, built twice: with the installed library and with add_subdirectory."""
    need("cmake", "ninja", "cc")
    root, export = tmp_path_factory.mktemp("built"), exports["cmake"].directory
    ninja = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_program('ninja')}"]
    cmake = find_program("cmake")
    flags = f"-DCMAKE_C_FLAGS={' '.join(STRICT[1:])} -fsanitize=address,undefined -fno-sanitize-recover=all"
    run(
        cmake,
        *ninja,
        flags,
        "-S",
        export,
        "-B",
        root / "library",
        f"-DCMAKE_INSTALL_PREFIX={root / 'prefix'}",
    )
    run(cmake, "--build", root / "library", "--target", "install")
    example = export / "examples" / "classify"
    run(cmake, *ninja, flags, "-S", example, "-B", root / "found", f"-DCMAKE_PREFIX_PATH={root / 'prefix'}")
    run(cmake, "--build", root / "found")
    assert not (root / "found" / "library").exists()
    run(cmake, *ninja, "-DCMAKE_C_FLAGS=-O0", "-S", example, "-B", root / "inside")
    run(cmake, "--build", root / "inside")
    return root


@pytest.mark.parametrize("way", ["found", "inside"])
def test_the_cmake_example_gives_the_references_scores(way: str, built: Path, bundle: Bundle) -> None:
    spec = bundle.manifest
    samples = spec.frontend.samples(spec.window.frames + 5 * spec.window.hop_frames) + 123
    random = np.random.default_rng(3)
    level = np.repeat(random.uniform(100, 20000, 1 + samples // 500), 500)[:samples]
    pcm = (random.uniform(-1, 1, samples) * level).astype("<i2")
    (built / "clip.raw").write_bytes(pcm.tobytes())
    lines = run(built / way / "classify", built / "clip.raw").splitlines()
    expected = Reference(bundle).clip(pcm.astype(np.int16))
    assert len(expected.windows) == 6
    assert [list(map(int, line.split())) for line in lines[:-1]] == [
        window.scores.tolist() for window in expected.windows
    ]
    index = expected.verdict.class_index
    assert lines[-1] == ("unknown" if index < 0 else spec.labels[index])


@pytest.mark.parametrize(("least", "word"), [(0.6, "rain"), (0.7, "unknown")])
def test_the_example_counts_votes(tmp_path: Path, least: float, word: str) -> None:
    need("cc")
    bundle = make_small_bundle(tmp_path / "bundle", seed=4, vote="majority", min_confidence=least)
    export = export_bundle(bundle, "cmake", tmp_path / "export").directory
    includes = [f"-I{export / 'src'}"]
    sources = [*(export / "src").rglob("*.c"), export / "examples/classify/main.c"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    run("cc", *STRICT, "-Wno-conversion", *checks, *includes, *sources, "-o", tmp_path / "classify")
    pcm = select_clips(bundle, None, 1).clips[0].pcm
    (tmp_path / "clip.raw").write_bytes(pcm.astype("<i2").tobytes())
    lines = run(tmp_path / "classify", tmp_path / "clip.raw").splitlines()
    votes = [max(range(3), key=list(map(int, line.split())).__getitem__) for line in lines[:-1]]
    assert 0.6 < votes.count(2) / len(votes) < 0.7
    assert lines[-1] == word


def test_the_self_test_passes_and_can_fail(built: Path, exports: dict[str, Exported], tmp_path: Path) -> None:
    assert run(built / "found" / "classify") == "self-test: every score is equal\n"
    export = exports["cmake"].directory
    wrong = tmp_path / "wrong.c"
    wrong.write_text(with_a_wrong_score((export / "src/stapes_my_bells_2.c").read_text()))
    sources = [path for path in (export / "src").rglob("*.c") if path.name != "stapes_my_bells_2.c"]
    sources += [wrong, export / "examples/classify/main.c"]
    includes = [f"-I{export / 'src'}"]
    run("cc", "-O1", *includes, *sources, "-o", tmp_path / "wrong")
    failed = subprocess.run([tmp_path / "wrong"], capture_output=True, text=True)
    assert failed.returncode == 1 and "DIFFERENT from the reference" in failed.stdout


def test_every_call_before_init_is_an_error(
    built: Path, exports: dict[str, Exported], tmp_path: Path
) -> None:
    program = Path(__file__).with_name("before_init.c")
    archives = [built / "library" / f"lib{name}.a" for name in ("stapes_my_bells_2", "stapes_runtime")]
    flags = [
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        f"-I{exports['cmake'].directory / 'src'}",
    ]
    run("cc", *STRICT, *flags, program, *archives, "-o", tmp_path / "before_init")
    assert run(tmp_path / "before_init") == ""


def test_platformio_builds_on_this_computer_and_for_arduino_boards(
    exports: dict[str, Exported], tmp_path: Path
) -> None:
    need("cc", "c++", "arm-none-eabi-gcc", "arm-none-eabi-g++")
    export = exports["platformio"].directory
    main = export / "examples/selftest/src/main.cpp"
    objects = compile_library("cc", STRICT, export, tmp_path / "host")
    run(
        "c++",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{export / 'src'}",
        main,
        *objects,
        "-o",
        tmp_path / "native",
    )
    assert run(tmp_path / "native") == "self-test: every score is equal\n"
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    flags = ["-std=gnu++17", "-DARDUINO=10819", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}"]
    run("arm-none-eabi-g++", *M4, *flags, f"-I{export / 'src'}", "-c", main, "-o", tmp_path / "board.o")


def test_the_arduino_sketch_links_as_the_ide_links_it(exports: dict[str, Exported], tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", "arm-none-eabi-g++")
    export = exports["arduino"].directory
    objects = compile_library(
        "arm-none-eabi-gcc", [*M4, "-std=gnu11", *STRICT[1:]], export, tmp_path / "objects"
    )
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    sketch = export / "examples/selftest/selftest.ino"
    assert sketch.stem == sketch.parent.name
    (tmp_path / "sketch.cpp").write_text(f'#include <Arduino.h>\n#line 1 "{sketch}"\n{sketch.read_text()}')
    (tmp_path / "core.cpp").write_text(
        '#include "Arduino.h"\nStream Serial;\nvoid Stream::begin(unsigned long) {}\n'
        "size_t Stream::println(const char *) { return 0; }\nvoid delay(unsigned long) {}\n"
        "int main() { setup(); for (;;) loop(); }\n"
    )
    flags = [*M4, "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror"]
    includes = [f"-I{tmp_path}", f"-I{export / 'src'}"]
    run("arm-none-eabi-g++", *flags, *includes, "-c", "sketch.cpp", "core.cpp", cwd=tmp_path)
    # Linked by the C driver: Debian's compiler has no C++ library for these chips.
    linked = tmp_path / "sketch.elf"
    units = [tmp_path / "sketch.o", tmp_path / "core.o", *objects]
    run("arm-none-eabi-gcc", *M4, "--specs=nosys.specs", *units, "-o", linked)
    assert linked.read_bytes()[:4] == b"\x7fELF"


def test_the_memory_that_is_told_is_what_it_takes(exports: dict[str, Exported], tmp_path: Path) -> None:
    need("arm-none-eabi-gcc")
    export = exports["arduino"]
    told = {"": export.library.memory_bytes, "_LIVE": export.library.live_memory_bytes}
    (tmp_path / "size.c").write_text(
        '#include "stapes_my_bells_2.h"\n'
        + "".join(
            f"typedef char same{each}[STAPES_MY_BELLS_2{each}_MEMORY_BYTES == {size} ? 1 : -1];\n"
            for each, size in told.items()
        )
    )
    run("arm-none-eabi-gcc", *M4, f"-I{export.directory / 'src'}", "-c", "size.c", cwd=tmp_path)


CORES = {
    "cortex-m0plus": ["arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb"],
    "cortex-m4": ["arm-none-eabi-gcc", *M4],
    "cortex-m7": ["arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb"],
    "rv32imc": ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"],
    "lx106": ["xtensa-lx106-elf-gcc"],
}


@pytest.mark.parametrize("core", sorted({core for cores in ARDUINO_ARCHITECTURES.values() for core in cores}))
def test_it_compiles_for_every_core_that_is_named(
    core: str, exports: dict[str, Exported], tmp_path: Path
) -> None:
    need(CORES[core][0])
    compile_library(
        CORES[core][0], [*CORES[core][1:], *STRICT], exports["arduino"].directory, tmp_path / "objects"
    )


@pytest.mark.parametrize("name", ["zephyr", "esp-idf"])
def test_what_cmake_lists_is_there_and_compiles(
    name: str, exports: dict[str, Exported], tmp_path: Path
) -> None:
    export = exports[name].directory
    lists = export / ("zephyr/CMakeLists.txt" if name == "zephyr" else "CMakeLists.txt")
    listed = {
        (lists.parent / path).resolve() for path in re.findall(r"^\s+(\S+\.c)$", lists.read_text(), re.M)
    }
    assert listed == {path.resolve() for path in (export / "src").rglob("*.c")}
    arm = name == "zephyr"
    compiler = "arm-none-eabi-gcc" if arm else "riscv64-unknown-elf-gcc"
    need(compiler)
    flags = M4 if arm else ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
    main = export / ("samples/selftest/src/main.c" if arm else "examples/selftest/main/main.c")
    run(compiler, *flags, *STRICT, f"-I{export / 'src'}", "-c", main, "-o", tmp_path / "main.o")


def test_cmake_reads_the_zephyr_and_esp_idf_lists(exports: dict[str, Exported], tmp_path: Path) -> None:
    """Their own functions stand for nothing here, but a list that CMake cannot read is found."""
    need("cmake", "ninja", "cc")
    for name in ("zephyr", "esp-idf"):
        export = exports[name].directory
        lists = export / ("zephyr/CMakeLists.txt" if name == "zephyr" else "CMakeLists.txt")
        source = tmp_path / name
        source.mkdir()
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.16)\nproject(x C)\nset(CONFIG_STAPES_MY_BELLS_2 y)\n"
            "function(zephyr_library_named name)\n  add_library(${name} INTERFACE)\nendfunction()\n"
            "foreach(name zephyr_include_directories zephyr_library_include_directories zephyr_library_sources "
            'idf_component_register)\n  cmake_language(EVAL CODE "function(${name})\n'
            '    message(STATUS \\"${name} \\${ARGC}\\")\nendfunction()")\nendforeach()\n'
            "function(target_compile_options)\nendfunction()\n"
            f"include({lists})\n"
        )
        ninja = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_program('ninja')}"]
        said = run(find_program("cmake"), *ninja, "-S", source, "-B", source / "build")
        assert re.search(r"(zephyr_library_sources|idf_component_register) \d\d", said)


def test_platformio_accepts_the_manifest(
    exports: dict[str, Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = pytest.importorskip("platformio.package.manifest.schema", reason="platformio is not installed")
    directory = exports["platformio"].directory
    manifest = json.loads((directory / "library.json").read_text())
    # It would fetch the list of licences.
    licences = {"licenses": [{"licenseId": "Apache-2.0"}]}
    monkeypatch.setattr(schema.ManifestSchema, "load_spdx_licenses", staticmethod(lambda: licences))
    schema.ManifestSchema().load_manifest(_as_platformio_parses(directory))
    for example in manifest["examples"]:
        for file in example["files"]:
            assert (directory / example["base"] / file).is_file()
    for header in manifest["headers"]:
        assert (directory / "src" / header).is_file()
    with pytest.raises(schema.ManifestValidationError):
        schema.ManifestSchema().load_manifest({**manifest, "name": "bad/name"})


def _as_platformio_parses(directory: Path) -> dict[str, object]:
    from platformio.package.manifest.parser import ManifestParserFactory

    return dict(ManifestParserFactory.new_from_dir(str(directory)).as_dict())


def test_the_platformio_project_names_its_library(exports: dict[str, Exported]) -> None:
    directory = exports["platformio"].directory / "examples/selftest"
    project = configparser.ConfigParser(inline_comment_prefixes=(" ;",))
    project.read(directory / "platformio.ini")
    (dependency,) = project["env"]["lib_deps"].split()
    assert (directory / dependency.removeprefix("symlink://") / "library.json").resolve().is_file()
    assert project["platformio"]["default_envs"] == "native"
    for section in project.sections():
        if section.startswith("env:"):
            assert project[section]["platform"]


class LibraryProperties(BaseModel):
    """The rules of Arduino's library specification, revision 2.2, for library.properties."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}$")
    version: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$")
    author: str = Field(min_length=1)
    maintainer: str = Field(min_length=1)
    sentence: str = Field(min_length=1)
    paragraph: str
    category: Annotated[
        str,
        Field(
            pattern=r"^(Display|Communication|Signal Input/Output|Sensors|Device Control|Timing|Data Storage"
            r"|Data Processing|Other)$"
        ),
    ]
    url: str = Field(pattern=r"^[a-z]+:\S+$")
    architectures: str = Field(pattern=r"^(\*|\w+(,\w+)*)$")
    includes: str
    depends: str = ""
    dot_a_linkage: str = Field("false", pattern="^(true|false)$")


def test_the_arduino_properties_follow_the_specification(exports: dict[str, Exported]) -> None:
    directory = exports["arduino"].directory
    text = (directory / "library.properties").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all("=" in line for line in lines)
    values = dict(line.split("=", 1) for line in lines)
    properties = LibraryProperties.model_validate(values)
    assert not properties.name.lower().startswith("arduino")
    assert (directory / "src" / properties.includes).is_file()
    top = {path.name for path in directory.iterdir() if path.is_dir()}
    assert top <= {"src", "examples", "extras"}


class ZephyrBuild(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cmake: str
    kconfig: str


class ZephyrModule(BaseModel):
    """What Zephyr's scripts/zephyr_module.py accepts in module.yml, as far as it is used."""

    model_config = ConfigDict(extra="forbid")

    name: str
    build: ZephyrBuild
    samples: list[str]


def test_the_zephyr_module_is_what_zephyr_reads(exports: dict[str, Exported]) -> None:
    yaml = pytest.importorskip("yaml")
    directory = exports["zephyr"].directory
    module = ZephyrModule.model_validate(yaml.safe_load((directory / "zephyr/module.yml").read_text()))
    assert (directory / module.build.cmake / "CMakeLists.txt").is_file()
    kconfig = (directory / module.build.kconfig).read_text()
    assert kconfig.startswith("config STAPES_MY_BELLS_2\n\tbool ")
    assert (directory / "samples/selftest/prj.conf").read_text().startswith("CONFIG_STAPES_MY_BELLS_2=y\n")
    sample = yaml.safe_load((directory / "samples/selftest/sample.yaml").read_text())
    assert set(sample) == {"sample", "common", "tests"}
    assert (
        f"CONFIG_MAIN_STACK_SIZE={library.MAIN_STACK}\n"
        in (directory / "samples/listen/prj.conf").read_text()
    )
    (pattern,) = sample["common"]["harness_config"]["regex"]
    assert all(
        part in (directory / "samples/selftest/src/main.c").read_text() for part in pattern.split(": ")
    )


def test_the_component_manager_accepts_the_manifest(exports: dict[str, Exported]) -> None:
    manager = pytest.importorskip("idf_component_tools.manager", reason="idf-component-manager is missing")
    directory = exports["esp-idf"].directory
    manifest = manager.ManifestManager(str(directory), name="stapes_my_bells_2").load()
    assert str(manifest.version) == exports["esp-idf"].library.version
    assert manifest.targets == []  # all chips
    assert {example["path"] for example in manifest.examples} == {"examples/selftest", "examples/listen"}
    for example in manifest.examples:
        assert (directory / example["path"] / "CMakeLists.txt").is_file()


def test_a_folder_with_content_is_not_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(StapesError, match="out is not empty"):
        export_bundle(bundle, "cmake", out)
    with pytest.raises(StapesError, match=r"is not an export: it has no provenance\.json"):
        export_bundle(bundle, "cmake", out, force=True)
    assert (out / "thesis.tex").read_text() == "years of work"
    (out / "thesis.tex").unlink()
    export_bundle(bundle, "cmake", out)
    (out / "extra").touch()
    with pytest.raises(StapesError, match="not empty"):
        export_bundle(bundle, "arduino", out)
    export_bundle(bundle, "arduino", out, force=True)
    assert not (out / "extra").exists() and (out / "library.properties").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_what_was_there(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_bundle(bundle, "cmake", out)
    before = sorted(out.rglob("*"))
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "library.properties":
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StapesError, match=r"cannot write .*No space left on device"):
        export_bundle(bundle, "arduino", out, force=True)
    assert sorted(out.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_unknown_format_and_a_missing_licence(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StapesError, match="unknown format 'mbed'") as caught:
        export_bundle(bundle, "mbed", tmp_path / "out")
    assert "platformio" in caught.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(StapesError, match="is a file"):
        export_bundle(bundle, "cmake", tmp_path / "file")
    with pytest.raises(ToolError, match="licence is missing"):
        library._licence(tmp_path / "firmware")
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "LICENSE").write_bytes(b"inside an installed package")
    assert library._licence(tmp_path / "firmware") == b"inside an installed package"


def test_the_link_is_there_when_it_is_asked_for(exports: dict[str, Exported]) -> None:
    assert (exports["cmake"].directory / "src/link/frame.c").is_file()
    assert not (exports["arduino"].directory / "src/link").exists()


def test_the_command(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["export", str(bundle.directory), "--format", "arduino", "--out", "lib", "--json", "x.json"]
    monkeypatch.setattr(sys, "argv", ["stapes", *arguments, "--url", "https://example.org/bells"])
    with pytest.raises(SystemExit) as ended:
        run_command()
    assert ended.value.code == 0
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["name"] == "stapes_my_bells_2" and "LICENSE" in written["files"]
    measured = written["measured"]
    if find_program("arm-none-eabi-gcc"):
        readme = (tmp_path / "lib/README.md").read_text()
        assert f"| {measured['flash_bytes']:,} B |" in readme and measured["core"] in readme
        assert (
            0 <= measured["ram_bytes"] - written["live_memory_bytes"] < 600
        )  # stapes_live_t and the board's own
        assert 500 < measured["stack_bytes"] < 2000
    assert "url=https://example.org/bells\n" in (tmp_path / "lib/library.properties").read_text()
    assert "see README.md there" in " ".join(capsys.readouterr().out.split())


PRINTK_STACK = 1024

ON_A_BOARD = """
#include "board.h"
#include "stapes_my_bells_2.h"
static uint64_t memory[(STAPES_MY_BELLS_2_MEMORY_BYTES + 7u) / 8u];
static stapes_classifier_t classifier;
int main(void) {
    board_init();
    board_exit(stapes_selftest_run(&stapes_my_bells_2_selftest, &classifier, memory, sizeof memory) == 1 ? 0 : 1);
}
"""


def test_the_self_test_runs_on_an_emulated_cortex_m4(exports: dict[str, Exported], tmp_path: Path) -> None:
    need("cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm")
    generated = tmp_path / "generated"
    generated.mkdir()
    for path in (exports["arduino"].directory / "src").glob("stapes_*.[ch]"):
        (generated / path.name).write_bytes(path.read_bytes())
    app = tmp_path / "app.c"
    app.write_text(ON_A_BOARD)

    def status() -> int:
        debug = {"CMAKE_BUILD_TYPE": "Debug"}
        built = build_firmware(generated, "mps2_an386", tmp_path / "build", str(app), definitions=debug)
        assert 0 < built.stack_bytes + PRINTK_STACK <= library.MAIN_STACK
        elf = built.elf
        command = ["qemu-system-arm", "-machine", "mps2-an386", "-nodefaults", "-display", "none"]
        command += ["-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
        return subprocess.run(command, timeout=120).returncode

    assert status() == 0
    source = generated / "stapes_my_bells_2.c"
    source.write_text(with_a_wrong_score(source.read_text()))
    assert status() == 1
