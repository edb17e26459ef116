"""Accuracy by fold, by class and under disturbances, as terminal tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_KINDS = {
    "float": "float network (as trained)",
    "int8": "int8 network, Python reference",
    "firmware": "firmware (compiled C)",
    "windows": "single windows, firmware",
}


def columns_of(result: Mapping[str, Any]) -> list[str]:
    """What the figures by fold are of."""
    if "test" in result:
        return [f"all {sum(result['clips']):,} clips"]
    return [f"fold {fold}" for fold in result.get("folds", range(1, 1 + len(result["int8"]["per_fold"])))]


def evaluation_table(result: dict[str, Any]) -> Table:
    """One row for float, int8 and firmware; one column a fold, then mean and standard deviation."""
    from rich.table import Table

    later = "test" in result
    title = "clips with all tags right," if result.get("tagging") else "accuracy over clips"
    table = Table(title=f"{title} of {result['test'] if later else 'the held-out fold'}")
    table.add_column("")
    columns = columns_of(result)
    for column in columns:
        table.add_column(column, justify="right")
    if not later:
        table.add_column("mean", justify="right", style="bold")
        table.add_column("sd", justify="right")
    for kind, title in _KINDS.items():
        if kind in result:
            figures = result[kind]
            table.add_row(
                title,
                *(f"{value:.1%}" for value in figures["per_fold"]),
                *(() if later else (f"{figures['accuracy_mean']:.1%}", f"{figures['accuracy_sd']:.1%}")),
            )
    return table


def classes_table(result: dict[str, Any]) -> Table:
    """Precision, recall and F1 of each class, as the firmware decides; of tags the average precision too."""
    from rich.table import Table

    columns = {"precision": "precision", "recall": "recall", "f1": "F1"}
    title = f"classes, macro F1 {_percent(result['macro_f1'])}"
    if result.get("tagging"):
        columns["average_precision"] = "average precision"
        title += f", mean average precision {_percent(result['mean_average_precision'])}"
    table = Table(title=title)
    table.add_column("label")
    for column in ("clips", *columns.values()):
        table.add_column(column, justify="right")
    for row in result["classes"]:
        table.add_row(row["label"], str(row["clips"]), *(_percent(row[key]) for key in columns))
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def robustness_table(result: dict[str, Any]) -> Table:
    """Accuracy of the firmware under each disturbance, and what it costs against the clips as recorded."""
    from rich.table import Table

    table = Table(
        title="accuracy over disturbed clips" + ("" if "test" in result else " of the held-out fold")
    )
    for column in ("", "condition"):
        table.add_column(column)
    for column in ("accuracy", "change"):
        table.add_column(column, justify="right")
    conditions = result["robustness"]["conditions"]
    clean = conditions[0]["accuracy_mean"]
    for row in conditions:
        change = 100 * (row["accuracy_mean"] - clean)
        table.add_row(row["group"], row["condition"], f"{row['accuracy_mean']:.1%}", f"{change:+.1f}")
    return table
