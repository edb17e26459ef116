"""What messages say. Numbers and layouts are those of firmware/link/messages.def."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.definitions import numbered
from stapes.errors import LinkError
from stapes.link.layout import Layout, layout, numbers, texts

PROTOCOL_VERSION = 3
ANSWER = 0x80
DAMAGED = 0xFF
REQUEST_HEADER = layout("request_header")
ANSWER_HEADER = layout("answer_header")

_MESSAGES = numbers("MESSAGE")


class Message(IntEnum):
    """Types of requests."""

    HELLO = _MESSAGES["HELLO"]
    RESET = _MESSAGES["RESET"]
    PCM = _MESSAGES["PCM"]
    WINDOW = _MESSAGES["WINDOW"]
    FEATURES = _MESSAGES["FEATURES"]
    ACTIVATIONS = _MESSAGES["ACTIVATIONS"]
    DECISION = _MESSAGES["DECISION"]
    STATS = _MESSAGES["STATS"]
    SELF_TEST = _MESSAGES["SELF_TEST"]
    REBOOT = _MESSAGES["REBOOT"]
    BAUD = _MESSAGES["BAUD"]
    FAULT = _MESSAGES["FAULT"]
    LIVE_PCM = _MESSAGES["LIVE_PCM"]
    LIVE_EVENTS = _MESSAGES["LIVE_EVENTS"]
    LIVE_STATUS = _MESSAGES["LIVE_STATUS"]
    LIVE_ROWS = _MESSAGES["LIVE_ROWS"]
    LIVE_LISTEN = _MESSAGES["LIVE_LISTEN"]
    LIVE_FLUSH = _MESSAGES["LIVE_FLUSH"]
    LIVE_HISTORY = _MESSAGES["LIVE_HISTORY"]
    RECORD = _MESSAGES["RECORD"]
    SAMPLES = _MESSAGES["SAMPLES"]


COUNTERS = texts("COUNTER")
"""What a device's counter counts."""


@cache
def error_texts() -> dict[int, tuple[str, str]]:
    """Code: (name, text), read from the firmware's one list of errors."""
    errors = numbered("runtime/include/stapes/errors.def", "X")
    return {code: (name, text) for name, (code, text) in errors.items()}


def error_code(name: str) -> int:
    """The code of `STAPES_E_…`."""
    return numbered("runtime/include/stapes/errors.def", "X")[name][0]


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
    n_features: int
    frame_length: int
    hop_length: int
    bundle_hash: str
    frontend_hash: str
    board: str
    build_id: str
    version: str
    unique_id: str

    @property
    def has_network(self) -> bool:
        """False for a device that only records; all numbers of its network and its hashes are 0."""
        return self.class_count > 0

    @property
    def window_samples(self) -> int:
        """Samples that a window covers."""
        return self.frame_length + (self.window_frames - 1) * self.hop_length

    @property
    def window_hop_samples(self) -> int:
        """Samples between the starts of two windows."""
        return self.window_hop_frames * self.hop_length


HELLO_REQUEST = layout("hello_request")
HELLO_ANSWER = layout("hello_answer")
_COUNTED = (
    "sample_rate",
    "layer_count",
    "class_count",
    "window_frames",
    "window_hop_frames",
    "n_features",
    "frame_length",
    "hop_length",
)
"""What every device has at least one of, but one that only records, which has none of all."""


def parse_hello(data: bytes) -> Hello:
    """The answer to a hello."""
    fields, rest = parse(HELLO_ANSWER, data, Message.HELLO)
    numerator, denominator = fields.pop("counter_numerator"), fields.pop("counter_denominator")
    counter = COUNTERS.get(fields.pop("counter"))
    if counter is None or denominator == 0:
        raise malformed(Message.HELLO)
    parts = []
    for _ in range(4):
        if not rest or len(rest) < 1 + rest[0]:
            raise malformed(Message.HELLO)
        parts.append(rest[1 : 1 + rest[0]])
        rest = rest[1 + rest[0] :]
    nothing = [name for name in _COUNTED if fields[name] == 0]
    if len(nothing) == len(_COUNTED):
        nothing = []
    if rest or nothing:
        raise malformed(Message.HELLO, f"{' and '.join(nothing)} of 0" if nothing else "")
    board, build_id, version = (part.decode("utf-8", errors="replace") for part in parts[:3])
    return Hello(
        counter=counter,
        counter_scale=numerator / denominator,
        bundle_hash=fields.pop("bundle_hash").hex(),
        frontend_hash=fields.pop("frontend_hash").hex(),
        board=board,
        build_id=build_id,
        version=version,
        unique_id=parts[3].hex(),
        **fields,
    )


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


PCM_REQUEST = layout("pcm_request")
PCM_ANSWER = layout("pcm_answer")


def parse_pushed(data: bytes) -> Pushed:
    """The answer to PCM."""
    fields = parse_all(PCM_ANSWER, data, Message.PCM)
    return Pushed(**fields | {"window_ready": parse_flag(fields["window_ready"], Message.PCM)})


@dataclass(frozen=True, eq=False)
class WindowResult:
    """What the device computed for the last complete window.

    `index` counts windows from 0 since the last reset. CRCs are CRC-32 over all int8 values in memory
    order: features [frames, n_features], each layer [height, width, channels]. `scores` is int8 [classes].
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


WINDOW_REQUEST = layout("window_request")
WINDOW_ANSWER = layout("window_answer")
WINDOW_LAYER = layout("window_layer")


@dataclass(frozen=True)
class WindowPage:
    """One answer to WINDOW: scores from class `first_class` on, CRC and ticks of layers from `first_layer` on."""

    index: int
    features_crc: int
    weight: int
    frontend_ticks: int
    engine_ticks: int
    class_count: int
    first_class: int
    layer_count: int
    first_layer: int
    scores: bytes
    layers: tuple[tuple[int, int], ...]


def parse_window(data: bytes) -> WindowPage:
    """The answer to WINDOW."""
    fields, rest = parse(WINDOW_ANSWER, data, Message.WINDOW)
    count = fields.pop("scores_here")
    scores, layers = rest[:count], rest[count:]
    if len(scores) != count or len(layers) % WINDOW_LAYER.size:
        raise malformed(Message.WINDOW)
    return WindowPage(scores=scores, layers=tuple(WINDOW_LAYER.struct.iter_unpack(layers)), **fields)


FEATURES_REQUEST = layout("features_request")
ACTIVATIONS_REQUEST = layout("activations_request")
PAGE_ANSWER = layout("page_answer")


def parse_page(data: bytes, message: Message) -> tuple[int, int, bytes]:
    """One page of features or activations: number of bytes in all, the first one's offset, and those."""
    fields, page = parse(PAGE_ANSWER, data, message)
    return fields["total"], fields["offset"], page


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


DECISION_REQUEST = layout("decision_request")
DECISION_ANSWER = layout("decision_answer")


def parse_decision(data: bytes) -> tuple[int, int, Decision]:
    """One page: number of classes in all, the first one here, and the decision with these classes' sums."""
    fields, rest = parse(DECISION_ANSWER, data, Message.DECISION)
    classes, first = fields.pop("class_count"), fields.pop("first_class")
    return classes, first, Decision(sums=parse_integers(rest, 8, Message.DECISION), **fields)


@dataclass(frozen=True)
class Stats:
    """`stack_high_water` in bytes since start (0: unknown); frames as the device saw them since start."""

    stack_high_water: int
    frames_good: int
    frames_bad: int
    replays: int


STATS_ANSWER = layout("stats_answer")


def parse_stats(data: bytes) -> Stats:
    """The answer to STATS."""
    return Stats(**parse_all(STATS_ANSWER, data, Message.STATS))


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


SELF_TEST_ANSWER = layout("self_test_answer")


def parse_self_test(data: bytes) -> SelfTest:
    """The answer to SELF_TEST."""
    return SelfTest(**parse_all(SELF_TEST_ANSWER, data, Message.SELF_TEST))


BAUD_REQUEST = layout("baud_request")

_RAISES = numbers("RAISE")


class Raise(IntEnum):
    """Faults that the firmware raises when asked."""

    NOTHING = _RAISES["NOTHING"]
    TRAP = _RAISES["TRAP"]
    BUS_FAULT = _RAISES["BUS_FAULT"]
    HANG = _RAISES["HANG"]


FAULT_CAUSES = texts("FAULT")
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

XTENSA_EXCEPTIONS = {
    0: "an illegal instruction",
    2: "an instruction fetch error",
    3: "a load or store error",
    6: "a division by zero",
    9: "a misaligned load or store",
    14: "an instruction fetch where nothing is",
    15: "a load or store where nothing is",
    20: "a forbidden instruction fetch",
    28: "a forbidden load",
    29: "a forbidden store",
    264: "a breakpoint",
}
"""EXCCAUSE of the Xtensa Instruction Set Architecture Reference Manual (2010), table 4-64; 256 plus DEBUGCAUSE."""


@dataclass(frozen=True)
class Fault:
    """Registers at the fault that the last restart followed. `status` is CFSR on Arm, mcause on RISC-V, EXCCAUSE on
    Xtensa; `address` the
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
        if self.cause == XTENSA:
            text = XTENSA_EXCEPTIONS.get(self.status, f"exception {self.status}")
        where = f" in {function}" if function else ""
        address = f", address 0x{self.address:08x}" if self.address else ""
        return (
            f"{text} at pc 0x{self.pc:08x}{where} (lr 0x{self.lr:08x}, status 0x{self.status:08x}{address})"
        )

    def __str__(self) -> str:
        return self.describe()


WATCHDOG, EXCEPTION, XTENSA = (numbers("FAULT")[name] for name in ("WATCHDOG", "EXCEPTION", "XTENSA"))
FAULT_REQUEST = layout("fault_request")
FAULT_ANSWER = layout("fault_answer")


def parse_fault(data: bytes) -> Fault | None:
    """The answer to FAULT; None where the last restart followed none."""
    return Fault(**parse_all(FAULT_ANSWER, data, Message.FAULT)) if data else None


def parse_integers(data: bytes, size: int, message: Message) -> tuple[int, ...]:
    """Signed numbers of `size` bytes each."""
    if len(data) % size:
        raise malformed(message)
    return tuple(np.frombuffer(data, dtype=f"<i{size}").tolist())


def parse_flag(value: int, message: Message) -> bool:
    """0 or 1."""
    if value > 1:
        raise malformed(message)
    return bool(value)


def malformed(message: Message, what: str = "") -> LinkError:
    """The answer to `message` is not one: it has `what`."""
    return LinkError(
        f"the answer to {message.name} has {what or 'a wrong length or content'}",
        hint="build and flash the firmware of this stapes version",
    )


def parse(expected: Layout, data: bytes, message: Message) -> tuple[dict[str, Any], bytes]:
    """Fields by name, and the bytes behind them."""
    if len(data) < expected.size:
        raise malformed(message)
    return expected.unpack(data), data[expected.size :]


def parse_all(expected: Layout, data: bytes, message: Message) -> dict[str, Any]:
    """Fields by name; there is nothing behind them."""
    fields, rest = parse(expected, data, message)
    if rest:
        raise malformed(message)
    return fields
