"""The ESP-IDF component and its example, without ESP-IDF: its CMake lists are read by CMake, its sources are compiled
for the ESP32-C3, and the example runs on this computer over a stand-in of ESP-IDF's drivers.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.firmware import find_program, firmware_dir
from stapes.link import Client
from stapes.recipe import Bundle
from stapes.targets import open_target

HERE = Path(__file__).with_name("idf")
IDF = firmware_dir() / "esp-idf"
# A stand-in for ESP-IDF's function; arguments are printed one a line, sections by their keyword.
READ_LISTS = """
function(idf_component_register)
  foreach(argument IN LISTS ARGN)
    message(NOTICE "${argument}")
  endforeach()
endfunction()
function(target_compile_options)
endfunction()
function(set_source_files_properties)
endfunction()
set(IDF_VERSION_MAJOR 5)
set(IDF_VERSION_MINOR 3)
include(${LISTS})
"""
SECTIONS = {"SRCS", "SRC_DIRS", "EXCLUDE_SRCS", "INCLUDE_DIRS", "PRIV_REQUIRES"}
C_FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


def needs(*programs: str) -> None:
    for program in programs:
        if find_program(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("small") / "bundle")


@pytest.fixture(scope="module")
def generated(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(bundle, tmp_path_factory.mktemp("generated")).directory


def read_lists(lists: Path, directory: Path, *definitions: str) -> dict[str, list[Path]]:
    """What a component's CMakeLists.txt registers, by keyword, read by CMake itself."""
    needs("cmake")
    script = directory / "read.cmake"
    script.write_text(READ_LISTS)
    command = ["cmake", f"-DLISTS={lists}", *definitions, "-P", str(script)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    found: dict[str, list[Path]] = defaultdict(list)
    section = ""
    for line in said.splitlines():
        if line in SECTIONS:
            section = line
        else:
            found[section].append((lists.parent / line).resolve())
    return found


def sources(lists: dict[str, list[Path]]) -> set[Path]:
    named = set(lists["SRCS"])
    for directory in lists["SRC_DIRS"]:
        named |= set(directory.glob("*.c"))
    return named - set(lists["EXCLUDE_SRCS"])


def test_the_component_has_every_file_of_the_runtime(tmp_path: Path) -> None:
    lists = read_lists(IDF / "stapes/CMakeLists.txt", tmp_path)
    portable = {
        path for room in ("runtime/src", "link", "audio") for path in (firmware_dir() / room).glob("*.c")
    }
    assert sources(lists) == portable - {firmware_dir() / "audio/no_audio.c"}
    assert len(portable) > 25
    assert lists["EXCLUDE_SRCS"][0].is_file()


def test_the_component_compiles_for_the_esp32c3(tmp_path: Path) -> None:
    needs("riscv64-unknown-elf-gcc")
    lists = read_lists(IDF / "stapes/CMakeLists.txt", tmp_path)
    command = ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs", *C_FLAGS]
    command += [f"-I{directory}" for directory in lists["INCLUDE_DIRS"]]
    done = subprocess.run(
        [*command, "-c", *map(str, sorted(sources(lists)))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.o"))) == len(sources(lists))


def build_example(generated: Path, directory: Path, app: str) -> Path:
    """The example as a program of this computer."""
    needs("cc")
    component = read_lists(IDF / "stapes/CMakeLists.txt", directory)
    main = read_lists(
        IDF / "example/main/CMakeLists.txt",
        directory,
        f"-DSTAPES_GENERATED={generated}",
        f"-DSTAPES_APP={app}",
    )
    program = directory / "example"
    command = ["cc", *C_FLAGS, "-std=gnu11", "-pthread", "-Dmain=stapes_main", '-DSTAPES_BUILD_ID="esp-idf"']
    command += ["-Wno-sign-conversion", f"-I{HERE / 'include'}"]
    command += [f"-I{path}" for path in (*component["INCLUDE_DIRS"], *main["INCLUDE_DIRS"])]
    fake = directory / "fake_idf.o"
    subprocess.run(
        ["cc", "-pthread", f"-I{HERE / 'include'}", "-c", str(HERE / "fake_idf.c"), "-o", str(fake)],
        check=True,
    )
    files = sorted(sources(component) | sources(main))
    done = subprocess.run(
        [*command, *map(str, files), str(fake), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def test_the_hil_server_runs_as_a_task(bundle: Bundle, generated: Path, tmp_path: Path) -> None:
    program = build_example(generated, tmp_path, "hil")
    with open_target("host", program) as stream:
        client = Client(stream)
        hello = client.hello()
        assert hello.board == "esp_idf_linux"
        assert hello.bundle_hash == bundle.hash
        assert hello.unique_id == "020000000007"
        assert client.stats().stack_high_water == 8192 - 5000
        fault = client.fault()
        assert fault is not None and "watchdog" in str(fault)
        assert client.reboot().build_id == "esp-idf"


def test_the_live_application_builds_and_says_who_it_is(
    bundle: Bundle, generated: Path, tmp_path: Path
) -> None:
    with open_target("host", build_example(generated, tmp_path, "live")) as stream:
        assert Client(stream).hello().bundle_hash == bundle.hash


def test_the_microphone_feeds_the_ring(generated: Path, tmp_path: Path) -> None:
    program = build_example(
        generated, tmp_path, os.path.relpath(HERE / "microphone_app", firmware_dir() / "app")
    )
    said = subprocess.run(
        [program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()[-1]
    wrong_rate, error, in_gap, dropped, different, again, left = map(int, said.split())
    assert wrong_rate < 0 and error == again == 0
    assert (in_gap, different, left) == (0, 0, 0)
    assert dropped >= 240  # one overwritten buffer; more where this computer was busy


def test_the_component_manager_accepts_the_manifest() -> None:
    manager = pytest.importorskip("idf_component_tools.manager", reason="idf-component-manager is missing")
    manifest = manager.ManifestManager(str(IDF / "stapes"), name="stapes").load()
    project = tomllib.loads((firmware_dir().parent / "pyproject.toml").read_text())["project"]
    assert str(manifest.version) == project["version"]
    assert manifest.license == project["license"]
    assert manifest.targets == []  # all chips


def test_the_menu_has_what_the_sources_use() -> None:
    menu = (IDF / "example/main/Kconfig.projbuild").read_text()
    used = {
        name
        for source in (IDF / "example/main").glob("*.c")
        for name in re.findall(r"CONFIG_(STAPES_\w+)", source.read_text())
    }
    assert len(used) >= 9
    for name in used:
        assert f"config {name}\n" in menu
