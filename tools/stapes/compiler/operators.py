"""docs/operators.md, written from the code: `python -m stapes.compiler.operators > docs/operators.md`."""

from __future__ import annotations

import sys

from stapes.compiler.builder import ALIASES
from stapes.compiler.lower_elementwise import UNARY
from stapes.graph import operator_rows

KERNELS: dict[str, tuple[str, ...]] = {
    "ADD": ("add",),
    "AVERAGE_POOL_2D": ("average_pool_2d", "average_pool_rows"),
    "CONCATENATION": ("concatenation", "concatenation_rows"),
    "CONV_2D": ("conv_2d",),
    "CUSTOM:stapes_forest": ("forest",),
    "CUSTOM:stapes_statistics": ("statistics",),
    "DEPTHWISE_CONV_2D": ("depthwise_conv_2d", "conv_2d"),
    "FULLY_CONNECTED": ("conv_2d", "fully_connected"),
    "MAX_POOL_2D": ("max_pool_2d", "max_pool_rows"),
    "MEAN": ("reduce_sum",),
    "MUL": ("mul",),
    "PAD": ("pad",),
    "PADV2": ("pad",),
    "PRELU": ("prelu",),
    "REDUCE_MAX": ("reduce_max",),
    "SOFTMAX": ("softmax",),
    "SPLIT": ("pick",),
    "STRIDED_SLICE": ("pick",),
    "SUB": ("add",),
    "SUM": ("reduce_sum",),
    "TRANSPOSE": ("pick",),
    **{kind: ("lookup",) for kind in UNARY},
}
"""The C functions (without `stapes_`) that an operator may become; `reshape` may come before any of them."""

DSP_KERNELS = ("average_pool_rows", "conv_2d", "depthwise_conv_2d", "fully_connected")
"""Kernels with inner loops for the DSP instructions of Armv7E-M and Armv8-M; the others are portable C."""

MVE_KERNELS = ("conv_2d", "depthwise_conv_2d", "fully_connected")
"""Those that have inner loops for the vectors of Armv8.1-M too."""

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
also have loops for the vectors (MVE) of Cortex-M55. The compiler's macros choose; names and bits are the same. SHAPE,
PACK, GATHER and other arithmetic on shapes that an export with a dynamic batch leaves behind is folded away.
"""


def operators_page() -> str:
    """The text of docs/operators.md."""
    lines = []
    for kind, attributes, notes in operator_rows():
        kernels = KERNELS.get(kind, ())
        named = ", ".join(f"`{name}`{_marks(name)}" for name in kernels)
        given = ", ".join(f"`{name}`" for name in attributes.split(", ") if name)
        nothing = "no code" if kind in ALIASES else "taken off"
        lines.append(f"| {kind} | {given} | {notes} | {named or nothing} |")
    return HEAD + "\n".join(lines) + "\n" + TAIL


def _marks(kernel: str) -> str:
    return "*" * (kernel in DSP_KERNELS) + "+" * (kernel in MVE_KERNELS)


if __name__ == "__main__":
    sys.stdout.write(operators_page())
