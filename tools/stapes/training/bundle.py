"""From trained folds to a bundle on disk, with its metrics and model card."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stapes.errors import BundleError
from stapes.files import canonical_json, sha256
from stapes.recipe import Bundle, BundleManifest, LiveSpec, Recipe, recipe_text, summary
from stapes.recipe.recipe import explain
from stapes.training.card import imported_card, model_card
from stapes.training.folds import FoldResult
from stapes.training.pool import NONE_LEFT_OUT

_KINDS = ("float", "int8", "firmware")


def metrics_of(
    recipe: Recipe,
    results: Sequence[FoldResult],
    content: Mapping[int, str] | None = None,
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of metrics.json as far as training knows it; shares of clips of the fold left out.

    `content` is the hash of each fold's recordings (`FeaturePool.content`): what the figures are of; of tags they
    are of the thresholds of its `labels` too.
    """
    known = content or {}
    final = any(result.fold == NONE_LEFT_OUT for result in results)
    results = [result for result in results if result.fold != NONE_LEFT_OUT]
    return {
        "folds": [result.fold for result in results],
        "clips": [result.clips for result in results],
        "float": summary([result.float_accuracy for result in results]),
        "int8": summary([result.int8_accuracy for result in results]),
        "macs_per_window": results[0].macs,
        "parameters": results[0].parameters,
        "model_bytes": len(results[0].network),
        "data_sha256": [known.get(result.fold, "") for result in results],
        "decision": recipe.decision.model_dump(mode="json"),
        "recipe_sha256": sha256(canonical_json(recipe.model_dump(mode="json"))),
        **({"tagging": True, "tag_thresholds": recipe.live.thresholds_of(labels)} if recipe.tagging else {}),
        **({"final": True} if final else {}),
    }


def seeds_summary(metrics: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Every seed's mean over the folds, and the mean over the seeds, from the metrics of each seed."""
    found: dict[str, Any] = {"seeds": list(metrics)}
    for kind in _KINDS:
        if all(kind in figures for figures in metrics.values()):
            means = [figures[kind]["accuracy_mean"] for figures in metrics.values()]
            found[kind] = {
                "accuracy_mean": statistics.fmean(means),
                "accuracy_sd": statistics.pstdev(means),
                "per_seed": means,
            }
    return found


def write_bundle(
    directory: Path,
    recipe: Recipe,
    recipe_text: str,
    labels: Sequence[str],
    results: Sequence[FoldResult],
    metrics: dict[str, Any],
    others: Mapping[str, str] | None = None,
) -> Bundle:
    """Write the bundle; its model.tflite is the network that left out none, else the one without `dataset.test_fold`.

    `others` are the recipes that it names (`training.start`, `training.teachers`), text by file name.
    """
    networks = {result.fold: result.network for result in results}
    final = networks.pop(NONE_LEFT_OUT, None)
    files = (
        {name: text.encode() for name, text in (others or {}).items()}
        | {
            "recipe.toml": recipe_text.encode(),
            "model.tflite": final or networks[recipe.dataset.test_fold],
        }
        | _about(recipe, labels, metrics)
    )
    files |= {f"folds/fold{fold}.tflite": network for fold, network in networks.items()}
    return Bundle.save(directory, _manifest(recipe, labels), files)


def imported_metrics(
    name: str, data: bytes, network: bytes, macs: int, notes: Sequence[str]
) -> dict[str, Any]:
    """The content of metrics.json of a network from elsewhere, before anything was measured; `data` is the file that
    came, `network` what became of it.
    """
    return {
        "origin": {"file": name, "sha256": sha256(data), "changed": data != network, "notes": list(notes)},
        "macs_per_window": macs,
        "model_bytes": len(network),
    }


def imported_bundle(recipe: Recipe, labels: Sequence[str], network: bytes, directory: Path) -> Bundle:
    """The bundle of a network from elsewhere as it will be in `directory`; nothing is written.

    Raises `BundleError` for labels that are none.
    """
    try:
        manifest = _manifest(recipe, labels)
    except ValidationError as error:
        raise BundleError(
            f"the labels do not do: {explain(error)}", hint="give every class a name of its own on one line"
        ) from error
    return Bundle(directory, manifest, {"model.tflite": network, "recipe.toml": recipe_text(recipe).encode()})


def write_imported(bundle: Bundle, recipe: Recipe, metrics: dict[str, Any]) -> Bundle:
    """Write what `imported_bundle` gave, with its figures and its card."""
    return Bundle.save(
        bundle.directory, bundle.manifest, bundle.files | _about(recipe, bundle.manifest.labels, metrics)
    )


def _manifest(recipe: Recipe, labels: Sequence[str]) -> BundleManifest:
    return BundleManifest(
        name=recipe.name,
        labels=tuple(labels),
        frontend=recipe.frontend,
        normalization=recipe.normalization,
        window=recipe.window,
        decision=recipe.decision,
        live=_live(recipe, labels),
    )


def _live(recipe: Recipe, labels: Sequence[str]) -> LiveSpec:
    """The recipe's, with what it does not say itself: the class that is never an event, where the labels tell, and
    several classes at a time, where each is judged by itself.
    """
    live, other = recipe.live, recipe.dataset.other_of(labels)
    changes: dict[str, Any] = {}
    if not live.other and other in labels:
        changes["other"] = other
    if recipe.tagging and "multi_label" not in live.model_fields_set:
        changes["multi_label"] = True
    return live.model_copy(update=changes) if changes else live


def rewrite_figures(directory: Path, recipe: Recipe, metrics: dict[str, Any]) -> Bundle:
    """Put other figures (those of the firmware, of further seeds) into a bundle, in metrics.json and its card."""
    bundle = Bundle.load(directory)
    return Bundle.save(
        directory, bundle.manifest, bundle.files | _about(recipe, bundle.manifest.labels, metrics)
    )


def _about(recipe: Recipe, labels: Sequence[str], metrics: dict[str, Any]) -> dict[str, bytes]:
    return {
        "metrics.json": _json(metrics),
        "MODEL_CARD.md": (imported_card if "origin" in metrics else model_card)(
            recipe, labels, metrics
        ).encode(),
    }


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
