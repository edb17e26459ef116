"""Lines that are reached over a network: a TCP socket and RFC 2217, both on loopback to the host's firmware."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import serial
import serial.rfc2217
from network_rig import Rig, unharmed
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.codegen import generate
from stapes.errors import LinkError, TargetError, ToolError
from stapes.firmware import build_firmware
from stapes.link import Client
from stapes.link.client import LONGEST_WAIT
from stapes.recipe import Bundle
from stapes.targets import DescriptorStream, open_target, require_target

KINDS = ["socket", "rfc2217"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def program(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        require_target("host")
    except ToolError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("program")
    return build_firmware(generate(bundle, directory / "generated").directory, "host", directory / "host").elf


@pytest.fixture
def rig(program: Path) -> Callable[[str], contextlib.AbstractContextManager[Rig]]:
    @contextmanager
    def make(kind: str) -> Iterator[Rig]:
        with open_target("host", program) as line:
            assert isinstance(line, DescriptorStream)
            made = Rig(line, kind)
            try:
                yield made
            finally:
                made.stop()

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_check_passes_over_the_network(
    kind: str,
    bundle: Bundle,
    rig: Callable[[str], contextlib.AbstractContextManager[Rig]],
    tmp_path: Path,
) -> None:
    with rig(kind) as made:
        report = check_bundle(bundle, made.url, select_clips(bundle, None, 2), tmp_path, full=True)
        assert report.passed
        assert made.baud_rates[-1:] == ([115200] if kind == "rfc2217" else [])


def every(count: int, harm: Callable[[bytes], Iterable[bytes]]) -> Callable[[bytes], Iterable[bytes]]:
    """Harm one of `count` pieces that come, the others pass."""
    numbers = itertools.count(1)
    return lambda data: harm(data) if next(numbers) % count == 0 else [data]


def flip(data: bytes) -> Iterable[bytes]:
    middle = len(data) // 2
    return [data[:middle], bytes([data[middle] ^ 0x10]), data[middle + 1 :]]


def late(data: bytes) -> Iterable[bytes]:
    time.sleep(0.1)
    return [data]


HARM: dict[str, Callable[[], Callable[[bytes], Iterable[bytes]]]] = {
    "drop": lambda: every(5, lambda data: []),
    "corrupt": lambda: every(5, flip),
    "late": lambda: every(5, late),
    "twice": lambda: every(5, lambda data: [data, data]),
    "cut short": lambda: every(5, lambda data: [data[: len(data) // 2]]),
    "noise": lambda: every(5, lambda data: [b"\x00\xff\x13noise\x00", data]),
    "byte by byte": lambda: lambda data: [data[i : i + 1] for i in range(len(data))],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_that_becomes_worse_changes_no_result(
    kind: str, rig: Callable[[str], contextlib.AbstractContextManager[Rig]]
) -> None:
    """Sound at first, then every kind of fault, in both directions: what the device computes comes out the same."""
    pcm = np.random.default_rng(1).integers(-9000, 9000, 7000).astype(np.int16)

    def heard(client: Client) -> tuple[object, ...]:
        client.reset()
        sent, crcs = 0, []
        while sent < len(pcm):
            pushed = client.push(pcm[sent : sent + 200])
            sent = pushed.samples
            if pushed.window_ready:
                crcs.append(client.window().layer_crcs)
        return (*crcs, client.decision())

    with rig(kind) as made, open_target(made.url) as line:
        with pytest.MonkeyPatch.context() as patch:
            # A busy computer is no damage: requests are not sent again after milliseconds.
            patch.setattr("stapes.link.client.FIRST_WAIT", LONGEST_WAIT)
            patch.setattr("stapes.link.client.SHORTEST_WAIT", LONGEST_WAIT)
            client = Client(line)
            client.hello()
            expected = heard(client)
        assert client.statistics.retries == 0 and len(expected) > 1
        client = Client(line)
        client.hello()
        for name, harm in HARM.items():
            before = client.statistics.retries
            made.there, made.back = harm(), harm()
            assert heard(client) == expected, name
            made.there = made.back = unharmed
            if name in ("drop", "corrupt", "cut short"):
                assert client.statistics.retries > before, name
        assert heard(client) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_connection_is_one_error(
    kind: str, rig: Callable[[str], contextlib.AbstractContextManager[Rig]]
) -> None:
    with rig(kind) as made, pytest.raises((LinkError, TargetError)) as caught, open_target(made.url) as line:
        client = Client(line, timeout=3.0, hello_timeout=3.0)
        client.hello()
        made.drop()
        client.push(np.zeros(5000, dtype=np.int16))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_server_without_flow_control_is_said(
    rig: Callable[[str], contextlib.AbstractContextManager[Rig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = serial.rfc2217.PortManager.rfc2217_send_subnegotiation

    def all_but_control(manager: serial.rfc2217.PortManager, option: bytes, value: bytes = b"") -> None:
        if option != serial.rfc2217.SERVER_SET_CONTROL:
            answer(manager, option, value)

    monkeypatch.setattr(serial.rfc2217.PortManager, "rfc2217_send_subnegotiation", all_but_control)
    with rig("rfc2217") as made:
        with pytest.raises(TargetError, match="cannot open") as caught, open_target(made.url):
            pass
        assert f"{made.url}?ign_set_control" in caught.value.hint
        with open_target(f"{made.url}?ign_set_control") as line:
            assert Client(line).hello().board == "host"


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_listens(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"{kind}://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TargetError, match="cannot open"), open_target(url):
            pass
