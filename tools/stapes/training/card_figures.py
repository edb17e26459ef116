"""Tables of the model card beyond accuracy: classes, calibration, disturbed sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def figures_sections(metrics: dict[str, Any]) -> list[str]:
    """Markdown for what `stapes evaluate` left in metrics.json; nothing for what it did not."""
    sections = []
    if "classes" in metrics:
        sections += [
            f"By class, over all folds left out, as the firmware decides ({_means(metrics)}):",
            _classes(metrics),
        ]
    for kind in ("foreground", "background"):
        if kind in metrics:
            figures = metrics[kind]
            sections.append(
                f"Sounds in the {kind}: {_percent(figures['accuracy'])} of {figures['clips']} clips."
            )
    if "calibration" in metrics:
        sections.append(
            f"Expected calibration error of the confidence of a clip: {metrics['calibration']['ece']:.3f} "
            "(0: of the decisions with confidence 0.8, 80 % are right)."
        )
    if "later" in metrics:
        later = metrics["later"]
        sections += [
            "## Recordings made later",
            f"None of them was trained on. Of {sum(later['clips'])} clips the firmware of `model.tflite` decides "
            f"{_percent(later['firmware']['accuracy_mean'])} right ({_means(later)}). "
            "`stapes evaluate BUNDLE --test DIR --record` repeats it.",
            _classes(later),
        ]
    if "robustness" in metrics:
        found = metrics["robustness"]
        clean = found["conditions"][0]["accuracy_mean"]
        rows = [
            [
                row["group"],
                row["condition"],
                _percent(row["accuracy_mean"]),
                f"{100 * (row['accuracy_mean'] - clean):+.1f}",
            ]
            for row in found["conditions"]
        ]
        folds = ", ".join(map(str, found["folds"]))
        sections += [
            "## Disturbed sounds",
            f"The same clips (fold {folds}) through the firmware at other levels, in noise (ratio of the mean powers "
            "over a clip), through other microphones, clipped. `stapes evaluate --robustness` repeats it.",
            _table(["", "condition", "accuracy", "change, points"], rows),
        ]
    return sections


def _means(metrics: dict[str, Any]) -> str:
    means = f"macro F1 {_percent(metrics['macro_f1'])}"
    if "mean_average_precision" in metrics:
        means += f", mean average precision {_percent(metrics['mean_average_precision'])}"
    return means


def _classes(metrics: dict[str, Any]) -> str:
    columns = {"precision": "precision", "recall": "recall", "f1": "F1"}
    if metrics.get("tagging"):
        columns["average_precision"] = "average precision"
    rows = [
        [row["label"], row["clips"], *(_percent(row[key]) for key in columns)] for row in metrics["classes"]
    ]
    return _table(["class", "clips", *columns.values()], rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---", *("---:" if name else "---" for name in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
