"""`stapes doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from stapes.cli.common import JsonOption, console, save_json


def doctor(json: JsonOption = None) -> None:
    """Show which tools are installed, and the exact command for each that is missing."""
    from rich.table import Table
    from rich.text import Text

    from stapes.firmware import find_tools

    statuses = find_tools()
    table = Table(box=None, pad_edge=False)
    for column in ("tool", "version", "needed for", "install"):
        table.add_column(column, overflow="fold")
    for status in statuses:
        tool = status.tool
        table.add_row(
            tool.name,
            status.version or Text("missing", style="red"),
            tool.needed_for,
            "" if status.found else tool.install,
        )
    save_json(
        json,
        {
            "tools": [
                {
                    "name": status.tool.name,
                    "found": status.found,
                    "version": status.version or None,
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
