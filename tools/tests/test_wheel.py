"""What `pip install` gives: a wheel with everything in it, which checks a bundle far away from the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from stapes.version import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="the package `build` is not installed")
    pytest.importorskip("hatchling", reason="the package `hatchling` is not installed")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


def test_what_is_in_it(wheel: Path) -> None:
    assert wheel.name == f"stapes-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = Parser().parsestr(archive.read(f"stapes-{__version__}.dist-info/METADATA").decode())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "firmware", "tools/stapes"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode == 0:
        sources = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
        places = {
            name.replace("firmware/", "stapes/_firmware/", 1)
            if name.startswith("firmware/")
            else name.removeprefix("tools/")
            for name in sources
        }
        assert len(places) > 300 and places <= names, sorted(places - names)[:5]
    assert not [name for name in names if "__pycache__" in name or name.startswith("build/")]
    assert about["Version"] == __version__ and about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11" and len(about.get_payload()) > 1000
    needed = [line.split(";")[0] for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {"soundfile", "soxr"} <= {name.split(">")[0] for name in needed}, "a plain install reads a WAV"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_it_checks_a_bundle(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own that has no stapes but this one; the dependencies are those of the tests."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)  # what pip does with a pure wheel
    # A path in a .pth file brings the packages there, not their own .pth files: no editable stapes.
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("STAPES_", "PYTHON"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    python = place / "bin/python"

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [python, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert Path(run("-c", "import stapes; print(stapes.__file__)").strip()).is_relative_to(place)
    bundle = ROOT / "models/esc10-nano"
    said = run("-m", "stapes", "check", bundle, "--target", "host", "--clips", "1")
    assert "PASSED: every bit is equal" in said and "measure no accuracy" in said
