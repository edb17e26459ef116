"""`stapes doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.cli.common import JsonOption, console, save_json

if TYPE_CHECKING:
    from rich.text import Text

    from stapes.firmware.tools import ToolStatus


def doctor(json: JsonOption = None) -> None:
    """Show which tools are installed, and the exact command for each that is missing."""
    from rich.table import Table

    from stapes.firmware import find_tools

    statuses = find_tools()
    table = Table(box=None, pad_edge=False)
    for column in ("tool", "version", "needed for", "install"):
        table.add_column(column, overflow="fold")
    for status in statuses:
        tool = status.tool
        table.add_row(
            tool.name,
            _version(status),
            tool.needed_for,
            "" if status.found and not status.is_too_old else tool.install,
        )
    save_json(
        json,
        {
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
                }
                for status in statuses
            ]
        },
    )
    console.print(table)


def _version(status: ToolStatus) -> Text:
    """The version, and what it should be where that is another one than was tested."""
    from rich.text import Text

    tool = status.tool
    if not status.found:
        return Text("missing", style="red")
    if status.is_too_old:
        return Text(f"{status.version}: too old, {tool.oldest} or later", style="red")
    known = not tool.tested or f"{status.version}.".startswith(f"{tool.tested}.")
    return Text(status.version + ("" if known else f" (tested: {tool.tested})"))
