"""The messages' types, layouts and results. The twin of firmware/link/link.h and firmware/app/hil.c."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import LinkError
from stapes.firmware import firmware_dir

PROTOCOL_VERSION = 2
ANSWER = 0x80
DAMAGED = 0xFF
REQUEST_HEADER = struct.Struct("<HB")
ANSWER_HEADER = struct.Struct("<HBb")


class Message(IntEnum):
    """Types of requests."""

    HELLO = 1
    RESET = 2
    PCM = 3
    WINDOW = 4
    FEATURES = 5
    ACTIVATIONS = 6
    DECISION = 7
    STATS = 8
    SELF_TEST = 9
    REBOOT = 10
    BAUD = 11
    FAULT = 12
    LIVE_PCM = 32
    LIVE_EVENTS = 33
    LIVE_STATUS = 34
    LIVE_ROWS = 35
    LIVE_LISTEN = 36
    LIVE_FLUSH = 37


COUNTERS = ("none", "cycles", "instructions", "nanoseconds")


@cache
def error_texts() -> dict[int, tuple[str, str]]:
    """Code: (name, text), read from the firmware's one list of errors."""
    path = firmware_dir() / "runtime/include/stapes/errors.def"
    found = re.findall(r'^X\((\w+), (-?\d+), "(.*)"\)$', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {int(code): (name, text) for name, code, text in found}


def error_code(name: str) -> int:
    """The code of `STAPES_E_…`."""
    return next(code for code, (known, _) in error_texts().items() if known == name)


@dataclass(frozen=True)
class Hello:
    """Who answers and what it runs.

    One tick of the device's counter is `counter_scale` cycles, instructions or nanoseconds, as `counter`
    says. `max_payload` is in bytes; hashes and the chip's `unique_id` (empty where it has none) are hex.
    """

    protocol: int
    counter: str
    api_version: int
    counter_scale: float
    sample_rate: int
    max_payload: int
    layer_count: int
    class_count: int
    window_frames: int
    window_hop_frames: int
    n_mels: int
    frame_length: int
    hop_length: int
    bundle_hash: str
    frontend_hash: str
    board: str
    build_id: str
    version: str
    unique_id: str


HELLO_REQUEST = struct.Struct("<IB")
HELLO_FIXED = struct.Struct("<BBHIIIHHHHHHHH32s32s")


def parse_hello(data: bytes) -> Hello:
    """The answer to a hello."""
    fixed = _fixed(HELLO_FIXED, data, Message.HELLO, exact=False)
    protocol, counter, api, numerator, denominator, *geometry, bundle, frontend = fixed
    if counter >= len(COUNTERS) or denominator == 0:
        raise _malformed(Message.HELLO)
    texts = []
    rest = data[HELLO_FIXED.size :]
    for _ in range(4):
        if not rest or len(rest) < 1 + rest[0]:
            raise _malformed(Message.HELLO)
        texts.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    *names_of, unique_id = texts
    names = [field.name for field in fields(Hello)]
    values = [protocol, COUNTERS[counter], api, numerator / denominator, *geometry]
    values += [bundle.hex(), frontend.hex()]
    values += [*(text.decode("utf-8", errors="replace") for text in names_of), unique_id.hex()]
    return Hello(**dict(zip(names, values, strict=True)))


@dataclass(frozen=True)
class Pushed:
    """After a push: samples and frames that the device has taken since the last reset, windows completed
    since then. `pcm_crc` is the CRC-32 of all those samples, 16-bit little-endian.

    With `window_ready` the device stopped at the end of a window; its results are kept until the next push.
    """

    samples: int
    frames: int
    windows: int
    window_ready: bool
    pcm_crc: int


PCM_REQUEST = struct.Struct("<I")
PCM_ANSWER = struct.Struct("<IIIBI")


def parse_pushed(data: bytes) -> Pushed:
    """The answer to PCM."""
    samples, frames, windows, ready, crc = _fixed(PCM_ANSWER, data, Message.PCM)
    return Pushed(samples, frames, windows, bool(ready), crc)


@dataclass(frozen=True, eq=False)
class WindowResult:
    """What the device computed for the last complete window.

    `index` counts windows from 0 since the last reset. CRCs are CRC-32 over all int8 values in memory
    order: features [frames, n_mels], each layer [height, width, channels]. `scores` is int8 [classes].
    Counts are in the unit of `Hello.counter`: `frontend_count` since the window before, `total_count` the
    whole network, `layer_counts` each layer's kernel.
    """

    index: int
    features_crc: int
    weight: int
    frontend_count: float
    total_count: float
    scores: npt.NDArray[np.int8]
    layer_crcs: tuple[int, ...]
    layer_counts: tuple[float, ...]


WINDOW_REQUEST = struct.Struct("<H")
WINDOW_FIXED = struct.Struct("<IIIIIHH")
WINDOW_LAYER = struct.Struct("<II")


def parse_window(data: bytes, classes: int) -> tuple[tuple[int, ...], bytes, int, list[tuple[int, int]]]:
    """One page: (index, features CRC, weight, front-end ticks, engine ticks), scores, first layer, (CRC,
    ticks) each.
    """
    *head, first, count = _fixed(WINDOW_FIXED, data, Message.WINDOW, exact=False)
    start = WINDOW_FIXED.size + classes
    if len(data) != start + count * WINDOW_LAYER.size:
        raise _malformed(Message.WINDOW)
    layers = list(WINDOW_LAYER.iter_unpack(data[start:]))
    return tuple(head), data[WINDOW_FIXED.size : start], first, layers


FEATURES_REQUEST = struct.Struct("<I")
ACTIVATIONS_REQUEST = struct.Struct("<HI")
PAGE_FIXED = struct.Struct("<II")


def parse_page(data: bytes, message: Message, offset: int) -> tuple[int, bytes]:
    """One page of features or activations: the total number of bytes, and those from `offset` on."""
    total, at = _fixed(PAGE_FIXED, data, message, exact=False)
    page = data[PAGE_FIXED.size :]
    if at != offset or offset + len(page) > total or (not page and offset < total):
        raise _malformed(message)
    return total, page


@dataclass(frozen=True)
class Decision:
    """The vote over all windows since the last reset; see `stapes.reference.Verdict`. `sums` is one per
    class; they decide between classes that the vote finds equal.
    """

    class_index: int
    best: int
    confidence: int
    windows: int
    weight: int
    sums: tuple[int, ...]


DECISION_FIXED = struct.Struct("<hhiIQ")


def parse_decision(data: bytes, classes: int) -> Decision:
    """The answer to DECISION."""
    layout = struct.Struct(f"{DECISION_FIXED.format}{classes}q")
    class_index, best, confidence, windows, weight, *sums = _fixed(layout, data, Message.DECISION)
    return Decision(class_index, best, confidence, windows, weight, tuple(sums))


@dataclass(frozen=True)
class Stats:
    """`stack_high_water` in bytes since start (0: unknown); frames as the device saw them since start."""

    stack_high_water: int
    frames_good: int
    frames_bad: int
    replays: int


STATS_ANSWER = struct.Struct("<IIII")


def parse_stats(data: bytes) -> Stats:
    """The answer to STATS."""
    return Stats(*_fixed(STATS_ANSWER, data, Message.STATS))


@dataclass(frozen=True)
class SelfTest:
    """CRC-32 of the constants in the device: as written by the build, and as computed there now."""

    size: int
    expected: int
    computed: int

    @property
    def passed(self) -> bool:
        """Whether the constants are sound; False also where the build wrote no checksum."""
        return self.size > 0 and self.expected == self.computed


BAUD_REQUEST = struct.Struct("<I")

SELF_TEST_ANSWER = struct.Struct("<III")


def parse_self_test(data: bytes) -> SelfTest:
    """The answer to SELF_TEST."""
    return SelfTest(*_fixed(SELF_TEST_ANSWER, data, Message.SELF_TEST))


class Raise(IntEnum):
    """Faults that the firmware raises when asked."""

    NOTHING = 0
    TRAP = 1
    BUS_FAULT = 2
    HANG = 3


FAULT_CAUSES = {
    1: "a hard fault",
    2: "a memory fault",
    3: "a bus fault",
    4: "a usage fault",
    5: "the watchdog's bite",
}
EXCEPTIONS = {
    0: "a misaligned instruction",
    1: "an instruction access fault",
    2: "an illegal instruction",
    3: "a breakpoint",
    4: "a misaligned load",
    5: "a load access fault",
    6: "a misaligned store",
    7: "a store access fault",
}
"""mcause of the RISC-V privileged specification."""


@dataclass(frozen=True)
class Fault:
    """Registers at the fault that the last restart followed. `status` is CFSR on Arm, mcause on RISC-V; `address` the
    data address, 0 where the core knows none. All but `cause` are 0 after the watchdog.
    """

    cause: int
    pc: int
    lr: int
    psr: int
    sp: int
    status: int
    address: int

    def describe(self, function: str | None = None) -> str:
        """One line; `function` is where `pc` lies, if that is known."""
        text = FAULT_CAUSES.get(self.cause, f"fault {self.cause}")
        if self.cause == WATCHDOG:
            return text
        if self.cause == EXCEPTION:
            text = EXCEPTIONS.get(self.status, f"exception {self.status}")
        where = f" in {function}" if function else ""
        address = f", address 0x{self.address:08x}" if self.address else ""
        return (
            f"{text} at pc 0x{self.pc:08x}{where} (lr 0x{self.lr:08x}, status 0x{self.status:08x}{address})"
        )

    def __str__(self) -> str:
        return self.describe()


WATCHDOG, EXCEPTION = 5, 6
FAULT_REQUEST = struct.Struct("<B")
FAULT_ANSWER = struct.Struct("<IIIIIII")


def parse_fault(data: bytes) -> Fault | None:
    """The answer to FAULT; None where the last restart followed none."""
    return Fault(*_fixed(FAULT_ANSWER, data, Message.FAULT)) if data else None


def _fixed(layout: struct.Struct, data: bytes, message: Message, *, exact: bool = True) -> tuple[Any, ...]:
    if len(data) < layout.size or (exact and len(data) != layout.size):
        raise _malformed(message)
    return layout.unpack_from(data)


def _malformed(message: Message) -> LinkError:
    return LinkError(
        f"the answer to {message.name} has a wrong length or content",
        hint="build and flash the firmware of this stapes version",
    )
