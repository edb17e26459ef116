"""What training minimises: the cross entropy of the labels, and of what teachers answer.

Without teachers it is Keras' own loss. Else it is the distillation of Hinton, Vinyals and Dean, "Distilling the
knowledge in a neural network", 2015, with w = `distill` and T = `temperature`:

    (1 - w) CE(labels, logits) + w T² CE(mean of the teachers' softmax(logits / T), logits / T)

T² because the gradients of the second part fall with it. With `scores = "sigmoid"` both are binary cross entropies
of sigmoids, the mean over the classes.
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
    smoothing = recipe.training.label_smoothing
    if taught:
        return _Taught(recipe)
    loss = {
        "softmax": keras.losses.CategoricalCrossentropy,
        "sigmoid": keras.losses.BinaryCrossentropy,
    }
    return loss[recipe.model.scores](from_logits=True, label_smoothing=smoothing)


def pack(labels: Float32, answers: Float32 | None) -> Float32:
    """Labels [batch, classes] and the teachers' answers of the same shape, side by side as a loss gets them."""
    return labels if answers is None else np.concatenate([labels, answers], axis=1)


class _Taught:
    """Loss of each window, [batch], of targets [batch, 2 classes] and logits [batch, classes]."""

    __name__ = "distillation"

    def __init__(self, recipe: Recipe) -> None:
        keras = import_keras()
        settings = recipe.training
        self._share, self._temperature = settings.distill, settings.temperature
        self._smoothing = settings.label_smoothing
        self._entropy = {
            "softmax": keras.losses.categorical_crossentropy,
            "sigmoid": keras.losses.binary_crossentropy,
        }[recipe.model.scores]

    def __call__(self, targets: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        labels, answers = targets[:, :classes], targets[:, classes:]
        hard = self._entropy(labels, logits, from_logits=True, label_smoothing=self._smoothing)
        soft = self._entropy(answers, logits / self._temperature, from_logits=True)
        return (1.0 - self._share) * hard + self._share * self._temperature**2 * soft
