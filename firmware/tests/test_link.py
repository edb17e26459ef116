"""The C link against a model of what it must do: whatever the line does, no request is carried out twice or half."""

from __future__ import annotations

import socket
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stapes.link.frame import Receiver, encode
from stapes.link.messages import ANSWER, DAMAGED, error_code
from stapes.targets import DescriptorStream

ROOT = Path(__file__).parents[1]
PAYLOAD = 256
HELLO, LOG, ECHO, FAIL, TOO_LONG = 1, 3, 4, 5, 6


class Line:
    """The driver's process and the frames that it sends."""

    def __init__(self, program: Path) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen([program], stdin=theirs, stdout=theirs)
        theirs.close()
        self.stream = DescriptorStream(ours.detach())
        self.receiver = Receiver()
        self.frames: list[bytes | None] = []

    def send(self, data: bytes) -> None:
        self.stream.write(data)

    def answer(self, timeout: float = 5.0) -> bytes | None:
        """The next frame that comes; None when none does in time."""
        self.stream.timeout = timeout
        while not self.frames:
            data = self.stream.read(65536)
            if not data:
                return None
            self.frames += self.receiver.feed(data)
        frame = self.frames.pop(0)
        assert frame is not None, "the device sent a damaged frame"
        return frame

    def ask(self, sequence: int, kind: int, payload: bytes = b"") -> bytes | None:
        self.send(encode(struct.pack("<HB", sequence & 0xFFFF, kind) + payload))
        return self.answer()

    def close(self) -> None:
        self.stream.close()
        self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("link") / "driver"
    sources = [*sorted((ROOT / "link").glob("*.c")), ROOT / "tests/link_driver.c"]
    subprocess.run(
        [
            "cc", "-std=c99", "-D_XOPEN_SOURCE=600", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            f"-I{ROOT / 'runtime/include'}", f"-I{ROOT / 'link'}", "-o", path, *sources,
        ],
        check=True,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def line(program: Path) -> Iterator[Line]:
    opened = Line(program)
    yield opened
    opened.close()
    assert opened.process.returncode == 0, "the driver ended with a sanitizer's report"


def hello(line: Line, sequence: int, session: int) -> None:
    answer = line.ask(sequence, HELLO, struct.pack("<IB", session, 1))
    assert answer == struct.pack("<HBb", sequence & 0xFFFF, HELLO | ANSWER, 0)


def status(frame: bytes | None) -> int:
    assert frame is not None
    return struct.unpack_from("<b", frame, 3)[0]


session_numbers = iter(range(1, 1 << 31))


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=PAYLOAD) | st.integers(250, 256).map(bytes))
def test_any_payload_comes_back(line: Line, payload: bytes) -> None:
    hello(line, 7, next(session_numbers))
    assert line.ask(8, ECHO, payload) == struct.pack("<HBb", 8, ECHO | ANSWER, 0) + payload


@settings(max_examples=60, deadline=None)
@given(content=st.binary(min_size=1, max_size=600))
def test_encoder_is_cobs_with_zlibs_crc(content: bytes) -> None:
    sealed = content + struct.pack("<I", zlib.crc32(content))
    assert cobs.decode(encode(content)[1:-1]) == sealed


def test_errors_come_back_as_status(line: Line) -> None:
    hello(line, 0, next(session_numbers))
    assert status(line.ask(1, FAIL)) == error_code("STAPES_E_HARDWARE")
    assert status(line.ask(2, TOO_LONG)) == error_code("STAPES_E_MEMORY")
    assert status(line.ask(3, 77)) == error_code("STAPES_E_MESSAGE")
    assert status(line.ask(4, ECHO)) == 0


def test_nothing_is_answered_before_hello(program: Path) -> None:
    fresh = Line(program)
    assert status(fresh.ask(1, ECHO, b"x")) == error_code("STAPES_E_SESSION")
    fresh.close()


def test_sequence_numbers_wrap(line: Line) -> None:
    hello(line, 65535, next(session_numbers))
    assert status(line.ask(65536, ECHO)) == 0
    assert status(line.ask(65537, ECHO)) == 0


def test_hello_of_wrong_length_is_refused(line: Line) -> None:
    assert status(line.ask(5, HELLO, b"1234")) == error_code("STAPES_E_MESSAGE")
    assert status(line.ask(5, HELLO, b"123456")) == error_code("STAPES_E_MESSAGE")


def test_a_frame_that_is_too_long_is_damaged_and_the_next_is_fine(line: Line) -> None:
    hello(line, 0, next(session_numbers))
    answer = line.ask(1, ECHO, bytes(range(1, 256)) * 3)
    assert answer is not None and answer[2] == DAMAGED
    assert status(line.ask(1, ECHO, b"ok")) == 0


class Board(RuleBasedStateMachine):
    """Sends right and wrong frames to the device; keeps the log that it must have."""

    line: Line

    def __init__(self) -> None:
        super().__init__()
        self.sequence = 0
        self.log = b""
        self.last = b""
        self.last_answer: bytes | None = b""

    @initialize(sequence=st.integers(0, 65535))
    def start(self, sequence: int) -> None:
        self.session = next(session_numbers)
        self.sequence = sequence
        hello(self.line, sequence, self.session)
        self.hello_frame = encode(struct.pack("<HBIB", sequence, HELLO, self.session, 1))
        self.last, self.last_answer = self.hello_frame, struct.pack("<HBb", sequence, HELLO | ANSWER, 0)

    def _logged(self) -> bytes:
        return struct.pack("<HBbII", self.sequence, LOG | ANSWER, 0, len(self.log), zlib.crc32(self.log))

    @rule(payload=st.binary(max_size=40))
    def request(self, payload: bytes) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.log += payload
        self.last = encode(struct.pack("<HB", self.sequence, LOG) + payload)
        self.line.send(self.last)
        self.last_answer = self.line.answer()
        assert self.last_answer == self._logged()

    @rule(times=st.integers(1, 3))
    def repeat(self, times: int) -> None:
        self.line.send(self.last * times)
        for _ in range(times):
            assert self.line.answer() == self.last_answer

    @rule(position=st.integers(0, 10_000), bit=st.integers(0, 7), payload=st.binary(min_size=1, max_size=40))
    def flipped_bit(self, position: int, bit: int, payload: bytes) -> None:
        frame = bytearray(encode(struct.pack("<HB", (self.sequence + 1) & 0xFFFF, LOG) + payload)[1:-1])
        frame[position % len(frame)] ^= 1 << bit
        if frame[position % len(frame)] == 0:  # the flip made two frames of it
            return
        self._damaged(bytes(frame))

    @rule(cut=st.integers(1, 10_000), payload=st.binary(min_size=1, max_size=40))
    def truncated(self, cut: int, payload: bytes) -> None:
        frame = encode(struct.pack("<HB", (self.sequence + 1) & 0xFFFF, LOG) + payload)[1:-1]
        self._damaged(frame[: 1 + cut % (len(frame) - 1)])

    @rule(noise=st.binary(min_size=1, max_size=60).map(lambda noise: noise.replace(b"\0", b"\1")))
    def garbage(self, noise: bytes) -> None:
        self._damaged(noise)

    def _damaged(self, stuffed: bytes) -> None:
        self.line.send(b"\0" + stuffed + b"\0")
        answer = self.line.answer()
        assert answer is not None
        assert answer[2] == DAMAGED and status(answer) == error_code("STAPES_E_FRAME")

    @rule(distance=st.integers(2, 65534), payload=st.binary(max_size=20))
    def out_of_step(self, distance: int, payload: bytes) -> None:
        stale = (self.sequence + distance) & 0xFFFF
        answer = self.line.ask(stale, LOG, payload)
        assert answer == struct.pack("<HBb", stale, LOG | ANSWER, error_code("STAPES_E_SESSION"))

    @rule()
    def same_number_other_content(self) -> None:
        answer = self.line.ask(self.sequence, ECHO, b"another request")
        assert status(answer) == error_code("STAPES_E_SESSION")

    @rule()
    def old_hello_is_ignored(self) -> None:
        if self.last != self.hello_frame:
            self.line.send(self.hello_frame)

    @rule()
    def empty_frames_are_ignored(self) -> None:
        self.line.send(b"\0\0\0")

    @rule()
    def new_session(self) -> None:
        self.log = b""
        self.start((self.sequence + 3) & 0xFFFF)

    @invariant()
    def nothing_waits(self) -> None:
        assert not self.line.frames


def test_state_machine(line: Line) -> None:
    class Connected(Board):
        pass

    Connected.line = line
    run_state_machine_as_test(
        Connected, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
