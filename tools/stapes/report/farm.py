"""What became of the boards of a farm: terminal tables with a column for each, and JUnit XML for servers of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rich.text import Text

from stapes.farm import BoardReport, FarmReport, Outcome
from stapes.files import printable
from stapes.report.check import UNITS, kib, mark, millions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLUMN = 16
"""Characters that one board takes in a table."""

STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim", "interrupted": "yellow"}
Row = tuple[str, Callable[[Outcome], "Text | str"]]


def farm_tables(report: FarmReport, width: int) -> Iterator[Table]:
    """One column a board, as many beside each other as `width` characters take; a block of rows for each bundle."""
    from rich import box
    from rich.table import Table

    at_once = max(1, (width - COLUMN) // COLUMN)
    for start in range(0, len(report.boards), at_once):
        boards = report.boards[start : start + at_once]
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column(report.action)
        for each in boards:
            table.add_column(each.board.name, justify="right", overflow="fold")
        table.add_row("target", *(each.board.way for each in boards), style="dim")
        for bundle in dict.fromkeys(outcome.bundle for each in report.boards for outcome in each.outcomes):
            for title, cell in [(bundle, _status), *_rows(report.action)]:
                cells = [_cell(each, bundle, cell) for each in boards]
                if any(str(text) not in ("", "–") for text in cells):
                    table.add_row(title, *cells, end_section=title == "seconds")
        yield table


def print_farm(report: FarmReport, console: Console) -> None:
    """The tables, a line for everything that went wrong, and the sum of it."""
    for table in farm_tables(report, console.width):
        console.print(table)
    for board, outcome in report.outcomes:
        if outcome.message and outcome.status != "skipped":
            line = Text(f"{board.name} ({board.way}), {outcome.bundle}: ")
            line.append(outcome.status, STYLES[outcome.status]).append(f": {outcome.message}")
            console.print(line, soft_wrap=True)
            if outcome.hint:
                console.print(
                    Text("  try: ", style="bold").append(outcome.hint, style="not bold"), soft_wrap=True
                )
    counts = [(status, sum(o.status == status for _, o in report.outcomes)) for status in STYLES]
    told = ", ".join(f"{count} {status}" for status, count in counts if count) or "nothing was done"
    verdict = "PASSED" if report.passed else "INTERRUPTED" if report.stopped else "FAILED"
    text = Text(f"{len(report.boards)} boards, {report.seconds:.1f} s: {told}; ")
    console.print(text.append(verdict, style="bold green" if report.passed else "bold red"), soft_wrap=True)


def _cell(each: BoardReport, bundle: str, cell: Callable[[Outcome], Text | str]) -> Text | str:
    outcome = next((outcome for outcome in each.outcomes if outcome.bundle == bundle), None)
    return "" if outcome is None else cell(outcome)


def _status(outcome: Outcome) -> Text:
    return Text(outcome.status, style=STYLES[outcome.status])


def _of_result(show: Callable[[dict[str, Any]], Text | str]) -> Callable[[Outcome], Text | str]:
    return lambda outcome: "–" if outcome.result is None else show(outcome.result)


def _rows(action: str) -> Sequence[Row]:
    seconds: Row = ("seconds", lambda outcome: f"{outcome.seconds:.1f}")
    if action == "check":
        stages = [
            (f"{stage} equal", _of_result(lambda value, stage=stage: mark(value[f"{stage}_equal"])))  # type: ignore[misc]
            for stage in ("features", "layers", "scores")
        ]
        return [
            *stages,
            ("decisions", _of_result(lambda value: f"{value['decisions_equal']} of {value['clips']}")),
            ("a window", _of_result(_counts)),
            ("flash, KiB", _of_result(lambda value: kib(value["flash_bytes"]))),
            ("RAM, KiB", _of_result(lambda value: kib(value["ram_bytes"]))),
            seconds,
        ]
    if action == "bench":
        return [
            ("outputs equal", _of_result(lambda value: mark(value["equal_to_reference"]))),
            ("M instr. a window", _of_result(lambda value: millions(value["instructions"]))),
            ("flash, KiB", _of_result(lambda value: kib(value["flash_bytes"]["total"]))),
            ("RAM, KiB", _of_result(lambda value: kib(value["ram_bytes"]["total"]))),
            seconds,
        ]
    return [("runs build", _of_result(lambda value: str(value["build_id"]))), seconds]


def _counts(value: dict[str, Any]) -> str:
    unit = UNITS.get(value["counter"] or "", "")
    return f"{millions(value['counts_per_window'])} {unit}" if value["counts_per_window"] else "–"


def junit_xml(report: FarmReport) -> str:
    """JUnit XML as servers of tests read it: a suite for each board, a case for each bundle."""
    root = ElementTree.Element(
        "testsuites", name=f"stapes farm {report.action}", time=f"{report.seconds:.3f}"
    )
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for each in report.boards:
        suite = ElementTree.SubElement(root, "testsuite", name=each.board.name)
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (("target", each.board.way), ("labels", " ".join(each.board.labels))):
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
        counts = dict.fromkeys(total, 0)
        for outcome in each.outcomes:
            counts["tests"] += 1
            kind = _junit_kind(outcome)
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"farm.{each.board.name}",
                name=f"{report.action} {_text(outcome.bundle)}",
                time=f"{outcome.seconds:.3f}",
            )
            if kind:
                counts[{"failure": "failures", "error": "errors"}.get(kind, kind)] += 1
                said = ElementTree.SubElement(case, kind, message=_text(outcome.message or outcome.status))
                said.text = _text(outcome.hint)
        total = {key: total[key] + counts[key] for key in total}
        for key, count in counts.items():
            suite.set(key, str(count))
        suite.set("time", f"{sum(outcome.seconds for outcome in each.outcomes):.3f}")
    for key, count in total.items():
        root.set(key, str(count))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _junit_kind(outcome: Outcome) -> str:
    """A board that computes otherwise is a failure; one that cannot be asked is an error."""
    if outcome.status == "failed":
        return "error" if outcome.result is None else "failure"
    return "" if outcome.status == "passed" else "skipped" if outcome.status == "skipped" else "error"


def _text(text: str) -> str:
    """What XML may hold: no control characters, no halves of characters."""
    return printable(text)
