"""Measure the sine in a signal."""

from typing import Any

import numpy as np
import numpy.typing as npt


def fit_sine(signal: npt.NDArray[Any], frequency: float, rate: float) -> tuple[float, float, float]:
    """Amplitude of the sine in `signal`, its ratio to all else but the mean in dB, and the mean."""
    phase = 2 * np.pi * frequency / rate * np.arange(len(signal))
    matrix = np.stack([np.sin(phase), np.cos(phase), np.ones(len(signal))], axis=1)
    parts = np.linalg.lstsq(matrix, signal.astype(np.float64), rcond=None)[0]
    noise = signal - matrix @ parts
    power = (parts[0] ** 2 + parts[1] ** 2) / 2
    return float(np.sqrt(2 * power)), float(10 * np.log10(power / np.mean(noise**2))), float(parts[2])
