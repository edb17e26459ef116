"""An image run in an emulator; every block of instructions that it executes is given its cycles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from stapes.cycles.core import Instruction, cycles, disassemble, refill
from stapes.cycles.flash import Flash
from stapes.errors import TargetError
from stapes.packages import needed_for

CODE_END = 0x20000000
"""Below lies what the core reads through its buses for code (Armv7-M, B3.1)."""
_PAGE = 0x1000
_RETURN = CODE_END - _PAGE


@dataclass
class _Block:
    """Instructions that run one after the other. `rows` are the rows of flash that they are in, each with the cycles
    before it is needed; `refills` what jumping from the last instruction to an address adds.
    """

    end: int
    instructions: int
    cycles: int
    last: Instruction
    rows: tuple[tuple[int, int], ...]
    refills: dict[int, int] = field(default_factory=dict)


class Trace:
    """A Cortex-M4 with an image in its memories: how many `cycles` it took so far, for how many `instructions`."""

    def __init__(self, elf: Path, flash: Flash, memories: Mapping[int, int]) -> None:
        """`memories` gives the bytes at an address; the image is loaded where a flash tool would write it."""
        with needed_for("an estimate of cycles", "unicorn"):
            unicorn: Any = import_module("unicorn")
            arm: Any = import_module("unicorn.arm_const")
        self.cycles = self.instructions = 0
        self._flash = flash
        self._code = disassemble(elf)
        self._blocks: dict[int, _Block] = {}
        self._block: _Block | None = None
        self._arguments = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3)
        self._sp, self._lr, self._pc = arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR, arm.UC_ARM_REG_PC
        self._error = unicorn.UcError
        self._code_hook, self._read_hook = unicorn.UC_HOOK_CODE, unicorn.UC_HOOK_MEM_READ
        self._write_hook = unicorn.UC_HOOK_MEM_WRITE
        self.core: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.core.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        for address, size in {**memories, _RETURN: _PAGE}.items():
            self.core.mem_map(address, -(-size // _PAGE) * _PAGE)
        with elf.open("rb") as stream:
            image = ELFFile(stream)
            table = image.get_section_by_name(".symtab")
            if not isinstance(table, SymbolTableSection):
                raise TargetError(f"{elf} names no functions", hint="link it without -s")
            self.symbols: dict[str, int] = {each.name: each["st_value"] for each in table.iter_symbols()}
            for segment in image.iter_segments("PT_LOAD"):
                self.core.mem_write(segment["p_paddr"], segment.data())
        self.core.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        self.core.hook_add(self._read_hook, self._on_read, begin=0, end=CODE_END - 1)

    def on_call(self, function: str, action: Callable[..., None]) -> None:
        """Call `action` with the first arguments whenever a function of the image is entered."""
        address = self.symbols[function] & ~1

        def act(*_: Any) -> None:
            action(*(self.core.reg_read(register) for register in self._arguments))

        self.core.hook_add(self._code_hook, act, begin=address, end=address)

    def on_access(
        self,
        address: int,
        *,
        read: Callable[[], None] | None = None,
        write: Callable[[int], None] | None = None,
    ) -> None:
        """Call `read` before a word of a memory is read, `write` with what is written there."""
        first_and_last = {"begin": address, "end": address + 3}
        if read is not None:
            self.core.hook_add(self._read_hook, lambda *_: read(), **first_and_last)
        if write is not None:
            self.core.hook_add(self._write_hook, lambda *call: write(call[4]), **first_and_last)

    def return_now(self, result: int = 0) -> None:
        """Leave the function that was just entered; it takes no time."""
        self.core.reg_write(self._arguments[0], result)
        self.core.reg_write(self._pc, self.core.reg_read(self._lr))

    def call(self, function: str, *arguments: int, stack: int) -> int:
        """What a function returns; its stack ends at `stack`."""
        for register, value in zip(self._arguments, arguments, strict=False):
            self.core.reg_write(register, value)
        self.set_stack(stack)
        self.core.reg_write(self._lr, _RETURN | 1)
        self.run(self.symbols[function])
        if self._block is not None:
            self.cycles += refill(self._block.last, None)
        return int(self.core.reg_read(self._arguments[0]))

    def set_stack(self, end: int) -> None:
        """The address above the stack."""
        self.core.reg_write(self._sp, end)

    def run(self, start: int) -> int:
        """From an address until `call`'s function returns or something stops the core; where it is then."""
        self._block = None
        try:
            self.core.emu_start(start | 1, _RETURN)
        except self._error as error:
            place = self.core.reg_read(self._pc)
            raise TargetError(
                f"the emulated core stopped at 0x{place:08x}: {error}", hint="report this with the image"
            ) from error
        return int(self.core.reg_read(self._pc))

    def word(self, address: int) -> int:
        """32 bits of a memory."""
        return int.from_bytes(self.core.mem_read(address, 4), "little")

    def set_word(self, address: int, value: int) -> None:
        """Write 32 bits of a memory."""
        self.core.mem_write(address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def _on_block(self, _core: Any, address: int, size: int, _data: Any) -> None:
        previous = self._block
        if previous is not None and address != previous.end:
            if address not in previous.refills:
                previous.refills[address] = refill(previous.last, self._code.get(address))
            self.cycles += previous.refills[address]
        block = self._block = self._blocks.get(address) or self._decode(address, size)
        now, fetch = self.cycles, self._flash.fetch
        for row, before in block.rows:
            now += fetch(row, now + before)
        self.cycles = now + block.cycles
        self.instructions += block.instructions

    def _decode(self, address: int, size: int) -> _Block:
        code: list[Instruction] = []
        while not code or code[-1].address + code[-1].size < address + size:
            place = code[-1].address + code[-1].size if code else address
            if place not in self._code:
                raise TargetError(f"no instruction at 0x{place:08x}", hint="report this with the image")
            code.append(self._code[place])
        rows: dict[int, int] = {}
        before = 0
        for each, taken in zip(code, cycles(code), strict=True):
            for half in range(each.address, min(each.address + each.size, CODE_END), 2):
                rows.setdefault(half // self._flash.row_bytes, before)
            before += taken
        block = _Block(address + size, len(code), before, code[-1], tuple(rows.items()))
        self._blocks[address] = block
        return block

    def _on_read(self, _core: Any, _kind: int, address: int, _size: int, _value: int, _data: Any) -> None:
        self.cycles += self._flash.read(address, self.cycles)
