"""Every package that may be missing: named by whatever needs it, with the command that installs it."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stapes import packages
from stapes.bench import events
from stapes.bench.features import bench_features
from stapes.check.tags import require_tag_packages
from stapes.cli.app import app
from stapes.cycles import Flash, Trace
from stapes.datasets import read_audio
from stapes.datasets.catalogue import PUBLISHED
from stapes.datasets.fetch import fetch
from stapes.errors import ToolError
from stapes.features import OutputQuantization, librosa_log_mel, pdm
from stapes.features.picture import draw
from stapes.graph import read_tflite
from stapes.live.sources import MicrophoneSource
from stapes.live.view import live_view
from stapes.packages import PACKAGES, Package, needed_for
from stapes.recipe import FrontendSpec
from stapes.reference.tflm import _Worker
from stapes.report.pareto import draw_pareto
from stapes.training import own_head, sweep
from stapes.training.backend import import_keras, require_packages
from stapes.training.crew import open_crew
from stapes.training.forest import require_forest_packages

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tools/stapes"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PCM = np.zeros(16000, np.int16)
OUTPUT = OutputQuantization(mean=0.0, std=1.0, scale=0.1, zero_point=0)
NOWHERE = Path("nowhere/file")
SWEEP = ["sweep", "--out", "out", "--vary", "training.lr=1..2", "--trials", "1"]

WHO_NEEDS: dict[str, list[Callable[[], object]]] = {
    "tflite_micro": [_Worker],
    "tflite": [lambda: read_tflite(b"")],
    "soundfile": [lambda: read_audio(NOWHERE, 16000)],
    "soxr": [lambda: read_audio(NOWHERE, 16000)],
    "pooch": [lambda: fetch(PUBLISHED[0], NOWHERE)],
    "requests": [lambda: fetch(PUBLISHED[0], NOWHERE)],
    "librosa": [
        lambda: librosa_log_mel(PCM, FrontendSpec()),
        lambda: bench_features(FrontendSpec(), OUTPUT),
    ],
    "tensorflow": [require_packages, import_keras],
    "keras": [require_packages, import_keras],
    "sklearn": [require_forest_packages, require_tag_packages],
    "emlearn": [require_forest_packages],
    "joblib": [lambda: own_head._load(NOWHERE)],
    "matplotlib": [
        lambda: draw_pareto([], NOWHERE),
        lambda: draw(PCM, FrontendSpec(), OUTPUT, "", NOWHERE),
    ],
    "optuna": [sweep._optuna],
    "tomli_w": [lambda: CliRunner().invoke(app, [*SWEEP, "x.toml"], catch_exceptions=False)],
    "ray": [lambda: open_crew(1, "local")],
    "sounddevice": [lambda: MicrophoneSource(16000)],
    "textual": [lambda: live_view(None)],  # type: ignore[arg-type]
    "sed_eval": [events._packages],
    "dcase_util": [events._packages],
    "scipy": [pdm._half_band],
    "unicorn": [lambda: Trace(NOWHERE, Flash(8, 128, 32), {})],
}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.module)
def test_a_package_that_is_missing_is_named_with_its_command(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == package.module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package.module, None)
    for work in WHO_NEEDS[package.module]:
        with pytest.raises(ToolError) as caught:
            work()
        assert package.distribution in caught.value.message
        assert caught.value.hint.startswith(package.install), caught.value.hint
        assert "\n" not in str(caught.value)


def test_a_library_that_is_missing_is_another_command() -> None:
    with pytest.raises(ToolError, match="PortAudio") as caught, needed_for("sound", "sounddevice"):
        raise OSError("PortAudio library not found")
    assert caught.value.hint == "sudo apt-get install libportaudio2"
    with pytest.raises(ToolError, match="needs keras") as caught, needed_for("training", "keras"):
        raise ImportError("no", name="a_package_of_keras")
    assert caught.value.hint == "pip install 'stapes[train]'"


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s;<>=!~\[]", name, maxsplit=1)[0]).lower()


def test_every_command_installs_its_package() -> None:
    """The extra holds the package, or a package that brings it."""
    assert set(WHO_NEEDS) == {package.module for package in PACKAGES}
    for package in PACKAGES:
        extras = PROJECT["optional-dependencies"]
        listed = {
            plain(name) for name in (extras[package.extra] if package.extra else PROJECT["dependencies"])
        }
        brought = set(listed)
        for name in listed:
            try:
                brought |= {plain(each) for each in importlib.metadata.requires(name) or []}
            except importlib.metadata.PackageNotFoundError:
                continue
        assert plain(package.distribution) in brought, package


def third_party(path: Path) -> dict[str, bool]:
    """Packages that a file imports when it runs, and whether each such import is in a block of `needed_for`."""
    found: dict[str, bool] = {}

    def walk(node: ast.AST, guarded: frozenset[str]) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.With):
            calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
            for call in (call for call in calls if ast.unparse(call.func) == "needed_for"):
                guarded |= {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "stapes"}:
            found[name] = found.get(name, True) and name in guarded
        for child in ast.iter_child_nodes(node):
            walk(child, guarded)

    walk(ast.parse(path.read_text(encoding="utf-8")), frozenset())
    return found


ALWAYS_THERE = {
    *(
        "cobs",
        "elftools",
        "flatbuffers",
        "jinja2",
        "markupsafe",
        "numpy",
        "pydantic",
        "rich",
        "serial",
        "typer",
    ),
}
"""What `dependencies` of pyproject.toml bring under these names: without one of them stapes is not installed."""
AFTER_REQUIRE = {"tensorflow", "sklearn", "emlearn", "ray"}
"""What training imports again and again, behind the first import that is guarded."""


def test_nothing_else_may_be_missing() -> None:
    known = {package.module for package in PACKAGES}
    for path in sorted(SOURCES.rglob("*.py")):
        if "_firmware" in path.parts or path.name in ("pytest_plugin.py", "tflm_worker.py"):
            continue
        for name, guarded in third_party(path).items():
            if name in ALWAYS_THERE:
                continue
            assert name in known, f"{path} imports {name}: put it into stapes/packages.py"
            training = path.parent.name == "training" and name in AFTER_REQUIRE
            core = next(package for package in PACKAGES if package.module == name).extra == ""
            assert guarded or training or core, f"{path} imports {name} outside of `needed_for`"


def test_the_walk_sees_an_import_without_a_guard(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "def f():\n    with needed_for('x', 'a'):\n        import a\n        import b\n    from c.d import e\n"
    )
    assert third_party(file) == {"a": True, "b": False, "c": False}
    assert packages.is_there("numpy") and not packages.is_there("no_such_package")
