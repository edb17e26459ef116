"""The command line starts fast and knows its commands."""

import subprocess
import sys
from pathlib import Path

import stapes


def test_version() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "stapes", "--version"], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == f"stapes {stapes.__version__}"


def test_nothing_heavy_is_imported_at_start() -> None:
    heavy = [
        "tensorflow",
        "keras",
        "librosa",
        "soundfile",
        "soxr",
        "matplotlib",
        "tflite_micro",
        "numba",
        "sklearn",
    ]
    code = f"import sys, stapes.cli.app; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_readme_lists_every_command() -> None:
    from typer.main import get_command

    from stapes.cli.app import app

    readme = (Path(stapes.__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        commands = getattr(command, "commands", {})
        names = [f"{name} {sub}" for sub, each in commands.items() if not each.hidden] or [name]
        for full in names:
            assert f"`stapes {full}" in readme, full
