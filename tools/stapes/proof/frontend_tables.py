"""What a front end's tables must be: docs/front-end.md once more, apart from `features/tables.py`, in long doubles.

An entry is right where it is its definition's nearest integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.features import OutputQuantization
from stapes.proof.frontend_device import FrontendImage
from stapes.recipe import FrontendSpec

Real = npt.NDArray[np.floating[Any]]
Int64 = npt.NDArray[np.int64]

_HALF = 0.5 + 1e-3
"""An entry may be so far from its definition: a half, and what the other arithmetic errs."""


def _real(values: npt.ArrayLike) -> Real:
    return np.asarray(values, np.longdouble)


def _difference(name: str, got: Int64, wanted: Real, most: float = math.inf) -> str | None:
    """The first entry that is not the nearest integer, the greatest of which is `most`."""
    if got.size != wanted.size:
        return f"{got.size} entries of {name}, not {wanted.size}"
    got, wanted = got.reshape(-1), np.minimum(wanted.reshape(-1), most)
    wrong = np.abs(got - wanted) > _HALF
    if not wrong.any():
        return None
    at = int(np.flatnonzero(wrong)[0])
    return f"entry {at} of {name} is {got[at]}, not {int(np.rint(wanted[at]))}"


class Definition:
    """The constants of one specification."""

    def __init__(self, spec: FrontendSpec, output: OutputQuantization) -> None:
        self.spec, self.output = spec, output
        self.half = spec.n_fft // 2
        stages = (self.half.bit_length() - 2) // 2
        self.factor = 1 if spec.spectrum == "magnitude" else 2
        self.unit = 14 - stages + 24 if self.factor == 1 else 2 * (14 - stages)
        self.corners = self._corners()
        self.norm = _real(np.ones(spec.n_mels))
        if spec.mel_norm == "slaney":
            self.norm = 2 / (self.corners[2:] - self.corners[:-2])
        floor = spec.log_floor / self.norm
        self.width = math.frexp(float(floor.max()))[1]
        self.floor = floor * _real(2) ** (32 - self.width)
        self.floor_shift = self.unit + self.width - 32
        self.octave = {"ln": math.log(2), "db": 10 * math.log10(2), "log2": 1.0}[spec.log]

    def _to_mel(self, hz: Real) -> Real:
        if self.spec.mel_scale == "htk":
            return _real(2595 * np.log10(1 + hz / 700))
        above = 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(_real(6.4))
        return _real(np.where(hz < 1000, hz * 3 / 200, above))

    def _to_hz(self, mel: Real) -> Real:
        if self.spec.mel_scale == "htk":
            return _real(700 * (10 ** (mel / 2595) - 1))
        above = 1000 * np.exp(np.log(_real(6.4)) / 27 * (np.maximum(mel, 15) - 15))
        return _real(np.where(mel < 15, mel * 200 / 3, above))

    def _corners(self) -> Real:
        low, high = self._to_mel(_real([self.spec.fmin, self.spec.fmax]))
        corners = self._to_hz(
            low + (high - low) * _real(np.arange(self.spec.n_mels + 2)) / (self.spec.n_mels + 1)
        )
        corners[0], corners[-1] = self.spec.fmin, self.spec.fmax
        return corners

    def window(self, image: FrontendImage) -> str | None:
        """Half a window and its middle."""
        spec = self.spec
        turns = _real(np.arange(spec.frame_length // 2 + 1)) / spec.frame_length
        constant = {"hann": _real(1) / 2, "hamming": _real(54) / 100, "none": _real(1)}[spec.window]
        wanted = constant - (1 - constant) * np.cos(2 * _pi() * turns)
        return _difference("the window", image.window, wanted * 2.0**31, 2.0**31 - 1)

    def twiddles(self, image: FrontendImage) -> str | None:
        """Of the stages, and of the split."""
        many = _real(np.arange(self.half // 4))[:, None] * np.arange(1, 4) / self.half
        split = _real(np.arange(1, self.spec.n_fft // 4 + 1)) / self.spec.n_fft
        return _difference("the twiddles", image.twiddles, _turns(many), 2.0**31 - 1) or _difference(
            "the split's twiddles", image.split_twiddles, _turns(split), 2.0**31 - 1
        )

    def bands(self, image: FrontendImage) -> str | None:
        """Which bins are between which corners, and their weights."""
        spec, corners = self.spec, self.corners
        bins: Real = _real(np.arange(self.half + 1)) * spec.sample_rate / spec.n_fft
        first, counts = image.settings["first_bin"], image.counts
        if first < 1 or first + int(counts.sum()) > self.half:
            return f"bins {first} to {first + int(counts.sum()) - 1} are not those of a half spectrum"
        edges = first + np.concatenate([[0], np.cumsum(counts)])
        for segment, edge in enumerate(edges.tolist()):
            # A corner on a bin may be on either side of it.
            near = 1e-9 * float(corners[segment]) + 1e-9
            if bins[edge] < corners[segment] - near or (
                edge > 1 and bins[edge - 1] >= corners[segment] + near
            ):
                return f"segment {segment} begins at bin {edge}, and its corner is {float(corners[segment]):.3f} Hz"
        of = np.repeat(np.arange(spec.n_mels + 1), counts)
        at: Real = bins[first : first + len(of)]
        lines = corners
        if spec.mel_lines == "mel":
            at, lines = self._to_mel(at), self._to_mel(corners)
        weights = (at - lines[of]) / (lines[of + 1] - lines[of])
        return _difference("the weights", image.weights, np.maximum(weights, 0) * 2.0**32, 2.0**32 - 1)

    def logarithm(self, image: FrontendImage) -> str | None:
        """Its table, and the floor."""
        x = 1 + _real(np.arange(129)) / 128
        points = np.log2(x) + 1 / (16 * np.log(_real(2)) * (128 * x) ** 2)
        return _difference("the logarithm's table", image.log_table, points * 2.0**24) or _difference(
            "the floor", image.bands[:, 1], self.floor, 2.0**32 - 1
        )

    def features(self, image: FrontendImage) -> str | None:
        """Gain and bias of each, and the DCT."""
        spec, output = self.spec, self.output
        step = _real(np.broadcast_to(np.asarray(output.std), spec.n_features)) * _real(output.scale)
        gain = (1 if spec.pcen else _real(self.octave)) / step
        offset = np.log2(self.norm) - self.unit
        if spec.n_mfcc:
            order, band = np.arange(spec.n_mfcc)[:, None], np.arange(spec.n_mels)
            dct = np.cos(_pi() * order * (2 * band + 1) / (2 * spec.n_mels)) * 2
            if spec.dct_norm != "none":
                dct = dct / np.sqrt(_real(2 * spec.n_mels))
            if spec.dct_norm == "ortho":
                dct[0] /= np.sqrt(_real(2))
            if spec.lifter:
                dct = dct * (1 + _real(spec.lifter) / 2 * np.sin(_pi() * (order + 1) / spec.lifter))
            bits = image.settings["dct_bits"]
            wrong = _difference("the DCT", image.dct, dct * _real(2) ** bits)
            if wrong:
                return wrong
            offset = image.dct @ offset / _real(2) ** bits
        if spec.pcen:
            offset = _real(np.zeros(spec.n_features))
        bits = 20 if spec.n_mfcc or spec.pcen else 24
        bias = output.zero_point + _real(0.5) + gain * offset - _real(np.asarray(output.mean)) / step
        return _difference("the gains", image.scaling[:, 0], gain * _real(2) ** bits) or _difference(
            "the biases", image.scaling[:, 1], bias * 2.0**16
        )

    def settings(self, image: FrontendImage) -> str | None:
        """Numbers, and functions."""
        spec, half = self.spec, self.half
        conditioned = bool(spec.pre_emphasis or spec.remove_dc)
        full = spec.frame_length == spec.n_fft and half.bit_length() % 2 == 1
        wanted = {
            "frame_length": spec.frame_length,
            "hop_length": spec.hop_length,
            "n_fft": spec.n_fft,
            "n_mels": spec.n_mels,
            "n_features": spec.n_mfcc or spec.n_mels,
            "exponent_factor": self.factor,
            "floor_clamp": int(spec.log_floor_mode == "clamp"),
            "floor_shift": self.floor_shift,
            "max_exponent": 29 if spec.pcen else min((30 - self.floor_shift) // self.factor, 29),
            "emphasis": round(spec.pre_emphasis * 2**15),
            "reciprocal": round(2**31 / spec.frame_length) if spec.remove_dc else 0,
        }
        for name, right in wanted.items():
            if image.settings[name] != right:
                return f"{name} is {image.settings[name]}, not {right}"
        if image.load == "full" and not full:
            return "frames are loaded as if they were as long as a transform whose half is a power of four"
        if (image.load == "conditioned") != conditioned or image.load == "another":
            return f"frames are loaded by {image.load}"
        if image.finish != ("mfcc" if spec.n_mfcc else "pcen" if spec.pcen else "log"):
            return f"rows are finished by {image.finish}"
        return None if image.magnitude == (self.factor == 1) else "powers and magnitudes are mistaken"


def _pi() -> np.longdouble:
    return np.longdouble("3.14159265358979323846264338327950288")


def _turns(turns: Real) -> Real:
    angle = 2 * _pi() * turns
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1) * _real(2) ** 31


CHECKS: tuple[tuple[str, Callable[[Definition, FrontendImage], str | None]], ...] = (
    ("window", Definition.window),
    ("transform", Definition.twiddles),
    ("bands", Definition.bands),
    ("logarithm", Definition.logarithm),
    ("features", Definition.features),
)
"""Of each row of a front end's proof its constants; settings besides."""
