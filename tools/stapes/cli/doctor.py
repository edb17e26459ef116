"""`stapes doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, attended, console, note, save_json

if TYPE_CHECKING:
    from rich.text import Text

    from stapes.firmware.tools import ToolStatus


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Ask for each command that is advised, and run it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: run them without asking.")] = False,
    json: JsonOption = None,
) -> None:
    """Show which tools are installed, and the exact command for each that is missing; with --fix, run these."""
    from stapes.firmware import find_tools

    if yes and not fix:
        raise typer.BadParameter("only together with --fix", param_hint="--yes")
    statuses = find_tools()
    if fix:
        save_json(json, _as_json(statuses))  # what was found stays, whatever happens next
        with attended():
            failed = _fix(statuses, yes=yes)
        statuses = find_tools()
    save_json(json, _as_json(statuses))
    _print(statuses)
    if fix and failed:
        raise typer.Exit(1)


def _fix(statuses: list[ToolStatus], *, yes: bool) -> list[str]:
    """Run what is advised, each command once, after asking; gives those that failed."""
    from stapes.firmware.tools import find_program

    failed = []
    for advice in dict.fromkeys(
        status.tool.install for status in statuses if not status.found or status.is_too_old
    ):
        command = _command(advice)
        if not command:
            note("by hand:", advice)
            continue
        if not yes and not typer.confirm(f"run {advice}?", default=False, err=True):
            continue
        note("running:", advice, "bold")
        sys.stdout.flush()
        try:
            if subprocess.run(command, check=False).returncode != 0:
                failed.append(advice)
                note("failed:", advice, "bold red")
        except OSError as error:
            failed.append(advice)
            note("failed:", f"{advice} ({error.strerror})", "bold red")
    find_program.cache_clear()
    return failed


def _command(advice: str) -> list[str]:
    """A command of an installer as its words; empty for advice that only a person can follow."""
    if not advice.startswith(("sudo apt-get install ", "pip install ", "brew install ", "winget install ")):
        return []
    words = shlex.split(advice)
    if words[0] == "pip":
        return [sys.executable, "-m", *words]  # into this Python, whatever `pip` may be
    if words[0] == "sudo":
        install = [*words[1:3], "-y", "--no-install-recommends", *words[3:]]
        return install if os.geteuid() == 0 else ["sudo", *install]
    return words


def _as_json(statuses: list[ToolStatus]) -> dict[str, object]:
    return {
        "tools": [
            {
                "name": status.tool.name,
                "found": status.found,
                "version": status.version or None,
                "oldest": status.tool.oldest or None,
                "tested": status.tool.tested or None,
                "too_old": status.is_too_old,
                "install": status.tool.install,
                "install_on": {
                    "debian": status.tool.debian,
                    "macos": status.tool.macos,
                    "windows": status.tool.windows,
                },
                "needed_for": status.tool.needed_for,
                "path": status.path or None,
                "problem": status.problem or None,
            }
            for status in statuses
        ]
    }


def _print(statuses: list[ToolStatus]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("tool", "version", "needed for", "install"):
        table.add_column(column, overflow="fold")
    for status in statuses:
        table.add_row(
            status.tool.name,
            _version(status),
            status.tool.needed_for,
            "" if status.found and not status.is_too_old else status.tool.install,
        )
    console.print(table)


def _version(status: ToolStatus) -> Text:
    """The version, and what it should be where that is another one than was tested."""
    from rich.text import Text

    tool = status.tool
    if not status.found:
        return Text(status.problem or "missing", style="red")
    if status.is_too_old:
        return Text(f"{status.version}: too old, {tool.oldest} or later", style="red")
    known = not tool.tested or f"{status.version}.".startswith(f"{tool.tested}.")
    return Text(status.version + ("" if known else f" (tested: {tool.tested})"))
