"""The TFLM interpreter may die: of a network, or of a signal. The command says so and lives on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.errors import ModelError, ToolError
from stapes.reference import TflmOracle, tflm

needs_tflm = pytest.mark.skipif(
    not TflmOracle.available(), reason="the package tflite-micro is not installed"
)

INPUT = [np.zeros((1, 6), np.int8)]
STAND_IN = """
import os, pickle, sys
def answer(value):
    sys.stdout.buffer.write(pickle.dumps(value)); sys.stdout.buffer.flush()
answer((True, None))
while True:
    request = pickle.load(sys.stdin.buffer)
    if request[2] == WHEN:
        os.write(2, b"the arena\\n is too small")
        HOW
    answer((True, None))
"""


def dense() -> bytes:
    return ModelMaker(1).input((1, 6), scale=0.05, zero_point=0).fully_connected(3).build()


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, how: str) -> None:
    """A worker that ends when it is asked to `when`."""
    path = tmp_path / "worker.py"
    path.write_text(STAND_IN.replace("WHEN", repr(when)).replace("HOW", how))
    monkeypatch.setattr(tflm, "WORKER", path)
    monkeypatch.setattr(tflm, "_worker", None)


@pytest.mark.parametrize(
    ("how", "named"),
    [("os.abort()", "SIGABRT"), ("os.kill(os.getpid(), 11)", "SIGSEGV"), ("os._exit(3)", "status 3")],
)
@pytest.mark.parametrize("when", ["load", "run"])
def test_an_interpreter_that_dies_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, how: str, named: str
) -> None:
    stand_in(tmp_path, monkeypatch, when, how)
    with pytest.raises(ModelError, match=rf"died of the network .{named} the arena is too small") as caught:
        TflmOracle(dense()).run(INPUT)
    assert "\n" not in str(caught.value) and caught.value.hint


def test_an_interpreter_that_does_not_start_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("import no_such_module")
    monkeypatch.setattr(tflm, "WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(tflm, "_worker", None)
    with pytest.raises(ToolError, match=r"does not start: status 1 .*no_such_module"):
        TflmOracle(dense())


@needs_tflm
def test_after_a_death_the_next_run_has_a_new_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "_worker", None)
    oracle, other = TflmOracle(dense()), TflmOracle(dense())
    before = oracle.run(INPUT)
    worker = tflm._worker
    assert worker is not None and other._worker is worker, "one process for all networks"
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    for each in (oracle, other):
        after = each.run(INPUT)
        assert all(np.array_equal(after[index], before[index]) for index in before)
    assert tflm._worker is not worker


@needs_tflm
def test_networks_that_nobody_holds_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "_worker", None)
    oracle = TflmOracle(dense())
    TflmOracle(dense())
    worker = tflm._worker
    assert worker is not None and worker.unneeded == [2]
    oracle.run(INPUT)
    assert worker.unneeded == []


@needs_tflm
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_what_was_read_is_not_kept() -> None:
    """The package keeps a reference to every tensor's array: 64 KiB a run, were its values not let go."""
    oracle = TflmOracle(ModelMaker(1).input((1, 256, 256, 1)).pool("AVERAGE_POOL_2D", (1, 1)).build())
    window = [np.zeros((1, 256, 256, 1), np.int8)]

    def resident() -> int:
        pid = oracle._worker._process.pid
        return 4096 * int(Path(f"/proc/{pid}/statm").read_text().split()[1])

    for _ in range(10):
        oracle.run(window)
    before = resident()
    for _ in range(200):
        oracle.run(window)
    assert resident() - before < 4 << 20
