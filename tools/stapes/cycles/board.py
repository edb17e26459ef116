"""A board's image in a trace: its clock, its cycle counter and its line, as far as a benchmark meets them."""

from __future__ import annotations

from pathlib import Path

from stapes.cycles.flash import Flash
from stapes.cycles.trace import Trace
from stapes.errors import TargetError
from stapes.firmware.boards import Board

_CYCCNT = 0xE0001004
_REGISTERS = {0x40000000: 0x20000000, 0xE0000000: 0x100000}
_RAM = 0x20000000
_LATENCY, _PREFETCH, _INSTRUCTIONS, _DATA = 0xF, 1 << 8, 1 << 9, 1 << 10


class BoardTrace:
    """An STM32's image, unchanged, in a trace: a `stapes.targets.Stream`. The image itself says the wait states and
    what of the flash it switches on, by writing FLASH_ACR; its cycle counter counts what the trace estimates.
    """

    timeout: float | None = 1.0

    def __init__(self, elf: Path, board: Board) -> None:
        timing = board.flash_timing
        if timing is None:
            raise TargetError(f"{board.name}: nothing is known of what its flash waits for")
        self._flash = Flash(timing.row_bytes, timing.instruction_rows, timing.data_rows)
        memories = {board.flash_origin: board.flash_bytes, _RAM: board.ram_bytes, **_REGISTERS}
        self._trace = trace = Trace(elf, self._flash, memories)
        self._sent = bytearray()
        self._received = bytearray()
        stack, reset = (trace.word(board.flash_origin + offset) for offset in (0, 4))
        trace.set_stack(stack)
        self._at = reset
        trace.on_call("stm32_wait", self._wait)
        trace.on_call("board_write", self._write)
        trace.on_call("board_read", self._read)
        trace.on_access(_CYCCNT, read=lambda: trace.set_word(_CYCCNT, trace.cycles))
        trace.on_access(timing.control, write=self._set_flash)
        self.mhz = trace.word(trace.symbols["stm32_board"])
        """The core's clock."""

    @property
    def in_waiting(self) -> int:
        """Bytes that the image has sent."""
        return len(self._sent)

    def read(self, size: int = 1) -> bytes:
        """Let the image run until it has sent a line or wants to read; what it sent."""
        if not self._sent:
            self._at = self._trace.run(self._at)
        data = bytes(self._sent[:size])
        del self._sent[:size]
        return data

    def write(self, data: bytes, /) -> int:
        """To the image."""
        self._received += data
        return len(data)

    def _wait(self, register: int, mask: int, value: int, _: int) -> None:
        """What the firmware waits for comes at once: the clock runs as fast as it is asked to."""
        self._trace.set_word(register, self._trace.word(register) & ~mask | value)

    def _write(self, address: int, count: int, *_: int) -> None:
        self._sent += self._trace.core.mem_read(address, count)
        self._trace.return_now()
        if self._sent.endswith(b"\n"):
            self._trace.core.emu_stop()

    def _read(self, address: int, capacity: int, *_: int) -> None:
        data = bytes(self._received[:capacity])
        del self._received[:capacity]
        self._trace.core.mem_write(address, data)
        self._trace.return_now(len(data))
        if not data:
            self._trace.core.emu_stop()

    def _set_flash(self, value: int) -> None:
        self._flash.set_control(
            wait_states=value & _LATENCY,
            prefetch=bool(value & _PREFETCH),
            instruction_cache=bool(value & _INSTRUCTIONS),
            data_cache=bool(value & _DATA),
        )
