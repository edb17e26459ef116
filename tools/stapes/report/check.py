"""What a check found, as a terminal table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from stapes.check import CheckReport

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


def mark(good: bool) -> Text:
    """`yes` or a loud `NO`."""
    return Text("yes", style="green") if good else Text("NO", style="bold red")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


UNITS = {"instructions": "M instr.", "cycles": "M cycles", "nanoseconds": "ms"}


def millions(value: float | None) -> str:
    """A count in millions, or a dash."""
    return "–" if value is None else f"{value / 1e6:.3f}"


def kib(value: int | None) -> str:
    """Bytes in KiB, or a dash."""
    return "–" if value is None else f"{value / 1024:.1f}"


def check_table(report: CheckReport) -> Table:
    """One row a clip: prediction, confidence, what was equal to the reference, counts a window, flash, RAM."""
    from rich import box
    from rich.table import Table

    unit = UNITS.get(report.hello.counter if report.hello else "none", "counts")
    table = Table(
        title=f"{report.bundle.manifest.name} on {report.target}, {report.source} clips",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    table.add_column("clip", no_wrap=True, max_width=20)
    table.add_column("prediction")
    for heading in ("confi-\ndence", "features\nequal", "layers\nequal", f"{unit}\na window"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("flash\nKiB", "RAM\nKiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    build = report.build
    for result, row in zip(report.results, report.as_json()["results"], strict=True):
        right = report.source == "synthetic" or row["prediction"] == result.label
        table.add_row(
            result.clip,
            row["prediction"]
            if right
            else Text(row["prediction"], style="yellow").append(f", not {result.label}", style="not yellow"),
            f"{row['confidence']:.2f}",
            mark(result.pcm_equal and result.features_equal),
            mark(result.layers_equal and result.scores_equal),
            millions(row["counts_per_window"]),
            kib(build.flash_bytes if build else None),
            kib(build.ram_bytes if build else None),
        )
    return table


def check_summary(report: CheckReport) -> RenderableType:
    """The last lines: equal or not, what it costs, and the first difference where there is one."""
    value = report.as_json()
    lines = []
    if report.earlier_fault:
        lines.append(f"before this check the board restarted after {report.earlier_fault}")
    if report.constants_problem:
        lines.append(report.constants_problem)
    elif report.self_test:
        lines.append(
            f"the {_number(report.self_test.size)} B of constants in the device are as built"
            if report.self_test.size
            else "the constants in the device are not tested: the build wrote no checksum"
        )
    if report.build:
        lines.append(
            f"flash {_number(report.build.flash_bytes)} B, RAM {_number(report.build.ram_bytes)} B "
            f"(network arena {_number(report.plan.arena_bytes)} B), "
            f"stack at most {_number(report.build.stack_bytes)} B"
            + (f", seen {_number(report.stack_high_water)} B" if report.stack_high_water else "")
        )
    lines.append(
        f"{value['clips']} clips, {value['windows']} windows, {len(report.plan.layers)} layers each: "
        f"{value['decisions_equal']} decisions equal to the reference ({_reference(report)})"
        + (
            ""
            if value["accuracy"] is None
            else f"; {value['accuracy']:.1%} of the {value['accuracy_clips']} clips of the held-out fold are right"
        )
    )
    if report.source == "synthetic":
        lines.append("synthetic sounds: they show that the bits are equal, and measure no accuracy")
    if report.passed:
        verdict = "PASSED: every bit is equal to the Python reference"
    elif report.first_difference is None and report.constants_problem:
        verdict = f"FAILED: self-test: {report.constants_problem}; flash again"
    elif report.interrupted and report.first_difference is None:
        verdict = "INTERRUPTED: equal so far"
    else:
        verdict = f"FAILED: {report.first_difference}"
    text = Text("\n".join(lines) + "\n")
    text.append(verdict, style="bold green" if report.passed else "bold red")
    return text


def _reference(report: CheckReport) -> str:
    return "TFLM interpreter" if report.reference == "tflm" else "NumPy operators"


def print_check(report: CheckReport, console: Console) -> None:
    """The table, then the summary."""
    console.print(check_table(report))
    console.print(check_summary(report), soft_wrap=True)
