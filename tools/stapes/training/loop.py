"""The training loop of one fold: warm-up and cosine, checkpoints that continue with the same bits."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stapes.adopt import Outside
from stapes.files import write_atomic
from stapes.recipe import Recipe, TrainingSpec
from stapes.training.backend import import_keras, make_deterministic
from stapes.training.batches import Batches
from stapes.training.evaluate import float_accuracy
from stapes.training.losses import compile_loss, pack
from stapes.training.networks import build_network
from stapes.training.optimizers import build_optimizer
from stapes.training.pool import FeaturePool
from stapes.training.quantize import calibration_windows
from stapes.training.rehearsal import Rehearsal
from stapes.training.teachers import Teacher, Teachers
from stapes.training.transfer import Start, begin_with, freeze, transfer

CHECKPOINT_STEPS = 200
AVERAGE_STEPS = 10
_START_BATCHES = 2
"""With whose statistics the batch normalisation of an outside network is put back."""


class Interrupted(Exception):
    """Training was asked to stop; what was reached lies in the checkpoint."""


@dataclass(frozen=True)
class Report:
    """Where training stands: recent mean loss (NaN at step 0), accuracy of the held-out clips (for the eye only)."""

    fold: int
    step: int
    steps: int
    loss: float
    held_out: float | None = None


def learning_rate(step: int, settings: TrainingSpec) -> float:
    """Linear warm-up, then half a cosine down to 0 at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def train_network(
    recipe: Recipe,
    pool: FeaturePool,
    fold: int,
    *,
    start: Start | None = None,
    teachers: Sequence[Teacher] = (),
    checkpoint: Path | None = None,
    identity: str = "",
    progress: Callable[[Report], None] = lambda report: None,
    stop: Callable[[], bool] = lambda: False,
) -> Any:
    """The Keras model after the last step, trained on every fold but `fold`.

    It begins with random weights, with those of the int8 network `start`, or with the first layers of an outside one.
    `teachers` answer for every batch
    as it is, augmented and mixed. With `training.average` it is the running average of the weights (and of the
    statistics of the batch normalisation) over the steps, whatever the accuracies. The held-out fold is looked
    at for the progress report only; nothing is chosen by it. With `checkpoint`, weights and optimiser are kept
    there every 200 steps, and when `stop()` says so `Interrupted` is raised. A checkpoint with the same
    `identity` is continued: the same bits come out as without the interruption.
    """
    settings = recipe.training
    make_deterministic(settings.seed * 1000 + fold)
    model = build_network(recipe, len(pool.labels))
    batches = Batches(recipe, pool, fold)
    if isinstance(start, Outside):
        seen = [batches.batch(step)[0] for step in range(_START_BATCHES)]
        begin_with(model, start, recipe, np.concatenate(seen))
    elif start is not None:
        transfer(model, start, calibration_windows(recipe, pool, fold))
    if settings.freeze:
        freeze(model)
    optimizer = build_optimizer(settings)
    # The last steps go through the twin that rounds; it has the network's weights and no others.
    rehearsal = Rehearsal(model, settings.weights == "int4") if settings.quantize_steps else None
    learners = [model, rehearsal.model] if rehearsal else [model]
    for learner in learners:
        learner.compile(optimizer, compile_loss(recipe, taught=bool(teachers)), jit_compile=False)
    optimizer.build(model.trainable_variables)
    average = Average(model.variables, settings.average) if settings.average else None
    variables = [*model.variables, *optimizer.variables, *(average.variables if average else ())]
    variables += rehearsal.variables if rehearsal else []
    step = _restore(checkpoint, identity, variables) if checkpoint else 0
    # Built after the student: its random weights are those that it has without teachers.
    ensemble = (
        Teachers(teachers, recipe, len(pool.labels), calibration_windows(recipe, pool, fold))
        if teachers
        else None
    )
    losses: list[float] = []
    while step < settings.steps:
        if stop():
            if checkpoint:
                _save(checkpoint, identity, variables, step)
            raise Interrupted
        left = settings.steps - step
        if rehearsal and left == settings.quantize_steps:
            rehearsal.calibrate(calibration_windows(recipe, pool, fold))
        learner = learners[-1] if left <= settings.quantize_steps else model
        optimizer.learning_rate.assign(learning_rate(step, settings))
        features, labels, votes = batches.bags(step)
        learner.reset_metrics()
        weights = labels @ batches.class_weights if settings.class_weights else None
        answers = ensemble.answers(features) if ensemble else None
        targets = pack(labels, answers, votes if settings.bag > 1 else None)
        losses.append(float(learner.train_on_batch(features, targets, sample_weight=weights)))
        step += 1
        if average:
            average.update(step)
        if step % CHECKPOINT_STEPS == 0 and step < settings.steps:
            if checkpoint:
                _save(checkpoint, identity, variables, step)
            left_out = pool.indices(fold, held_out=True)
            held_out = float_accuracy(model, recipe, pool, left_out) if len(left_out) else None
            progress(Report(fold, step, settings.steps, float(np.mean(losses)), held_out))
            losses.clear()
        elif step % 10 == 0:
            progress(Report(fold, step, settings.steps, float(np.mean(losses))))
    if average:
        average.apply()
    return model


class Average:
    """Exponential moving average of all of a model's variables, taken every 10 steps; `decay` is that of one step.

    The decay is lower at first. With it the random weights of the beginning count `decay ** steps` at the most.
    """

    def __init__(self, variables: list[Any], decay: float) -> None:
        keras = import_keras()
        self._sources = [variable for variable in variables if variable.dtype == "float32"]
        self._decay = decay**AVERAGE_STEPS
        self.variables = [keras.Variable(variable, trainable=False) for variable in self._sources]

    def update(self, steps: int) -> None:
        """Take in the weights after `steps` steps."""
        if steps % AVERAGE_STEPS:
            return
        count = steps / AVERAGE_STEPS
        share = 1.0 - min(self._decay, count / (9.0 + count))
        for mean, variable in zip(self.variables, self._sources, strict=True):
            mean.assign(mean + share * (variable - mean))

    def apply(self) -> None:
        """Make the averages the variables' values."""
        for mean, variable in zip(self.variables, self._sources, strict=True):
            variable.assign(mean)


def _save(path: Path, identity: str, variables: list[Any], step: int) -> None:
    keras = import_keras()
    stream = io.BytesIO()
    arrays = {f"v{i}": keras.ops.convert_to_numpy(variable) for i, variable in enumerate(variables)}
    np.savez(stream, identity=np.array(identity), step=np.array(step), **arrays)
    write_atomic(path, stream.getvalue())


def _restore(path: Path, identity: str, variables: list[Any]) -> int:
    """Put the checkpoint's values into `variables` and return its step; 0 where there is none that fits."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["identity"]) != identity or len(file.files) != len(variables) + 2:
                return 0
            values = [file[f"v{i}"] for i in range(len(variables))]
            step = int(file["step"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return 0
    if any(value.shape != tuple(variable.shape) for value, variable in zip(values, variables, strict=True)):
        return 0
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)
    return step
