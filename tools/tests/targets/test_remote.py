"""Lines that are reached over a network: a TCP socket and RFC 2217, both on loopback to the host's firmware."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import serial
import serial.rfc2217
from network_rig import Rig
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.codegen import generate
from stapes.errors import LinkError, TargetError, ToolError
from stapes.firmware import build_firmware
from stapes.link import Client
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
