"""How far the fixed-point front end is from librosa in float64, measured cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.features.fixed import FixedFrontend
from stapes.features.librosa_reference import librosa_values
from stapes.features.tables import LOG_UNIT, OutputQuantization
from stapes.recipe import FrontendSpec

Pcm = npt.NDArray[np.int16]

HISTOGRAM_EDGES = tuple(10.0**exponent for exponent in range(-8, 1))
"""Edges of the histogram of absolute errors, in nat; what lies outside counts in the outermost bins."""


def quieter(pcm: Pcm, decibels: float = 40.0) -> Pcm:
    """`pcm` (int16[n]) that much quieter, rounded to 16 bits again."""
    quiet: Pcm = np.rint(pcm * 10.0 ** (-decibels / 20.0)).astype(np.int16)
    return quiet


class ParityMeter:
    """Gathers errors over clips."""

    def __init__(self, spec: FrontendSpec, output: OutputQuantization) -> None:
        self.frontend = FixedFrontend(spec)
        self.output = output
        # From the log's unit to natural logarithms of power; MFCC and PCEN stay in their own unit.
        plain = not (spec.n_mfcc or spec.pcen)
        self._nat = 1.0 if spec.pcen else math.log(2.0) / LOG_UNIT[spec.log]
        self._above = (math.log2(spec.log_floor) + 1.0) * LOG_UNIT[spec.log] if plain else -math.inf
        self.cells = self.equal = self.cells_above = self.equal_above = 0
        self.max_step = 0
        self.max_error = 0.0
        self._sum = self._squares = self._error_squares = self._error_sum = 0.0
        self._histogram = np.zeros(len(HISTOGRAM_EDGES) - 1, np.int64)

    def add(self, pcm: Pcm) -> None:
        """Measure one clip, int16[n]; a clip without a complete frame adds nothing."""
        spec, output = self.frontend.spec, self.output
        reference = librosa_values(pcm, spec)
        if reference.size == 0:
            return
        mean, std = np.asarray(output.mean), np.asarray(output.std)
        exact = np.rint((reference - mean) / std / output.scale) + output.zero_point
        step = np.abs(self.frontend.features(pcm, output) - np.clip(exact, -128, 127))
        above = reference > self._above
        self.cells += step.size
        self.equal += int(np.sum(step == 0))
        self.cells_above += int(np.sum(above))
        self.equal_above += int(np.sum((step == 0) & above))
        self.max_step = max(self.max_step, int(step.max()))
        error = np.abs(self.frontend.values(pcm) - reference) * self._nat
        reference = reference * self._nat
        self.max_error = max(self.max_error, float(error.max()))
        self._sum += float(reference.sum())
        self._squares += float(np.square(reference).sum())
        self._error_sum += float(error.sum())
        self._error_squares += float(np.square(error).sum())
        inside = np.clip(error, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
        self._histogram += np.histogram(inside, HISTOGRAM_EDGES)[0]

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes frontend parity --json`.

        `snr_db` is the variance of the reference over the mean squared error: a constant level is no signal.
        """
        cells = max(self.cells, 1)
        signal = self._squares - self._sum**2 / cells
        snr = 10.0 * math.log10(signal / self._error_squares) if signal > 0 < self._error_squares else None
        return {
            "cells": self.cells,
            "int8_equal_fraction": self.equal / cells,
            "int8_equal_fraction_above_floor": self.equal_above / max(self.cells_above, 1),
            "int8_max_step": self.max_step,
            "snr_db": snr,
            "max_abs_error_nat": self.max_error,
            "mean_abs_error_nat": self._error_sum / cells,
            "histogram": {"edges_nat": list(HISTOGRAM_EDGES), "counts": self._histogram.tolist()},
        }


def parity(clips: Iterable[Pcm], spec: FrontendSpec, output: OutputQuantization) -> dict[str, Any]:
    """Parity over `clips` (int16[n] each), and under "quiet" over the same clips 40 dB quieter."""
    normal, quiet = ParityMeter(spec, output), ParityMeter(spec, output)
    for pcm in clips:
        normal.add(pcm)
        quiet.add(quieter(pcm))
    return {**normal.as_json(), "quiet": quiet.as_json()}
