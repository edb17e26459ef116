"""Training batches: which clips, at which speed, every augmentation; all from one seed and the step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.recipe import Recipe
from stapes.reference import vote
from stapes.training.augment import (
    Float32,
    Int64,
    add_below,
    add_noise,
    cut,
    equaliser,
    floor_power,
    louder,
    mask,
    mix,
    piece,
    shift,
    stretch,
    to_log,
    to_power,
    window_energies,
)
from stapes.training.placing import extent, place
from stapes.training.pool import FeaturePool
from stapes.training.transform import Transform

_KNOTS = 5
_TILT_DB = 20.0
_HEARD = 0.1
"""Share of a mixture from which on a sound counts as present, where several may be."""

_AUDIBLE = 2.0
"""Times the front end's floor: mean power from which on a piece of noise, or a window, is not silence."""


class Batches:
    """`batch(step)` depends on recipe, fold and step alone, so training can go on from any step."""

    def __init__(self, recipe: Recipe, pool: FeaturePool, fold: int) -> None:
        self._recipe, self._fold, self._spec = recipe, fold, pool.spec
        self._transform = Transform(recipe.frontend)
        self._train = pool.indices(fold, held_out=False)
        self._labels = pool.labels_of(np.arange(len(pool.targets))).astype(np.float32)
        self._noise = [np.asarray(features.log_mel) for features in pool.noise]
        # Features stay on disk, where the pool has mapped them from: only energies are kept, one a frame.
        self._log_mel = {
            speed: {i: np.asarray(pool.clips[speed][i].log_mel) for i in self._train}
            for speed in recipe.training.speeds
        }
        self._energies = {
            speed: {
                i: window_energies(to_power(log_mel, pool.spec), recipe.window.frames)
                for i, log_mel in clips.items()
            }
            for speed, clips in self._log_mel.items()
        }
        whole = recipe.training.whole
        self._extents = {
            speed: {i: extent(pool.clips[speed][i]) for i in self._train} if whole else {}
            for speed in self._log_mel
        }
        counts = self._labels[self._train].sum(axis=0)
        self.class_weights: Float32 = (counts.sum() / (len(counts) * np.maximum(counts, 1))).astype(
            np.float32
        )
        """What an example of each class counts so that all classes count the same; 1 on average."""

    def batch(self, step: int) -> tuple[Float32, Float32]:
        """float32[batch, frames, n_features, 1] normalised features and float32[batch, classes] labels."""
        features, labels, _ = self.bags(step)
        return features, labels

    def bags(self, step: int) -> tuple[Float32, Float32, Float32]:
        """The same, and float32[batch] the share of each window in the vote of its bag.

        The windows of a bag follow each other; they are of the same clips and have the same label.
        """
        settings, recipe = self._recipe.training, self._recipe
        rng = np.random.default_rng([settings.seed, self._fold, step])
        first, second = self._choose(rng), self._choose(rng)
        count = len(first) // settings.bag
        ratio = np.where(rng.random(count) < settings.mix, rng.random(count), 1.0).repeat(settings.bag)
        powers = self._draw(first, rng), self._draw(second, rng)
        if recipe.tagging:
            is_heard = self._is_heard(powers[0])
            # A sound under silence "as heard" would itself be silent, and yet be labelled.
            ratio = np.where(is_heard & self._is_heard(powers[1]), ratio, 1.0)
        power = mix(*powers, ratio)
        self._disturb(power, rng)
        votes = self._votes(power)
        share = ratio.astype(np.float32)[:, None]
        labels = self._labels[first] * share + self._labels[second] * (1 - share)
        if recipe.tagging:
            labels = ((labels >= _HEARD) & is_heard[:, None]).astype(np.float32)
        knots = rng.uniform(-settings.equaliser_db, settings.equaliser_db, (len(first), _KNOTS))
        knots += rng.uniform(-settings.gain_db, settings.gain_db, (len(first), 1))
        power *= equaliser(power.shape[2], knots)[:, None, :]
        return self._features(power, rng)[..., None], labels, votes

    def _features(self, power: Float32, rng: np.random.Generator) -> Float32:
        """Normalised features [batch, frames, n_features] of powers [batch, lead + frames, n_mels], masked."""
        recipe, settings = self._recipe, self._recipe.training
        if recipe.frontend.n_mfcc:
            # A mask hides bands, and every coefficient is made of all bands.
            masked = to_log(power, self._spec)
            fill: Float32 | None = masked.mean(axis=(1, 2))
        else:
            masked = normalize(self._transform.of_power(power), recipe)
            fill = mask_values(masked, recipe)
        mask(masked, 1, settings.mask_frames, rng, fill)
        mask(masked, 2, settings.mask_bands, rng, fill)
        return normalize(self._transform.of_log(masked), recipe) if recipe.frontend.n_mfcc else masked

    def _is_heard(self, power: Float32) -> npt.NDArray[np.bool_]:
        """Whether the windows of a bag are more than digital silence, [batch]."""
        bag = self._recipe.training.bag
        heard_power = power[:, self._transform.lead :].mean(axis=(1, 2))
        loud = heard_power > _AUDIBLE * floor_power(self._spec)
        heard: npt.NDArray[np.bool_] = loud.reshape(-1, bag).any(axis=1).repeat(bag)
        return heard

    def _votes(self, power: Float32) -> Float32:
        """As the device weighs windows: all the same, or by the root of their power.

        The microphone's random gain and equaliser come after it: on a device all windows share them.
        """
        bag = self._recipe.training.bag
        if bag == 1 or not vote(self._recipe.decision.vote).weighs:
            return np.full(len(power), 1.0 / bag, dtype=np.float32)
        power = power[:, self._transform.lead :]
        roots = np.sqrt(power.sum(axis=(1, 2), dtype=np.float64)).reshape(-1, bag)
        # Silence has a small vote, and among silences all have the same.
        roots += 1e-6 * roots.max(axis=1, keepdims=True) + 1e-30
        votes: Float32 = (roots / roots.sum(axis=1, keepdims=True)).ravel().astype(np.float32)
        return votes

    def _disturb(self, power: Float32, rng: np.random.Generator) -> None:
        """Pitch and noise, in place; nothing is drawn for what is not asked for."""
        settings, size = self._recipe.training, len(power)
        if settings.shift_bands:
            shift(power, rng.uniform(-settings.shift_bands, settings.shift_bands, size))
        if settings.noise:
            snr = rng.uniform(*settings.noise_snr_db, size)
            snr[rng.random(size) >= settings.noise] = np.inf
            add_noise(power, snr, rng.uniform(-_TILT_DB, _TILT_DB, size), rng)
        if settings.noise_sampled:
            snr = rng.uniform(*settings.noise_snr_db, size)
            chosen = rng.random(size) < settings.noise_sampled
            for index in np.flatnonzero(chosen):
                self._add_recorded(power[index], float(snr[index]), rng)

    def _add_recorded(self, power: Float32, snr_db: float, rng: np.random.Generator) -> None:
        """A random piece of a random recording of noise under one example; nothing where that piece is silence."""
        spec = self._spec
        log_mel = self._noise[int(rng.integers(len(self._noise)))]
        noise = to_power(piece(log_mel, int(rng.integers(len(log_mel))), len(power)), spec)
        # What lies below the floor is the rounding of a logarithm: no noise that could be made louder.
        if noise.mean() > _AUDIBLE * floor_power(spec):
            add_below(power, noise, snr_db)

    def _choose(self, rng: np.random.Generator) -> Int64:
        """Clips of one batch, none in two bags as long as there are enough."""
        bag = self._recipe.training.bag
        size = self._recipe.training.batch // bag
        rounds = -(-size // len(self._train))
        return np.concatenate([rng.permutation(self._train) for _ in range(rounds)])[:size].repeat(bag)

    def _draw(self, clips: Int64, rng: np.random.Generator) -> Float32:
        """Powers [batch, lead + frames, n_mels] of a random piece of each clip."""
        settings, lead = self._recipe.training, self._transform.lead
        speeds, frames = settings.speeds, self._recipe.window.frames
        drawn = np.empty((len(clips), lead + frames, self._spec.n_mels), dtype=np.float32)
        for window, clip in zip(drawn, clips, strict=True):
            speed = speeds[int(rng.integers(len(speeds)))]
            if settings.stretch:
                heard = round(frames * rng.uniform(1.0 - settings.stretch, 1.0 + settings.stretch))
                played = np.empty((lead + heard, self._spec.n_mels), dtype=np.float32)
                self._window(clip, speed, rng, played)
                window[:lead] = played[:lead]
                window[lead:] = stretch(played[lead:], frames)
            else:
                self._window(clip, speed, rng, window)
            if settings.silence and rng.random() < settings.silence:
                cut(window[lead:], rng)
                if not window[lead].any():
                    window[:lead] = 0
        return drawn

    def _window(self, clip: int, speed: float, rng: np.random.Generator, out: Float32) -> None:
        """Powers of a random piece of a clip into `out` [lead + frames, n_mels]."""
        spec, log_mel, lead = self._spec, self._log_mel[speed][clip], self._transform.lead
        rows = out[lead:]
        frames = len(rows)
        first, last = self._extents[speed].get(clip, (0, frames + 1))
        if last - first <= frames:
            place(to_power(log_mel[first:last], spec), rng, rows)
            out[:lead] = rows[:lead]
            return
        start = louder(self._energies[speed][clip], rng)
        out[:lead] = self._transform.before(log_mel, start)
        to_power(piece(log_mel, start, frames), spec, out=rows)


def normalize(features: Float32, recipe: Recipe) -> Float32:
    """`(features - mean) / std` with the recipe's constants; the same shape."""
    constants = recipe.normalization
    return (features - np.float32(constants.mean)) * np.float32(1.0 / constants.std)


def mask_values(features: Float32, recipe: Recipe) -> Float32 | None:
    """What masks set the normalised features [batch, frames, n_mels] of each example to; None: 0.

    A network from elsewhere may take its features as they are, and then 0 is no mean but a loud sound: the example's
    own mean stands for it.
    """
    if recipe.normalization.mean:
        return None
    means: Float32 = features.mean(axis=(1, 2))
    return means
