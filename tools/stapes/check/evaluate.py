"""Accuracy with the firmware's own arithmetic: every held-out clip through the host build of the firmware."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.check.ahead import worked_ahead
from stapes.check.disturbance import disturbances
from stapes.check.figures import calibration, class_figures
from stapes.check.tags import mean_of, require_tag_packages, tag_figures
from stapes.datasets import Clip, Dataset, open_dataset
from stapes.device import connect, prepare
from stapes.errors import BundleError, DataError
from stapes.link import Client, Decision
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle, load_recipe, summary
from stapes.reference import Reference, WindowReference


def fold_bundle(bundle: Bundle, fold: int) -> Bundle:
    """The bundle with the network that was not trained on `fold`; a bundle with one network only as it is."""
    name = f"folds/fold{fold}.tflite"
    if not _has_folds(bundle):
        return bundle
    if name not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.directory}: no network that left out fold {fold} ({name} is missing)",
            hint="train with `stapes train … --folds all`",
        )
    return Bundle(bundle.directory, bundle.manifest, bundle.files | {"model.tflite": bundle.files[name]})


def _has_folds(bundle: Bundle) -> bool:
    return any(file.startswith("folds/") for file in bundle.manifest.files)


def _build_of(bundle: Bundle, fold: int) -> str:
    """Where the firmware of a fold is built; one network is built once."""
    return f"fold{fold}" if _has_folds(bundle) and fold != _LATER else "network"


def parse_folds(folds: str, available: list[int]) -> list[int]:
    """`all`, or one fold's number."""
    if folds == "all":
        return available
    if folds.isdigit() and int(folds) in available:
        return [int(folds)]
    raise BundleError(f"--folds {folds}: not all and not one of {available}", hint="give `all` or one number")


def evaluate_bundle(
    bundle: Bundle,
    data: Path | None,
    folds: str,
    directory: Path,
    *,
    later: bool = False,
    progress: Progress = no_progress,
    on_wrong: Callable[[str, npt.NDArray[np.int16]], None] = lambda clip, pcm: None,
) -> dict[str, Any]:
    """Run every clip of the held-out folds through each fold's firmware on the host; the keys of `stapes evaluate`.

    "wrong" are the clips that the firmware decides wrong; `on_wrong` is given the name and the samples of each.
    Recordings that were made `later` than the bundle have no folds: all go through its own network. "test" of the
    result is where they are, "folds" is empty, and figures by fold are one, of all.

    `int8` is the same in Python (fixed-point NumPy features, TFLM interpreter); `float` is what training measured,
    read from metrics.json, where it is of the same recordings and the same rule, else absent. Of a clip with several
    labels any one is right. Windows, classes and calibration are those of `int8` and `firmware`, whose windows give
    the same scores.

    With tagging each class is judged by itself: it is in a clip where the mean of its scores over the windows, weighted
    as in the vote, reaches its `live.threshold`, and a clip is right when all its tags are and no other. "classes" have
    precision, recall, F1 and average precision then, and there is no confusion.
    """
    opened = _Opened(bundle, data, folds, later=later)
    labels = bundle.manifest.labels
    if opened.tagging:
        require_tag_packages()
    least = np.array(bundle.manifest.live.thresholds_of(labels))
    seen: list[_Decided] = []
    tagged: list[_Tagged] = []
    for fold in opened.folds:
        candidate = opened.bundle(fold)
        reference = Reference(candidate)
        scale = reference.graph.tensor(reference.graph.outputs[0]).scale
        clips = opened.clips(fold)
        progress("building", len(seen), opened.total)
        with (
            _firmware(candidate, directory / _build_of(bundle, fold)) as client,
            worked_ahead(attrgetter("pcm"), reference.clip, clips) as references,
        ):
            for clip, expected in zip(clips, references, strict=True):
                progress(f"fold {fold}" if fold else "clips", len(seen) + len(tagged), opened.total)
                decision = _decide(client, expected.pcm)
                if opened.tagging:
                    tagged.append(
                        _Tagged(
                            name=clip.name,
                            fold=fold,
                            truth=np.array([label in clip.labels for label in labels]),
                            int8=_mean_scores(reference, expected.windows),
                            firmware=np.array(decision.sums) * (scale / decision.weight),
                            windows=tuple(
                                _mean_scores(reference, (window,)) >= least - _ROUNDING
                                for window in expected.windows
                            ),
                            foreground=clip.foreground,
                        )
                    )
                    if not tagged[-1].is_right("firmware", least):
                        on_wrong(clip.name, clip.pcm)
                    continue
                decided = decision.class_index
                if decided not in map(labels.index, clip.labels):
                    on_wrong(clip.name, clip.pcm)
                seen.append(
                    _Decided(
                        name=clip.name,
                        fold=fold,
                        truth=labels.index(clip.label),
                        accepted=frozenset(map(labels.index, clip.labels)),
                        int8=expected.verdict.class_index,
                        firmware=decided,
                        confidence=expected.verdict.confidence * scale,
                        best=expected.verdict.best,
                        windows=tuple(int(np.argmax(window.scores)) for window in expected.windows),
                        foreground=clip.foreground,
                    )
                )
    progress("done", opened.total, opened.total)
    if opened.tagging:
        result = _tag_result(bundle, opened, tagged, least)
    else:
        result = _result(bundle, opened.folds, seen, opened.content())
    result["recordings"] = [opened.recordings(fold) for fold in opened.folds]
    return result | {"folds": [], "test": str(data)} if later else result


def evaluate_robustness(
    bundle: Bundle,
    data: Path | None,
    folds: str,
    directory: Path,
    *,
    later: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Clip accuracy of the firmware on the held-out folds under each disturbance of the sound, none of it first.

    Of recordings made `later` as `evaluate_bundle`.
    """
    opened = _Opened(bundle, data, folds, later=later)
    rate, labels = bundle.manifest.frontend.sample_rate, bundle.manifest.labels
    least = np.array(bundle.manifest.live.thresholds_of(labels))
    conditions = list(disturbances())
    right: dict[str, list[float]] = {condition.name: [] for condition in conditions}
    done, total = 0, opened.total * len(conditions)
    for fold in opened.folds:
        candidate = opened.bundle(fold)
        reference = Reference(candidate)
        progress("building", done, total)
        scale = reference.graph.tensor(reference.graph.outputs[0]).scale
        with _firmware(candidate, directory / _build_of(bundle, fold)) as client:
            hits = dict.fromkeys(right, 0)
            for clip in opened.clips(fold):
                pcm, accepted = clip.pcm, {labels.index(label) for label in clip.labels}
                truth = np.array([label in clip.labels for label in labels])
                for condition in conditions:
                    progress(f"fold {fold}, {condition.group}" if fold else condition.group, done, total)
                    disturbed = reference.fit(condition.apply(pcm, rate, clip.name))
                    decision = _decide(client, disturbed)
                    if opened.tagging:
                        tags = np.array(decision.sums) * (scale / decision.weight) >= least - _ROUNDING
                        hits[condition.name] += bool((tags == truth).all())
                    else:
                        hits[condition.name] += decision.class_index in accepted
                    done += 1
            for name, count in hits.items():
                right[name].append(count / len(opened.clips(fold)))
    progress("done", total, total)
    return {
        "folds": [] if later else opened.folds,
        "conditions": [
            {"group": condition.group, "condition": condition.name} | summary(right[condition.name])
            for condition in conditions
        ],
    }


def recorded(result: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """`metrics` (of a bundle) with what an evaluation found; figures of other folds than its own stay out.

    Robustness may be of fewer folds: it says of which. Figures of recordings made later stand by themselves.
    """
    if "test" in result:
        kept = ("clips", "int8", "firmware", "windows", "robustness", *_OF_CLASSES)
        later = {name: result[name] for name in kept if name in result}
        for kind in ("int8", "firmware", "windows"):
            later[kind] = {name: result[kind][name] for name in ("accuracy_mean", "accuracy_sd", "per_fold")}
        return {**metrics, "later": later}
    found = (
        dict(metrics)
        if "folds" in metrics
        else {"folds": result["folds"], "clips": result["clips"], **metrics}
    )
    if result["folds"] == found["folds"]:
        for kind in ("int8", "firmware", "windows"):
            found[kind] = {name: result[kind][name] for name in ("accuracy_mean", "accuracy_sd", "per_fold")}
        for name in (*_OF_CLASSES, "foreground", "background"):
            if name in result:
                found[name] = result[name]
    if "robustness" in result:
        found["robustness"] = result["robustness"]
    return found


_OF_CLASSES = ("tagging", "classes", "macro_f1", "mean_average_precision", "calibration")
"""Keys of an evaluation about its classes."""

_ROUNDING = 1e-9
"""By which a score may miss the threshold that it should just reach."""

_LATER = 0
"""The fold of recordings made later: there are no folds, and all are in this one."""


class _Opened:
    """The clips to evaluate on, fold by fold."""

    def __init__(self, bundle: Bundle, data: Path | None, folds: str, *, later: bool) -> None:
        recipe = load_recipe(bundle.directory / "recipe.toml")
        spec, labels = recipe.dataset, bundle.manifest.labels
        self._bundle, self.tagging = bundle, recipe.tagging
        if later:  # nothing is left out of a test
            kind = "csv" if spec.kind == "synthetic" else spec.kind
            spec = spec.model_copy(update={"kind": kind, "skip_folds": (), "other_share": math.inf})
        rate = bundle.manifest.frontend.sample_rate
        dataset = open_dataset(data, spec, rate, for_training=not later, tagging=self.tagging)
        rest = "" if self.tagging else spec.other_of(labels)
        if rest:
            clips = (clip if clip.label else replace(clip, label=rest) for clip in dataset.clips)
            dataset = Dataset(tuple(clips), rate)
        elif not self.tagging:
            dataset.require_labels()
        self._dataset = dataset
        unknown = sorted(set(self._dataset.labels) - set(labels))
        if unknown:
            raise DataError(
                f"{data}: label {', '.join(unknown)} is none of the bundle's",
                hint="correct the labels, or set dataset.other in its recipe.toml"
                if later
                else "use the data that it was trained on",
            )
        if later:
            known = {*bundle.metrics().get("data_sha256", [])} - {""}
            if any(self._dataset.content(fold) in known for fold in self._dataset.folds):
                raise DataError(
                    f"{data}: these are recordings that it was trained on",
                    hint="give them with --data, which keeps to the folds; --test is for others",
                )
        self.folds = [_LATER] if later else parse_folds(folds, list(self._dataset.folds))
        self.total = sum(len(self.clips(fold)) for fold in self.folds)

    def clips(self, fold: int) -> tuple[Clip, ...]:
        return self._dataset.fold(fold) if fold != _LATER else self._dataset.clips

    def bundle(self, fold: int) -> Bundle:
        """The bundle with the network that did not learn from these clips."""
        return fold_bundle(self._bundle, fold) if fold != _LATER else self._bundle

    def recordings(self, fold: int) -> list[str]:
        """Names of the files that the clips come from."""
        return sorted({clip.path.name for clip in self.clips(fold) if clip.path is not None})

    def content(self) -> list[str]:
        """Hash of each fold's recordings and labels."""
        return [self._dataset.content(fold) for fold in self.folds]


@contextmanager
def _firmware(bundle: Bundle, directory: Path) -> Iterator[Client]:
    """The bundle's firmware on the host, built and running."""
    prepared = prepare(bundle, "host", directory)
    with connect(bundle, "host", prepared.elf, build_id=prepared.build_id) as (client, _):
        yield client


def _mean_scores(reference: Reference, windows: Sequence[WindowReference]) -> npt.NDArray[np.float64]:
    """Of each class over windows, weighted as in the vote, 0 to 1."""
    tensor = reference.graph.tensor(reference.graph.outputs[0])
    table = np.stack([window.scores for window in windows]).astype(np.int64) - tensor.zero_point
    weights = np.array([window.weight for window in windows], dtype=np.int64)
    mean: npt.NDArray[np.float64] = (table * weights[:, None]).sum(axis=0) * (tensor.scale / weights.sum())
    return mean


def _decide(client: Client, pcm: npt.NDArray[np.int16]) -> Decision:
    """What the firmware decides on for a whole clip."""
    client.reset()
    position = 0
    while position < len(pcm):
        position = client.push(pcm[position:]).samples
    return client.decision()


@dataclass(frozen=True)
class _Decided:
    """What became of one clip; classes are indices, -1 is unknown. `best` is the class that `confidence` is of.

    `accepted` are all classes that the clip has, `truth` is the first one.
    """

    name: str
    fold: int
    truth: int
    accepted: frozenset[int]
    int8: int
    firmware: int
    confidence: float
    best: int
    windows: tuple[int, ...]
    foreground: bool | None


@dataclass(frozen=True, eq=False)
class _Tagged:
    """What became of one clip where each class is judged by itself: `truth`, bool [classes]; `int8` and `firmware`,
    mean scores [classes], 0 to 1; `windows`, the classes that each reaches.
    """

    name: str
    fold: int
    truth: npt.NDArray[np.bool_]
    int8: npt.NDArray[np.float64]
    firmware: npt.NDArray[np.float64]
    windows: tuple[npt.NDArray[np.bool_], ...]
    foreground: bool | None

    def tags(self, kind: str, least: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """What `int8` or `firmware` say, bool [classes]."""
        tags: npt.NDArray[np.bool_] = getattr(self, kind) >= least - _ROUNDING
        return tags

    def is_right(self, kind: str, least: npt.NDArray[np.float64]) -> bool:
        """Whether they say all of `truth` and nothing else."""
        return bool((self.tags(kind, least) == self.truth).all())


def _trained(bundle: Bundle, folds: list[int], content: list[str]) -> list[float] | None:
    """What training measured in floating point on these folds; None where recordings or the rule were others."""
    metrics = bundle.metrics()
    figures = metrics.get("float", {}).get("per_fold", [])
    known = dict(
        zip(
            metrics.get("folds", []), zip(metrics.get("data_sha256", []), figures, strict=False), strict=False
        )
    )
    if metrics.get("decision") != bundle.manifest.decision.model_dump(mode="json"):
        return None
    if "tag_thresholds" in metrics:
        asked = bundle.manifest.live.thresholds_of(bundle.manifest.labels)
        if metrics["tag_thresholds"] != asked:
            return None
    if any(known.get(fold, ("",))[0] != data for fold, data in zip(folds, content, strict=True)):
        return None
    return [known[fold][1] for fold in folds]


def _result(bundle: Bundle, folds: list[int], seen: list[_Decided], content: list[str]) -> dict[str, Any]:
    labels = bundle.manifest.labels
    by_fold = [[clip for clip in seen if clip.fold == fold] for fold in folds]
    result = _begun(bundle, folds, content) | {"clips": [len(clips) for clips in by_fold]}
    confusion: npt.NDArray[np.int_] = np.zeros((len(labels), len(labels) + 1), dtype=int)
    for kind in ("int8", "firmware"):
        confusion = np.zeros_like(confusion)
        for clip in seen:
            found = getattr(clip, kind)
            confusion[found if found in clip.accepted else clip.truth, found] += (
                1  # -1, unknown, is the last column
            )
        shares = [_share([getattr(clip, kind) in clip.accepted for clip in clips]) for clips in by_fold]
        result[kind] = summary(shares) | {"confusion": confusion.tolist()}
    windows = [[best in clip.accepted for clip in clips for best in clip.windows] for clips in by_fold]
    result["windows"] = summary([_share(hits) for hits in windows]) | {"count": sum(map(len, windows))}
    result["classes"] = class_figures(labels, confusion)
    result["macro_f1"] = fmean(figures["f1"] for figures in result["classes"])
    result["calibration"] = calibration(
        [clip.confidence for clip in seen], [clip.best in clip.accepted for clip in seen]
    )
    wrong = sorted(
        (clip for clip in seen if clip.firmware not in clip.accepted), key=lambda clip: -clip.confidence
    )
    result["wrong"] = [
        {
            "clip": clip.name,
            "fold": clip.fold,
            "label": labels[clip.truth],
            "said": "unknown" if clip.firmware < 0 else labels[clip.firmware],
            "confidence": clip.confidence,
        }
        for clip in wrong
    ]
    return _ended(result, [(clip.foreground, clip.firmware in clip.accepted) for clip in seen])


def _begun(bundle: Bundle, folds: list[int], content: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "bundle": bundle.manifest.name,
        "bundle_hash": bundle.hash,
        "folds": folds,
        "labels": [*bundle.manifest.labels, "unknown"],
    }
    trained = _trained(bundle, folds, content)
    return result if trained is None else result | {"float": summary(trained)}


def _ended(result: dict[str, Any], seen: Sequence[tuple[bool | None, bool]]) -> dict[str, Any]:
    """`seen` are of each clip whether it is in the foreground, and whether the firmware was right."""
    for name, wanted in (("foreground", True), ("background", False)):
        hits = [is_right for foreground, is_right in seen if foreground is wanted]
        if hits:
            result[name] = {"clips": len(hits), "accuracy": _share(hits)}
    if "float" in result:
        loss = result["float"]["accuracy_mean"] - result["firmware"]["accuracy_mean"]
        result["float_minus_firmware_points"] = 100 * loss
    return result


def _tag_result(
    bundle: Bundle, opened: _Opened, seen: list[_Tagged], least: npt.NDArray[np.float64]
) -> dict[str, Any]:
    labels, folds = bundle.manifest.labels, opened.folds
    by_fold = [[clip for clip in seen if clip.fold == fold] for fold in folds]
    result = _begun(bundle, folds, opened.content()) | {
        "clips": [len(clips) for clips in by_fold],
        "tagging": True,
    }
    for kind in ("int8", "firmware"):
        result[kind] = summary([_share([clip.is_right(kind, least) for clip in clips]) for clips in by_fold])
    windows = [
        [bool((tags == clip.truth).all()) for clip in clips for tags in clip.windows] for clips in by_fold
    ]
    result["windows"] = summary([_share(hits) for hits in windows]) | {"count": sum(map(len, windows))}
    truth = np.stack([clip.truth for clip in seen])
    scores = np.stack([clip.firmware for clip in seen])
    found = np.stack([clip.tags("firmware", least) for clip in seen])
    result["classes"] = tag_figures(labels, truth, found, scores)
    for name, key in (("macro_f1", "f1"), ("mean_average_precision", "average_precision")):
        result[name] = mean_of(result["classes"], key)
    result["calibration"] = calibration(list(scores.ravel()), list(truth.ravel()))
    wrong = [clip for clip in seen if not clip.is_right("firmware", least)]

    def named(tags: npt.NDArray[np.bool_]) -> str:
        return ";".join(label for label, has in zip(labels, tags, strict=True) if has) or "no label"

    result["wrong"] = [
        {
            "clip": clip.name,
            "fold": clip.fold,
            "label": named(clip.truth),
            "said": named(clip.tags("firmware", least)),
            "confidence": distance,
        }
        for distance, clip in sorted(
            ((_distance(clip, least), clip) for clip in wrong), key=lambda item: -item[0]
        )
    ]
    return _ended(result, [(clip.foreground, clip.is_right("firmware", least)) for clip in seen])


def _distance(clip: _Tagged, least: npt.NDArray[np.float64]) -> float:
    """How far the worst tag is on the wrong side of its threshold, 0 to 1."""
    return float(np.abs(clip.firmware - least)[clip.tags("firmware", least) != clip.truth].max())


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
