"""Workers here and on a Ray cluster: the same answers, reports and errors, and both stop when asked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stapes.errors import DataError, ToolError
from stapes.training.crew import Crew, open_crew
from stapes.training.folds import _said_in

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["processes", "ray"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    patch = pytest.MonkeyPatch()
    # Workers import the work by its name, from this directory.
    patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    patch.syspath_prepend(str(HERE))
    address = None
    if request.param == "ray":
        pytest.importorskip("ray", reason="Ray is not installed (extra 'scale')")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        address = "local"
    with open_crew(2, address) as opened:
        yield opened
    patch.undo()


def collect(crew: Crew, wanted: int, seconds: float = 60.0) -> list[object]:
    found: list[object] = []
    end = time.monotonic() + seconds
    while len(found) < wanted and time.monotonic() < end:
        found += crew.reports()
        time.sleep(0.02)
    return found


@pytest.mark.slow
def test_work_is_done_reported_and_its_errors_come_back(crew: Crew) -> None:
    from crew_work import square, until_stopped

    futures = [crew.submit(square, number) for number in (3, 4, -1)]
    assert [future.result(timeout=300)[0] for future in futures[:2]] == [9, 16]
    assert futures[0].result()[1] != os.getpid()
    with pytest.raises(DataError, match="-1 is negative") as caught:
        futures[2].result(timeout=300)
    assert caught.value.hint == "take another"
    assert sorted(map(str, collect(crew, 3))) == ["working on -1", "working on 3", "working on 4"]

    waiting = crew.submit(until_stopped)
    assert collect(crew, 1) == ["waiting"]
    assert not waiting.done()
    crew.stop()
    assert waiting.result(timeout=300) == "stopped"


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ToolError, match=r"stapes\[scale\]"):
        open_crew(1, "local")


def test_what_native_code_says_while_a_fold_trains_goes_to_its_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for line in (b"one\n", b"two\n"):
        with _said_in(tmp_path / "work/fold1.log"):
            os.write(1, line)
            os.write(2, b"warning\n")
    assert (tmp_path / "work/fold1.log").read_bytes() == b"one\nwarning\ntwo\nwarning\n"
    print("seen")
    assert capfd.readouterr() == ("seen\n", "")
