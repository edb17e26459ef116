"""Estimate the cycles of functions of any Cortex-M4 image, one after the other: what docs/cycles.md was made with.

    python tools/estimate_cycles.py program.elf fill infer --rows 8 128 32 --wait-states 5
    python tools/estimate_cycles.py program.elf f,0x20001000,16

Prints each function's result, instructions and cycles. Arguments are given after commas.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stapes.cycles import Flash, Trace


def number(text: str) -> int:
    """Decimal or with 0x."""
    return int(text, 0)


def main() -> None:
    """Read the command line, trace, print."""
    parser = argparse.ArgumentParser(description="Cycles of functions of a Cortex-M4 image.")
    parser.add_argument("elf", type=Path)
    parser.add_argument("calls", nargs="+", metavar="FUNCTION[,ARGUMENT]...")
    parser.add_argument("--rows", nargs=3, type=int, default=(16, 64, 8), metavar=("BYTES", "CODE", "DATA"))
    parser.add_argument("--wait-states", type=int, default=0)
    parser.add_argument("--prefetch", action="store_true")
    parser.add_argument(
        "--flash", nargs=2, type=number, default=(0x08000000, 0x200000), metavar=("AT", "BYTES")
    )
    parser.add_argument("--ram", nargs=2, type=number, default=(0x20000000, 0xA0000), metavar=("AT", "BYTES"))
    options = parser.parse_args()
    flash = Flash(*options.rows)
    flash.set_control(
        wait_states=options.wait_states,
        prefetch=options.prefetch,
        instruction_cache=True,
        data_cache=True,
    )
    trace = Trace(options.elf, flash, dict([options.flash, options.ram]))
    for call in options.calls:
        name, *arguments = call.split(",")
        cycles, instructions = trace.cycles, trace.instructions
        result = trace.call(name, *map(number, arguments), stack=sum(options.ram))
        print(
            f"{name}: {trace.cycles - cycles:,} cycles, {trace.instructions - instructions:,} instructions, "
            f"result {result}",
            flush=True,
        )


if __name__ == "__main__":
    main()
