"""`stapes train`: recordings and a recipe in, a bundle out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import (
    CacheOption,
    JsonOption,
    console,
    errors,
    goes_on,
    note,
    progress_bar,
    progress_bars,
    save_json,
)

if TYPE_CHECKING:
    from stapes.progress import Progress
    from stapes.recipe import Bundle, Recipe
    from stapes.training import FoldResult, Report, Setup


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="The recipe, e.g. models/esc10/recipe.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="Directory of the bundle to write.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")
    ] = None,
    folds: Annotated[
        str,
        typer.Option(
            "--folds", metavar="all|N", help="Folds to leave out, one network each; default: test_fold."
        ),
    ] = "",
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="With all folds left out in turn for the figures: also train on everything; that network is for use.",
        ),
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="BUNDLE|NETWORK",
            help="Begin with the weights of this bundle's networks, or with the first layers of this .tflite.",
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option("--noise", metavar="DIR", help="Recordings of noise, for training.noise_sampled."),
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option(
            "--teacher",
            metavar="BUNDLE",
            help="Learn from this bundle's networks too; repeat it. Instead of training.teachers.",
        ),
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            "--backbone",
            metavar="MODEL",
            help="Train a new head (dense or forest) on what this .tflite or bundle gives before its classifier.",
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", min=1, help="Seeds to train: the recipe's, whose networks are kept, and the next."
        ),
    ] = 1,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Folds trained at the same time.")
    ] = os.cpu_count() or 1,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Train on a Ray cluster (`auto`, `ray://HOST:10001`, `local`); paths must be shared.",
        ),
    ] = None,
    cache: CacheOption = None,
    json: JsonOption = None,
) -> None:
    """Print the cost; train, quantise, evaluate; write a bundle. After Ctrl-C the same command goes on from there."""
    from stapes.cli.cost import print_cost
    from stapes.errors import RecipeError
    from stapes.recipe import load_recipe
    from stapes.report import evaluation_table
    from stapes.training import Setup, default_cache, rewrite_figures, seeds_summary
    from stapes.training.noise import require_use

    asked = load_recipe(recipe)
    held_out = asked.dataset.test_fold
    if folds not in ("all", "", str(held_out)):
        raise RecipeError(
            f"--folds {folds}: the bundle's network leaves out fold {held_out}",
            hint=f"use --folds all or --folds {held_out}, or change dataset.test_fold in {recipe}",
        )
    if final and folds not in ("all", ""):
        raise RecipeError(
            f"--final leaves out all folds in turn, --folds {folds} one of them", hint="leave --folds out"
        )
    stages = asked.training.start or asked.training.teachers  # may use it
    require_use(noise, used=bool(asked.training.noise_sampled or stages))
    setup = Setup(
        data=data,
        cache=cache or default_cache(),
        folds=None if folds == "all" or final else (held_out,),
        final=final,
        jobs=jobs,
        start=start,
        teachers=tuple(teachers or ()),
        noise=noise,
        backbone=backbone,
        ray=ray,
    )
    if backbone is not None and (start or teachers or ray or stages):
        raise RecipeError(
            "--backbone: the network in front of the head stays as it is",
            hint="leave out --from, --teacher, --ray, training.start and training.teachers",
        )
    setup.open_noise(asked)
    labels = setup.open_dataset(asked).labels
    print_cost(asked, len(labels), measure=False, backbone=backbone)
    work = out.resolve().with_name(f"{out.resolve().name}.work")
    run = _Run(recipe, setup)
    with goes_on():
        metrics = run(asked, out, work)
    others = {}
    further = replace(run, setup=replace(setup, final=False))
    for seed in range(asked.training.seed + 1, asked.training.seed + seeds):
        training = asked.training.model_copy(update={"seed": seed})
        place = work / f"seed{seed}"
        console.print(f"seed {seed}")
        with goes_on():
            others[seed] = further(asked.model_copy(update={"training": training}), place / "bundle", place)
    if others:
        metrics["seeds"] = seeds_summary({asked.training.seed: metrics, **others})
        rewrite_figures(out, asked, metrics)
    save_json(json, metrics | {"bundle": str(out)})
    console.print(evaluation_table(metrics))
    console.print(f"bundle written to {out}; {work} may be deleted", soft_wrap=True)


@dataclass(frozen=True)
class _Run:
    """What all seeds of one command share; called with a recipe it trains, evaluates and writes a bundle."""

    path: Path
    setup: Setup
    within: tuple[Path, ...] = ()
    """Recipes that wait for this one."""

    def __call__(self, recipe: Recipe, out: Path, work: Path) -> dict[str, Any]:
        from stapes.check import evaluate_bundle, recorded
        from stapes.errors import ToolError
        from stapes.training import rewrite_figures

        bundle, metrics = self.train(recipe, out, work)
        if self.setup.data is None:
            return metrics
        folds = "all" if self.setup.folds is None else str(self.setup.folds[0])
        try:
            with progress_bar() as progress:
                measured = evaluate_bundle(
                    bundle, self.setup.data, folds, work / "firmware", progress=progress
                )
        except ToolError as error:
            note("firmware not measured:", str(error), to=errors)
            return metrics
        metrics = recorded(measured, metrics)
        rewrite_figures(out, recipe, metrics)
        return metrics

    def train(self, recipe: Recipe, out: Path, work: Path) -> tuple[Bundle, dict[str, Any]]:
        """The bundle and what training knows of it; first those of the recipes that it begins with or learns from."""
        from stapes.adopt import Outside
        from stapes.training import metrics_of, train_folds, write_bundle

        setup = self.setup
        if setup.backbone is not None:
            return self.train_head(recipe, out)
        others: dict[str, str] = {}
        if recipe.training.start and setup.start is None:
            setup = replace(setup, start=self.beginning(recipe, work / "start", others))
        if recipe.training.teachers and not setup.teachers:
            teachers = tuple(
                self.first(name, recipe, work / f"teacher{number}", others)
                for number, name in enumerate(recipe.training.teachers, start=1)
            )
            setup = replace(setup, teachers=teachers)
        if others:
            console.print(f"{self.path.name} now")
        if recipe.model.architecture != "forest":
            console.print(f"what TensorFlow says goes to {work / 'foldN.log'}", soft_wrap=True)
        with _bars(recipe.training.steps) as bars:
            pool, results = train_folds(
                recipe,
                setup,
                work,
                features=bars.features,
                progress=bars.training,
                finished=bars.finished,
            )
        metrics = metrics_of(recipe, results, pool.content, pool.labels)
        if start := setup.open_start():
            metrics["from"] = start.name if isinstance(start, Outside) else start.manifest.name
            if isinstance(start, Outside):
                metrics["from_sha256"] = start.sha256
        if setup.teachers:
            metrics["teachers"] = [teacher.manifest.name for teacher in setup.open_teachers()]
        text = self.path.read_text(encoding="utf-8")
        return write_bundle(out, recipe, text, pool.labels, results, metrics, others), metrics

    def train_head(self, recipe: Recipe, out: Path) -> tuple[Bundle, dict[str, Any]]:
        """The bundle of a backbone with a new head."""
        from stapes.training import metrics_of, train_heads, write_bundle

        setup = self.setup
        backbone = setup.open_backbone(recipe)
        assert backbone is not None
        for text in backbone.notes:
            note("note:", text)
        with progress_bar() as progress:
            pool, results = train_heads(
                recipe,
                setup.open_dataset(recipe),
                backbone,
                setup.cache,
                setup.folds,
                progress,
                _say_fold,
                final=setup.final,
            )
        metrics = metrics_of(recipe, results, pool.content)
        metrics["backbone"] = {
            "file": backbone.name,
            "sha256": backbone.sha256,
            "embedding": backbone.embedding.elements,
            "notes": list(backbone.notes),
        }
        text = self.path.read_text(encoding="utf-8")
        return write_bundle(out, recipe, text, pool.labels, results, metrics), metrics

    def beginning(self, recipe: Recipe, work: Path, others: dict[str, str]) -> Path:
        """What `training.start` names: the outside network beside the recipe, or the bundle of a recipe trained now."""
        from stapes.errors import RecipeError

        name = recipe.training.start
        path = self.path.with_name(name)
        if path.suffix == ".toml":
            return self.first(name, recipe, work, others)
        if not path.is_file():
            raise RecipeError(
                f"training.start: there is no {name} beside {self.path}",
                hint=f"give it with --from {name}, or put it there; the recipe says where it comes from",
            )
        return path

    def first(self, name: str, recipe: Recipe, work: Path, others: dict[str, str]) -> Path:
        """Train the recipe `name` beside this one with this one's seed: its bundle. Its text goes to `others`."""
        from stapes.errors import RecipeError
        from stapes.recipe import load_recipe

        path = self.path.with_name(name)
        within = (*self.within, self.path.resolve())
        if path.resolve() in within:
            raise RecipeError(
                f"{self.path}: {name} waits for this recipe and cannot be trained before it",
                hint="name other recipes in training.start and training.teachers",
            )
        asked = load_recipe(path)
        training = asked.training.model_copy(update={"seed": recipe.training.seed})
        others[name] = path.read_text(encoding="utf-8")
        console.print(f"{name} first")
        run = replace(self, path=path, setup=replace(self.setup, start=None, teachers=()), within=within)
        run.train(asked.model_copy(update={"training": training}), work / "bundle", work)
        return work / "bundle"


def _say_fold(result: FoldResult) -> None:
    if not result.clips:
        console.print("trained on all recordings: nothing is left to test this one with")
        return
    console.print(
        f"fold {result.fold}: float {result.float_accuracy:.1%}, int8 {result.int8_accuracy:.1%} "
        f"of {result.clips} clips right"
    )


def _name(fold: int) -> str:
    return f"fold {fold}" if fold else "all recordings"


class _Bars:
    """What `train_folds` calls back; one bar for the features, one a fold."""

    def __init__(
        self,
        features: Progress,
        training: Callable[[Report], None],
        finished: Callable[[FoldResult], None],
    ) -> None:
        self.features, self.training, self.finished = features, training, finished


@contextmanager
def _bars(steps: int) -> Iterator[_Bars]:
    with progress_bars() as update:
        estimates: dict[int, str] = {}

        def features(what: str, done: int, total: int) -> None:
            update(what, what, done, total)

        def training(report: Report) -> None:
            name = _name(report.fold)
            if not report.step:
                update(name, f"{name}: begins", 0, 0)
                return
            if report.held_out is not None:
                estimates[report.fold] = f", {report.held_out:.0%} of held-out clips so far"
            text = f"{name}: loss {report.loss:.3f}{estimates.get(report.fold, '')}"
            if report.step == report.steps:
                update(name, f"{text}; quantising", 0, 0)
            else:
                update(name, text, report.step, report.steps)

        def finished(result: FoldResult) -> None:
            name = _name(result.fold)
            update(name, name, steps, steps)
            _say_fold(result)

        yield _Bars(features, training, finished)
