"""Builds: only when needed, errors in one line, sizes and stack that other means confirm, a checksum that bites."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.codegen import generate
from stapes.errors import BuildError, TooLargeError, ToolError
from stapes.firmware import (
    BuildResult,
    board_names,
    build_bundle,
    build_firmware,
    find_program,
    find_tools,
    firmware_dir,
    stack,
)
from stapes.firmware import kept as kept_builds
from stapes.firmware.kept import STAMP
from stapes.firmware.stack import worst_case_stack
from stapes.link import Client
from stapes.recipe import Bundle
from stapes.targets import open_target

QUIET_APP = '#include "board.h"\nint main(void) {\n    board_init();\n    board_exit(0);\n    return 0;\n}\n'


def needs(*programs: str) -> None:
    for program in programs:
        if find_program(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("small") / "bundle")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Path:
    return generate(bundle, tmp_path_factory.mktemp("generated")).directory


Build = Callable[..., BuildResult]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One build directory per board for all tests: the runtime is compiled once."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def build(shared: Path) -> Build:
    def run(generated: Path | None, board: str, app: str = "hil") -> BuildResult:
        try:
            return build_firmware(generated, board, shared / board, app)
        except ToolError as error:
            pytest.skip(str(error))

    return run


def test_firmware_dir_has_the_sources() -> None:
    assert (firmware_dir() / "app/hil.c").is_file()
    assert {"host", "stm32f4_discovery", "mps2_an385", "mps2_an386"} <= set(board_names())


def test_sizes_are_those_of_binutils(generated: Path, build: Build) -> None:
    needs("arm-none-eabi-size")
    built = build(generated, "stm32f4_discovery")
    text = subprocess.run(
        ["arm-none-eabi-size", "-A", built.elf], capture_output=True, text=True, check=True
    ).stdout
    sizes = {name: int(size) for name, size in re.findall(r"^(\.\w+)\s+(\d+)", text, flags=re.MULTILINE)}
    assert built.flash_bytes == sizes[".text"] + sizes[".checksum"] + sizes[".data"]
    assert built.ram_bytes == sizes[".data"] + sizes[".bss"] + sizes[".noinit"]
    assert sizes[".stack"] >= built.stack_bytes


BUFFERS = ("memory", "request_buffer", "answer_buffer")
"""Of the classifier, and of the line."""


def test_the_link_is_small(generated: Path, build: Build, shared: Path) -> None:
    needs("arm-none-eabi-nm")
    built = build(generated, "stm32f4_discovery")
    objects = list((shared / "stm32f4_discovery").rglob("link/*.obj"))
    objects += [path for name in ("hil", "device") for path in built.elf.parent.rglob(f"{name}.c.obj")]
    assert len(objects) == 5
    text = subprocess.run(
        ["arm-none-eabi-nm", "-S", *objects], capture_output=True, text=True, check=True
    ).stdout
    flash = ram = 0
    for size, kind, name in re.findall(r"^\w+ (\w+) (\w) (\w+)$", text, flags=re.MULTILINE):
        if kind in "tTrR":
            flash += int(size, 16)
        elif name not in BUFFERS:
            ram += int(size, 16)
    assert 1_000 < flash <= 6 * 1024
    assert 100 < ram <= 1024


def test_nothing_is_built_twice(generated: Path, shared: Path) -> None:
    steps: list[str] = []

    def note(what: str, done: int, total: int) -> None:
        steps.append(what)

    first = build_firmware(generated, "host", shared / "host", progress=note)
    (shared / "host/stapes.elf").unlink()
    assert build_firmware(generated, "host", shared / "host", progress=note) == first
    assert steps and all(step.startswith("build ") for step in steps)
    written, steps[:] = first.elf.stat().st_mtime_ns, []
    assert build_firmware(generated, "host", shared / "host", progress=note) == first
    assert steps == []
    assert first.elf.stat().st_mtime_ns == written


def test_a_changed_source_changes_the_build_id(build: Build, tmp_path: Path) -> None:
    app = tmp_path / "app.c"
    app.write_text(QUIET_APP)
    first = build(None, "host", str(app))
    app.write_text(QUIET_APP + "/* changed */\n")
    assert build(None, "host", str(app)).build_id != first.build_id


def test_compile_errors_are_one_line(build: Build, tmp_path: Path) -> None:
    app = tmp_path / "app.c"
    app.write_text(QUIET_APP.replace("return 0;", "return nothing_here;"))
    with pytest.raises(BuildError, match=r"app\.c:5:.*nothing_here") as caught:
        build(None, "host", str(app))
    assert "\n" not in caught.value.message and "build.log" in caught.value.hint


def test_link_errors_are_one_line(build: Build, tmp_path: Path) -> None:
    app = tmp_path / "app.c"
    app.write_text(
        QUIET_APP.replace("int main", "int missing(void);\nint main").replace("return 0", "return missing()")
    )
    with pytest.raises(BuildError, match="missing"):
        build(None, "host", str(app))


def test_an_image_that_does_not_fit_says_so(build: Build, tmp_path: Path) -> None:
    needs("arm-none-eabi-gcc")
    app = tmp_path / "app.c"
    app.write_text(
        QUIET_APP.replace("int main", "static unsigned char big[200000];\nint main").replace(
            "board_init();", "board_init(); board_write(big, sizeof big);"
        )
    )
    with pytest.raises(
        BuildError,
        match=r"does not fit stm32f4_discovery: RAM is [\d,]+ bytes too small; .* are big 200,000 B",
    ) as caught:
        build(None, "stm32f4_discovery", str(app))
    assert "stapes boards" in caught.value.hint


@pytest.mark.parametrize(
    ("missing", "fits"),
    [
        ({"RAM": 12_996}, "esc10-forest"),
        ({"RAM": 20_000, "FLASH": 180_000}, "esc10-nano"),
        ({"RAM": 50_000}, ""),
    ],
)
def test_a_bundle_that_fits_instead_is_named(
    missing: dict[str, int], fits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("arm-none-eabi-gcc", "cmake", "ninja")

    def too_large(*_: object, **__: object) -> None:
        raise TooLargeError("it does not fit", missing, hint="see build.log")

    monkeypatch.setattr("stapes.firmware.kept.build_firmware", too_large)
    models = Path(__file__).parents[3] / "models"
    with pytest.raises(TooLargeError) as caught:
        build_bundle(Bundle.load(models / "esc10"), tmp_path, "microbit", tmp_path / "microbit")
    named = f"by its weights and working memory {models / fits} fits; " if fits else ""
    assert caught.value.hint == f"{named}see build.log"


def test_unknown_board_and_application(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="unknown board 'vax'") as caught:
        build_firmware(None, "vax", tmp_path)
    assert "stm32f4_discovery" in caught.value.hint
    with pytest.raises(
        BuildError, match="'netduinoplus2' is qemu's name of the board stm32f4_discovery"
    ) as caught:
        build_firmware(None, "netduinoplus2", tmp_path)
    assert caught.value.hint == "choose the board stm32f4_discovery"
    with pytest.raises(BuildError, match="no_such_app"):
        build_firmware(None, "host", tmp_path / "build", "no_such_app")


def test_generated_code_that_is_missing(build: Build) -> None:
    with pytest.raises(BuildError, match=r"stapes_app\.h"):
        build(None, "host")


STACK_APP = """#include "board.h"
typedef void (*step_t)(volatile unsigned char *);
static void shallow(volatile unsigned char *bytes) {
    volatile unsigned char local[100];
    local[bytes[0] % 100] = 1;
    bytes[1] = local[bytes[2] % 100];
}
static void deep(volatile unsigned char *bytes) {
    volatile unsigned char local[700];
    local[bytes[0]] = 1;
    shallow(&local[3]);
    bytes[1] = local[bytes[2]];
}
static volatile step_t steps[2] = {shallow, deep};
int main(void) {
    volatile unsigned char bytes[300];
    board_init();
    steps[bytes[5] & 1u](bytes);
    board_exit((int)board_stack_high_water());
    return 0;
}
"""


def test_stack_follows_calls_through_pointers(build: Build, shared: Path, tmp_path: Path) -> None:
    app = tmp_path / "app.c"
    app.write_text(STACK_APP)
    built = build(None, "stm32f4_discovery", str(app))
    assert 1100 <= built.stack_bytes <= 1100 + 400
    assert worst_case_stack(shared / "stm32f4_discovery", built.elf, entry="no_such_function") == 0


@pytest.mark.parametrize("board", ["host", "stm32f4_discovery"])
def test_a_flipped_bit_in_the_constants_fails_the_self_test(
    board: str, bundle: Bundle, generated: Path, build: Build, tmp_path: Path
) -> None:
    target = {"host": "host", "stm32f4_discovery": "qemu:netduinoplus2"}[board]
    if board != "host":
        needs("qemu-system-arm")
    built = build(generated, board)
    image = bytearray(built.elf.read_bytes())
    place = image.find(bytes.fromhex(bundle.hash))
    assert place > 0
    image[place] ^= 4
    damaged = tmp_path / "damaged"
    damaged.write_bytes(image)
    damaged.chmod(0o755)
    for elf, sound in ((built.elf, True), (damaged, False)):
        with open_target(target, elf) as stream:
            client = Client(stream)
            client.hello()
            assert client.self_test().passed is sound


def test_doctor_reports_every_tool(tmp_path: Path) -> None:
    from stapes.cli.app import app

    result = CliRunner().invoke(app, ["doctor", "--json", str(tmp_path / "doctor.json")])
    assert result.exit_code == 0, result.output
    tools = json.loads((tmp_path / "doctor.json").read_text())["tools"]
    assert {"cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm", "tensorflow"} <= {
        tool["name"] for tool in tools
    }
    for tool in tools:
        assert set(tool) >= {"name", "found", "version", "install"}
        assert tool["found"] is (tool["version"] is not None)
        assert all(tool["install_on"][system] for system in ("debian", "macos", "windows"))


def test_missing_tools_are_found_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    find_program.cache_clear()
    try:
        programs = [status for status in find_tools() if status.tool.command]
        assert programs and not any(status.found for status in programs)
        with pytest.raises(ToolError, match=r"(cmake|cc) is missing") as caught:
            build_firmware(None, "host", tmp_path / "build")
        assert "install" in caught.value.hint
    finally:
        find_program.cache_clear()


def test_a_compiler_without_its_library_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "arm-none-eabi-gcc"
    fake.write_text("#!/bin/sh\necho libc.a\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    find_program.cache_clear()
    try:
        with pytest.raises(ToolError, match="its C library is not") as caught:
            build_firmware(None, "stm32f4_discovery", tmp_path / "build")
        assert "libnewlib" in caught.value.hint or "gcc-arm" in caught.value.hint.lower()
    finally:
        find_program.cache_clear()


def test_build_command(tmp_path: Path, bundle: Bundle) -> None:
    from stapes.cli.app import app

    out = tmp_path / "build.json"
    arguments = [
        "build",
        str(bundle.directory),
        "--board",
        "host",
        "--out",
        str(tmp_path / "o"),
        "--json",
        str(out),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text())
    assert Path(told["elf"]).is_file() and told["flash_bytes"] > 0 and told["ram_bytes"] > 0
    assert told["stack_bytes"] > 0


def test_an_unchanged_bundle_is_neither_generated_nor_built_again(
    tmp_path: Path, bundle: Bundle, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    analysed: list[Path] = []

    def build() -> BuildResult:
        steps.clear()
        return build_bundle(
            bundle, tmp_path, "host", shared / "host", progress=lambda what, *_: steps.append(what)
        )

    def analyse(build_dir: Path, elf_path: Path) -> int:
        analysed.append(elf_path)
        return worst_case_stack(build_dir, elf_path)

    monkeypatch.setattr(stack, "worst_case_stack", analyse)
    first = build()
    assert steps and len(analysed) == 1
    assert build() == first
    assert not steps and len(analysed) == 1

    weights = next((tmp_path / "generated").glob("*weights.c"))
    text = weights.read_text()
    weights.write_text(text.replace("1", "2"))
    assert build() == first and weights.read_text() == text  # as when it never was

    kept = shared / "host" / STAMP
    for damaged in (b"", b"[]", b'{"key": 1}', kept.read_bytes().replace(b'"flash_bytes"', b'"flesh_bytes"')):
        kept.write_bytes(damaged)
        assert build() == first
    first.elf.write_bytes(first.elf.read_bytes() + b"x")
    with monkeypatch.context() as patch:
        patch.setattr(kept_builds, "build_firmware", lambda *_, **__: pytest.fail("built"))
        with pytest.raises(pytest.fail.Exception, match="built"):
            build()
    first.elf.unlink()
    assert build() == first
    monkeypatch.setattr(kept_builds, "package_hash", lambda: "another stapes")
    assert build() == first and json.loads(kept.read_bytes())["key"] != ""
    (shared / "host/stapes-stack.json").write_text("{}")
    (shared / "host" / STAMP).unlink()
    assert build() == first and len(analysed) == 2
