"""The widths of C constants: read from the headers, and nothing is ever written that they do not hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.compiler import compile_graph
from stapes.compiler.plan import Array
from stapes.compiler.structures import INTEGERS, Headers, runtime
from stapes.definitions import firmware_dir
from stapes.errors import UnsupportedModelError
from stapes.graph import read_tflite, simplify

INCLUDE = firmware_dir() / "runtime/include"


def test_the_headers_are_read_as_the_compiler_reads_them(tmp_path: Path) -> None:
    """Width and sign of every number in every structure."""
    expected, lines = [], []
    for structure in runtime().structures.values():
        for member in structure.members:
            if member.is_pointer or member.count or member.ctype not in INTEGERS or " " in structure.name:
                continue
            bits = int(re.sub(r"\D", "", member.ctype))
            is_signed = not member.ctype.startswith("u")
            expected.append(f"{structure.name}.{member.name} {bits // 8} {int(is_signed)}")
            value = f"(({structure.name} *)0)->{member.name}"
            lines.append(
                f'printf("{structure.name}.{member.name} %d %d\\n", (int)sizeof({value}), '
                f"(__typeof__({value}))-1 < 0);"
            )
    assert len(expected) > 150
    headers = "\n".join(f'#include "stapes/{path.name}"' for path in sorted((INCLUDE / "stapes").glob("*.h")))
    source = tmp_path / "widths.c"
    source.write_text(
        f"#include <stdio.h>\n{headers}\nint main(void) {{\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    subprocess.run(["cc", f"-I{INCLUDE}", str(source), "-o", str(tmp_path / "widths")], check=True)
    done = subprocess.run([tmp_path / "widths"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("ctype", ["stapes_channel_t", "stapes_forest_node_t", "int8_t", "uint32_t"])
def test_sizes_of_constants_are_those_of_c(ctype: str, tmp_path: Path) -> None:
    source = tmp_path / "size.c"
    source.write_text(
        f'#include "stapes/kernels.h"\ntypedef char size[sizeof({ctype}) == {runtime().sizeof(ctype)} ? 1 : -1];\n'
    )
    subprocess.run(["cc", f"-I{INCLUDE}", "-fsyntax-only", str(source)], check=True)
    assert Array(ctype, np.zeros((3, 1), np.int64)).bytes == 3 * runtime().sizeof(ctype)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("typedef struct { unsigned flag : 1; } stapes_x_t;", "the type unsigned is not known"),
        ("typedef struct { uint8_t flag : 1; } stapes_x_t;", ": instead of , or ;"),
        ("typedef struct { long count; } stapes_x_t;", "the type long is not known"),
        ("typedef struct { uint8_t a[2][3]; } stapes_x_t;", r"\[ instead of , or ;"),
        ("typedef struct { uint8_t a[SIZE]; } stapes_x_t;", "the size SIZE is not known"),
        ("typedef struct { uint8_t a; ", "the header ends too early"),
        ("typedef unsigned stapes_x_t;", "the type unsigned is not known"),
        ("typedef struct other stapes_x_t;", "the name is the tag's"),
    ],
)
def test_a_header_that_is_not_understood_is_an_error(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^x.h: .*{what}"):
        Headers().read("x.h", text)


def test_what_a_header_may_hold() -> None:
    headers = Headers()
    headers.read(
        "x.h",
        dedent("""
        #ifdef __cplusplus
        extern "C" {
        #endif
        #define STAPES_SIZE 3u /* a number */
        typedef struct stapes_x stapes_x_t; /* uint8_t */
        typedef void (*stapes_f_t)(const stapes_x_t *x);
        struct stapes_x { const int8_t *a; const int8_t *const *b; stapes_f_t f; void (*g)(void);
            uint16_t c[STAPES_SIZE], d;
            union { uint64_t wide; struct { uint8_t low; } narrow; } u; };
        typedef stapes_x_t stapes_y_t, stapes_z_t;
        static inline int f(void) { return sizeof(int[2]) > 3 ? 1 : 0; }
        extern const stapes_x_t stapes_object;
        typedef char stapes_check[sizeof(int) == 4 ? 1 : -1];
        """),
    )
    members = [(m.name, m.is_pointer, m.count) for m in headers.structures["stapes_z_t"].members]
    assert members == [
        ("a", True, None), ("b", True, None), ("f", True, None), ("g", True, None), ("c", False, 3),
        ("d", False, None), ("u", False, None),
    ]  # fmt: skip
    assert headers.sizeof("stapes_x_t") == 32
    assert headers.macros == {"STAPES_SIZE": 3}


def test_misfits_have_a_path_a_value_and_a_limit() -> None:
    given = {
        "operands": {"columns": 2**32, "channel_step1": -1, "minimum": -128},
        "shift": 127,
        "multiplier": "INT32_MAX",
    }
    found = [str(misfit) for misfit in runtime().misfits("stapes_mul_t", given)]
    assert found == [
        "operands.columns 4,294,967,296 (uint32_t: at most 4,294,967,295)",
        "operands.channel_step1 -1 (uint8_t: at least 0)",
    ]
    nodes = np.array([[0, 0, 0, 0], [256, 0, 0, 40_000]])
    found = [
        str(misfit) for misfit in runtime().misfits("stapes_forest_t", {"nodes": nodes, "trees": 1 << 16})
    ]
    assert found == [
        "nodes[1].feature 256 (uint8_t: at most 255)",
        "nodes[1].otherwise 40,000 (int16_t: at most 32,767)",
        "trees 65,536 (uint16_t: at most 65,535)",
    ]


def test_everything_too_large_is_named_at_once() -> None:
    maker = ModelMaker(0).input((1, 1, 16, 3))
    source = maker.last
    maker.conv_2d(1, (1, 2), dilation=(1, 65_536), source=source)
    first = maker.last
    maker.input((1, 1, 1, 1)).conv_2d(65_536, (1, 1), bias=False)
    with pytest.raises(UnsupportedModelError) as caught:
        compile_graph(simplify(read_tflite(maker.build([first, maker.last]))))
    found = caught.value.unsupported
    assert found == [
        "layer 1 CONV_2D (conv_2d_1): channels 65,536 (uint16_t: at most 65,535)",
        "tensor input0: padding 98,304 (uint16_t: at most 65,535)",
    ]
    assert str(caught.value).startswith("2 numbers too large: layer 1 CONV_2D")
