"""The microphone drivers of the STM32 boards against registers of memory: settings, samples, losses."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from clibrary import FIRMWARE, build_library
from sines import fit_sine

RATE = 16000
HALF = 128  # 16-bit words
RING = 4096  # samples
E_ARGUMENT, E_HARDWARE = -1, -9
BOARDS = FIRMWARE / "boards"
SOURCES = ["ring.c", "pdm.c", "i2s.c", "adc.c", "half_band.c", "level.c"]
Halves = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Chip:
    """What differs between the boards' drivers."""

    family: str
    files: tuple[str, ...]
    handler: int
    ndtr: int
    flags: int
    first_full: int
    second_full: int
    error: int
    words: int
    """Of the buffer for a PCM sample."""
    gain: float
    clock: int = 0


def stream(family: str, conversion: str, words: int) -> Chip:
    return Chip(
        family, ("audio_i2s", conversion), 14, 0x4002605C, 0x40026000, 1 << 26, 1 << 27, 1 << 25, words, 8.0
    )


def channel(family: str, handler: int, words: int, clock: int) -> Chip:
    files = ("audio_adc", f"audio_adc_{family}")
    return Chip(family, files, handler, 0x4002000C, 0x40020000, 1 << 2, 1 << 1, 1 << 3, words, 1.0, clock)


CHIPS = {
    "stm32f4_discovery": stream("f4", "audio_pdm", 4),
    "nucleo_f446re": stream("f4", "audio_slots", 4),
    "nucleo_f767zi": stream("f7", "audio_slots", 4),
    "nucleo_l476rg": channel("l4", 11, 8, 80_000_000),
    "stm32f072b_discovery": channel("f0", 9, 4, 48_000_000),
}


class Audio(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)),
        ("read", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
        ("dropped", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)),
        ("stop", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("gain", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)),
        ("context", ctypes.c_void_p),
    )


class Clock(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("multiplier", "divider", "prescaler", "error"))


class Board:
    """A driver, its registers, and a DMA that fills its buffer."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.chip = CHIPS[name]
        sources = [f"audio/{source}" for source in SOURCES]
        sources += [f"boards/stm32/{file}.c" for file in ("audio_source", "gpio", *self.chip.files)]
        sources += [
            f"boards/{name}/audio.c",
            "tests/fake_registers/fake_registers.c",
            "tests/pdm_modulator.c",
        ]
        caches = ["-DCORTEX_M_CACHES"] if self.chip.family == "f7" else []
        fake = [
            f"-I{FIRMWARE / 'tests/fake_registers'}",
            f"-I{FIRMWARE / 'link'}",
            f'-DSTM32_FAMILY="stm32/{self.chip.family}.h"',
        ]
        self.c = build_library(directory, sources, *fake, *caches)
        self.c.board_audio.restype = ctypes.POINTER(Audio)
        self.audio = self.c.board_audio().contents
        self.buffer = np.ctypeslib.as_array(
            (ctypes.c_uint16 * (2 * HALF)).in_dll(self.c, "stm32_audio_buffer")
        )

    def reset(self, *, dead: bool = False) -> None:
        self.c.fake_reset(int(dead))
        self.c.fake_clock(self.chip.clock)
        self.buffer[:] = 0
        self.second = False

    def get(self, address: int) -> int:
        return int(self.c.fake_get(ctypes.c_uint32(address))) & 0xFFFFFFFF

    def set(self, address: int, value: int) -> None:
        self.c.fake_set(ctypes.c_uint32(address), ctypes.c_uint32(value))

    def start(self, rate: int = RATE) -> int:
        return int(self.audio.start(None, rate))

    def read(self, capacity: int = 10 * RING) -> npt.NDArray[np.int16]:
        pcm = np.zeros(capacity, np.int16)
        return pcm[: self.audio.read(None, pcm.ctypes.data, capacity)]

    def dropped(self) -> int:
        return int(self.audio.dropped(None))

    def fill(self, words: Halves) -> None:
        """The DMA writes the next half and raises its flag."""
        self.buffer[HALF:] = words if self.second else self.buffer[HALF:]
        self.buffer[:HALF] = self.buffer[:HALF] if self.second else words
        flag = self.chip.second_full if self.second else self.chip.first_full
        self.set(self.chip.flags, self.get(self.chip.flags) | flag)
        self.set(self.chip.ndtr, 2 * HALF if self.second else HALF)
        self.second = not self.second

    def interrupt(self) -> None:
        getattr(self.c, f"cortex_m_interrupt_{self.chip.handler}")()

    def play(self, words: Halves) -> npt.NDArray[np.int16]:
        """All of `words` through the DMA while the main loop reads; int16 samples."""
        parts = []
        for block in words[: len(words) // HALF * HALF].reshape(-1, HALF):
            self.fill(block)
            self.interrupt()
            parts.append(self.read())
        return np.concatenate(parts)

    def sine(self, frequency: float, amplitude: float, samples: int) -> Halves:
        """What the microphone sends for a sine; `amplitude` in full scales."""
        wave = amplitude * np.sin(2 * np.pi * frequency / RATE * np.arange(samples))
        if "audio_pdm" in self.chip.files:
            return self.modulated(frequency, amplitude, samples)
        if "audio_slots" in self.chip.files:
            left = np.round(wave * 2**23).astype(np.int64) << 8
            right = np.random.default_rng(1).integers(0, 2**32, samples)
            slots = np.stack([left, right], axis=1).astype(np.uint32)
            return np.stack([slots >> 16, slots & 0xFFFF], axis=2).astype(np.uint16).reshape(-1)
        ratio = self.chip.words
        wave = amplitude * np.sin(2 * np.pi * frequency / RATE / ratio * np.arange(samples * ratio))
        return np.round(2100 + wave * 2047).clip(0, 4095).astype(np.uint16)

    def modulated(self, frequency: float, amplitude: float, samples: int) -> Halves:
        from scipy.signal import butter

        _, a = butter(4, 0.066, "highpass")  # lifts noise 1.5 times
        b = np.ascontiguousarray(np.poly(np.ones(4)))
        words = np.zeros(samples * self.chip.words, np.uint16)
        double = ctypes.c_double
        self.c.modulate(
            double(amplitude), double(0.01), double(2 * np.pi * frequency / (RATE * 64)),
            ctypes.c_void_p(b.ctypes.data), ctypes.c_void_p(a.ctypes.data), 4,
            ctypes.c_void_p(words.ctypes.data), ctypes.c_size_t(len(words)),
        )  # fmt: skip
        return words


@pytest.fixture(scope="module", params=CHIPS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    return Board(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def board(built: Board) -> Iterator[Board]:
    built.reset()
    yield built
    built.audio.stop(None)


def test_samples_come_out_right(board: Board) -> None:
    assert board.start() == 0
    amplitude = 0.8 / board.chip.gain
    pcm = board.play(board.sine(997, amplitude, 2 * RATE))
    assert abs(len(pcm) - 2 * RATE) <= HALF
    measured, ratio, mean = fit_sine(pcm[RATE:], 997, RATE)
    assert abs(measured / (0.8 * 32768) - 1) < 0.02
    assert abs(mean) < 2
    assert ratio > 65
    assert board.dropped() == 0


def test_two_streams_are_the_same_after_a_start(board: Board) -> None:
    words = board.sine(440, 0.05, 3000)
    assert board.start() == 0
    first = board.play(words)
    assert board.start() == 0
    board.second = False
    np.testing.assert_array_equal(board.play(words), first)


def test_a_late_interrupt_loses_one_half(board: Board) -> None:
    per_half = HALF // board.chip.words
    words = np.resize(board.sine(440, 0.05, 1000), 6 * HALF).reshape(6, HALF)
    assert board.start() == 0
    for late in (False, True, False):
        board.fill(words[0])
        if late:
            board.fill(words[1])
        board.interrupt()
    assert len(board.read()) == per_half
    assert board.dropped() == 0
    board.fill(words[2])
    board.interrupt()
    assert len(board.read()) == per_half
    assert board.dropped() == 3 * per_half  # the late half, and those that came before the gap was read out
    assert board.get(board.chip.flags) == 0


def test_a_half_that_is_overwritten_while_it_is_converted_is_lost(board: Board) -> None:
    assert board.start() == 0
    board.fill(np.zeros(HALF, np.uint16))
    accesses = 4 if "audio_i2s" in board.chip.files else 3
    board.c.fake_later(accesses, board.chip.flags, board.chip.second_full)
    board.interrupt()
    assert len(board.read()) == 0
    board.second = True
    board.fill(np.zeros(HALF, np.uint16))
    board.interrupt()
    assert len(board.read()) == HALF // board.chip.words == board.dropped()


def test_a_full_ring_is_counted(board: Board) -> None:
    per_half = HALF // board.chip.words
    assert board.start() == 0
    for _ in range(RING // per_half + 5):
        board.fill(np.zeros(HALF, np.uint16))
        board.interrupt()
    assert len(board.read()) == RING
    assert board.dropped() == 0
    board.fill(np.zeros(HALF, np.uint16))
    board.interrupt()
    assert len(board.read()) == per_half
    assert board.dropped() == 5 * per_half


@pytest.mark.parametrize("overrun", [False, True])
def test_an_error_starts_the_transfer_again(board: Board, overrun: bool) -> None:
    if overrun and "audio_i2s" not in board.chip.files:
        pytest.skip("only the SPI has an overrun of its own")
    per_half = HALF // board.chip.words
    assert board.start() == 0
    board.fill(np.zeros(HALF, np.uint16))
    board.set(board.chip.ndtr, HALF - 4 * board.chip.words)
    if overrun:
        board.set(0x40003808, 1 << 6)
    else:
        board.set(board.chip.flags, board.get(board.chip.flags) | board.chip.error)
    board.interrupt()
    board.set(0x40003808, 0)
    assert board.get(board.chip.ndtr) == 2 * HALF
    assert board.get(board.chip.flags) == 0
    board.second = False
    board.fill(np.zeros(HALF, np.uint16))
    board.interrupt()
    assert len(board.read()) == per_half
    assert board.dropped() == per_half + 4


def test_rates_that_cannot_be_given_are_refused(board: Board) -> None:
    assert board.start(0) == E_ARGUMENT
    assert board.start(1_000_000) == E_ARGUMENT
    assert board.start(2**32 - 1) == E_ARGUMENT
    assert board.start(RATE) == 0


def test_hardware_that_does_not_start_is_said(built: Board) -> None:
    built.reset(dead=True)
    assert built.start() == E_HARDWARE


def test_registers(board: Board) -> None:
    """Every value from the reference manuals; names as there."""
    address = ctypes.addressof((ctypes.c_uint16 * 1).in_dll(board.c, "stm32_audio_buffer")) & 0xFFFFFFFF
    board.set(0x40023804, 0x24402A04)  # RCC_PLLCFGR: the input is divided by 4
    board.set(0x40023884, 0x24003010 if board.name == "nucleo_f446re" else 0x20003000)
    assert board.start() == 0
    pins = {
        "stm32f4_discovery": [("B", 10, 5), ("C", 3, 5)],
        "nucleo_f446re": [("B", 13, 5), ("B", 12, 5), ("B", 15, 5)],
        "nucleo_f767zi": [("B", 13, 5), ("B", 12, 5), ("B", 15, 5)],
    }
    if board.name in pins:
        for port, number, function in pins[board.name]:
            base = 0x40020000 + 0x400 * (ord(port) - ord("A"))
            assert board.get(0x40023830) & 1 << (ord(port) - ord("A"))  # RCC_AHB1ENR
            assert board.get(base) >> 2 * number & 3 == 2  # MODER: alternate function
            assert board.get(base + 0x20 + number // 8 * 4) >> 4 * (number % 8) & 15 == function
        assert board.get(0x40023830) & 1 << 21  # RCC_AHB1ENR: DMA1
        assert board.get(0x40023840) & 1 << 14  # RCC_APB1ENR: SPI2
        assert board.get(0x40023800) >> 26 & 3 == 3  # RCC_CR: PLLI2SON, PLLI2SRDY
        pll = board.get(0x40023884)
        n, r = pll >> 6 & 0x1FF, pll >> 28 & 7
        assert pll & 0x3F == (4 if board.name == "nucleo_f446re" else 0)
        i2spr = board.get(0x40003820)
        prescaler = 2 * (i2spr & 0xFF) + (i2spr >> 8 & 1)
        assert 8e6 / 4 * n / r / prescaler == 64 * RATE == 1.024e6  # exact
        assert 192 <= 2 * n <= 432
        pdm = board.name == "stm32f4_discovery"
        # I2SMOD, I2SE, master receive; 16 bits LSB-justified with a high idle clock, or 24 bits in 32, Philips.
        assert board.get(0x4000381C) == 0xF00 | (0x28 if pdm else 0x03)
        assert board.get(0x40003804) == 1  # SPI_CR2: RXDMAEN
        assert board.get(0x40026058) == 2 << 16 | 1 << 13 | 1 << 11 | 1 << 10 | 1 << 8 | 0b11101
        assert board.get(0x4002605C) == 2 * HALF
        assert board.get(0x40026060) == 0x4000380C  # SPI_DR
        assert board.get(0x40026064) == address
        assert board.c.fake_interrupts() == 1 << 14
    elif board.name == "nucleo_l476rg":
        assert board.get(0x48000000) & 3 == 3 and board.get(0x4800002C) == 1  # GPIOA: analogue, switch closed
        assert (
            board.get(0x40021048) == 1
            and board.get(0x4002104C) == 1 << 13 | 1
            and board.get(0x40021058) == 16
        )
        assert board.get(0x50040308) == 2 << 16  # CCR: AHB / 2
        assert board.get(0x5004000C) == 1 << 12 | 1 << 10 | 13 << 6 | 3  # CFGR
        assert board.get(0x50040030) == 5 << 6  # SQR1: one conversion, of channel 5
        assert board.get(0x50040014) == 4 << 15  # SMPR1
        assert board.get(0x50040008) & 0x10000005 == 0x10000005  # CR: regulator, ADSTART, ADEN
        self_timed(board, 0x40001000, 625, 0x50040040, address)
        assert board.c.fake_interrupts() == 1 << 11
    else:
        assert board.get(0x48000800) >> 2 & 3 == 3  # GPIOC: PC1 analogue
        assert (
            board.get(0x40021014) == 1 << 19 | 1
            and board.get(0x40021018) == 512
            and board.get(0x4002101C) == 2
        )
        assert board.get(0x40012410) == 2 << 30  # CFGR2: PCLK / 4
        assert board.get(0x4001240C) == 1 << 12 | 1 << 10 | 3 << 6 | 3  # CFGR1
        assert board.get(0x40012428) == 1 << 11  # CHSELR
        assert board.get(0x40012408) & 5 == 5
        self_timed(board, 0x40000400, 750, 0x40012440, address)
        assert board.c.fake_interrupts() == 1 << 9
    if board.name == "nucleo_f767zi":
        board.fill(np.zeros(HALF, np.uint16))
        board.interrupt()
        assert board.c.fake_invalidated() == 2 * HALF
    board.audio.stop(None)
    assert board.get(board.chip.ndtr - 4) & 1 == 0  # the DMA is off


def self_timed(board: Board, timer: int, period: int, data: int, buffer: int) -> None:
    assert board.chip.clock / period / board.chip.words == RATE  # exact
    assert board.get(timer + 0x2C) == period - 1
    assert board.get(timer + 4) == 2 << 4  # CR2: the update is the trigger
    assert board.get(timer) == 1
    assert board.get(0x40020008) == 2 << 12 | 1 << 10 | 1 << 8 | 1 << 7 | 1 << 5 | 0b1111
    assert [board.get(0x4002000C + 4 * i) for i in range(3)] == [2 * HALF, data, buffer]


def test_clocks_of_i2s(board: Board) -> None:
    if "audio_i2s" not in board.chip.files:
        pytest.skip("no I2S")
    board.c.stm32_i2s_clock.restype = Clock
    for rate in (8000, 11025, 16000, 22050, 32000, 44100, 48000):
        clock = board.c.stm32_i2s_clock(64 * rate)
        made = 2e6 * clock.multiplier / clock.divider / clock.prescaler
        error = abs(made / (64 * rate) - 1) * 1e9
        print(
            f"{rate} Hz: 2 MHz x {clock.multiplier} / {clock.divider} / {clock.prescaler}, {error / 1000:.1f} ppm"
        )
        assert abs(error - clock.error) < 2
        assert error < (1 if rate % 8000 == 0 else 100_000)
