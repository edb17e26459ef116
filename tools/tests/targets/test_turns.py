"""Turns at a line among all programs of a machine, and labgrid's places against a stand-in for its client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stapes.errors import TargetError, ToolError
from stapes.targets import open_target, places, turn, turns
from stapes.targets.places import port_url
from stapes.targets.turns import line_name

HOLDER = """
import sys
from stapes.targets import turn

with turn(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks of this test alone; the holder is told by PYTHONPATH alone, so it looks at the same place."""
    place = tmp_path / "locks"
    place.mkdir()
    monkeypatch.setattr(turns, "PLACES", (place,))
    return place


@pytest.fixture
def held(locks: Path) -> Iterator[str]:
    """A line that another process holds."""
    line = str(locks / "tty board")
    source = (
        f"import pathlib\nfrom stapes.targets import turns\nturns.PLACES = (pathlib.Path({str(locks)!r}),)\n"
    )
    command = [sys.executable, "-c", source + HOLDER, line]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield f"{line}|{process.pid}"
        process.kill()


def test_a_line_in_use_names_who_uses_it(held: str, locks: Path) -> None:
    line, _, pid = held.partition("|")
    told: list[str] = []
    with pytest.raises(TargetError, match=f"is in use by .*process {pid}\\)") as caught, turn(line):
        pass
    assert "wait" in caught.value.hint
    with pytest.raises(TargetError, match="in use"), turn(line, wait=0.3, waiting=told.append):
        pass
    assert len(told) == 1 and pid in told[0]
    link = locks / "by-id"
    link.symlink_to(line)
    with pytest.raises(TargetError, match="in use"), turn(str(link)):
        pass
    with pytest.raises(TargetError, match="in use"), open_target(f"board:stm32f4_discovery@{link}"):
        pass
    os.kill(int(pid), 9)
    with turn(line, wait=10), turn(str(link)):
        pass


def test_a_lock_that_somebody_put_there(locks: Path) -> None:
    with turn("/dev/ttyX"):
        (lock,) = locks.iterdir()
        assert lock.stat().st_mode & 0o777 == 0o644
    lock.unlink()
    lock.symlink_to("/etc/passwd")
    with pytest.raises(TargetError, match="cannot take turns at /dev/ttyX"), turn("/dev/ttyX"):
        pass


def test_one_name_for_a_line(tmp_path: Path) -> None:
    assert line_name("spy:///dev/ttyX?file=/tmp/log") == "/dev/ttyX"
    assert line_name("rfc2217://rig:4000?ign_set_control") == "rfc2217://rig:4000"


SHOWN = """Place 'f4':
  matches:
    rig/bench/NetworkSerialPort
  acquired: here/me
  created: 2026-11-30 06:00:00.0
Acquired resource 'NetworkSerialPort' (rig/bench/NetworkSerialPort/NetworkSerialPort):
  {'acquired': 'f4',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {'extra': {'proxy': 'rig'},
              'host': '127.0.0.1',
              'port': PORT,
              'protocol': 'raw',
              'speed': 115200}}
Acquired resource 'NetworkPowerPort' (rig/bench/NetworkPowerPort/NetworkPowerPort):
  {'acquired': 'f4', 'avail': True, 'cls': 'NetworkPowerPort', 'params': {'host': 'pdu'}}
"""
CLIENT = """#!/bin/sh
echo "$*" >> {journal}
case "$3" in
acquire) {acquire} ;;
show) cat {shown} ;;
esac
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Put a labgrid-client on PATH; called with what `acquire` does."""
    monkeypatch.setenv("LG_HOSTNAME", "here")
    monkeypatch.setenv("LG_USERNAME", "me")
    monkeypatch.setattr(places, "LOOK_SECONDS", 0.1)

    def make(acquire: str) -> Path:
        program = tmp_path / "bin" / "labgrid-client"
        program.parent.mkdir()
        journal, shown = tmp_path / "journal", tmp_path / "shown"
        shown.write_text(SHOWN.replace("PORT", "4000"))
        program.write_text(CLIENT.format(journal=journal, shown=shown, acquire=acquire))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return journal

    return make


def test_a_place_is_acquired_for_as_long_as_it_is_used(client) -> None:  # type: ignore[no-untyped-def]
    journal = client("exit 0")
    with turn("labgrid://f4") as url, turn("labgrid://f4") as again:
        assert url == again == "socket://127.0.0.1:4000"
        assert journal.read_text().splitlines() == ["-p f4 acquire", "-p f4 show"]
    assert journal.read_text().splitlines()[2:] == ["-p f4 release"]


def test_a_place_of_ones_own_stays_acquired(client) -> None:  # type: ignore[no-untyped-def]
    journal = client("echo 'labgrid-client: error: place f4 is already acquired by here/me' >&2; exit 1")
    with turn("labgrid://f4"):
        pass
    assert "release" not in journal.read_text()


def test_a_place_of_somebody_else_is_waited_for(client) -> None:  # type: ignore[no-untyped-def]
    told: list[str] = []
    journal = client("echo 'labgrid-client: error: place f4 is already acquired by rig/anna' >&2; exit 1")
    with (
        pytest.raises(TargetError, match=r"does not acquire place f4: .* acquired by rig/anna"),
        turn("labgrid://f4", wait=0.35, waiting=told.append),
    ):
        pass
    assert told == ["rig/anna"]
    assert journal.read_text().count("acquire") > 1


def test_without_labgrid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="labgrid-client is missing"), open_target("labgrid://f4"):
        pass


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("Place 'f4':\n", "has no NetworkSerialPort"),
        ("Acquired resource 'NetworkSerialPort' (x):\n  {'params': 1}\n", "not understood"),
        ("Acquired resource 'NetworkSerialPort' (x):\n  [\n", "not understood"),
        (SHOWN.replace("PORT", "'x'"), "not understood"),
        (SHOWN.replace("PORT", "1").replace("'raw'", "'telnet'"), "not understood"),
    ],
)
def test_what_labgrid_shows_may_be_anything(shown: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        port_url("f4", shown)
    assert port_url("f4", SHOWN.replace("PORT", "1").replace("'raw'", "None")) == "rfc2217://127.0.0.1:1"
