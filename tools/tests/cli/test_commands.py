"""The command line starts fast and knows its commands."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import stapes
from stapes.cli.app import app

ROOT = Path(stapes.__file__).parents[2]


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
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        commands = getattr(command, "commands", {})
        names = [f"{name} {sub}" for sub, each in commands.items() if not each.hidden] or [name]
        for full in names:
            assert f"`stapes {full}" in readme, full


def told(page: str) -> list[str]:
    """Commands of a page: lines of code, and what is between backticks; continued lines as one."""
    text = page.replace("\\\n", " ")
    text = re.sub(
        r"^```\w*\n(.*?)^```", lambda block: indent(block[1], "    "), text, flags=re.MULTILINE | re.DOTALL
    )
    lines = re.findall(r"^ {4}(?:[A-Z_]+=\S+ )*(stapes (?!:).*)$", text, flags=re.MULTILINE)
    return [line.split(" #")[0] for line in lines] + re.findall(r"`(stapes [^`]*)`", text)


def what_is_wrong(command: str, app: Any) -> str:
    """Why the command line would not know it; empty where it does."""
    words = command.replace("…", " ").replace("...", " ").split()[1:]
    while words and words[0] in ("--verbose", "-v", "--version", "--help"):
        words = words[1:]
    if not words or words[0].isupper() or words[0].startswith("COMMAND"):
        return ""
    found, path = app, []
    while hasattr(found, "commands") and words and words[0] in found.commands:
        path.append(words[0])
        found = found.commands[words.pop(0)]
    if not path:
        return f"no command {words[0]}"
    if getattr(found, "commands", None):
        found = next((each for each in found.commands.values() if each.hidden), found)  # `report JSON...`
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        name = word.rstrip(",.;:)").split("=")[0]
        if re.fullmatch(r"--[a-z][a-z-]*", name) and name not in options | {"--help"}:
            return f"{' '.join(path)} has no {name}"
    return ""


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_line_knows_every_command_of_the_documentation(page: Path) -> None:
    command = get_command(app)
    wrong = {line: what_is_wrong(line, command) for line in told(page.read_text(encoding="utf-8"))}
    assert {line: why for line, why in wrong.items() if why} == {}


def test_a_command_that_is_not_known_is_seen() -> None:
    command = get_command(app)
    page = "x\n    stapes chek a --json x\n    A=b stapes check a --jsn x  # --more\n`stapes bench events --json`\n"
    assert [what_is_wrong(line, command) for line in told(page)] == [
        "no command chek",
        "check has no --jsn",
        "",
    ]
    assert len([line for page in PAGES for line in told(page.read_text(encoding="utf-8"))]) > 150


def every_command(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from every_command(each, (*path, name))


def test_help_shows_all_that_is_written() -> None:
    """Rich takes `[build/NAME]` for a style, and leaves it out."""
    for path, command in every_command(get_command(app)):
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).output
        squeezed = re.sub(r"[\s│]+", "", shown)
        for text in [command.help or "", *(getattr(each, "help", None) or "" for each in command.params)]:
            for part in re.findall(r"\[[^\]]*\]|(?<=`)[^`]*(?=`)", text):
                assert re.sub(r"\s+", "", part) in squeezed, f"stapes {' '.join(path)}: {part}"
