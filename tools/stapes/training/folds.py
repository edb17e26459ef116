"""Cross-validation: each fold in a process of its own, everything kept so that an interrupted run goes on.

WORK/foldN.checkpoint   where fold N stands (deleted when it is done)
WORK/foldN.json         its figures
WORK/foldN.tflite       its int8 network
WORK/foldN.log          what TensorFlow said meanwhile
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stapes.adopt import Outside
from stapes.errors import DataError, RecipeError, ToolError
from stapes.files import canonical_json, sha256, write_atomic, write_json
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle, Recipe
from stapes.training.backend import require_packages
from stapes.training.crew import open_crew
from stapes.training.forest import forest_fold, require_forest_packages
from stapes.training.loop import Interrupted, Report, train_network
from stapes.training.networks import require_network
from stapes.training.pool import NONE_LEFT_OUT, FeaturePool, build_pool
from stapes.training.setup import Setup
from stapes.training.teachers import Teacher, open_teacher
from stapes.training.transfer import Start, start_of

_FORMAT = 1


@dataclass(frozen=True)
class FoldResult:
    """One trained fold: clip accuracies on the fold that was left out, and the int8 network.

    Where none was left out (`NONE_LEFT_OUT`), `clips` and both accuracies are 0 and say nothing.
    """

    fold: int
    clips: int
    float_accuracy: float
    int8_accuracy: float
    macs: int
    parameters: int
    seconds: float
    network: bytes


def train_fold(
    recipe: Recipe,
    pool: FeaturePool,
    fold: int,
    work: Path,
    *,
    start: Bundle | Outside | None = None,
    teachers: Sequence[Bundle] = (),
    progress: Callable[[Report], None] = lambda report: None,
    stop: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Train, quantise and evaluate one fold in this process, or read back what `work` holds of the same run.

    Raises `Interrupted` when `stop()` says so; the next call goes on from there.
    """
    from stapes.training.evaluate import float_accuracy
    from stapes.training.networks import count_macs
    from stapes.training.quantize import calibration_windows, int8_accuracy, quantize

    begun = start_of(start, fold)
    taught_by = [open_teacher(bundle, recipe, pool.labels, fold) for bundle in teachers]
    identity = _identity(recipe, pool, fold, begun, taught_by)
    done = _finished(work, fold, identity)
    if done is not None:
        return done
    if recipe.model.architecture == "forest":
        return _kept(work, identity, FoldResult(**forest_fold(recipe, pool, fold)))
    started = time.monotonic()
    checkpoint = work / f"fold{fold}.checkpoint"
    model = train_network(
        recipe,
        pool,
        fold,
        start=begun,
        teachers=taught_by,
        checkpoint=checkpoint,
        identity=identity,
        progress=progress,
        stop=stop,
    )
    held_out = pool.indices(fold, held_out=True)
    network = quantize(model, recipe, calibration_windows(recipe, pool, fold))
    result = FoldResult(
        fold=fold,
        clips=len(held_out),
        float_accuracy=float_accuracy(model, recipe, pool, held_out),
        int8_accuracy=int8_accuracy(network, recipe, pool, held_out),
        macs=count_macs(model),
        parameters=int(model.count_params()),
        seconds=time.monotonic() - started,
        network=network,
    )
    _kept(work, identity, result)
    checkpoint.unlink(missing_ok=True)
    return result


def _kept(work: Path, identity: str, result: FoldResult) -> FoldResult:
    """The result, written down for a later run of the same identity."""
    figures = {name: value for name, value in vars(result).items() if name != "network"}
    name, network = f"fold{result.fold}", result.network
    write_atomic(work / f"{name}.tflite", network)
    write_json(work / f"{name}.json", {"identity": identity, "sha256": sha256(network), **figures})
    return result


def train_folds(
    recipe: Recipe,
    setup: Setup,
    work: Path,
    *,
    features: Progress = no_progress,
    progress: Callable[[Report], None] = lambda report: None,
    finished: Callable[[FoldResult], None] = lambda result: None,
) -> tuple[FeaturePool, list[FoldResult]]:
    """Train the folds of `setup` in the directory `work`; gives the pool and the results by fold, the final one last.

    `finished` is called as soon as a fold ends. On Ctrl-C every fold writes its checkpoint before KeyboardInterrupt
    goes on. Raises `DataError` for bad recordings and for a fold that does not exist, `RecipeError` for a recipe that
    names teachers where none are given and for teachers that do not fit it.
    """
    require_network(recipe)
    first, ensemble, folds = setup.open_start(), setup.open_teachers(), setup.folds
    if recipe.training.start and first is None:
        raise RecipeError(
            f"training.start: {recipe.training.start} is not there to begin with",
            hint="train with `stapes train`, or leave training.start out",
        )
    if recipe.training.teachers and not ensemble:
        raise RecipeError(
            f"training.teachers: {', '.join(recipe.training.teachers)} would have to be trained first",
            hint="train with `stapes train`, or leave training.teachers out",
        )
    dataset = setup.open_dataset(recipe)
    dataset.require_trainable(tagging=recipe.tagging)
    missing = sorted(set(folds or ()) - set(dataset.folds))
    if missing or len(dataset.folds) < 2:
        raise DataError(
            f"the data set has the folds {list(dataset.folds)}, not fold {missing or 'two of them'}",
            hint="choose one of them with --folds and dataset.test_fold",
        )
    (require_forest_packages if recipe.model.architecture == "forest" else require_packages)()
    pool = build_pool(recipe, dataset, setup.cache, features, noise=setup.open_noise(recipe))
    chosen = sorted(folds) if folds is not None else list(dataset.folds)
    chosen += [NONE_LEFT_OUT] if setup.final else []
    results: dict[int, FoldResult] = {}
    for fold in chosen:
        taught_by = [open_teacher(bundle, recipe, pool.labels, fold) for bundle in ensemble]
        done = _finished(work, fold, _identity(recipe, pool, fold, start_of(first, fold), taught_by))
        if done is not None:
            results[fold] = done
            finished(done)
    waiting = [fold for fold in chosen if fold not in results]
    if waiting:
        with open_crew(min(setup.jobs, len(waiting)), setup.ray) as crew:
            futures = {crew.submit(_work, recipe, setup, fold, work) for fold in waiting}
            try:
                while futures:
                    ended, futures = wait(futures, timeout=0.2, return_when=FIRST_COMPLETED)
                    for report in crew.reports():
                        progress(report)
                    for future in ended:
                        result = future.result()
                        results[result.fold] = result
                        finished(result)
            except BrokenProcessPool as error:
                logs = ", ".join(str(work / f"fold{fold}.log") for fold in waiting if fold not in results)
                raise ToolError(
                    "a process that trained ended by itself; memory may have run out",
                    hint=f"look into {logs}; the same command goes on from there, with --jobs 1 for less memory",
                ) from error
            except BaseException:
                crew.stop()
                # Every fold that was begun writes its checkpoint.
                wait(futures)
                raise
    return pool, [results[fold] for fold in chosen]


def _work(
    recipe: Recipe,
    setup: Setup,
    fold: int,
    work: Path,
    report: Callable[[Report], None],
    stop: Callable[[], bool],
) -> FoldResult:
    if stop():
        raise Interrupted
    report(Report(fold, 0, recipe.training.steps, float("nan")))
    with _said_in(work / f"fold{fold}.log"):
        pool = build_pool(recipe, setup.open_dataset(recipe), setup.cache, noise=setup.open_noise(recipe))
        return train_fold(
            recipe,
            pool,
            fold,
            work,
            start=setup.open_start(),
            teachers=setup.open_teachers(),
            progress=report,
            stop=stop,
        )


@contextmanager
def _said_in(path: Path) -> Iterator[None]:
    """What this process says goes to the end of a file: TensorFlow's dozens of lines, C++ and Python alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = [(stream, os.dup(stream)) for stream in (1, 2)]
    with path.open("ab") as log:
        for stream, _ in before:
            os.dup2(log.fileno(), stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, kept in before:
            os.dup2(kept, stream)
            os.close(kept)


def _identity(
    recipe: Recipe, pool: FeaturePool, fold: int, start: Start | None, teachers: Sequence[Teacher] = ()
) -> str:
    """Hash of everything that a fold's network follows from."""
    asked = recipe.model_dump(
        mode="json",
        exclude={"name": True, "budget": True, "live": True, "dataset": {"test_fold", "credits"}},
    )
    first: list[object] = []
    if start is not None:
        first.append({"outside": start.sha256} if isinstance(start, Outside) else sha256(start))
    if teachers:
        first.append({"teachers": [sha256(teacher.network) for teacher in teachers]})
    return sha256(canonical_json([_FORMAT, asked, pool.key, fold, *first]))


def _finished(work: Path, fold: int, identity: str) -> FoldResult | None:
    """What an earlier run with the same identity left, if it is whole."""
    try:
        figures = json.loads((work / f"fold{fold}.json").read_text(encoding="utf-8"))
        network = (work / f"fold{fold}.tflite").read_bytes()
        if figures.pop("identity") != identity or figures.pop("sha256") != sha256(network):
            return None
        return FoldResult(network=network, **figures)
    except (OSError, ValueError, KeyError, TypeError):
        return None


__all__ = ["FoldResult", "Interrupted", "train_fold", "train_folds"]
