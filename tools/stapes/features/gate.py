"""The front end under other settings and under hard signals, each measured against librosa in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.features.fixed import FixedFrontend
from stapes.features.librosa_reference import librosa_values
from stapes.features.mel import hz_to_mel, mel_to_hz
from stapes.features.parity import ParityMeter
from stapes.features.tables import LOG_UNIT, OutputQuantization
from stapes.features.window import LEAST_DEVIATION, WindowOutput, normalize_window
from stapes.recipe import FrontendSpec, PcenSpec

Pcm = npt.NDArray[np.int16]

WINDOW = "normalised per window"
"""Gate of `normalize_window`, beside those of `SETTINGS`."""

SETTINGS: dict[str, FrontendSpec] = {
    "default": FrontendSpec(),
    "8 kHz, 256 points, 32 bands": FrontendSpec(
        sample_rate=8000, n_fft=256, frame_length=256, hop_length=128, n_mels=32, fmax=3900.0
    ),
    "22.05 kHz, 1024 points, HTK": FrontendSpec(
        sample_rate=22050, n_fft=1024, frame_length=1024, hop_length=512, mel_scale="htk", fmax=11025.0
    ),
    "44.1 kHz, 2048 points, 128 bands": FrontendSpec(
        sample_rate=44100, n_fft=2048, frame_length=2048, hop_length=512, n_mels=128, fmin=20.0, fmax=20000.0
    ),
    "48 kHz, 4096 points, 80 bands": FrontendSpec(
        sample_rate=48000, n_fft=4096, frame_length=2400, hop_length=1200, n_mels=80, fmax=24000.0
    ),
    "25 ms every 10 ms, 40 bands": FrontendSpec(frame_length=400, hop_length=160, n_mels=40),
    "1024 points, 80 bands, Hamming": FrontendSpec(
        n_fft=1024, frame_length=1024, hop_length=256, n_mels=80, window="hamming"
    ),
    "128 bands of 512 points": FrontendSpec(n_mels=128, fmin=0.0, fmax=8000.0),
    "no window": FrontendSpec(window="none"),
    "HTK, no norm, dB, clamped": FrontendSpec(
        mel_scale="htk", mel_norm="none", log="db", log_floor=1e-8, log_floor_mode="clamp"
    ),
    "magnitude, log2": FrontendSpec(spectrum="magnitude", log="log2", log_floor=1e-4),
    "pre-emphasis": FrontendSpec(pre_emphasis=0.97),
    "mean removed": FrontendSpec(remove_dc=True),
    "13 MFCC": FrontendSpec(n_mfcc=13, n_mels=40),
    "20 MFCC, lifter, dB": FrontendSpec(n_mfcc=20, lifter=22, log="db", n_mels=128, n_fft=1024, frame_length=1024),
    "YAMNet: HTK with lines over mel, magnitude": FrontendSpec(
        frame_length=400, hop_length=160, spectrum="magnitude", mel_scale="htk", mel_norm="none", mel_lines="mel",
        fmin=125.0, fmax=7500.0, log_floor=1e-3,
    ),
    "10 MFCC as TensorFlow scales them": FrontendSpec(
        frame_length=480, spectrum="magnitude", mel_scale="htk", mel_norm="none", mel_lines="mel", n_mels=40,
        fmin=20.0, fmax=4000.0, n_mfcc=10, dct_norm="tf",
    ),
    "PCEN": FrontendSpec(pcen=PcenSpec()),
    "PCEN of magnitudes, 22.05 kHz": FrontendSpec(
        sample_rate=22050, n_fft=1024, frame_length=1024, hop_length=512, spectrum="magnitude",
        fmax=11025.0, pcen=PcenSpec(gain=0.9, bias=0.5, time_constant=0.1, eps=1e-4),
    ),
}  # fmt: skip


def extremes(spec: FrontendSpec) -> dict[str, Pcm]:
    """Signals that break careless arithmetic; int16[a few frames or more] each."""
    length = spec.frame_length + 12 * spec.hop_length
    index = np.arange(length)
    random = np.random.default_rng(1)
    noise = random.standard_normal(length)
    bursts = noise * np.exp(-((index % (length // 3)) / (length / 20)))
    signals = {
        "digital silence": np.zeros(length),
        "square wave, full scale": np.where(index // 37 % 2 == 1, 32767, -32768),
        "one-sample impulse": 32767 * (index == length // 2),
        "sine through every band edge": _band_edge_sines(spec),
        "noise at -90 dBFS": noise * 32768 * 10 ** (-90 / 20),
        "clipped bursts": bursts * 300000,
        "INT16_MIN": np.full(length, -32768),
    }
    return {name: np.clip(np.rint(x), -32768, 32767).astype(np.int16) for name, x in signals.items()}


def _band_edge_sines(spec: FrontendSpec) -> npt.NDArray[np.float64]:
    ends = hz_to_mel(np.array([spec.fmin, spec.fmax]), spec.mel_scale)
    edges = mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2), spec.mel_scale)
    time = np.arange(spec.frame_length + spec.hop_length) / spec.sample_rate
    return np.asarray(32767.0 * np.sin(2.0 * np.pi * edges[:, None] * time)).reshape(-1)


def gate(
    recordings: Callable[[int], Iterable[Pcm]], chosen: Sequence[str] = (*SETTINGS, WINDOW)
) -> dict[str, Any]:
    """Parity of every setting over `recordings(sample_rate)`, and the largest int8 step for every extreme.

    The int8 scale of each setting is fitted to its recordings: mean, standard deviation, 32 steps for one.
    """
    results = {}
    for name, spec in ((name, SETTINGS[name]) for name in chosen if name != WINDOW):
        clips = list(recordings(spec.sample_rate))
        meter = ParityMeter(spec, fitted_output(clips, spec))
        for pcm in clips:
            meter.add(pcm)
        steps = {}
        for signal, pcm in extremes(spec).items():
            hard = ParityMeter(spec, meter.output)
            hard.add(pcm)
            steps[signal] = hard.max_step
        results[name] = {"spec": spec.model_dump(mode="json"), **meter.as_json(), "extremes_max_step": steps}
    if WINDOW in chosen:
        results[WINDOW] = _window_gate(list(recordings(FrontendSpec().sample_rate)))
    return {
        "settings": results,
        "snr_db_least": min(result["snr_db"] or math.inf for result in results.values()),
        "int8_max_step": max(
            max(result["int8_max_step"], *result["extremes_max_step"].values()) for result in results.values()
        ),
    }


def _normalized(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    std = float(values.std())
    constant = std < LEAST_DEVIATION * 2.0**-25 * LOG_UNIT["ln"]
    normalized: npt.NDArray[np.float64] = (values - values.mean()) / (math.inf if constant else std)
    return normalized


def _window_gate(clips: list[Pcm]) -> dict[str, Any]:
    """The default setting, every clip and every extreme a window of its own."""
    spec, output = FrontendSpec(), WindowOutput(1.0 / 32.0, 0)
    frontend = FixedFrontend(spec)

    def steps(pcm: Pcm) -> npt.NDArray[np.float64]:
        exact = np.rint(_normalized(librosa_values(pcm, spec)) / output.scale)
        return np.asarray(np.abs(normalize_window(frontend.log_mel(pcm), output) - np.clip(exact, -128, 127)))

    signal = np.concatenate([_normalized(librosa_values(pcm, spec)) for pcm in clips])
    error = np.concatenate([_normalized(frontend.values(pcm)) for pcm in clips]) - signal
    differences = np.concatenate([steps(pcm) for pcm in clips])
    return {
        "spec": spec.model_dump(mode="json"),
        "cells": differences.size,
        "int8_equal_fraction": float(np.mean(differences == 0)),
        "int8_max_step": int(differences.max()),
        "snr_db": 10.0 * math.log10(float(np.square(signal).sum() / np.square(error).sum())),
        "max_abs_error_nat": float(np.abs(error).max()),
        "extremes_max_step": {name: int(steps(pcm).max()) for name, pcm in extremes(spec).items()},
    }


def fitted_output(clips: list[Pcm], spec: FrontendSpec) -> OutputQuantization:
    """Normalisation as training would choose it: overall for bands, one by one for MFCC."""
    values = np.concatenate([librosa_values(pcm, spec) for pcm in clips])
    if spec.n_mfcc:
        std = np.maximum(values.std(axis=0), 1e-3)
        return OutputQuantization(values.mean(axis=0).tolist(), std.tolist(), 1.0 / 32.0, 0)
    return OutputQuantization(float(values.mean()), max(float(values.std()), 1e-3), 1.0 / 32.0, 0)
