"""What a recipe costs, as a terminal table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def cost_table(cost: dict[str, Any], limits: dict[str, float | None]) -> Table:
    """One row a figure; `limits` gives what the budget allows, by the key of `cost`."""
    from rich.table import Table

    rows = (
        ("multiplications a window", "macs_per_window", ""),
        ("multiplications for the next window", "macs_per_hop", ""),
        ("network in flash", "weights_bytes", " B"),
        ("working memory of the network", "arena_bytes", " B"),
        (f"flash of the application, {cost['board']}", "flash_bytes", " B"),
        ("RAM of the application, with the stack", "ram_bytes", " B"),
        ("instructions a window, Cortex-M4", "instructions_per_window", ""),
        ("instructions a frame, front end", "instructions_per_frame", ""),
        ("instructions a second, live", "instructions_per_second", ""),
    )
    table = Table(title="cost before training")
    table.add_column("")
    table.add_column("cost", justify="right")
    table.add_column("budget", justify="right")
    for title, key, unit in rows:
        if cost[key] is not None:
            limit = limits.get(key)
            table.add_row(title, f"{cost[key]:,.0f}{unit}", f"{limit:,.0f}{unit}" if limit else "")
    return table
