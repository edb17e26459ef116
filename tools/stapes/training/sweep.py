"""Searching for better settings with Optuna, on folds that are not the test fold; goes on after an interruption.

Each trial is a recipe with some keys changed. Its score is the int8 network's accuracy on the validation fold, which is
chosen among the folds that are not tested with; the test fold is left out of the trials altogether, so that what the
search finds has not seen it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stapes.datasets import Clip, Dataset
from stapes.errors import RecipeError, StapesError, TooLargeError
from stapes.files import canonical_json, sha256
from stapes.packages import needed_for
from stapes.recipe import Recipe

Score = Callable[[Recipe, Path], float]
"""Trains a recipe in a directory of its own; raises `RecipeError` for one that is impossible or over the budget."""

_HINT = "write KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=[CHOICE, …], e.g. training.mix=0.3..0.9"


@dataclass(frozen=True)
class Range:
    """What one key may be: from `low` to `high` (whole numbers where both are), or one of `choices`."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()
    """JSON of each choice."""

    @classmethod
    def parse(cls, text: str) -> Range:
        """`KEY=LOW..HIGH`, `KEY=LOW..HIGH:log` or `KEY=[JSON, …]`; raises `RecipeError`."""
        key, _, values = text.partition("=")
        try:
            if values.startswith("["):
                choices = json.loads(values)
                if key and choices:
                    return cls(key, choices=tuple(json.dumps(choice) for choice in choices))
            bounds, _, scale = values.partition(":")
            low, high = (json.loads(part) for part in bounds.split(".."))
            if key and scale in ("", "log") and low < high and (low > 0 or not scale):
                return cls(key, low, high, scale == "log")
        except (ValueError, TypeError):
            pass
        raise RecipeError(f"--vary {text}: not a range and not a list", hint=_HINT)

    def suggest(self, trial: Any) -> Any:
        """A value for an Optuna trial."""
        if self.choices:
            return json.loads(trial.suggest_categorical(self.key, self.choices))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Found:
    """The best trial so far, and how many there were."""

    recipe: Recipe
    score: float
    changed: dict[str, Any]
    trials: int
    refused: int


def varied(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """`recipe` with other values, by dotted key; raises `RecipeError` for unknown keys and impossible values."""
    content = recipe.model_dump(mode="json")
    for key, value in values.items():
        *path, last = key.split(".")
        section = content
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    try:
        return Recipe.model_validate(content, strict=False)
    except ValidationError as error:
        from stapes.recipe.recipe import explain

        raise RecipeError(
            f"{explain(error)}", hint="see docs/recipe.md for the keys and their ranges"
        ) from error


def for_search(recipe: Recipe, folds: Sequence[int], validate: int | None = None) -> Recipe:
    """The recipe as trials see it: the test fold skipped, `validate` (the first other fold) in its place."""
    spec = recipe.dataset
    usable = [fold for fold in folds if fold != spec.test_fold and fold not in spec.skip_folds]
    chosen = validate if validate is not None else next(iter(usable), None)
    if chosen not in usable or len(usable) < 2:
        raise RecipeError(
            f"no fold {chosen if chosen is not None else ''} to validate on: {list(folds)} less the test fold "
            f"{spec.test_fold} and skip_folds",
            hint="choose another with --validate; a search needs three folds",
        )
    dataset = {"test_fold": chosen, "skip_folds": sorted({*spec.skip_folds, spec.test_fold})}
    content = recipe.model_dump(mode="json")
    return Recipe.model_validate({**content, "dataset": {**content["dataset"], **dataset}}, strict=False)


def sweep(
    recipe: Recipe,
    ranges: Sequence[Range],
    trials: int,
    directory: Path,
    score: Score,
    *,
    storage: str = "",
    data: str = "",
    tell: Callable[[int, dict[str, Any], float | None], None] = lambda number, changed, score: None,
) -> Found:
    """Search until `trials` trials are done, earlier ones of the same search included; gives the best.

    `recipe` is that of `for_search`. `storage` is a database URL (sqlite:///…); without it, a journal file in
    `directory`. Several processes may search together in one storage. A trial that was interrupted is taken up again,
    in the same directory, by whoever searches next. `data` is the hash of the recordings: with others it is another
    search. `tell` hears each trial's number, values and score (None: refused).
    """
    study = try_out(
        _name(recipe, ranges, data),
        lambda trial: {each.key: each.suggest(trial) for each in ranges},
        lambda asked, place: (score(asked, place),),
        recipe,
        trials,
        directory,
        storage=storage,
        directions=("maximize",),
        tell=lambda number, changed, values: tell(number, changed, values[0] if values else None),
    )
    done = len(trained_trials(study))
    refused = len(refused_trials(study))
    best = study.best_trial
    changed = {
        each.key: json.loads(best.params[each.key]) if each.choices else best.params[each.key]
        for each in ranges
    }
    return Found(varied(recipe, changed), float(best.value), changed, done, refused)


def try_out(
    name: str,
    propose: Callable[[Any], dict[str, Any]],
    score: Callable[[Recipe, Path], tuple[float, ...]],
    recipe: Recipe,
    trials: int,
    directory: Path,
    *,
    directions: Sequence[str],
    storage: str = "",
    tell: Callable[[int, dict[str, Any], tuple[float, ...] | None], None],
) -> Any:
    """The Optuna study called `name`, after trials up to `trials`; raises `StapesError` where all were refused.

    `propose` gives an Optuna trial's changed keys, `score` one value for each of `directions` ("maximize" or
    "minimize"); the changed keys are the trial's attribute "changed".
    """
    optuna = _optuna()
    directory.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=storage or _journal(optuna, directory / "sweep.journal"),
        load_if_exists=True,
        directions=list(directions),
        # Another seed for each start: the same one would propose the same points again.
        sampler=optuna.samplers.TPESampler(seed=None),
    )
    _take_up_again(optuna, study)
    states = optuna.trial.TrialState
    while len(trained_trials(study)) + len(refused_trials(study)) < trials:
        trial = study.ask()
        trial.set_user_attr("process", _process())
        changed = propose(trial)
        trial.set_user_attr("changed", changed)
        try:
            asked = varied(recipe, changed)
            place = directory / f"trial-{sha256(canonical_json(changed))[:12]}"
            values: tuple[float, ...] | None = score(asked, place)
        except (RecipeError, TooLargeError) as error:
            trial.set_user_attr("refused", error.message)
            study.tell(trial, state=states.PRUNED)
            values = None
        else:
            study.tell(trial, values)
        tell(trial.number, changed, values)
    if not trained_trials(study):
        refused = refused_trials(study)
        raise StapesError(
            f"all {len(refused)} trials were refused, the last: {refused[-1].user_attrs.get('refused')}",
            hint="widen what is varied, or the budget",
        )
    return study


def trained_trials(study: Any) -> list[Any]:
    """Those that have a score."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def refused_trials(study: Any) -> list[Any]:
    """Those that were impossible or too large."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "PRUNED"]


def content_hash(dataset: Dataset, noise: Sequence[Clip] = ()) -> str:
    """Hash of all that trials hear: recordings, labels, folds, and noise."""
    folds = [[fold, dataset.content(fold)] for fold in dataset.folds]
    return sha256(canonical_json([folds, [clip.identity() for clip in noise]]))


def _optuna() -> Any:
    with needed_for("a search", "optuna"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _journal(optuna: Any, path: Path) -> Any:
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def _name(recipe: Recipe, ranges: Sequence[Range], data: str) -> str:
    """The same recipe, ranges and recordings are the same search; trials of another one say nothing about it."""
    content = [recipe.model_dump(mode="json"), [vars(each) for each in ranges], data]
    return f"{recipe.name}-{sha256(canonical_json(content))[:12]}"


def _process() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


def _take_up_again(optuna: Any, study: Any) -> None:
    """Trials whose process is gone: failed, and their values next in the queue."""
    states = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        host, _, process = trial.user_attrs.get("process", "/").partition("/")
        if host != socket.gethostname() or _is_alive(process):
            continue
        study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)


def _is_alive(process: str) -> bool:
    if int(process) == os.getpid():
        return False  # of an earlier call in this very process
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
