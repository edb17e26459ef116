"""What training minimises: the cross entropy of the labels, of windows or of bags, and of what teachers answer.

With neither bags nor teachers it is Keras' own loss.

A bag is judged as the device decides a clip: by the mean of its windows' probabilities, weighted by their votes v.

    p = sum of v softmax(logits) over the bag's windows, the sum of v is 1;   loss = CE(labels, p)

Teachers make it the distillation of Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015,
with w = `distill` and T = `temperature`; they answer for every window by itself:

    (1 - w) CE(labels, …) + w T² CE(mean of the teachers' softmax(logits / T), logits / T)

T² because the gradients of the second part fall with it. With `scores = "sigmoid"` sigmoids take the place of softmax,
and cross entropies are binary, the mean over the classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stapes.recipe import Recipe
from stapes.training.augment import Float32
from stapes.training.backend import import_keras


def compile_loss(recipe: Recipe, *, taught: bool) -> Any:
    """What `model.compile` takes: a loss of the targets that `pack` gives and the network's logits."""
    keras = import_keras()
    if taught or recipe.training.bag > 1:
        return _Composed(recipe, taught)
    loss = {
        "softmax": keras.losses.CategoricalCrossentropy,
        "sigmoid": keras.losses.BinaryCrossentropy,
    }
    return loss[recipe.model.scores](from_logits=True, label_smoothing=recipe.training.label_smoothing)


def pack(labels: Float32, answers: Float32 | None = None, votes: Float32 | None = None) -> Float32:
    """What a loss needs to know, side by side: [batch, classes] labels, then answers of the same shape, [batch] votes.

    `answers` where there are teachers, `votes` (of each bag the sum is 1) where there are bags.
    """
    columns = [labels, answers, None if votes is None else votes[:, None]]
    return np.concatenate([column for column in columns if column is not None], axis=1)


class _Composed:
    """Loss of each window, [batch], of targets as packed and logits [batch, classes]; windows of a bag share one."""

    __name__ = "composed"

    def __init__(self, recipe: Recipe, taught: bool) -> None:
        self._settings, self._tags, self._taught = recipe.training, recipe.model.scores == "sigmoid", taught

    def __call__(self, targets: Any, logits: Any) -> Any:
        losses = import_keras().losses
        entropy = losses.binary_crossentropy if self._tags else losses.categorical_crossentropy
        settings, classes = self._settings, logits.shape[-1]
        labels = targets[:, :classes]
        if settings.bag > 1:
            hard = self._bags(labels, targets[:, -1], logits)
        else:
            hard = entropy(labels, logits, from_logits=True, label_smoothing=settings.label_smoothing)
        if not self._taught:
            return hard
        answers = targets[:, classes : 2 * classes]
        soft = entropy(answers, logits / settings.temperature, from_logits=True)
        return (1.0 - settings.distill) * hard + settings.distill * settings.temperature**2 * soft

    def _bags(self, labels: Any, votes: Any, logits: Any) -> Any:
        """Cross entropy of the probabilities of each bag, in logarithms: no probability is ever rounded to 0."""
        ops = import_keras().ops
        bag, classes, smoothing = self._settings.bag, logits.shape[-1], self._settings.label_smoothing
        labels, logits = (ops.reshape(each, (-1, bag, classes)) for each in (labels, logits))
        weights = ops.log(ops.reshape(votes, (-1, bag, 1)))
        labels = labels[:, 0] * (1.0 - smoothing) + smoothing / (2 if self._tags else classes)
        if self._tags:
            present = ops.logsumexp(weights + ops.log_sigmoid(logits), axis=1)
            absent = ops.logsumexp(weights + ops.log_sigmoid(-logits), axis=1)
            found = -ops.mean(labels * present + (1.0 - labels) * absent, axis=-1)
        else:
            found = -ops.sum(labels * ops.logsumexp(weights + ops.log_softmax(logits), axis=1), axis=-1)
        return ops.repeat(found, bag, axis=0)
