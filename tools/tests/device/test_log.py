"""The log of a line holds every byte, in order, with its direction."""

from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.device import log as log_module
from stapes.device import prepare
from stapes.device.log import logged
from stapes.errors import StapesError
from stapes.link.frame import Receiver


def test_every_byte_of_a_check(tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle")
    log = tmp_path / "logs" / "check.log"
    report = check_bundle(
        bundle,
        "host",
        select_clips(bundle, None, 1),
        tmp_path,
        prepared=prepare(bundle, "host", tmp_path),
        uart_log=log,
    )
    lines = [line.split() for line in log.read_text().splitlines()]
    times = [float(seconds) for seconds, _, _ in lines]
    assert times == sorted(times)
    received = b"".join(bytes.fromhex(data) for _, direction, data in lines if direction == "<")
    sent = b"".join(bytes.fromhex(data) for _, direction, data in lines if direction == ">")
    assert len(received) == report.link["bytes_received"] and len(sent) == report.link["bytes_sent"]
    answers = Receiver().feed(received)
    requests, retries = report.link["requests"], report.link["retries"]  # a busy computer answers some twice
    assert requests <= len(answers) <= requests + retries and None not in answers


def test_all_else_is_the_streams_own(tmp_path: Path) -> None:
    class Port:
        timeout, in_waiting, baudrate = 1.0, 3, 115200

    port = Port()
    with logged(port, tmp_path / "x.log") as stream:  # type: ignore[arg-type]
        stream.timeout = 0.5
        stream.baudrate = 921600
        assert stream.in_waiting == 3 and not hasattr(stream, "port")
    assert (port.timeout, port.baudrate) == (0.5, 921600)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StapesError, match="cannot write"), logged(None, tmp_path / "file" / "x.log"):  # type: ignore[arg-type]
        pass


def test_a_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Chatter:
        timeout, in_waiting = 1.0, 100

        def read(self, size: int = 1) -> bytes:
            return b"x" * size

        def write(self, data: bytes, /) -> int:
            return len(data)

    monkeypatch.setattr(log_module, "MOST_CHARACTERS", 1000)
    with logged(Chatter(), tmp_path / "log") as stream:
        assert all(stream.read(100) for _ in range(50))
    assert 1000 <= (tmp_path / "log").stat().st_size < 1400
