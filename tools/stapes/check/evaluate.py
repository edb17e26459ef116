"""Accuracy with the firmware's own arithmetic: every held-out clip through the host build of the firmware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stapes.check.run import Progress, connect, no_progress, prepare
from stapes.datasets import open_dataset
from stapes.errors import BundleError
from stapes.recipe import Bundle, load_recipe
from stapes.reference import Reference
from stapes.training import summary


def fold_bundle(bundle: Bundle, fold: int) -> Bundle:
    """The bundle with the network that was not trained on `fold`."""
    name = f"folds/fold{fold}.tflite"
    if name not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.directory}: no network that left out fold {fold} ({name} is missing)",
            hint="train with `stapes train … --folds all`",
        )
    return Bundle(bundle.directory, bundle.manifest, (bundle.directory / name).read_bytes())


def parse_folds(folds: str, available: list[int]) -> list[int]:
    """`all`, or one fold's number."""
    if folds == "all":
        return available
    if folds.isdigit() and int(folds) in available:
        return [int(folds)]
    raise BundleError(f"--folds {folds}: not all and not one of {available}", hint="give `all` or one number")


def evaluate_bundle(
    bundle: Bundle, data: Path, folds: str, directory: Path, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Run every clip of the held-out folds through each fold's firmware on the host; the keys of `stapes evaluate`.

    `int8` is the same in Python (fixed-point NumPy features, TFLM interpreter); `float` is what training measured,
    read from metrics.json.
    """
    recipe = load_recipe(bundle.directory / "recipe.toml")
    dataset = open_dataset(data, recipe.dataset, bundle.manifest.frontend.sample_rate)
    chosen = parse_folds(folds, sorted({clip.fold for clip in dataset.clips}))
    labels = bundle.manifest.labels
    accuracy: dict[str, dict[int, float]] = {"int8": {}, "firmware": {}}
    confusion = {kind: np.zeros((len(labels), len(labels) + 1), dtype=int) for kind in accuracy}
    total = sum(clip.fold in chosen for clip in dataset.clips)
    done = 0
    for fold in chosen:
        candidate = fold_bundle(bundle, fold)
        reference = Reference(candidate)
        prepared = prepare(candidate, "host", directory / f"fold{fold}")
        elf = prepared.build.elf if prepared.build else None
        clips = [clip for clip in dataset.clips if clip.fold == fold]
        right = {kind: 0 for kind in accuracy}
        with connect(candidate, "host", elf) as (client, _):
            for clip in clips:
                progress(f"fold {fold}", done, total)
                expected = reference.clip(clip.pcm)
                client.reset()
                position = 0
                while position < len(expected.pcm):
                    position = client.push(expected.pcm[position:]).samples
                decided = {"int8": expected.verdict.class_index, "firmware": client.decision().class_index}
                for kind, index in decided.items():
                    truth = labels.index(clip.label)
                    confusion[kind][truth, index] += 1  # -1, unknown, is the last column
                    right[kind] += index == truth
                done += 1
        for kind, count in right.items():
            accuracy[kind][fold] = count / len(clips)
    progress("done", total, total)
    result: dict[str, Any] = {"folds": chosen, "labels": [*labels, "unknown"]}
    metrics = bundle.metrics()
    trained = dict(zip(metrics.get("folds", []), metrics.get("float", {}).get("per_fold", []), strict=False))
    if set(chosen) <= set(trained):
        result["float"] = summary([trained[fold] for fold in chosen])
    for kind, figures in accuracy.items():
        result[kind] = summary(list(figures.values())) | {"confusion": confusion[kind].tolist()}
    if "float" in result:
        loss = result["float"]["accuracy_mean"] - result["firmware"]["accuracy_mean"]
        result["float_minus_firmware_points"] = 100 * loss
    return result
