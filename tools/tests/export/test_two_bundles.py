"""Two exported bundles in one program, in C and in C++: as CMake targets, as archives, as Zephyr links libraries."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stapes.codegen.selftest import noise
from stapes.export import export_bundle
from stapes.firmware import find_program
from stapes.recipe import Bundle
from stapes.reference import LiveReference, Reference

MODELS = Path(__file__).parents[3] / "models"
NAMES = ("esc10-nano", "esc10-tiny")
TARGETS = [f"stapes::{name.replace('-', '_')}" for name in NAMES]
PROGRAM = Path(__file__).with_name("two_bundles.c")
CHECKED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
ORDERS = {"ab": TARGETS, "ba": TARGETS[::-1]}
LANGUAGES = ("c", "cpp")


def need(*programs: str) -> None:
    missing = [program for program in programs if find_program(program) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def configure(source: Path, build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    ninja = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_program('ninja')}"]
    command = [str(find_program("cmake")), *ninja, *options, "-S", str(source), "-B", str(build)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def build(source: Path, directory: Path, *options: str) -> None:
    done = configure(source, directory, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    run(find_program("cmake"), "--build", directory)


def programs(directory: Path, orders: dict[str, Sequence[str]]) -> str:
    """CMake's lines for one program for each order of linking, in C and in C++."""
    lines = ["cmake_minimum_required(VERSION 3.18)", "project(two C CXX)"]
    for language in LANGUAGES:
        (directory / f"two.{language}").write_bytes(PROGRAM.read_bytes())
        for order, targets in orders.items():
            lines += [
                f"add_executable({language}_{order} two.{language})",
                f"target_link_libraries({language}_{order} PRIVATE {' '.join(targets)})",
            ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def bundles() -> list[Bundle]:
    return [Bundle.load(MODELS / name) for name in NAMES]


@pytest.fixture(scope="module")
def exports(bundles: list[Bundle], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The CMake exports."""
    root = tmp_path_factory.mktemp("exports")
    return [export_bundle(bundle, "cmake", root / bundle.manifest.name).directory for bundle in bundles]


@pytest.fixture(scope="module")
def pcm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, npt.NDArray[np.int16]]:
    """Noise and tones whose level jumps, 6 s at 8 kHz."""
    random = np.random.default_rng(5)
    parts = [
        random.choice([30.0, 1000.0, 20000.0])
        * (random.normal(0, 0.3, 4000) + np.sin(np.arange(4000) * random.uniform(0.02, 1.5)))
        for _ in range(12)
    ]
    samples = np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)
    path = tmp_path_factory.mktemp("pcm") / "clip.raw"
    path.write_bytes(samples.astype("<i2").tobytes())
    return path, samples


@pytest.fixture(scope="module")
def expected(bundles: list[Bundle], pcm: tuple[Path, npt.NDArray[np.int16]]) -> list[str]:
    """What the program must print."""
    lines = [f"{name} selftest 1 0" for name in NAMES]
    for bundle in bundles:
        name, reference = bundle.manifest.name, Reference(bundle)
        clip = reference.clip(pcm[1])
        assert len(clip.windows) >= 3
        lines += [f"{name} scores {' '.join(map(str, window.scores.tolist()))}" for window in clip.windows]
        verdict = clip.verdict
        label = bundle.manifest.labels[verdict.best]
        lines.append(f"{name} verdict {verdict.class_index} {verdict.confidence} {label}")
        value = 2166136261
        for byte in reference.frontend.features(pcm[1], reference.output).tobytes():
            value = (value ^ byte) * 16777619 % 2**32
        lines.append(f"{name} features {value}")
        live = LiveReference(reference)
        live.push(pcm[1])
        live.twin.flush()
        assert live.events
        lines += [
            f"{name} event {e.kind.value} {e.class_index} {e.start} {e.end} {e.score} {e.level}"
            for e in live.events
        ]
    return lines


@pytest.fixture(scope="module")
def built(exports: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both exports and all programs, built by one CMake project with the sanitizers, and installed."""
    need("cmake", "ninja", "cc", "c++")
    root = tmp_path_factory.mktemp("built")
    added = "".join(f"add_subdirectory({path} {path.name})\n" for path in exports)
    head, _, rest = programs(root, ORDERS).partition("\nadd_executable")
    (root / "CMakeLists.txt").write_text(f"{head}\n{added}add_executable{rest}")
    flags = " ".join([*WARNINGS, *CHECKED])
    build(
        root,
        root / "build",
        f"-DCMAKE_C_FLAGS={flags}",
        f"-DCMAKE_CXX_FLAGS={flags}",
        f"-DCMAKE_INSTALL_PREFIX={root / 'prefix'}",
    )
    run(find_program("cmake"), "--install", root / "build")
    return root


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_are_right_as_cmake_targets(
    language: str, order: str, built: Path, pcm: tuple[Path, object], expected: list[str]
) -> None:
    assert run(built / "build" / f"{language}_{order}", pcm[0]).splitlines() == expected


def test_both_are_found_where_they_were_installed(
    built: Path, pcm: tuple[Path, object], expected: list[str], tmp_path: Path
) -> None:
    head, _, rest = programs(tmp_path, {"ab": TARGETS}).partition("\nadd_executable")
    found = "".join(f"find_package({target.replace('::', '_')} REQUIRED)\n" for target in TARGETS)
    (tmp_path / "CMakeLists.txt").write_text(f"{head}\n{found}add_executable{rest}")
    flags = " ".join(CHECKED)
    prefix = f"-DCMAKE_PREFIX_PATH={built / 'prefix'}"
    build(tmp_path, tmp_path / "build", prefix, f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}")
    for language in LANGUAGES:
        assert run(tmp_path / "build" / f"{language}_ab", pcm[0]).splitlines() == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_are_right_as_archives(
    language: str,
    built: Path,
    exports: list[Path],
    pcm: tuple[Path, object],
    expected: list[str],
    tmp_path: Path,
) -> None:
    """As ESP-IDF, PlatformIO and Arduino have them: the runtime is in both archives, the linker takes it from one."""
    runtime = sorted((built / "build").rglob("stapes_runtime.dir/**/*.o"))
    assert len(runtime) > 20
    archives = []
    for target in TARGETS:
        name = target.replace("::", "_")
        own = sorted((built / "build").rglob(f"{name}.dir/**/*.o"))
        assert len(own) >= 4
        archives.append(tmp_path / f"lib{name}.a")
        run("ar", "rcs", archives[-1], *own, *runtime)
    compiler = {"c": ["cc", "-std=c99"], "cpp": ["c++", "-std=c++17"]}[language]
    includes = [f"-I{path / 'src'}" for path in exports]
    for order in (archives, archives[::-1]):
        program = tmp_path / "program"
        run(*compiler, *CHECKED, *WARNINGS, *includes, built / f"two.{language}", *order, "-o", program)
        assert run(program, pcm[0]).splitlines() == expected


ZEPHYR = """
set(CONFIG_STAPES_ESC10_NANO y)
set(CONFIG_STAPES_ESC10_TINY y)
add_library(zephyr_interface INTERFACE)
macro(zephyr_library_named name)
  set(current ${name})
  add_library(${name} STATIC)
  target_link_libraries(${name} PRIVATE zephyr_interface)
  set_property(GLOBAL APPEND PROPERTY libraries ${name})
endmacro()
function(zephyr_include_directories)
  foreach(path ${ARGN})
    target_include_directories(zephyr_interface INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/${path})
  endforeach()
endfunction()
macro(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGN})
endmacro()
"""


@pytest.fixture(scope="module")
def modules(bundles: list[Bundle], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The Zephyr exports."""
    need("cmake", "ninja", "cc", "c++")
    root = tmp_path_factory.mktemp("modules")
    return [export_bundle(bundle, "zephyr", root / bundle.manifest.name).directory for bundle in bundles]


def zephyr_project(modules: Sequence[Path], directory: Path) -> Path:
    """A project that links all of every library, as Zephyr does."""
    directory.mkdir()
    head, _, rest = programs(directory, {"all": ["zephyr_interface", "${whole}"]}).partition(
        "\nadd_executable"
    )
    added = "".join(f"add_subdirectory({path / 'zephyr'} {path.name})\n" for path in modules)
    whole = "get_property(libraries GLOBAL PROPERTY libraries)\n"
    whole += "set(whole -Wl,--whole-archive ${libraries} -Wl,--no-whole-archive)\n"
    (directory / "CMakeLists.txt").write_text(f"{head}\n{ZEPHYR}{added}{whole}add_executable{rest}")
    return directory


def test_both_are_right_where_everything_is_linked(
    modules: list[Path], pcm: tuple[Path, object], expected: list[str], tmp_path: Path
) -> None:
    for index, order in enumerate((modules, modules[::-1])):
        source = zephyr_project(order, tmp_path / str(index))
        if index == 0:
            build(source, source / "build", "-DCMAKE_C_FLAGS=-O1")
            for language in LANGUAGES:
                assert run(source / "build" / f"{language}_all", pcm[0]).splitlines() == expected
        else:
            assert configure(source, source / "build").returncode == 0


def test_another_runtime_is_an_error_by_name(
    exports: list[Path], modules: list[Path], tmp_path: Path
) -> None:
    need("cmake", "ninja", "cc", "c++")
    for name, (first, second), lists in (
        ("cmake", exports, "CMakeLists.txt"),
        ("zephyr", modules, "zephyr/CMakeLists.txt"),
    ):
        other = tmp_path / name / second.name
        run("cp", "-r", second, other.parent) if other.parent.mkdir() is None else None
        text = (other / lists).read_text()
        (other / lists).write_text(text.replace('RUNTIME "', 'RUNTIME "9').replace('EQUAL "', 'EQUAL "9'))
        if name == "cmake":
            source = tmp_path / "project"
            source.mkdir()
            added = "".join(f"add_subdirectory({path} {path.name})\n" for path in (first, other))
            (source / "CMakeLists.txt").write_text(
                f"cmake_minimum_required(VERSION 3.18)\nproject(two C)\n{added}"
            )
        else:
            source = zephyr_project([first, other], tmp_path / "zephyr_project")
        done = configure(source, source / "build")
        assert done.returncode != 0
        said = " ".join(done.stderr.split())
        assert "stapes_esc10_tiny needs the stapes runtime" in said and "export all of them" in said


def test_one_bundle_twice_is_an_error_by_name(exports: list[Path], tmp_path: Path) -> None:
    need("cmake", "ninja", "cc")
    again = tmp_path / "again"
    run("cp", "-r", exports[0], again)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(two C)\n"
        f"add_subdirectory({exports[0]} a)\nadd_subdirectory({again} b)\n"
    )
    done = configure(tmp_path, tmp_path / "build")
    assert done.returncode != 0
    assert "stapes_esc10_nano" in done.stderr and "same name" in done.stderr


def test_a_bare_metal_project_classifies_with_one_bundle_and_with_two(
    exports: list[Path], bundles: list[Bundle], tmp_path: Path
) -> None:
    """bare_metal/ is all that such a project takes: 60 lines with its linker script, for a Cortex-M4 in QEMU."""
    need("cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm")
    project = tmp_path / "project"
    shutil.copytree(PROGRAM.with_name("bare_metal"), project)
    assert sum(len(path.read_text().splitlines()) for path in project.iterdir()) <= 60
    pcm = noise(20_000)
    values = ", ".join(map(str, pcm))
    (project / "sound.c").write_text(
        "#include <stddef.h>\n#include <stdint.h>\n\nextern const int16_t sound[];\nextern const size_t sound_count;\n"
        f"const int16_t sound[] = {{{values}}};\nconst size_t sound_count = {len(pcm)};\n"
    )
    build(project, tmp_path / "build", f"-DEXPORTS={exports[0].parent}")
    lines = []
    for bundle in bundles:
        verdict = Reference(bundle).clip(pcm).verdict
        lines.append(f"{bundle.manifest.name}: {bundle.manifest.labels[verdict.best]} {verdict.confidence} 0")
    for name, expected in (("one", lines[:1]), ("two", lines)):
        machine = ["-machine", "mps2-an386", "-nodefaults", "-display", "none", "-monitor", "none"]
        semihosting = ["-semihosting-config", "enable=on,target=native"]
        said = run("qemu-system-arm", *machine, *semihosting, "-kernel", tmp_path / "build" / name)
        assert said.splitlines() == expected
