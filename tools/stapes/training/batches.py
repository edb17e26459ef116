"""Training batches: which clips, at which speed, every augmentation; all from one seed and the step."""

from __future__ import annotations

import numpy as np

from stapes.recipe import Recipe
from stapes.training.augment import (
    Float32,
    Int64,
    crop,
    equaliser,
    mask,
    mix,
    to_log,
    to_power,
    window_energies,
    wrap,
)
from stapes.training.pool import FeaturePool

_KNOTS = 5


class Batches:
    """`batch(step)` depends on recipe, fold and step alone, so training can go on from any step."""

    def __init__(self, recipe: Recipe, pool: FeaturePool, fold: int) -> None:
        self._recipe, self._fold = recipe, fold
        self._train = pool.indices(fold, held_out=False)
        self._targets = pool.targets
        self._one_hot = np.eye(len(pool.labels), dtype=np.float32)
        power = {
            speed: {i: to_power(pool.clips[speed][i].log_mel, recipe.frontend) for i in self._train}
            for speed in recipe.training.speeds
        }
        frames = recipe.window.frames
        self._energies = {
            speed: {i: window_energies(clip, frames) for i, clip in powers.items()}
            for speed, powers in power.items()
        }
        self._wrapped = {
            speed: {i: wrap(clip, frames) for i, clip in powers.items()} for speed, powers in power.items()
        }

    def batch(self, step: int) -> tuple[Float32, Float32]:
        """float32[batch, frames, n_mels, 1] normalised features and float32[batch, classes] labels."""
        settings, recipe = self._recipe.training, self._recipe
        rng = np.random.default_rng([settings.seed, self._fold, step])
        first, second = self._choose(rng), self._choose(rng)
        ratio = np.where(rng.random(len(first)) < settings.mix, rng.random(len(first)), 1.0)
        power = mix(self._draw(first, rng), self._draw(second, rng), ratio)
        share = ratio.astype(np.float32)[:, None]
        labels = self._one_hot[self._targets[first]] * share + self._one_hot[self._targets[second]] * (
            1 - share
        )
        knots = rng.uniform(-settings.equaliser_db, settings.equaliser_db, (len(first), _KNOTS))
        knots += rng.uniform(-settings.gain_db, settings.gain_db, (len(first), 1))
        power *= equaliser(power.shape[2], knots)[:, None, :]
        features = normalize(to_log(power, recipe.frontend), recipe)
        mask(features, 1, settings.mask_frames, rng)
        mask(features, 2, settings.mask_bands, rng)
        return features[..., None], labels

    def _choose(self, rng: np.random.Generator) -> Int64:
        """Clips of one batch, none twice as long as there are enough."""
        size = self._recipe.training.batch
        rounds = -(-size // len(self._train))
        return np.concatenate([rng.permutation(self._train) for _ in range(rounds)])[:size]

    def _draw(self, clips: Int64, rng: np.random.Generator) -> Float32:
        speeds = self._recipe.training.speeds
        frames = self._recipe.window.frames
        drawn = np.empty((len(clips), frames, self._recipe.frontend.n_mels), dtype=np.float32)
        for place, clip in zip(drawn, clips, strict=True):
            speed = speeds[int(rng.integers(len(speeds)))]
            place[:] = crop(self._wrapped[speed][clip], self._energies[speed][clip], frames, rng)
        return drawn


def normalize(log_mel: Float32, recipe: Recipe) -> Float32:
    """`(log_mel - mean) / std` with the recipe's constants; the same shape."""
    constants = recipe.normalization
    return (log_mel - np.float32(constants.mean)) * np.float32(1.0 / constants.std)
