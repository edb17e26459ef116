"""As much of an ESP32-C3 as its image meets: the ROM's loader, memories, clock, watchdog, interrupt and UART.

The core is Unicorn's (of QEMU's making); addresses and bits are the Technical Reference Manual's, read independently of
the board's sources. `Esp32c3` is a `stapes.targets.Stream`: its line is UART0.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

unicorn: Any = pytest.importorskip("unicorn")
riscv: Any = pytest.importorskip("unicorn.riscv_const")
image: Any = pytest.importorskip("esptool.bin_image")

SRAM = 0x60000
DATA_BUS, CODE_BUS, RTC_MEMORY, ROM = 0x3FC80000, 0x40380000, 0x50000000, 0x40000000
FIFO, INT_ENABLE, DIVIDER, STATUS = 0x60000000, 0x6000000C, 0x60000014, 0x6000001C
UART_MAP, CPU_INT_ENABLE = 0x600C2054, 0x600C2104
OPTIONS, RESET_STATE = 0x60008000, 0x60008038
WDT_CONFIG, WDT_TICKS, WDT_FEED, WDT_LOCK = 0x60008090, 0x60008094, 0x600080A4, 0x600080A8
SUPER_CONFIG, SUPER_LOCK = 0x600080AC, 0x600080B0
WDT_ENABLED, WDT_WHILE_BOOTING = 1 << 31, 1 << 12
CYCLES_PER_TICK = 160_000_000 // 136_000 * 2  # of the watchdog's first stage
CYCLES_PER_READ = 10_000  # however long it took
TIMER_WDT = (0x6001F048, 0x60020048)
CPU_CLOCK, SYSCLK = 0x600C0008, 0x600C0058
USB_STATUS = 0x60043004
MAC = {0x60008844: 0xC3000001, 0x60008848: 0x0200}
PLL_WRITE, PLL_WRITE_BITS = ROM + 0x195C, ROM + 0x1960
RET = 0x8067
FIFO_BYTES = 128
CSR_MPCER, CSR_MPCMR, CSR_MPCCR = 0x7E0, 0x7E1, 0x7E2
ILLEGAL, BREAKPOINT = 2, 3
MIE, MPIE = 1 << 3, 1 << 7
POWER_ON, BY_SOFTWARE, BY_WATCHDOG = 1, 3, 9


class Esp32c3:
    """A chip whose flash holds the packed image; `pll_works` False: the core stops when it is switched to the PLL."""

    timeout: float | None = 1.0

    def __init__(self, packed: Path, *, pll_works: bool = True) -> None:
        self.flash = image.LoadFirmwareImage("esp32c3", str(packed))
        self.pll_works = pll_works
        self.received: bytearray = bytearray()
        self.sent: bytearray = bytearray()
        self.starts = self.interrupts = self.cycles = self.fed = self.polls = 0
        self.analogue: list[tuple[int, int, int]] = []  # what the ROM's functions were asked to write
        self.registers: dict[int, int] = {}
        self.reset_cause = 0
        self.memory = ctypes.create_string_buffer(SRAM)
        self.core = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        place = ctypes.addressof(self.memory)
        self.core.mem_map_ptr(DATA_BUS, SRAM, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, place)
        # TRM 3.3.2: the instruction bus reads whole words only; here it reads nothing at all.
        self.core.mem_map_ptr(CODE_BUS, SRAM, unicorn.UC_PROT_EXEC, place)
        self.core.mem_map(RTC_MEMORY, 0x2000)
        self.core.mem_map(ROM, 0x60000)
        for function in (PLL_WRITE, PLL_WRITE_BITS):
            self.core.mem_write(function, RET.to_bytes(4, "little"))
            self.core.hook_add(unicorn.UC_HOOK_CODE, self._on_rom, begin=function, end=function)
        for base, size in ((0x60000000, 0x80000), (0x600C0000, 0x10000)):
            self.core.mmio_map(base, size, self._read, base, self._write, base)
        self.core.hook_add(unicorn.UC_HOOK_INTR, self._on_exception)
        self.power_on()

    def power_on(self) -> None:
        """Everything random or 0, then the ROM."""
        self.core.mem_write(RTC_MEMORY, b"\xa5" * 0x2000)
        self._start(POWER_ON)

    def _start(self, cause: int) -> None:
        """The ROM's loader: segments into memory, its watchdogs left running, jump to the entry."""
        self.starts += 1
        self.reset_cause = 0
        self.registers = {RESET_STATE: cause, **MAC, WDT_CONFIG: WDT_WHILE_BOOTING, TIMER_WDT[0]: 1 << 14}
        for segment in self.flash.segments:
            start = segment.addr - (CODE_BUS if segment.addr >= CODE_BUS else DATA_BUS)
            ctypes.memmove(ctypes.addressof(self.memory) + start, segment.data, len(segment.data))
        self.core.ctl_flush_tb()
        self.core.reg_write(riscv.UC_RISCV_REG_PC, self.flash.entrypoint)

    def run(self) -> None:
        """Until the firmware waits for a byte, over as many restarts as it asks for."""
        while True:
            self._interrupt()
            self.polls = 0
            try:
                self.core.emu_start(self.core.reg_read(riscv.UC_RISCV_REG_PC), 0)
            except unicorn.UcError as error:
                if error.errno != unicorn.UC_ERR_INSN_INVALID:  # what it says of a breakpoint
                    raise
                self._trap(BREAKPOINT, self.core.reg_read(riscv.UC_RISCV_REG_PC), 0)
                continue
            if self.reset_cause:
                self._start(self.reset_cause)
            else:
                return

    # The stream

    @property
    def in_waiting(self) -> int:
        """Bytes that the chip has sent."""
        return len(self.sent)

    def read(self, size: int = 1) -> bytes:
        """Lets the chip run until it waits."""
        if not self.sent:
            self.run()
        data = bytes(self.sent[:size])
        del self.sent[:size]
        return data

    def write(self, data: bytes, /) -> int:
        """To the chip's UART."""
        self.received += data
        return len(data)

    # The peripherals

    def slow(self, begin: int, end: int) -> None:
        """Let every instruction of this code take as long as it takes to read the counter."""
        self.core.hook_add(unicorn.UC_HOOK_CODE, lambda *_: self._pass_time(), begin=begin, end=end)

    def _pass_time(self) -> None:
        self.cycles += CYCLES_PER_READ
        self._watch(self.cycles)

    def _read(self, _core: Any, offset: int, _size: int, base: int) -> int:
        address = base + offset
        if address == STATUS:
            return min(len(self.received), FIFO_BYTES)
        if address == FIFO:
            self.polls = 0
            return self.received.pop(0) if self.received else 0
        if address == USB_STATUS:
            self.polls += 1
            if self.polls > 1:  # it polled both lines twice and found nothing
                self.core.emu_stop()
        return self.registers.get(address, 0)

    def _write(self, _core: Any, offset: int, _size: int, value: int, base: int) -> None:
        address = base + offset
        if address == FIFO:
            self.sent.append(value & 0xFF)
            return
        locks = dict.fromkeys((WDT_CONFIG, WDT_TICKS, WDT_FEED), (WDT_LOCK, 0x50D83AA1))
        lock, key = (locks | {SUPER_CONFIG: (SUPER_LOCK, 0x8F1D312A)}).get(address, (0, 0))
        if lock and self.registers.get(lock) != key:
            return
        if address in (WDT_CONFIG, WDT_FEED):
            self.fed = self.cycles
        self.registers[address] = value
        if address == OPTIONS and value >> 31:
            self._stop(BY_SOFTWARE)
        if address == SYSCLK and value >> 10 & 3 == 1 and not self.pll_works:
            self._watch(1 << 62)

    def _watch(self, cycles: int) -> None:
        """So many later, has the watchdog not been fed?"""
        config = self.registers[WDT_CONFIG]
        resets = config >> 28 & 7 == 3
        late = cycles - self.fed > self.registers.get(WDT_TICKS, 0) * CYCLES_PER_TICK
        if config & WDT_ENABLED and resets and late:
            self._stop(BY_WATCHDOG)

    def _stop(self, cause: int) -> None:
        self.reset_cause = cause
        self.core.emu_stop()

    # The core

    def _on_rom(self, core: Any, address: int, _size: int, _context: Any) -> None:
        block, register = (core.reg_read(riscv.UC_RISCV_REG_A0 + i) for i in (0, 2))
        data = core.reg_read(riscv.UC_RISCV_REG_A0 + (3 if address == PLL_WRITE else 5))
        self.analogue.append((block, register, data))

    def _interrupt(self) -> None:
        """The UART's, when half of its FIFO is full."""
        status = self.core.reg_read(riscv.UC_RISCV_REG_MSTATUS)
        number = self.registers.get(UART_MAP, 0)
        enabled = self.registers.get(CPU_INT_ENABLE, 0) >> number & self.registers.get(INT_ENABLE, 0) & 1
        if len(self.received) >= FIFO_BYTES // 2 and number and enabled and status & MIE:
            self.interrupts += 1
            self.core.reg_write(riscv.UC_RISCV_REG_MSTATUS, (status & ~MIE) | MPIE | 3 << 11)
            self._trap(1 << 31 | number, self.core.reg_read(riscv.UC_RISCV_REG_PC), 4 * number)

    def _trap(self, cause: int, pc: int, entry: int) -> None:
        self.core.reg_write(riscv.UC_RISCV_REG_MCAUSE, cause)
        self.core.reg_write(riscv.UC_RISCV_REG_MEPC, pc)
        vectors = self.core.reg_read(riscv.UC_RISCV_REG_MTVEC)
        self.core.reg_write(riscv.UC_RISCV_REG_PC, (vectors & 0xFFFFFF00) + entry)

    def _on_exception(self, core: Any, cause: int, _context: Any) -> None:
        """The performance counter's registers, which Unicorn's core lacks. The pc is behind the instruction."""
        pc = core.reg_read(riscv.UC_RISCV_REG_PC)
        code = int.from_bytes(self.memory[pc - 4 - CODE_BUS : pc - CODE_BUS], "little")
        if cause == ILLEGAL and code & 0x7F == 0x73 and code >> 20 in (CSR_MPCER, CSR_MPCMR, CSR_MPCCR):
            self._pass_time()
            if code >> 12 & 7 == 2:  # csrr
                core.reg_write(riscv.UC_RISCV_REG_X0 + (code >> 7 & 31), self.cycles)
            return
        raise AssertionError(f"exception {cause} before {pc:#x}")
