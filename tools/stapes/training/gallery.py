"""Every augmentation on one sound, strong enough to be seen: what the pictures in docs/training.md show."""

from __future__ import annotations

import numpy as np

from stapes.datasets import Clip
from stapes.features import FixedFrontend
from stapes.recipe import Recipe
from stapes.training.augment import (
    Float32,
    add_below,
    add_noise,
    cut,
    equaliser,
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
from stapes.training.batches import mask_values, normalize


def gallery(recipe: Recipe, first: Clip, second: Clip) -> list[tuple[str, Float32]]:
    """What was done, and the normalised features [frames, n_mels] of one window after it."""
    spec, frames = recipe.frontend, recipe.window.frames
    frontend = FixedFrontend(spec)

    def heard(clip: Clip, speed: float = 1.0) -> Float32:
        return to_power(frontend.log_mel_float(clip.at_speed(speed)), spec)

    def shown(power: Float32) -> Float32:
        return normalize(to_log(power, spec), recipe)

    whole, other = heard(first), heard(second)
    window = piece(whole, 0, frames)
    second_window = piece(other, 0, frames)
    random = np.random.default_rng(1)
    filled_up = window.copy()
    cut(filled_up, np.random.default_rng(1))
    shifted = window[None].copy()
    shift(shifted, np.array([6.0]))
    noisy = window[None].copy()
    add_noise(noisy, np.array([5.0]), np.array([-15.0]), random)
    among = window.copy()
    add_below(among, second_window, 5.0)
    coloured = window * equaliser(spec.n_mels, np.array([[12.0, -12.0, 12.0, -12.0, 12.0]]))[0]
    masked = shown(window)[None].copy()
    fill = mask_values(masked, recipe)
    mask(masked, 1, frames // 3, np.random.default_rng(5), fill)
    mask(masked, 2, spec.n_mels // 3, np.random.default_rng(5), fill)
    return [
        (f"as it is: {first.label}", shown(window)),
        (f"as it is: {second.label}", shown(second_window)),
        ("speed 1.25: faster and higher", shown(piece(heard(first, 1.25), 0, frames))),
        (
            "crop: the louder of two places",
            shown(piece(whole, louder(window_energies(whole, frames), random), frames)),
        ),
        ("stretch 0.5: slower, as high", shown(stretch(window[: frames // 2], frames))),
        ("silence around a random piece", shown(filled_up)),
        ("shift by 6 bands: higher, as fast", shown(shifted[0])),
        (
            "mix: one half of each as heard",
            shown(mix(window[None], second_window[None], np.array([0.5]))[0]),
        ),
        ("noise 5 dB below", shown(noisy[0])),
        (f"noise from a recording ({second.label}) 5 dB below", shown(among)),
        ("equaliser of 5 knots", shown(coloured)),
        ("gain of -12 dB", shown(window * np.float32(10**-1.2))),
        ("masks of time and bands", masked[0]),
    ]
