"""docs/operators.md, written from the code: `python -m stapes.compiler.operators > docs/operators.md`."""

from __future__ import annotations

import re
import sys

from stapes.compiler.builder import ALIASES
from stapes.compiler.compile import LOWERINGS
from stapes.compiler.structures import runtime
from stapes.definitions import firmware_dir, limits
from stapes.graph import operator_rows

_MARKS = re.compile(
    r"^void stapes_(\w+)\(const stapes_call_t \*call\); +/\* faster with (.*) \*/$", flags=re.MULTILINE
)

HEAD = """# Operators

Every operator computes the same bits as the TensorFlow Lite Micro reference kernels (double rounding), those that TFLM
has no int8 for (EXP, GELU, TILE) as TensorFlow Lite's. Anything else is refused before a line of C is written, all of
it named at once. All tensors are int8, except int32 biases and indices, and weights where int4 is named; shapes are
static. Activations may be int16, with int8 weights and int64 biases (the converter's 16x8; CONV_2D and FULLY_CONNECTED
take int32 biases too), where `rescale` or a kernel that ends in `int16` is named, and of all operators that only move
bytes but RESIZE_BILINEAR. Those kernels are portable C on every core. Convolutions, pools and resizing take a batch of
1, all other operators any leading axis.

This page is written from the code: `python -m stapes.compiler.operators > docs/operators.md`. How to add an operator:
[adding-an-operator.md](adding-an-operator.md).

| operator | attributes | supported | kernels in C |
|---|---|---|---|
"""

TAIL = """
Kernels marked * have inner loops for the DSP instructions of Cortex-M4, M7 and M33 besides portable C; those marked +
also have loops for the vectors (MVE) of Cortex-M55. The compiler's macros choose; names and bits are the same. Weights
for the kernels named `carry` are written as `STAPES_CARRY(a, b)`: one order in the generated C, which the macro packs
as the core at hand wants it. Kernels named `int4` keep two weights in a byte and unpack those of two channels (of a
depthwise layer all) before they multiply: half the flash, more time. `stapes compile --explain` says which kernel a
layer got, why, and what it costs. SHAPE and other arithmetic on shapes that an export with a dynamic batch leaves
behind is folded away; so are SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND around a convolution, which becomes a dilated one.
Padding in it is the zero point, as in TensorFlow Lite; TFLM (0.dev20261023182759, space_to_batch_nd.cc) pads with a
number that it never set, so that the reference runs such a network with the dilated convolution in it.

## Limits

| what | most |
|---|---|
"""

_NOT_OF_OPERATORS = ("CLASSES", "WINDOW_VALUES", "GAIN", "LEAST_PAYLOAD", "MOST_PAYLOAD", "HELLO_TEXT")
_WIDTHS = {"uint8_t": 255, "uint16_t": 65535, "int16_t": 32767, "uint32_t": 2**32 - 1}


def _limits() -> list[str]:
    """What `limits.def` says of operators, and what the fields of the kernels' structures can hold."""
    rows = [
        f"| {each.what} | {each.value:,} |"
        for name, each in limits().items()
        if name not in _NOT_OF_OPERATORS
    ]
    known = runtime().structures
    for kernel in sorted({name for lowering in LOWERINGS.values() for name in lowering.kernels}):
        narrow = [
            f"`{member.name}` {_WIDTHS[member.ctype]:,}"
            for member in known[f"stapes_{kernel}_t"].members
            if member.ctype in ("uint8_t", "uint16_t", "int16_t") and not member.is_pointer
            if not member.name.startswith(("zero", "shift", "is_", "subtracts"))
        ]
        if narrow:
            rows.append(f"| `{kernel}` | {', '.join(narrow)} |")
    for ctype in ("stapes_input_t", "stapes_layer_t", "stapes_tensor_t", "stapes_model_t"):
        narrow = [
            f"`{member.name}` {_WIDTHS[member.ctype]:,}"
            for member in known[ctype].members
            if member.ctype == "uint16_t" and not member.is_pointer
        ]
        if narrow:
            rows.append(f"| `{ctype}` (engine.h) | {', '.join(narrow)} |")
    return rows


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
    return HEAD + "\n".join(lines) + "\n" + TAIL + "\n".join(_limits()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(operators_page())
