"""Bundles and results from strangers: no command of theirs runs, nothing lands outside the folder, no traceback."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_bundle import make_small_bundle
from typer.main import get_command

from stapes.cli.app import app
from stapes.cli.common import guarded
from stapes.export import FORMATS, measure
from stapes.recipe import Bundle

COMMAND = get_command(app)
CANARY = "canary-of-a-stranger"


class Place:
    """A directory of a test's own: `run` runs a command in it, `strays` is what appeared beside `out`."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.root, self._capfd = root, capfd
        self.work = root / "work"
        self.work.mkdir()
        monkeypatch.chdir(self.work)
        monkeypatch.setenv("HOME", str(root / "home"))
        monkeypatch.setenv("COLUMNS", "100000")

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        self._capfd.readouterr()
        try:
            guarded(lambda: COMMAND(list(map(str, arguments)), standalone_mode=False))
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self._capfd.readouterr()
        return status, out, err

    def strays(self) -> list[str]:
        """Files that are neither in work/in nor in work/out."""
        ours = (self.work / "in", self.work / "out")
        found = [path for path in self.root.rglob("*") if not any(path.is_relative_to(own) for own in ours)]
        return [str(path) for path in found if path != self.work]

    def canaries(self) -> list[Path]:
        """What a command of a stranger would have made."""
        return list(self.root.rglob(f"*{CANARY}*"))


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    yield Place(tmp_path, monkeypatch, capfd)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_bundle(tmp_path_factory.mktemp("honest") / "bundle").directory


def edited(honest: Path, place: Place, edit: Callable[[dict[str, Any], Path], None]) -> Path:
    """A copy of the honest bundle after `edit(manifest, directory)`."""
    directory = place.work / "in"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(honest, directory)
    manifest = json.loads((directory / "bundle.json").read_text())
    edit(manifest, directory)
    if not (directory / "bundle.json").is_symlink():
        (directory / "bundle.json").write_text(json.dumps(manifest))
    return directory


def refused(result: tuple[int, str, str]) -> str:
    """The one line of an error."""
    status, out, err = result
    assert status == 1, out + err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, err
    return lines[0]


RUN = f"touch {CANARY}"
NAMES = [
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "../x",
        "a/b",
        "a\\b",
        "/tmp/x",
        "~",
        "~root",
        "-rf",
        "--help",
        "a b",
        "A",
        "é",
        "a.b",
    ),
    *(
        'a"',
        "a'",
        "a`b`",
        "a$b",
        "a;b",
        "a|b",
        "a&b",
        "a>b",
        "a#b",
        "a%b",
        "a(b)",
        "a{b}",
        "a[b]",
        "a*",
        "a?",
        "a\\",
    ),
    *(
        "a\n",
        "a\r",
        "a\0b",
        "a\tb",
        "\x1b[2Ja",
        "a\u2028b",
        "a" * 65,
        "1a",
        "_a",
        "a:b",
        "a=b",
        "a,b",
        "a@b",
        "a!b",
    ),
    f'x")\nexecute_process(COMMAND {RUN})\n#',
    f"x)\nexecute_process(COMMAND {RUN})\n#",
    f"$(shell,{RUN})",
    f"$(shell {RUN})",
    f"x\n\tbool\nconfig Y\n\tdefault $(shell,{RUN})",
    f"x\narchitectures=none\nbuild.extra=`{RUN}`",
    f"`{RUN}`",
    f"$({RUN})",
    f"; {RUN};",
    f"| {RUN}",
    "${CMAKE_COMMAND}",
    "$ENV{HOME}",
    "$<TARGET_FILE:x>",
    "{{ 7*7 }}",
    "{% include '/etc/passwd' %}",
    "%s%n",
    "*/ int x; /*",
    "x\\\n#include </etc/passwd>",
    "con",
][:-1]


@pytest.mark.parametrize("command", ["generate", "build", "export"])
def test_a_name_is_a_name(place: Place, honest: Path, command: str) -> None:
    """It becomes folders, symbols, and text of five build systems."""
    more = {"generate": (), "build": ("--board", "host"), "export": ("--format", "cmake")}[command]
    for name in NAMES:

        def rename(manifest: dict[str, Any], _: Path, name: str = name) -> None:
            manifest["name"] = name

        directory = edited(honest, place, rename)
        line = refused(place.run(command, directory, "--out", place.work / "out", *more))
        assert "name" in line, (name, line)
    assert place.strays() == [] and place.canaries() == [] and not (place.work / "out").exists()


BAD_LABELS: list[Any] = [
    *("", " a", "a ", "a\nb", "a\0b", "\x1b[31mred", "a\tb", "a\u2028b", "a\x7fb", "x" * 101),
    *(1, None, ["a"], {"a": 1}, True),
]


def test_labels_that_are_none(place: Place, honest: Path) -> None:
    for label in BAD_LABELS:

        def relabel(manifest: dict[str, Any], _: Path, label: Any = label) -> None:
            manifest["labels"][1] = label

        line = refused(place.run("generate", edited(honest, place, relabel), "--out", place.work / "out"))
        assert "labels" in line, (label, line)
    for labels in ([], ["a", "a", "b"], "abc", {"a": 1}, None):

        def replaced(manifest: dict[str, Any], _: Path, labels: Any = labels) -> None:
            manifest["labels"] = labels

        assert "labels" in refused(
            place.run("generate", edited(honest, place, replaced), "--out", place.work / "out")
        )
    assert place.strays() == [] and not (place.work / "out").exists()


ODD_LABELS = [
    *(
        'quo"te',
        "apo'strophe",
        "back\\slash",
        "door/close",
        "../../up",
        "/etc/passwd",
        "*/ #error /*",
        "??/",
        "%s%n%d",
    ),
    *(
        f"$(shell,{RUN})",
        f"`{RUN}`",
        f"$({RUN})",
        f'"); execute_process(COMMAND {RUN}) #',
        "${HOME}",
        "[red]",
        "[/]",
    ),
    *(
        "{{ 7*7 }}",
        "<script>alert(1)</script>",
        "crackling fire",
        "été",
        "日本",
        "a,b;c",
        "-rf",
        ".",
        "..",
        "con",
        "#",
    ),
]


def test_odd_labels_are_only_text(place: Place, honest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Printable labels work everywhere; in every format of an export, in C and in what is printed."""
    measured = measure(Bundle.load(honest))  # once: sizes are no matter of labels
    monkeypatch.setattr("stapes.export.measure", lambda *_, **__: measured)
    for start in range(0, len(ODD_LABELS) - 2, 3):

        def relabel(manifest: dict[str, Any], _: Path, start: int = start) -> None:
            manifest["labels"] = ODD_LABELS[start : start + 3]

        directory = edited(honest, place, relabel)
        shutil.rmtree(place.work / "out", ignore_errors=True)
        for name in FORMATS:
            out = place.work / "out" / name
            status, _, err = place.run("export", directory, "--format", name, "--out", out)
            assert status == 0, err
    assert place.strays() == [] and place.canaries() == []


def test_odd_labels_run_on_the_host(place: Place, honest: Path) -> None:
    def relabel(manifest: dict[str, Any], _: Path) -> None:
        manifest["labels"] = [
            f'"); execute_process(COMMAND {RUN}) #',
            "[red]door/close[/]",
            "../*/ #error /*",
        ]

    directory = edited(honest, place, relabel)
    out = place.work / "out"
    result = out / "check.json"
    status, text, err = place.run(
        "check", directory, "--target", "host", "--clips", 2, "--out", out, "--json", result
    )
    assert status == 0, text + err
    status, text, err = place.run("report", result, "--out", out / "page.html")
    assert status == 0, err
    assert place.strays() == [] and place.canaries() == []


def _link(name: str, target: str) -> Callable[[dict[str, Any], Path], None]:
    def edit(_: dict[str, Any], directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).symlink_to(target)

    return edit


def _pipe(name: str) -> Callable[[dict[str, Any], Path], None]:
    def edit(_: dict[str, Any], directory: Path) -> None:
        (directory / name).unlink()
        os.mkfifo(directory / name)

    return edit


def _listed(name: str, content: bytes | None = None) -> Callable[[dict[str, Any], Path], None]:
    def edit(manifest: dict[str, Any], directory: Path) -> None:
        manifest["files"][name] = hashlib.sha256(content or b"").hexdigest()

    return edit


def _linked_folder(manifest: dict[str, Any], directory: Path) -> None:
    (directory / "folds").symlink_to("/etc")
    manifest["files"]["folds/hostname"] = "0" * 64


FILES: dict[str, Callable[[dict[str, Any], Path], None]] = {
    **{f"{name} -> {target}": _link(name, target) for name in ("model.tflite", "bundle.json")
       for target in ("/dev/zero", "/etc/passwd", "/proc/self/mem", "model.tflite", "nowhere", "/")},
    **{f"pipe {name}": _pipe(name) for name in ("model.tflite",)},
    **{f"lists {name!r}": _listed(name) for name in (
        "/etc/passwd", "../../etc/passwd", "..", ".", "", "a/../b", "/dev/zero", ".hidden", "a//b", "a\0b", "a\nb",
        "a b", "~", "folds/../../x", "no.such.file", "-x", "$HOME", "a" * 200, "a/b/c/d/e/f")},
    "a folder that is a link": _linked_folder,
}  # fmt: skip


@pytest.mark.parametrize("edit", FILES.values(), ids=FILES.keys())
def test_files_that_are_none(
    place: Place, honest: Path, edit: Callable[[dict[str, Any], Path], None]
) -> None:
    directory = edited(honest, place, edit)
    line = refused(place.run("export", directory, "--format", "cmake", "--out", place.work / "out"))
    assert "root:" not in line
    assert place.strays() == [] and not (place.work / "out").exists()


TEXTS = [
    *(b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{}", b'{"format": 1}', b"nan", b"[" * 100_000),
    *(b'{"a":' * 50_000, b'{"format": NaN}', b'{"format": 1e999}', b"9" * 10_000, b'{"a": 1} x', b"\0" * 64),
]


def test_manifests_that_are_none(place: Place, honest: Path) -> None:
    for text in TEXTS:
        directory = edited(honest, place, lambda manifest, path: None)
        (directory / "bundle.json").write_bytes(text)
        refused(place.run("generate", directory, "--out", place.work / "out"))
    assert place.strays() == []


JUNK: list[Any] = [None, True, -1, 0, 10**30, 1e300, "", "x", "\x1b[2J", [], {}, [[]], {"x": [1]}, [None] * 3]


def mutated(value: Any, random: random.Random) -> Any:
    """A copy in which one node, at any depth, is junk or missing."""
    value = copy.deepcopy(value)
    nodes: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            nodes.append((node, key))
            collect(child)

    collect(value)
    parent, key = random.choice(nodes)
    if random.random() < 0.2:
        del parent[key]
    else:
        parent[key] = copy.deepcopy(random.choice(JUNK))
    return value


def test_mutated_manifests(place: Place, honest: Path) -> None:
    """Either refused in one line or, where the change means nothing, generated."""
    chance = random.Random(5)
    manifest = json.loads((honest / "bundle.json").read_text())
    done = {0: 0, 1: 0}
    for _ in range(150):
        directory = edited(honest, place, lambda manifest, path: None)
        (directory / "bundle.json").write_text(json.dumps(mutated(manifest, chance)))
        result = place.run("generate", directory, "--out", place.work / "out")
        if result[0]:
            refused(result)
        done[result[0]] += 1
    assert done[1] > 75, done
    assert place.strays() == []


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """One result of each kind that a page shows, as the commands write them."""
    from report_results import EVALUATION_WITH_EVERYTHING, PARITY

    from stapes.check import check_bundle, select_clips
    from stapes.device import prepare

    directory = tmp_path_factory.mktemp("results")
    bundle = make_small_bundle(directory / "bundle")
    prepared = prepare(bundle, "host", directory)
    checked = check_bundle(
        bundle, "host", select_clips(bundle, None, 2), directory, prepared=prepared
    ).as_json()
    checked = json.loads(json.dumps(checked))
    return [checked, {"targets": [checked, checked], "equal": True}, EVALUATION_WITH_EVERYTHING, PARITY]


def test_mutated_results(place: Place, results: list[dict[str, Any]]) -> None:
    """600 of them: each is drawn or refused in one line."""
    chance = random.Random(7)
    (place.work / "in").mkdir()
    path = place.work / "in/result.json"
    done = {0: 0, 1: 0}
    for number in range(600):
        path.write_text(json.dumps(mutated(results[number % len(results)], chance)))
        result = place.run("report", path, "--out", place.work / "out/page.html")
        if result[0]:
            refused(result)
        done[result[0]] += 1
    assert min(done.values()) > 50, done
    for result in results:
        path.write_text(json.dumps(result))
        assert place.run("report", path, "--out", place.work / "out/page.html")[0] == 0
    for text in TEXTS:
        path.write_bytes(text)
        refused(place.run("report", path, "--out", place.work / "out/page.html"))


def test_mutated_metrics_and_baselines(place: Place, honest: Path, results: list[dict[str, Any]]) -> None:
    chance = random.Random(9)
    figures = {"accuracy_mean": 0.5, "accuracy_sd": 0.1, "per_fold": [0.4, 0.6]}
    metrics = {"folds": [1, 2], "firmware": figures, "float": figures, "int8": figures}
    for _ in range(60):
        data = json.dumps(mutated(metrics, chance)).encode()

        def listed(manifest: dict[str, Any], path: Path, data: bytes = data) -> None:
            (path / "metrics.json").write_bytes(data)
            manifest["files"]["metrics.json"] = hashlib.sha256(data).hexdigest()

        directory = edited(honest, place, listed)
        result = place.run("report", "pareto", directory)
        if result[0]:
            refused(result)
    from stapes.check.baseline import load_baseline
    from stapes.errors import StapesError

    baseline = json.loads(
        next((Path(__file__).parents[3] / "hil_tests/baselines").glob("*.json")).read_text()
    )
    path = place.work / "in/baseline.json"
    for _ in range(100):
        path.write_text(json.dumps(mutated(baseline, chance)))
        try:
            load_baseline(path)
        except StapesError as error:
            assert "\n" not in str(error)
    for text in TEXTS:
        path.write_bytes(text)
        with pytest.raises(StapesError):
            load_baseline(path)
