"""docs/operators.md, written from the code: `python -m stapes.compiler.operators > docs/operators.md`."""

from __future__ import annotations

import re
import sys

from stapes.compiler.builder import ALIASES
from stapes.compiler.compile import LOWERINGS
from stapes.definitions import firmware_dir
from stapes.graph import operator_rows

_MARKS = re.compile(
    r"^void stapes_(\w+)\(const stapes_call_t \*call\); +/\* faster with (.*) \*/$", flags=re.MULTILINE
)

HEAD = """# Operators

Every operator computes the same bits as the TensorFlow Lite Micro reference kernels (double rounding). Anything else
is refused before a line of C is written, all of it named at once. All tensors are int8, except int32 biases and
indices; shapes are static; the batch is 1.

This page is written from the code: `python -m stapes.compiler.operators > docs/operators.md`. How to add an operator:
[adding-an-operator.md](adding-an-operator.md).

| operator | attributes | supported | kernels in C |
|---|---|---|---|
"""

TAIL = """
Kernels marked * have inner loops for the DSP instructions of Cortex-M4, M7 and M33 besides portable C; those marked +
also have loops for the vectors (MVE) of Cortex-M55. The compiler's macros choose; names and bits are the same. Weights
for the kernels named `carry` are written as `STAPES_CARRY(a, b)`: one order in the generated C, which the macro packs
as the core at hand wants it. `stapes compile --explain` says which kernel a layer got, why, and what it costs. SHAPE,
PACK, GATHER and other arithmetic on shapes that an export with a dynamic batch leaves behind is folded away.
"""


def operators_page() -> str:
    """The text of docs/operators.md."""
    header = (firmware_dir() / "runtime/include/stapes/kernels.h").read_text(encoding="utf-8")
    marks = {name: "*" * ("DSP" in said) + "+" * ("MVE" in said) for name, said in _MARKS.findall(header)}
    lines = []
    for kind, attributes, notes in operator_rows():
        kernels = LOWERINGS[kind].kernels if kind in LOWERINGS else ()
        named = ", ".join(f"`{name}`{marks.get(name, '')}" for name in kernels)
        given = ", ".join(f"`{name}`" for name in attributes.split(", ") if name)
        nothing = "no code" if kind in ALIASES else "taken off"
        lines.append(f"| {kind} | {given} | {notes} | {named or nothing} |")
    return HEAD + "\n".join(lines) + "\n" + TAIL


if __name__ == "__main__":
    sys.stdout.write(operators_page())
