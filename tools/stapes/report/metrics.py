"""A check's figures as OpenMetrics text, for Prometheus and everything that reads its format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Sample = tuple[dict[str, str], float]

GAUGES = (
    ("clips", "Clips that were run.", None),
    ("windows", "Windows that were compared.", None),
    ("decisions_equal", "Clips whose decision equals the reference.", None),
    ("accuracy", "Share of clips whose decision is their label.", None),
    ("instructions_per_window", "Instructions of the network for one window, median.", None),
    ("instructions_frontend_per_window", "Instructions of the front end for one window, median.", None),
    ("flash_bytes", "Code and constants in flash.", "bytes"),
    ("ram_bytes", "Static RAM without the stack.", "bytes"),
    ("stack_bytes", "Worst-case stack by analysis.", "bytes"),
    ("stack_high_water_bytes", "Deepest stack seen.", "bytes"),
    ("arena_bytes", "Memory of the network's activations.", "bytes"),
)
"""Name of the gauge, which is the key of `stapes check --json` (with `_bytes`, where the key has none), help, unit."""


def open_metrics(checks: Sequence[Mapping[str, Any]]) -> str:
    """OpenMetrics 1.0 text of the values of `stapes check --json`, one sample a check; unknown figures are left out."""
    lines: list[str] = []
    for name, help_text, unit in GAUGES:
        key = name if name in checks[0] else name.removesuffix("_bytes")
        samples = [(_labels(check), check.get(key)) for check in checks]
        lines += _family(
            name, help_text, unit, [(labels, value) for labels, value in samples if value is not None]
        )
    lines += _family(
        "equal", "1 where a stage equals the reference in every bit.", None, list(_equal(checks))
    )
    lines += _family(
        "layer_count", "The target's counter for one layer and window, median.", None, list(_layers(checks))
    )
    lines += _family("link_retries", "Requests that were sent again.", None, list(_retries(checks)))
    return "\n".join([*lines, "# EOF", ""])


def _equal(checks: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    for check in checks:
        for stage in ("pcm", "features", "layers", "scores"):
            yield {**_labels(check), "stage": stage}, float(check[f"{stage}_equal"])
        yield {**_labels(check), "stage": "decisions"}, float(check["decisions_equal"] == check["clips"])


def _layers(checks: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    for check in checks:
        for number, layer in enumerate(check["layers"]):
            if layer["count"] is not None and check["counter"] not in (None, "none"):
                extra = {"layer": str(number), "name": layer["name"], "counter": check["counter"]}
                yield {**_labels(check), **extra}, layer["count"]


def _retries(checks: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    for check in checks:
        if "retries" in check["link"]:
            yield _labels(check), check["link"]["retries"]


def _labels(check: Mapping[str, Any]) -> dict[str, str]:
    return {"bundle": check["bundle"], "target": check["target"]}


def _family(name: str, help_text: str, unit: str | None, samples: Sequence[Sample]) -> list[str]:
    if not samples:
        return []
    name = f"stapes_{name}"
    head = [
        f"# TYPE {name} gauge",
        *([f"# UNIT {name} {unit}"] if unit else []),
        f"# HELP {name} {help_text}",
    ]
    return head + [f"{name}{{{_join(labels)}}} {value!r}" for labels, value in samples]


def _join(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
