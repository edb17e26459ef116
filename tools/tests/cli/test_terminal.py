"""What reaches the terminal and the disk: text of strangers is only text, results are saved first, nothing is left."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from small_bundle import make_small_bundle
from sound_trees import write_noise
from typer.main import get_command

from stapes.cli import common
from stapes.cli.app import app
from stapes.cli.common import _PlainConsole, guarded, note
from stapes.files import printable, write_atomic

ROOT = Path(__file__).parents[3]
NASTY = "[red]a[/] [/b] [link=x]\x1b[2J\x1b]0;title\x07\r\n\x9b31m\x7f\u202eb"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_bundle(tmp_path_factory.mktemp("terminal") / "bundle").directory


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, (*path, name))
        else:
            found[(*path, name)] = command
    return found


def test_every_command_takes_json() -> None:
    """`report` itself writes a page of results; its options are files to write."""
    without = [
        " ".join(path)
        for path, command in commands(get_command(app)).items()
        if not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert without == ["report page"]


@pytest.mark.parametrize("terminal", [True, False])
def test_text_of_strangers_is_only_text(terminal: bool) -> None:
    console = _PlainConsole()
    console.file = io.StringIO()
    console._force_terminal = terminal
    table = Table(NASTY, title=NASTY)
    table.add_row(NASTY)
    console.print(NASTY, soft_wrap=True)
    console.print(table)
    note(NASTY, NASTY, to=console)
    out = console.file.getvalue()
    for code in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\x7f", "\u202e", "\r"):
        assert code not in out
    assert "[red]a[/] [/b] [link=x]\\x1b[2J" in out


def test_printable() -> None:
    assert printable("é日 ok") == "é日 ok"
    assert printable("\x1b\n\udc80") == "\\x1b\\n\\udc80"
    assert printable("a\nb\t", keep="\n") == "a\nb\\t"


def stapes(
    *arguments: object, cwd: Path, limit: int | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "stapes", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **more},
        preexec_fn=limited,
        timeout=180,
    )


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("limit", [0, 5000])
@pytest.mark.parametrize(
    "command",
    [
        ("export", "bundle", "--format", "cmake", "--out", "out"),
        ("export", "bundle", "--format", "zephyr", "--out", "out"),
        ("report", "pareto", "bundle", "--json", "out.json"),
        ("build", "bundle", "--board", "host", "--out", "out"),
        ("augment", "recipe.toml", "--out", "out.svg"),
    ],
    ids=lambda command: "-".join(command[:3:2]),
)
def test_a_full_disk(tmp_path: Path, bundle: Path, command: tuple[str, ...], limit: int) -> None:
    """No file may grow beyond `limit` bytes, which is what a full disk looks like: one line; nothing half written."""
    shutil.copytree(bundle, tmp_path / "bundle")
    (tmp_path / "recipe.toml").write_text('name = "x"\n')
    whole = tmp_path / "whole"
    shutil.copytree(bundle, whole / "bundle")
    before = files(tmp_path / "bundle")
    result = stapes(*command, cwd=tmp_path, limit=limit)
    if result.returncode == 0:
        return  # everything was small enough
    assert "Traceback" not in result.stderr
    assert sum(line.startswith("error:") for line in result.stderr.splitlines()) == 1, result.stderr
    left = {name for name in files(tmp_path) if name.startswith("out") and "build.log" not in name}
    if command[0] != "build":
        assert left == set(), left
    assert files(tmp_path / "bundle") == before


PLACES = [
    ("generate", "bundle", "--out", "file"),
    ("generate", "bundle", "--out", "file/x"),
    ("compile", "bundle/model.tflite", "--out", "file/x"),
    ("export", "bundle", "--format", "cmake", "--out", "file/x"),
    ("build", "bundle", "--board", "host", "--out", "file/x"),
    ("check", "bundle", "--clips", "1", "--out", "file/x"),
    ("report", "pareto", "bundle", "--json", "file/x.json"),
    ("generate", "bundle", "--out", "x" * 300),
    ("generate", "bundle", "--out", "/proc/x"),
    ("generate", "file", "--out", "y"),
    ("report", "bundle", "--out", "z.html"),
]


@pytest.mark.parametrize("command", PLACES, ids=lambda command: "-".join((*command[:1], *command[-1:]))[:40])
def test_places_that_cannot_be_written(
    tmp_path: Path,
    bundle: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    (tmp_path / "file").write_text("")
    before = files(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        guarded(lambda: get_command(app)(list(command), standalone_mode=False))
    err = capfd.readouterr().err
    assert end.value.code == 1
    assert sum(line.startswith("error:") for line in err.splitlines()) == 1, err
    assert files(tmp_path) == before


def test_output_that_nobody_reads(tmp_path: Path, bundle: Path) -> None:
    """As `stapes generate … | head -0`: the result is saved all the same, and nothing is complained of."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "stapes", "generate", bundle, "--out", "out", "--json", "out.json"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    assert process.stderr == ""
    assert json.loads((tmp_path / "out.json").read_text())["files"]


def test_a_terminal_that_lacks_letters() -> None:
    script = "from stapes.cli.common import *; guarded(lambda: console.print('5 ± 1 \\udc80'))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "5 \\xb1 1 \\udc80\n"


def test_umask(tmp_path: Path) -> None:
    script = "import sys, pathlib, stapes.files as f; f.write_atomic(pathlib.Path(sys.argv[1]), b'')"
    for mask, mode in ((0o077, 0o600), (0o002, 0o664), (0o022, 0o644)):
        path = tmp_path / f"{mask:o}"
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, umask=mask)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    write_atomic(tmp_path / "x", "y")


def running(mark: str) -> list[str]:
    """Command lines that hold `mark`, of processes that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in text and int(path.parent.name) != os.getpid():
            found.append(text)
    return found


def gone(mark: str) -> bool:
    """Whether none is running; on a busy machine a killed one takes a while to die."""
    end = time.monotonic() + 10
    while (left := running(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return not left


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        *((signal.SIGTERM, seconds) for seconds in (0.3, 1.0, 2.0, 3.0, 4.5)),
        *((signal.SIGINT, seconds) for seconds in (0.3, 2.0)),
        (signal.SIGHUP, 2.5),
    ],
)
def test_a_signal_ends_everything(
    tmp_path: Path, bundle: Path, number: signal.Signals, seconds: float
) -> None:
    """At any moment: one word, the shell's status, no program left behind, no half-written result."""
    target = "qemu:netduinoplus2" if shutil.which("qemu-system-arm") and seconds > 1 else "host"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "stapes",
            "check",
            bundle,
            "--target",
            target,
            "--clips",
            "500",
            "--json",
            "r.json",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests may ignore signals (`nohup`, a job in the background); a program inherits that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
    )
    time.sleep(seconds)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in err
    assert process.returncode in (128 + number, 130, -number), (process.returncode, err)
    assert gone(str(tmp_path))
    if (tmp_path / "r.json").exists():
        assert json.loads((tmp_path / "r.json").read_text())["interrupted"]


@pytest.mark.parametrize(("after", "seen"), [(0.0, True), (0.05, True), (60.0, False)])
def test_a_progress_bar_may_wait_until_work_is_long(
    after: float, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(common, "errors", terminal)
    with common.progress_bar(after) as progress:
        for done in range(20):
            progress("rows", done, 20)
            time.sleep(0.01)
    assert ("rows" in terminal.file.getvalue()) == seen


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each tenth, however often the work reports, and one while it says nothing."""
    plain = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(common, "errors", plain)
    for name, seconds in (("_LOOK_SECONDS", 0.01), ("_LEAST_SECONDS", 0.0), ("_MOST_SECONDS", 0.2)):
        monkeypatch.setattr(common, name, seconds)
    with common.progress_bar() as progress:
        for done in range(200):
            progress("rows", done, 200)
            time.sleep(0.003)
        before = plain.file.getvalue().splitlines()
        time.sleep(0.6)
    after = plain.file.getvalue().splitlines()
    assert 5 <= len(before) <= 12 and all("rows: " in line and " of 200 (" in line for line in before)
    assert len(after) > len(before), "silence is told of too"
    with common.progress_bars() as update:
        update("a", "first", 1, 10)
        update("b", "second", 9, 10)
        time.sleep(0.1)
    assert "first: 1 of 10" in plain.file.getvalue() and "second: 9 of 10" in plain.file.getvalue()


def test_nothing_is_said_of_short_work_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Console(file=io.StringIO())
    monkeypatch.setattr(common, "errors", plain)
    with common.progress_bar() as progress:
        progress("rows", 5, 10)
    with common.working("something"):
        pass
    assert plain.file.getvalue() == ""


def test_who_stops_work_that_goes_on_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        with common.goes_on(), common.goes_on():
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        guarded(stopped)
    assert end.value.code == 130
    assert capfd.readouterr().err == "interrupted: the same command goes on from here\n"


EMBED = ("--frontend", "frontend.toml", "--set", "window.frames=124", "--data", "data", "--out", "out.npz")
VARY = ("--vary", "model.dropout=0.1..0.3", "--trials", "2")


def stopped(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("work", "command"),
    [
        ("stapes.proof.prove_model", ("prove", "model.tflite", "--out", "out")),
        ("stapes.datasets.fetch.fetch", ("data", "fetch", "esc50", "--out", "out", "--accept-licence")),
        ("stapes.bench.benchmarks.bench_all", ("bench", "all", "--json", "out.json")),
        ("stapes.training.train_folds", ("train", "recipe.toml", "--out", "out")),
        (
            "stapes.training.sweep.sweep",
            ("sweep", "recipe.toml", "--out", "out", *VARY, "--trials", "2"),
        ),
        (
            "stapes.training.search.search",
            ("search", "recipe.toml", "--board", "stm32f072b_discovery", "--out", "out"),
        ),
        ("stapes.training.build_embeddings", ("embed", "statistics", *EMBED)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_command_that_goes_on_says_so_when_it_is_stopped(
    work: str,
    command: tuple[str, ...],
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_stapes: Callable[..., tuple[int, str]],
) -> None:
    """Through the whole command line, which has a way of its own with Ctrl-C."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(bundle / "model.tflite", tmp_path)
    (tmp_path / "recipe.toml").write_text('name = "x"\n[dataset]\nkind = "synthetic"\n')
    (tmp_path / "frontend.toml").write_text('name = "x"\n')
    for number in range(4):
        write_noise(tmp_path / f"data/{'ab'[number % 2]}/{number}.wav", 0.3, seed=number)
    monkeypatch.setattr("stapes.cli.cost.print_cost", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "tomli_w", types.ModuleType("tomli_w"))  # in case it is not installed
    monkeypatch.setattr(work, stopped)
    status, said = run_stapes(*command)
    assert status == 130
    assert said.endswith("interrupted: the same command goes on from here"), said


def test_no_command_is_silent_for_long(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even one that says nothing of its progress; where a person is waited for, nothing is said."""
    monkeypatch.setattr(common, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(common, "_MOST_SILENT_SECONDS", 0.2)

    guarded(lambda: time.sleep(0.5))
    assert capfd.readouterr().err.startswith("  still working, after 0 s\n")
    with common.attended():
        guarded(lambda: time.sleep(0.5))
    assert capfd.readouterr().err == ""
    common._silence.last = 0.0
    common.console.print("x")
    assert time.monotonic() - common._silence.last < 60.0, "what is said breaks it"


def test_durations() -> None:
    assert [common.duration(s) for s in (0.4, 99, 150, 5990, 7500)] == [
        "0 s", "99 s", "2 min", "1 h 40 min", "2 h 5 min"
    ]  # fmt: skip
