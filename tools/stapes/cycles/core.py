"""How long a Cortex-M4 takes for its instructions, after its Technical Reference Manual (Arm 100166, 3.3 and 7.2.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stapes.firmware import require_program
from stapes.programs import run_program

DIVISION = 7
"""The manual says 2 to 12, fewer for a small quotient; this is the middle."""
FLOAT_DIVISION, FLOAT_ACCUMULATE = 14, 3
REFILL, REFILL_BY_REGISTER, REFILL_BY_LOAD = 1, 2, 3
"""What a taken jump adds: P of the manual, 1 to 3. Its target is in the instruction, in a register, in memory."""

_LINE = re.compile(r"^ *([0-9a-f]+):\t[0-9a-f]{4}( [0-9a-f]{4})? *\t(\S+)(?:\t([^;@<\n]*))?", re.MULTILINE)
_REGISTER = re.compile(r"\b(?:r\d+|sp|lr|pc|[sd]\d+)\b")
_RANGE = re.compile(r"\b([rsd])(\d+)-[rsd](\d+)\b")


def _kind(names: str) -> re.Pattern[str]:
    return re.compile(f"(?:{names})(?:eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?")


_LOAD = _kind("v?ldr|ldrs?[bh]|ldrex[bh]?")
_STORE = _kind("v?str|str[bh]|strex[bh]?")
_DOUBLE = _kind("ldrd|strd")
_MULTIPLE = _kind("push|pop|v?ldm(?:ia|db)?|v?stm(?:ia|db)?|vpush|vpop")
_TABLE = _kind("tbb|tbh")
_DIVIDE = _kind("[su]div")
_FLOAT_DIVIDE = _kind("vdiv|vsqrt")
_FLOAT_ACCUMULATE = _kind("v(?:f?n?ml|fn?m)[as]")
_FLOAT = _kind("v(?:abs|add|cvt[rbt]?|div|f?n?ml[as]|fn?m[as]|n?mul|neg|sqrt|sub)")
_RESULTLESS = _kind("b|bl|bx|blx|cmp|cmn|tst|teq|nop|cpsi[de]|[di][sm]b|msr|vcmpe?")


@dataclass(frozen=True)
class Instruction:
    """One of Thumb-2 as the disassembler writes it; `size` in bytes."""

    address: int
    size: int
    mnemonic: str
    operands: str = ""

    def is_a(self, *kinds: re.Pattern[str]) -> bool:
        """Whether it is one of these, whatever its condition and its type."""
        name = self.mnemonic.partition(".")[0]
        return any(kind.fullmatch(name) for kind in kinds)

    @cached_property
    def registers(self) -> tuple[str, ...]:
        """All that are named, those of ranges too, in the order of the operands."""
        spelled = _RANGE.sub(
            lambda found: ",".join(f"{found[1]}{n}" for n in range(int(found[2]), int(found[3]) + 1)),
            self.operands,
        )
        return tuple(_REGISTER.findall(spelled))

    @cached_property
    def result(self) -> str:
        """The register that it writes; of more than one, the first."""
        return "" if not self.registers or self.is_a(_RESULTLESS, _STORE) else self.registers[0]

    @cached_property
    def address_registers(self) -> frozenset[str]:
        """Those that a load or a store makes its address of."""
        return frozenset(_REGISTER.findall(self.operands.partition("[")[2]))

    @cached_property
    def changes_its_base(self) -> bool:
        """Whether it is pre- or post-indexed."""
        return self.operands.endswith("!") or "], " in self.operands


def disassemble(elf: Path) -> dict[int, Instruction]:
    """All code of an image, by address."""
    objdump = Path(require_program("arm-none-eabi-gcc")).with_name("arm-none-eabi-objdump")
    listing = run_program([str(objdump), "-d", "-M", "reg-names-std", str(elf)], seconds=60).stdout
    return {
        int(address, 16): Instruction(int(address, 16), 4 if wide else 2, name, operands.strip())
        for address, wide, name, operands in _LINE.findall(listing)
    }


def cycles(code: Sequence[Instruction]) -> list[int]:
    """What each of these takes when they run one after the other, in memories without wait states; a jump counts as not
    taken.
    """
    before = (None, *code)
    return [_alone(each) + _after(previous, each) for previous, each in zip(before, code, strict=False)]


def refill(jump: Instruction, target: Instruction | None) -> int:
    """What it adds that a jump is taken."""
    late = int(target is not None and target.size == 4 and target.address % 4 == 2)
    if jump.is_a(_TABLE, _LOAD, _MULTIPLE):
        return REFILL_BY_LOAD + late
    return (REFILL_BY_REGISTER if jump.mnemonic.startswith(("bx", "blx", "mov", "add")) else REFILL) + late


def _alone(instruction: Instruction) -> int:
    is_float = instruction.mnemonic.startswith("v")
    if instruction.is_a(_LOAD, _STORE) and is_float:
        return 3 if instruction.registers[0].startswith("d") else 2
    if instruction.is_a(_STORE):
        return 2 if len(instruction.address_registers) > 1 else 1
    if instruction.is_a(_LOAD, _TABLE):
        return 2
    if instruction.is_a(_DOUBLE):
        return 3
    if instruction.is_a(_MULTIPLE):
        listed = Instruction(0, 0, "", instruction.operands.partition("{")[2]).registers
        return 1 + sum(2 if name.startswith("d") else 1 for name in listed)
    if instruction.is_a(_DIVIDE):
        return DIVISION
    if instruction.is_a(_FLOAT_DIVIDE):
        return FLOAT_DIVISION
    return FLOAT_ACCUMULATE if instruction.is_a(_FLOAT_ACCUMULATE) else 1


def _after(previous: Instruction | None, instruction: Instruction) -> int:
    """What the instruction before it changes."""
    if previous is None:
        return 0
    if instruction.is_a(_LOAD, _STORE):
        base = instruction.address_registers
        if previous.is_a(_LOAD):
            waits = previous.result in base or (
                previous.changes_its_base and previous.address_registers & base
            )
            return -1 if _alone(instruction) > 1 and not waits else 0
        if previous.result in base and not previous.is_a(_DOUBLE, _MULTIPLE):
            return 1  # "there is no forwarding path for this scenario"
    if previous.is_a(_FLOAT) and previous.result in instruction.registers:
        return 1
    return 0
