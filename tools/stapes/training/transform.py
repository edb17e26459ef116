"""What a front end makes of mel powers: logarithms, MFCC or PCEN, in floating point.

Augmentation works on powers, so training keeps log-mel whatever the front end gives, and the rest follows here: of
whole clips, and of windows after augmentation.
"""

from __future__ import annotations

import numpy as np

from stapes.errors import RecipeError
from stapes.features import Tables
from stapes.recipe import FrontendSpec, Normalization, Recipe
from stapes.training.augment import Float32, to_log, to_power

_FORGOTTEN = 16
"""Time constants after which PCEN's smoothing does not know what was before: e^-16."""


def require_trainable(recipe: Recipe) -> None:
    """Raise `RecipeError` for a front end that is not made of mel powers, or a normalisation that is of another one."""
    spec = recipe.frontend
    if spec.micro:
        raise RecipeError(
            "frontend.micro: training augments mel powers, which this front end does not give back",
            hint="train with log-mel, MFCC or PCEN",
        )
    if spec.kind != "log-mel" and recipe.normalization == Normalization():
        raise RecipeError(
            f"normalization: the defaults are those of log-mel, and the front end gives {spec.kind}",
            hint="give [normalization] mean and std: about 0 and 10 for orthonormal MFCC, 0.5 and 0.5 for PCEN",
        )


def log_mel_of(spec: FrontendSpec) -> FrontendSpec:
    """The front end that gives the log-mel features below `spec`'s."""
    plain = {"n_mfcc": 0, "lifter": 0, "dct_norm": "ortho", "pcen": None}
    # PCEN has no logarithm: a clamp would hide what lies below it.
    mode = "offset" if spec.pcen else spec.log_floor_mode
    return spec.model_copy(update={**plain, "log_floor_mode": mode})


class Transform:
    """From log-mel features or mel powers to the features of one front end; its constants are the device's."""

    def __init__(self, spec: FrontendSpec) -> None:
        self._spec, self._log_mel = spec, log_mel_of(spec)
        tables = Tables.build(spec)
        self._dct = (tables.dct * 2.0**-tables.dct_bits).astype(np.float32)
        self._smoothing = tables.pcen.smoothing * 2.0**-32 if tables.pcen else 0.0
        self.lead = 1 if spec.pcen else 0
        """Rows in front of a window's powers: of PCEN the level that it has smoothed before the window begins."""

    def of_clip(self, log_mel: Float32) -> Float32:
        """Features [frames, n_features] of a whole clip's log-mel features [frames, n_mels]."""
        if not self.lead:
            return self.of_log(log_mel)
        return self.of_power(self._opened(to_power(log_mel, self._log_mel)))

    def of_log(self, log_mel: Float32) -> Float32:
        """MFCC or log-mel [..., frames, n_features] of log-mel features [..., frames, n_mels]."""
        return log_mel @ self._dct.T if self._spec.n_mfcc else log_mel

    def of_power(self, power: Float32) -> Float32:
        """Features [..., frames, n_features] of mel powers [..., lead + frames, n_mels]."""
        pcen = self._spec.pcen
        if pcen is None:
            return self.of_log(to_log(power, self._log_mel))
        level = self._level(power)
        smooth = np.empty_like(level[..., 1:, :])
        state, share = level[..., 0, :], np.float32(self._smoothing)
        for frame in range(smooth.shape[-2]):
            state = state + share * (level[..., frame + 1, :] - state)
            smooth[..., frame, :] = state
        smooth += np.float32(pcen.eps)
        values = level[..., 1:, :] * smooth ** np.float32(-pcen.gain)
        values += np.float32(pcen.bias)
        result: Float32 = values ** np.float32(pcen.power)
        result -= np.float32(pcen.bias**pcen.power)
        return result

    def before(self, log_mel: Float32, start: int) -> Float32:
        """The lead of a clip's window that begins with frame `start`: powers [lead, n_mels]."""
        if not self.lead:
            return np.empty((0, log_mel.shape[1]), dtype=np.float32)
        if start == 0:
            return to_power(log_mel[:1], self._log_mel)
        count = min(start, 1 + int(_FORGOTTEN / self._smoothing))
        level = self._level(to_power(log_mel[start - count : start], self._log_mel))
        weights = self._smoothing * (1.0 - self._smoothing) ** np.arange(count - 1, -1, -1)
        weights[0] /= self._smoothing  # what it starts with counts whole
        smooth: Float32 = (weights @ level)[None].astype(np.float32)
        return np.square(smooth) if self._spec.spectrum == "magnitude" else smooth

    def _level(self, power: Float32) -> Float32:
        """What the bands sum up, which PCEN smooths."""
        return np.sqrt(power) if self._spec.spectrum == "magnitude" else power

    def _opened(self, power: Float32) -> Float32:
        """Powers with the lead of a recording that begins with them: smoothing starts with the first frame."""
        return np.concatenate([power[: self.lead], power])
