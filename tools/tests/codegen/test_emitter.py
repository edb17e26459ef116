"""The emitter's filters survive anything a model file can name, proven by a C compiler."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stapes
from stapes.codegen.emitter import API_VERSION, c_array, c_comment, c_identifier, c_string, write_source

VERSION_H = Path(stapes.__file__).parents[2] / "firmware/runtime/include/stapes/version.h"


def test_versions_agree() -> None:
    text = VERSION_H.read_text(encoding="utf-8")
    assert re.search(r'STAPES_VERSION\s+"(.*)"', text)[1] == stapes.__version__
    assert int(re.search(r"STAPES_API_VERSION\s+(\d+)", text)[1]) == API_VERSION


@given(st.text())
def test_identifier(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", c_identifier(text))


@given(st.text())
def test_comment_cannot_end_or_nest(text: str) -> None:
    comment = c_comment(text)
    assert "*/" not in comment and "/*" not in comment and "\n" not in comment


@settings(max_examples=10, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=40))
def test_strings_survive_a_c_compiler(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    directory = tmp_path_factory.mktemp("strings")
    texts = [text.replace("\0", "") for text in texts]
    source = directory / "s.c"
    lines = ["#include <stdio.h>", "int main(void) {"]
    lines += [f"    fwrite({c_string(text)}, 1, sizeof({c_string(text)}), stdout);" for text in texts]
    source.write_text("\n".join([*lines, "    return 0;", "}"]))
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", directory / "s", source], check=True
    )
    out = subprocess.run([directory / "s"], capture_output=True, check=True).stdout
    assert out == b"".join(text.encode() + b"\0" for text in texts)


def test_extreme_integers_compile_without_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "i.c"
    source.write_text(
        "#include <stdint.h>\n"
        f"const int32_t a[] = {{{c_array([-(2**31), 2**31 - 1, 0])}}};\n"
        f"const uint32_t b[] = {{{c_array([2**31, 2**32 - 1])}}};\n"
    )
    subprocess.run(["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c",
                    "-o", tmp_path / "i.o", source], check=True)  # fmt: skip


def test_lines_hold_as_many_as_asked() -> None:
    assert c_array(range(5), per_line=2, indent="") == "0, 1,\n2, 3,\n4"


def test_an_unchanged_file_keeps_its_time(tmp_path: Path) -> None:
    first = write_source(tmp_path, "x.c", "int x;\n").stat().st_mtime_ns
    assert write_source(tmp_path, "x.c", "int x;\n").stat().st_mtime_ns == first
    assert write_source(tmp_path, "x.c", "int y;\n").read_text() == "int y;\n"
