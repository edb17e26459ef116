"""The client against a device made of Python, on a line that loses, damages, repeats and delays."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from link_device import CLASSES, FEATURES, LAYERS, PAYLOAD, FakeDevice

from stapes.definitions import firmware_dir, read_definitions
from stapes.errors import IdentityError, LinkError
from stapes.link import Client, LostSamplesError
from stapes.link import messages as m
from stapes.link.client import BOOT_BAUD
from stapes.link.frame import Receiver, encode
from stapes.link.layout import numbers
from stapes.link.live import STATUS_ANSWER, LiveClient
from stapes.link.messages import PROTOCOL_VERSION, Message, error_code, error_texts
from stapes.link.record import RECORD_ANSWER, RecordClient
from stapes.reference import LiveKind


def connected(device: FakeDevice | None = None) -> tuple[Client, FakeDevice]:
    device = device or FakeDevice()
    client = Client(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    return client, device


def test_hello_tells_everything() -> None:
    client, _ = connected()
    hello = client.hello()
    assert (hello.board, hello.build_id, hello.version) == ("fake", "build", "0.1.0")
    assert (hello.counter, hello.counter_scale, hello.sample_rate) == ("instructions", 40.0, 16000)
    assert (hello.layer_count, hello.class_count, hello.n_features, hello.hop_length) == (
        LAYERS,
        CLASSES,
        20,
        10,
    )
    assert hello.bundle_hash == b"b".hex() * 32 and hello.frontend_hash == b"f".hex() * 32


def test_push_stops_at_each_window_and_says_how_far() -> None:
    client, device = connected()
    pcm = np.arange(250, dtype=np.int16)
    client.reset()
    position, windows = 0, 0
    while position < len(pcm):
        pushed = client.push(pcm[position:])
        position = pushed.samples
        windows += pushed.window_ready
    assert windows == 2 and position == 250
    assert device.samples == list(range(250))


@pytest.mark.parametrize("classes", [1, 3, 5, 34, 35, 50, 1001])
def test_pages_are_put_together(classes: int) -> None:
    client, device = connected(FakeDevice(classes))
    window = client.window()
    assert window.layer_crcs == tuple(range(1000, 1000 + LAYERS))
    assert window.layer_counts == tuple(40.0 * i for i in range(LAYERS))
    assert (window.features_crc, window.weight, window.frontend_count, window.total_count) == (
        11,
        22,
        1320.0,
        1760.0,
    )
    assert window.scores.tobytes() == device.scores
    assert np.array_equal(client.features(), FEATURES.reshape(6, 20))
    assert np.array_equal(client.activations(3, FEATURES.size), FEATURES)
    decision = client.decision()
    assert (decision.class_index, decision.best, decision.confidence, decision.sums) == (
        -1,
        min(2, classes - 1),
        77,
        tuple(device.sums),
    )
    assert client.stats().replays == 4
    assert client.self_test().passed


@pytest.mark.parametrize("classes", [1, 2, 50, 1001])
def test_smoothed_scores_come_in_pages(classes: int) -> None:
    device = FakeDevice(classes)
    client = LiveClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    status = client.status()
    assert status.scores == tuple(256 * n for n in range(classes))
    assert (status.busy, status.level, status.decided, status.gate_is_open) == (80.0, -5, -1, True)


def test_scores_of_two_windows_are_fetched_again_but_not_for_ever() -> None:
    device = FakeDevice(8)
    client = LiveClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    device.windows_between_pages = 1
    before = len(device.requests)
    assert len(client.status().scores) == 8
    pages = 8 // ((PAYLOAD - STATUS_ANSWER.size) // 4)
    assert len(device.requests) - before == 3 * pages
    device.windows_between_pages = 0
    before = len(device.requests)
    client.status()
    assert len(device.requests) - before == pages


def page(message: Message, **changes: int) -> bytes:
    """An answer with its page's head changed and nothing on the page."""
    heads = {
        Message.WINDOW: m.WINDOW_ANSWER, Message.DECISION: m.DECISION_ANSWER,
        Message.FEATURES: m.PAGE_ANSWER, Message.ACTIVATIONS: m.PAGE_ANSWER, Message.LIVE_STATUS: STATUS_ANSWER,
    }  # fmt: skip
    right = {"class_count": CLASSES, "layer_count": LAYERS, "total": FEATURES.size}
    layout = heads[message]
    values = {field.name: right.get(field.name, 0) for field in layout.fields if field.is_fixed}
    return layout.pack(**values | {name: value for name, value in changes.items() if name in values})


@pytest.mark.parametrize(
    "changes",
    [
        {},  # an empty page
        {"first_class": 1, "offset": 1},  # not what was asked for
        {"class_count": CLASSES + 1, "total": FEATURES.size + 1},  # not what was expected
        {"class_count": 0, "total": 0},
    ],
)
@pytest.mark.parametrize(
    "message", [Message.WINDOW, Message.DECISION, Message.FEATURES, Message.ACTIVATIONS, Message.LIVE_STATUS]
)
def test_a_page_that_leads_nowhere_is_an_error_that_names_the_message(
    message: Message, changes: dict[str, int]
) -> None:
    device = FakeDevice()
    client = LiveClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    device.override[message] = page(message, **changes)
    calls: dict[Message, Callable[[], object]] = {
        Message.WINDOW: client.window,
        Message.DECISION: client.decision,
        Message.FEATURES: client.features,
        Message.ACTIVATIONS: lambda: client.activations(0, FEATURES.size),
        Message.LIVE_STATUS: client.status,
    }
    with pytest.raises(LinkError, match=f"answer to {message.name} "):
        calls[message]()


def test_a_layer_left_out_of_a_window_is_an_error() -> None:
    client, device = connected()
    scores = bytes(CLASSES)
    device.override[Message.WINDOW] = page(Message.WINDOW, scores_here=CLASSES) + scores
    with pytest.raises(LinkError, match="answer to WINDOW "):
        client.window()


def test_numbers_and_names_are_those_of_the_firmware() -> None:
    assert {each.name: each.value for each in Message} == numbers("MESSAGE")
    assert {each.name: each.value for each in m.Raise} == numbers("RAISE")
    assert {each.name: each.value for each in LiveKind} == numbers("LIVE_KIND")
    assert list(m.COUNTERS) == [0, 1, 2, 3] and m.COUNTERS[2] == "instructions"
    assert list(m.FAULT_CAUSES) == [1, 2, 3, 4, 5, 6, 7]


def test_every_line_of_the_definitions_is_read() -> None:
    for path in (
        "link/messages.def",
        "runtime/include/stapes/errors.def",
        "runtime/include/stapes/limits.def",
    ):
        text = re.sub(r"/\*.*?\*/", "", (firmware_dir() / path).read_text(), flags=re.DOTALL)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert len(read_definitions(path)) == len(lines)


def test_a_request_without_one_of_its_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="window_request has the fields first_class, first_layer"):
        m.WINDOW_REQUEST.pack(first_class=0)


def test_a_lost_request_and_a_lost_answer_are_sent_again_and_carried_out_once() -> None:
    client, device = connected()
    requests, answers = iter([True]), iter([True])
    device.on_request = lambda data: None if next(requests, False) else data
    device.on_answer = lambda data: None if next(answers, False) else data
    before = device.executed
    client.push(np.zeros(10, dtype=np.int16))
    assert device.executed == before + 1 and len(device.samples) == 10
    assert client.statistics.timeouts == client.statistics.retries == 2


def test_damage_either_way_is_answered_at_once() -> None:
    client, device = connected()
    requests = iter([True, False])
    answers = iter([False, True])
    device.on_request = lambda data: _flip(data) if next(requests, False) else data
    device.on_answer = lambda data: _flip(data) if next(answers, False) else data
    start = time.monotonic()
    client.reset()
    assert time.monotonic() - start < 0.2
    assert client.statistics.damaged_there == 1 and client.statistics.damaged_here == 1


def _flip(data: bytes) -> bytes:
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 0x40
    return bytes(damaged)


def test_an_answer_that_comes_twice_is_not_taken_for_the_next() -> None:
    client, device = connected()
    device.on_answer = lambda data: data + data
    assert client.stats().frames_good == 2
    assert client.self_test().size == 100
    assert client.decision().best == 2
    assert client.statistics.stale >= 2


def test_silence_is_one_error_in_time() -> None:
    device = FakeDevice()
    device.on_request = lambda data: None
    client = Client(device, hello_timeout=0.3)
    start = time.monotonic()
    with pytest.raises(LinkError, match="no answer to HELLO"):
        client.hello()
    assert time.monotonic() - start < 1.0


def test_noise_without_end_is_one_error_in_time() -> None:
    device = FakeDevice()
    device.on_answer = lambda data: bytes(range(1, 200))
    client = Client(device, hello_timeout=0.3)
    start = time.monotonic()
    with pytest.raises(LinkError, match="no answer"):
        client.hello()
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("name", ["STAPES_E_STATE", "STAPES_E_SESSION", "STAPES_E_VERSION"])
def test_a_refusal_carries_the_firmwares_words(name: str) -> None:
    client, device = connected()
    device.refusals[Message.DECISION] = error_code(name)
    with pytest.raises(LinkError, match=name) as caught:
        client.decision()
    assert caught.value.hint and caught.value.hint in error_texts()[error_code(name)][1]


def test_an_unknown_error_code_is_still_an_error() -> None:
    client, device = connected()
    device.refusals[Message.RESET] = -99
    with pytest.raises(LinkError, match="error -99"):
        client.reset()


def test_another_protocol_is_an_identity_error() -> None:
    device = FakeDevice()
    device.protocol = 9
    with pytest.raises(IdentityError, match="protocol"):
        connected(device)


@pytest.mark.parametrize(
    "message",
    [
        message
        for message in Message
        if not message.name.startswith("LIVE_")
        and message not in (Message.RESET, Message.REBOOT, Message.BAUD, Message.FAULT)
        and message not in (Message.RECORD, Message.SAMPLES)
    ],
)
@pytest.mark.parametrize("answer", [b"", b"\1", bytes(30), b"\xff" * 61])
def test_answers_of_wrong_length_or_content_are_errors(message: Message, answer: bytes) -> None:
    client, device = connected()
    device.override[message] = bytes([PROTOCOL_VERSION]) + answer if message == Message.HELLO else answer
    calls: dict[Message, Callable[[], object]] = {
        Message.HELLO: client.hello,
        Message.PCM: lambda: client.push(np.zeros(4, dtype=np.int16)),
        Message.WINDOW: client.window,
        Message.FEATURES: client.features,
        Message.ACTIVATIONS: lambda: client.activations(0, FEATURES.size),
        Message.DECISION: client.decision,
        Message.STATS: client.stats,
        Message.SELF_TEST: client.self_test,
    }
    with pytest.raises(LinkError):
        calls[message]()


@pytest.mark.parametrize(
    "message", [Message.LIVE_PCM, Message.LIVE_EVENTS, Message.LIVE_STATUS, Message.LIVE_ROWS]
)
@pytest.mark.parametrize("answer", [b"", b"\1", b"\xff" * 61])
def test_answers_of_wrong_length_or_content_are_errors_while_listening(
    message: Message, answer: bytes
) -> None:
    device = FakeDevice()
    client = LiveClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    device.override[message] = answer
    calls: dict[Message, Callable[[], object]] = {
        Message.LIVE_PCM: lambda: client.feed(0, np.zeros(4, dtype=np.int16)),
        Message.LIVE_EVENTS: client.events,
        Message.LIVE_STATUS: client.status,
        Message.LIVE_ROWS: client.rows,
    }
    with pytest.raises(LinkError):
        calls[message]()


def test_events_that_are_promised_and_never_come_are_an_error() -> None:
    device = FakeDevice()
    client = LiveClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    device.override[Message.LIVE_EVENTS] = struct.pack("<HI", 1, 0)
    with pytest.raises(LinkError):
        client.events()


def test_a_fault_is_told_in_one_line() -> None:
    client, device = connected()
    assert client.fault() is None
    device.override[Message.FAULT] = struct.pack(
        "<7I", 3, 0x8001234, 0x8000101, 0x21000000, 0, 0x8200, 0xD0000000
    )
    assert str(client.fault()) == (
        "a bus fault at pc 0x08001234 (lr 0x08000101, status 0x00008200, address 0xd0000000)"
    )
    device.override[Message.FAULT] = struct.pack("<7I", 5, 0, 0, 0, 0, 0, 0)
    assert str(client.fault()) == "the watchdog's bite"
    device.override[Message.FAULT] = bytes(27)
    with pytest.raises(LinkError):
        client.fault()


def test_the_chips_id_is_hexadecimal() -> None:
    client, _ = connected()
    assert client.hello().unique_id == "1234"


def test_lost_samples_are_counted() -> None:
    client, device = connected()
    device.override[Message.PCM] = struct.pack("<IIIBI", 3, 0, 0, 0, 0)
    with pytest.raises(LostSamplesError, match="counts 3 samples, 4 were sent"):
        client.push(np.zeros(4, dtype=np.int16))


def test_nothing_but_hello_without_a_session() -> None:
    with pytest.raises(LinkError, match="no session"):
        Client(FakeDevice()).push(np.zeros(4, dtype=np.int16))


def test_the_error_list_is_complete() -> None:
    texts = error_texts()
    assert texts[0][0] == "STAPES_OK"
    assert sorted(texts, reverse=True) == list(range(0, -len(texts), -1))
    assert all(";" in text for code, (_, text) in texts.items() if code)


def test_receiver_gives_the_same_frames_however_the_stream_is_cut() -> None:
    contents = [bytes([i]) * (i % 7 + 1) + b"\0" for i in range(40)]
    stream = b"".join(encode(content) for content in contents)
    for cut in (1, 2, 3, 7, 50):
        receiver = Receiver()
        frames = [f for i in range(0, len(stream), cut) for f in receiver.feed(stream[i : i + cut])]
        assert frames == contents


def test_receiver_does_not_grow_without_end() -> None:
    receiver = Receiver(longest=100)
    assert receiver.feed(b"x" * 101) == [None]
    assert receiver.feed(b"\0" + encode(b"good")) == [b"good"]


def test_a_frame_of_the_checked_example() -> None:
    # CRC-32 of "123456789" is 0xCBF43926; thirteen bytes without a zero make one block.
    assert encode(b"123456789") == b"\0\x0e123456789\x26\x39\xf4\xcb\0"


class FakeSerial(FakeDevice):
    """A serial port: bytes arrive only when both ends have the same speed, and the device's has a limit."""

    port = "/dev/ttyFAKE"

    def __init__(self, fastest_working: int = 921600, fastest_accepted: int = 921600) -> None:
        super().__init__()
        self.baudrate = BOOT_BAUD
        self.speed = BOOT_BAUD
        self.fastest_working = fastest_working
        self.fastest_accepted = fastest_accepted
        self.changed = 0.0
        self.heard_since = True
        self.on_request = self.on_answer = self._garble

    def _garble(self, data: bytes) -> bytes:
        if not self.heard_since and time.monotonic() > self.changed + 1.0:
            self.speed, self.heard_since = BOOT_BAUD, True
        if self.baudrate == self.speed <= self.fastest_working:
            return data
        return bytes(255 - byte for byte in data)

    def _receive(self, frame: bytes) -> None:
        self.heard_since = True
        if frame[2] == Message.BAUD:
            baud = m.BAUD_REQUEST.unpack(frame[3:])["baud"]
            refused = baud > self.fastest_accepted
            self.refusals = {Message.BAUD: error_code("STAPES_E_ARGUMENT")} if refused else {}
            super()._receive(frame)
            if not refused:
                self.speed, self.changed, self.heard_since = baud, time.monotonic(), False
            return
        super()._receive(frame)


@pytest.mark.parametrize(
    ("working", "accepted", "expected"),
    [
        (921600, 921600, 921600),
        (921600, 500000, 460800),
        (460800, 921600, 460800),
        (115200, 115200, BOOT_BAUD),
    ],
)
def test_speed_goes_up_as_far_as_it_works(working: int, accepted: int, expected: int) -> None:
    device = FakeSerial(working, accepted)
    client, _ = connected(device)
    assert client.speed_up() == expected == device.baudrate == device.speed
    assert client.stats().replays == 4


class SlowAdapter(FakeSerial):
    """Its driver refuses what is faster than 460800."""

    @property
    def baudrate(self) -> int:
        return self._baud

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        if baud > 460800:
            raise LinkError(f"refuses {baud} baud")
        self._baud = baud


def test_a_speed_that_the_adapter_refuses_is_not_used() -> None:
    device = SlowAdapter()
    client, _ = connected(device)
    assert client.speed_up() == 460800 == device.baudrate == device.speed
    device.speed = 921600  # left there by another adapter: it cannot be asked
    device.changed, device.heard_since = time.monotonic(), False
    assert client.hello() and device.speed in (BOOT_BAUD, 460800)


def test_a_device_left_at_another_speed_is_found() -> None:
    device = FakeSerial()
    device.speed = 460800
    connected(device)
    assert device.baudrate == 460800


def test_a_line_without_a_speed_keeps_it() -> None:
    client, _ = connected()
    assert client.speed_up() is None


@pytest.mark.parametrize(
    "answer", [b"", b"\1", bytes(9), bytes(12) + b"\1", bytes(8) + b"\1\0\0\0", bytes(14)[:13]]
)
@pytest.mark.parametrize("message", [Message.RECORD, Message.SAMPLES])
def test_a_recorder_that_lies_is_an_error(message: Message, answer: bytes) -> None:
    device = FakeDevice()
    client = RecordClient(device, timeout=3.0, hello_timeout=3.0)
    client.hello()
    device.override[Message.RECORD] = RECORD_ANSWER.pack(sample_rate=16000, gain=2048)
    assert client.start(16000) == 8.0
    device.override[message] = answer
    with pytest.raises(LinkError, match=message.name):
        client.start(16000) if message == Message.RECORD else client.samples()
