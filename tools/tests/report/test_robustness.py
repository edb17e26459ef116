"""README.md's table of how well the committed models hold up says what their metrics.json say."""

import json
from pathlib import Path

import pytest

from stapes.check.disturbance import disturbances
from stapes.report.robustness import COLUMNS, places, readme


def test_the_readme_says_what_was_recorded() -> None:
    page, models = places()
    text = page.read_text(encoding="utf-8")
    assert text == readme(text, models), "run: python -m stapes.report.robustness"
    assert "| `models/esc10-nano` |" in text


def test_every_column_is_a_condition() -> None:
    assert set(COLUMNS.values()) <= {condition.name for condition in disturbances()}


def test_a_row_for_each_bundle_with_figures(tmp_path: Path) -> None:
    means = {name: number / 10 for number, name in enumerate(COLUMNS.values(), start=1)}
    conditions = [{"condition": name, "accuracy_mean": mean} for name, mean in means.items()]
    for name, metrics in {"with": {"robustness": {"conditions": conditions}}, "without": {}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    text = readme("before\n<!-- robustness -->\nold\n<!-- end -->\nafter\n", tmp_path)
    assert (
        "| `models/with` | 10.0 % | 20.0 % | 30.0 % | 40.0 % | 50.0 % | 60.0 % |\n<!-- end -->\nafter\n"
        in text
    )
    assert "old" not in text
    assert "without" not in text
    with pytest.raises(KeyError):
        readme("no place", tmp_path)
