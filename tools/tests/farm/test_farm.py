"""Many boards at once: what fails stops nothing else, an interrupt loses nothing, every board has its column."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from small_bundle import make_small_bundle

from stapes.device import prepare
from stapes.errors import TargetError, ToolError
from stapes.farm import FarmBoard, FarmReport, Order, choose_boards, load_farm, run_farm
from stapes.recipe import Bundle
from stapes.report import html_report, junit_xml, print_farm
from stapes.targets import require_target

RunStapes = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def out(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A farm's folder in which the host's firmware is built already."""
    try:
        require_target("host")
    except ToolError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("farm")
    prepare(bundle, "host", directory / "small" / "host")
    return directory


@contextmanager
def line_of(program: Path) -> Iterator[str]:
    """The port of a program for this computer."""
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
def port_of_another(bundle: Bundle, out: Path, tmp_path: Path) -> Iterator[str]:
    """A board that runs firmware of another bundle: the same program with another hash."""
    program = tmp_path / "other"
    image = (out / "small/host/host/stapes.elf").read_bytes()
    digest = bytes.fromhex(bundle.hash)
    assert digest in image
    program.write_bytes(image.replace(digest, bytes(32)))
    program.chmod(0o755)
    with line_of(program) as port:
        yield port


def statuses(report: FarmReport) -> dict[str, str]:
    return {board.name: outcome.status for board, outcome in report.outcomes}


def process_of(out: Path, board: str) -> int:
    """The program that plays the board, from the board's log."""
    found = re.search(r"process (\d+): ", (out / board / "farm.log").read_text())
    assert found
    return int(found[1])


def test_what_fails_stops_nothing_else(bundle: Bundle, out: Path, port_of_another: str) -> None:
    """One program is killed, one process of ours too, one board runs another bundle."""
    boards = [FarmBoard(name=name, target="host") for name in ("good", "killed", "lost", "last")]
    boards.append(FarmBoard(name="other", port=port_of_another, labels=("desk",)))
    hit: set[str] = set()

    def watch(board: str, what: str, done: int, total: int) -> None:
        if what != "checks small" or done < 1 or board in hit:
            return
        hit.add(board)
        if board == "killed":
            os.kill(process_of(out, board), signal.SIGKILL)
        if board == "lost":
            next(each for each in multiprocessing.active_children() if each.name == board).kill()

    report = run_farm(boards, Order("check", (bundle.directory,), out, clips=8), jobs=3, watch=watch)
    assert statuses(report) == {
        "good": "passed",
        "killed": "failed",
        "lost": "failed",
        "last": "passed",
        "other": "failed",
    }
    said = {board.name: outcome.message for board, outcome in report.outcomes}
    assert "the target ended" in said["killed"] and "status -9" in said["killed"]
    assert said["lost"] == "the process that served this board was killed by SIGKILL"
    assert "runs firmware of another bundle" in said["other"]
    assert not report.passed and report.stopped is None
    assert report.as_json()["boards"][0]["outcomes"][0]["result"]["decisions_equal"] == 8
    assert not multiprocessing.active_children()

    console = Console(width=80, file=(out / "shown.txt").open("w"))
    print_farm(report, console)
    console.file.close()
    shown = (out / "shown.txt").read_text()
    assert all(board.name in shown for board in boards)
    assert "5 boards" in shown and "2 passed, 3 failed; FAILED" in shown
    assert max(map(len, shown.partition("killed (host)")[0].splitlines())) <= 80

    root = ElementTree.fromstring(junit_xml(report))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("5", "3", "0")
    errors = {case.get("classname"): case[0].get("message") for case in root.iter("testcase") if len(case)}
    assert errors["farm.other"] == said["other"]

    checks = [outcome.result for _, outcome in report.outcomes if outcome.result is not None]
    page = html_report(checks, missing=[("other", "<gone>")])
    assert ">FAILED<" in page and "&lt;gone&gt;" in page


def write_farm(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_a_report(
    number: signal.Signals, status: int, bundle: Bundle, out: Path, tmp_path: Path
) -> None:
    """One board is in the middle of its clips, one not begun."""
    farm = write_farm(
        tmp_path / "farm.toml",
        '[boards.midst]\ntarget = "host"\nbundles = ["small"]\n[boards.never]\ntarget = "host"\n',
    )
    command = [sys.executable, "-m", "stapes", "farm", farm, "check", bundle.directory, "--jobs", "1"]
    command += ["--clips", "60", "--out", out, "--json", tmp_path / "r.json", "--junit", tmp_path / "r.xml"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None and process.stdout is not None
    for line in process.stderr:
        if "midst: checks small" in line:
            break
    while "runs small on host" not in (out / "midst" / "farm.log").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    report = json.loads((tmp_path / "r.json").read_text())
    outcomes = {each["name"]: each["outcomes"][0] for each in report["boards"]}
    assert report["interrupted"] and not report["passed"]
    assert [outcomes[name]["status"] for name in ("midst", "never")] == ["interrupted"] * 2
    seen = outcomes["midst"]["result"]
    assert seen is None or (seen["interrupted"] and seen["clips"] < 60)
    assert outcomes["never"]["message"] == "not begun"
    assert "INTERRUPTED" in output and "2 interrupted" in output
    assert (tmp_path / "r.xml").is_file()
    played = process_of(out, "midst")
    deadline = time.monotonic() + 5
    while Path(f"/proc/{played}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{played}").exists()


def test_the_command_and_its_labels(bundle: Bundle, out: Path, tmp_path: Path, run_stapes: RunStapes) -> None:
    farm = write_farm(
        tmp_path / "farm.toml",
        '[boards.one]\ntarget = "host"\nlabels = ["desk"]\n[boards.two]\ntarget = "host"\n'
        '[boards.far]\nport = "socket://127.0.0.1:1"\nlabels = ["rack"]\n',
    )
    place = str(bundle.directory)
    common = ("--clips", "1", "--out", str(out))
    status, said = run_stapes("farm", str(farm), "check", place, "--only", "desk", *common)
    assert status == 0 and "1 boards" in said and "1 passed; PASSED" in said
    status, said = run_stapes("farm", str(farm), "check", place, "--only", "rack", *common)
    assert status == 1 and "far (socket://127.0.0.1:1), small: failed: cannot open" in said
    status, said = run_stapes("farm", str(farm), "check", place, "--only", "nobody", *common)
    assert status == 1 and "no board is labelled nobody" in said and "desk, far, one, rack, two" in said
    status, said = run_stapes("farm", str(farm), "flash", place, "--only", "desk", *common)
    assert status == 1 and "1 skipped; FAILED" in said, said
    status, said = run_stapes("farm", str(farm), "check", place, place, *common)
    assert status == 1 and "two bundles are named small" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "boards: Field required"),
        ("[boards]\n", "at least 1"),
        ("boards = 3\n", "boards: "),
        ("[boards.a]\n", "boards.a: give either target or port"),
        ('[boards.a]\ntarget = "host"\nport = "x"\n', "boards.a: give either target or port"),
        ('[boards.a]\ntarget = "host"\nboard = "x"\n', "leave board out"),
        ('[boards.a]\ntarget = "nowhere"\n', "boards.a: unknown target 'nowhere'"),
        ('[boards.a]\ntarget = "qemu:vax"\n', "boards.a: no board for QEMU machine 'vax'"),
        ('[boards.a]\nboard = "vax"\nport = "auto"\n', "boards.a: "),
        ('[boards."../a"]\ntarget = "host"\n', "boards.../a.name: "),
        ('[boards.a]\ntarget = "host"\ntypo = 1\n', "boards.a.typo: unknown key"),
        ('[boards.a]\ntarget = "host"\nlabels = [1]\n', "boards.a.labels.0: "),
        (
            '[boards.a]\nport = "/dev/tty7"\n[boards.b]\nport = "/dev/tty7"\n',
            "a and boards.b are both on /dev/tty7",
        ),
        ("[boards.a\n", "is not TOML"),
        ('[boards.a]\ntarget = "host"\n[boards.a]\ntarget = "host"\n', "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_farm_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        load_farm(write_farm(tmp_path / "farm.toml", text))
    assert message in caught.value.message
    assert "\n" not in str(caught.value) and caught.value.hint


def test_a_farm_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot read"):
        load_farm(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[boards.a]\ntarget = "h\xf6st"\n')
    with pytest.raises(TargetError, match="not UTF-8"):
        load_farm(tmp_path / "latin.toml")


def test_labels_choose() -> None:
    one = FarmBoard(name="one", target="host", labels=("desk", "m4"))
    two = FarmBoard(name="two", target="host", labels=("rack",))
    assert choose_boards([one, two], []) == [one, two]
    assert choose_boards([one, two], ["m4"]) == [one]
    assert choose_boards([one, two], ["rack", "one"]) == [one, two]


@pytest.mark.slow
@pytest.mark.skipif("STAPES_BARS" not in os.environ, reason="minutes: set STAPES_BARS=1 to measure")
def test_ten_targets_are_as_fast_as_they_can_be(bundle: Bundle, out: Path, port_of_another: str) -> None:
    """Host and QEMU mixed, one killed in the middle, one with another bundle; the figure of docs/farm.md."""
    try:
        require_target("qemu:netduinoplus2")
    except ToolError as error:
        pytest.skip(str(error))
    boards = [FarmBoard(name=f"host{n}", target="host") for n in range(4)]
    boards += [FarmBoard(name=f"f4-{n}", target="qemu:netduinoplus2") for n in range(4)]
    boards += [
        FarmBoard(name="victim", target="qemu:netduinoplus2"),
        FarmBoard(name="other", port=port_of_another),
    ]
    order = Order("check", (bundle.directory,), out, clips=8)

    def watch(board: str, what: str, done: int, total: int) -> None:
        if (board, what, done) == ("victim", "checks small", 2):
            os.kill(process_of(out, board), signal.SIGKILL)

    alone = [run_farm([board], order).seconds for board in (boards[0], boards[4], boards[4])]
    report = run_farm(boards, order, watch=watch)
    wrong = {name for name, status in statuses(report).items() if status != "passed"}
    assert wrong == {"victim", "other"}
    limit = 1.3 * max(alone[0], alone[2]) * -(-10 // (os.cpu_count() or 1))
    print(f"ten {report.seconds:.1f} s, alone {alone}, limit {limit:.1f} s")
    assert report.seconds <= limit
