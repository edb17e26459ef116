"""The OpenMetrics file, read by Prometheus' own parser."""

from typing import Any

import pytest

from stapes.report import open_metrics

parser = pytest.importorskip("prometheus_client.openmetrics.parser")


def check(**changes: Any) -> dict[str, Any]:
    """What open_metrics reads of `stapes check --json`."""
    return {
        "bundle": "small",
        "target": "qemu:netduinoplus2",
        "clips": 3,
        "windows": 30,
        "decisions_equal": 3,
        "accuracy": 2 / 3,
        "counter": "instructions",
        "instructions_per_window": 12345678,
        "instructions_frontend_per_window": 4567,
        "flash_bytes": 65536,
        "ram_bytes": 8192,
        "stack_bytes": 512,
        "stack_high_water": 400,
        "arena_bytes": 4096,
        "pcm_equal": True,
        "features_equal": True,
        "layers_equal": False,
        "scores_equal": True,
        "layers": [{"name": "conv", "op": "CONV_2D", "macs": 5, "count": 1000.5}],
        "link": {"retries": 2},
    } | changes


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Value by (name, other label values…) of the first bundle's samples."""
    families = list(parser.text_string_to_metric_families(text))
    assert all(family.type == "gauge" and family.documentation for family in families)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_figure_is_there() -> None:
    found = samples(open_metrics([check()]))
    key = ("small", "qemu:netduinoplus2")
    assert found["stapes_instructions_per_window", *key] == 12345678
    assert found["stapes_accuracy", *key] == 2 / 3
    assert found["stapes_stack_high_water_bytes", *key] == 400
    assert found["stapes_equal", *key, "features"] == 1 and found["stapes_equal", *key, "layers"] == 0
    assert found["stapes_equal", *key, "decisions"] == 1
    assert found["stapes_layer_count", *key, "0", "conv", "instructions"] == 1000.5
    assert found["stapes_link_retries", *key] == 2
    assert len(found) == 11 + 5 + 1 + 1


def test_unknown_figures_are_left_out() -> None:
    host = check(target="host", instructions_per_window=None, counter="none", flash_bytes=None)
    found = samples(open_metrics([host, check()]))
    assert ("stapes_flash_bytes", "small", "host") not in found
    assert ("stapes_flash_bytes", "small", "qemu:netduinoplus2") in found
    assert not [key for key in found if key[0] == "stapes_layer_count" and key[2] == "host"]


def test_names_are_escaped() -> None:
    name = 'a "b"\\c\nd'
    assert ("stapes_clips", name, "qemu:netduinoplus2") in samples(open_metrics([check(bundle=name)]))
