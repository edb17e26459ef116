"""The runtime keeps its promises: no float, no heap, no stdio, no warning from either compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.firmware import build_firmware

FIRMWARE = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("runtime/src", "link", "audio") for path in (FIRMWARE / room).glob("*.c"))
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", "-o", "/dev/null"]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_sources_compile_without_a_warning(compiler: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is missing")
    for source in SOURCES:
        includes = [f"-I{FIRMWARE / room}" for room in ("runtime/include", "link", "audio")]
        done = subprocess.run([compiler, *FLAGS, *includes, source], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_no_float_in_the_sources() -> None:
    for source in [*SOURCES, *FIRMWARE.glob("runtime/**/*.h"), *FIRMWARE.glob("audio/*.h")]:
        code = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\b(float|double)\b|<math\.h>|<stdio\.h>|\bmalloc\b", code), source


def test_literals_have_one_style() -> None:
    """Small suffixes: 1u, 1ull."""
    for source in sorted([*FIRMWARE.rglob("*.[ch]"), *FIRMWARE.rglob("*.def")]):
        code = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)
        wrong = re.findall(r"\b(?:0[xX][0-9A-Fa-f]+|[0-9]+)[uUlL]*[UL][uUlL]*\b|\bU?INT\d+_C\b", code)
        assert not wrong, f"{source}: {', '.join(wrong)}"


def test_every_function_says_what_it_returns() -> None:
    headers = [
        path
        for room in ("runtime/include/stapes", "link", "audio", "app")
        for path in (FIRMWARE / room).glob("*.h")
    ]
    silent = []
    for header in [*headers, FIRMWARE / "boards/board.h"]:
        for found in re.finditer(
            r"(?:/\*((?:(?!\*/).)*)\*/\n)?^(?!static|typedef|#|\s|void (?!\*))"
            r"[\w ]+?[ *]((?:stapes|board|device)_\w+)\(",
            header.read_text(encoding="utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        ):
            if not re.search(r"\breturns?\b|\bmany\b", found[1] or "", flags=re.IGNORECASE):
                silent.append(f"{header.name}: {found[2]}")
    assert not silent, ", ".join(silent)


NULLS = """
#include "adc.h"
#include "audio.h"
#include "i2s.h"
#include "link.h"
#include "pdm.h"
#include "stapes/decision.h"
#include "stapes/frontend.h"
#include "stapes/slide.h"

int main(void) {
    static uint64_t memory[64];
    static int8_t row[8];
    static int16_t pcm[8];
    static const stapes_slide_t slide;
    static const stapes_window_output_t output;
    static const int32_t values[8];
    static stapes_engine_t engine;
    static stapes_decision_t decision;
    static stapes_ring_t ring;
    static stapes_pdm_t pdm;
    const int results[] = {
        stapes_slide_row(NULL, &slide, row), stapes_slide_row(&engine, NULL, row),
        stapes_slide_row(&engine, &slide, NULL), stapes_slide_fill(NULL, &slide, row),
        stapes_slide_fill(&engine, NULL, row), stapes_slide_fill(&engine, &slide, NULL),
        stapes_window_normalize(NULL, values, 8, row), stapes_window_normalize(&output, NULL, 8, row),
        stapes_window_normalize(&output, values, 8, NULL),
        stapes_decision_init(NULL, NULL, memory, sizeof memory),
        stapes_decision_init(&decision, NULL, memory, sizeof memory),
        stapes_ring_init(NULL, pcm, 8), stapes_ring_init(&ring, NULL, 8),
        stapes_adc_init(NULL, 4, 256), stapes_i2s_init(NULL, 2, 0, 0, 256),
        stapes_pdm_init(NULL, 64, 256, pcm), stapes_pdm_init(&pdm, 64, 256, NULL),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        if (results[i] != STAPES_E_ARGUMENT) {
            return (int)i + 1;
        }
    }
    return 0;
}
"""


def test_null_is_an_error_where_the_header_says_so(tmp_path: Path) -> None:
    """The others' are in classifier_driver.c and link_driver.c."""
    program = tmp_path / "nulls.c"
    program.write_text(NULLS)
    includes = [f"-I{FIRMWARE / room}" for room in ("runtime/include", "link", "audio")]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        ["cc", "-std=c99", *sanitize, *includes, program, *SOURCES, "-o", tmp_path / "nulls"], check=True
    )
    assert subprocess.run([tmp_path / "nulls"]).returncode == 0


def test_nothing_forbidden_is_linked_into_a_core_without_fpu(tmp_path: Path) -> None:
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is missing")
    generated = generate(make_small_bundle(tmp_path / "bundle"), tmp_path / "generated")
    build = build_firmware(generated.directory, "mps2_an385", tmp_path / "build")
    with build.elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        names = {symbol.name for symbol in table.iter_symbols()}
    assert "stapes_engine_push_row" in names
    forbidden = re.compile(
        r"__aeabi_([fd](add|sub|mul|div|cmp)|[iul]+2[fd])|_?malloc(_r)?$|_?(v?s?n?)printf|_sbrk"
    )
    assert not [name for name in names if forbidden.match(name)]
