"""torchaudio's transforms, by the names of their arguments, as settings of the front end.

    [MelSpectrogram]                  torchaudio.transforms.MelSpectrogram(sample_rate=16000, n_fft=512, …)
    [MFCC] and [MelSpectrogram]       torchaudio.transforms.MFCC(…, melkwargs={…})
    [AmplitudeToDB]                   behind MelSpectrogram
    [log] kind, offset or clamp       torch.log(mel + offset), torch.log10(torch.clamp(mel, min=clamp))

What is left out has torchaudio's own default. torchaudio itself is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from stapes.errors import RecipeError
from stapes.features import LOG_UNIT, band_weights
from stapes.recipe import FrontendSpec

TABLES = ("MelSpectrogram", "MFCC", "AmplitudeToDB", "log")

_DEFAULTS: dict[str, dict[str, Any]] = {
    "MelSpectrogram": {
        "sample_rate": 16000,
        "n_fft": 400,
        "win_length": None,
        "hop_length": None,
        "f_min": 0.0,
        "f_max": None,
        "pad": 0,
        "n_mels": 128,
        "window_fn": "hann_window",
        "power": 2.0,
        "normalized": False,
        "center": True,
        "pad_mode": "reflect",
        "norm": "none",
        "mel_scale": "htk",
    },
    "MFCC": {"n_mfcc": 40, "dct_type": 2, "norm": "ortho", "log_mels": False},
    "AmplitudeToDB": {"stype": "power", "top_db": "none"},
    "log": {"kind": "ln", "offset": None, "clamp": None},
}
_WINDOWS = {"hann_window": "hann", "hamming_window": "hamming", "ones": "none"}
_AMIN = 1e-10
"""What AmplitudeToDB raises powers to."""

_MFCC_OFFSET = 1e-6
"""What MFCC(log_mels=True) adds to them."""

_LOGS = {"ln": ("ln", 1.0), "log2": ("log2", 1.0), "log10": ("db", 0.1)}
"""The front end's logarithm, and how much of its unit one of the other is."""


def from_torchaudio(
    tables: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], float, float, list[str]]:
    """`[frontend]` for these transforms; `scale` and `offset` with `theirs = scale * ours + offset`; what to know.

    Raises one `RecipeError` that names everything that cannot be had.
    """
    values = {name: {**_DEFAULTS[name], **tables.get(name, {})} for name in TABLES}
    problems = [
        f"{name}.{key} is no argument that is known here"
        for name in tables
        for key in tables[name]
        if key not in _DEFAULTS[name]
    ]
    if "MelSpectrogram" not in tables and "MFCC" not in tables:
        problems.append("[MelSpectrogram] is missing")
    if problems:
        raise RecipeError("; ".join(problems), hint="see docs/import.md for the tables and their keys")
    mel = values["MelSpectrogram"]
    notes: list[str] = []
    settings, factor, wrong = _mel(mel, notes)
    scale, offset = _log(tables, values, settings, factor, wrong)
    if "MFCC" in tables:
        _mfcc(values["MFCC"], settings, offset, wrong)
    if wrong:
        raise RecipeError(
            "; ".join(wrong), hint="change that in torchaudio and in this file, and train again"
        )
    return settings, scale, offset, notes


def _mel(mel: dict[str, Any], notes: list[str]) -> tuple[dict[str, Any], float, list[str]]:
    """Settings of the bands, what torchaudio divides them by, and what is wrong."""
    wrong: list[str] = []
    n_fft = mel["n_fft"]
    length = n_fft if mel["win_length"] is None else mel["win_length"]
    hop = length // 2 if mel["hop_length"] is None else mel["hop_length"]
    for key, allowed in (("pad", (0,)), ("window_fn", tuple(_WINDOWS)), ("power", (1.0, 2.0))):
        if mel[key] not in allowed:
            choices = " or ".join(str(value) for value in allowed)
            wrong.append(f"MelSpectrogram.{key} = {mel[key]} is not supported: use {choices}")
    if mel["normalized"] not in (False, True, "window", "frame_length"):
        wrong.append(f"MelSpectrogram.normalized = {mel['normalized']} is no argument of torchaudio")
    settings = {
        "sample_rate": mel["sample_rate"],
        "frame_length": length,
        "hop_length": hop,
        "n_fft": n_fft,
        "window": _WINDOWS.get(mel["window_fn"], "hann"),
        "spectrum": "magnitude" if mel["power"] == 1.0 else "power",
        "n_mels": mel["n_mels"],
        "mel_scale": mel["mel_scale"],
        "mel_norm": mel["norm"],
        "fmin": float(mel["f_min"]),
        "fmax": float(mel["sample_rate"] // 2 if mel["f_max"] is None else mel["f_max"]),
    }
    if mel["center"]:
        ends = math.ceil(n_fft / 2 / hop)
        notes.append(
            f"center = true: {ends} frames at either end of a training window saw the sound mirrored at its ends; the "
            "device hears what is there. All other frames are the same; center = False in torchaudio makes all so"
        )
    elif length < n_fft:
        notes.append(
            f"win_length = {length} < n_fft = {n_fft}: torchaudio's frames begin {(n_fft - length) // 2} samples later "
            "than the device's; they are the same otherwise"
        )
    if n_fft & (n_fft - 1):
        wrong.append(_no_power(settings))
    factor = 1.0
    if mel["normalized"] and not wrong:
        window = _window(settings["window"], length)
        total = n_fft if mel["normalized"] == "frame_length" else float(np.sum(window**2))
        factor = total if mel["power"] == 2.0 else math.sqrt(total)
    return settings, factor, wrong


def _window(kind: str, length: int) -> Any:
    turns = 2.0 * np.pi * np.arange(length) / length
    return {"hann": 0.5 - 0.5 * np.cos(turns), "hamming": 0.54 - 0.46 * np.cos(turns)}.get(
        kind, np.ones(length)
    )


def _no_power(settings: dict[str, Any]) -> str:
    """What to say of an n_fft that is no power of two: what to use, and how far that would be from it."""
    n_fft = settings["n_fft"]
    larger = 1 << (n_fft - 1).bit_length()
    text = (
        f"MelSpectrogram.n_fft = {n_fft} is no power of two: use n_fft = {larger} with win_length = "
        f"{settings['frame_length']}"
    )
    try:
        ours, theirs = (_bands(settings, size) for size in (larger, n_fft))
    except (ValueError, RecipeError):
        return text
    seen = np.isfinite(theirs) & np.isfinite(ours)
    apart = np.abs(ours[seen] - theirs[seen])
    text += (
        f" (the same sound's bands are then {apart.mean():.2f} nat away on average, {apart.max():.1f} at most"
    )
    empty = int(np.count_nonzero(~np.isfinite(theirs).any(axis=1)))
    return text + (f"; {empty} bands of {n_fft} points are empty)" if empty else ")")


def _bands(settings: dict[str, Any], n_fft: int) -> Any:
    """ln of the mel bands of a second of noise by a transform of any length; float64[n_mels, frames]."""
    length, hop = settings["frame_length"], settings["hop_length"]
    noise = np.random.default_rng(1).standard_normal(settings["sample_rate"]) * 0.1
    frames = np.lib.stride_tricks.sliding_window_view(noise, length)[::hop]
    spectrum = np.abs(np.fft.rfft(frames * _window(settings["window"], length), n=n_fft, axis=1))
    power = spectrum if settings["spectrum"] == "magnitude" else spectrum**2
    valid = FrontendSpec.model_validate({**settings, "n_fft": 1 << (n_fft - 1).bit_length()})
    with np.errstate(divide="ignore"):
        return np.log(band_weights(valid, n_fft) @ power.T)


def _log(
    tables: Mapping[str, Mapping[str, Any]],
    values: dict[str, dict[str, Any]],
    settings: dict[str, Any],
    factor: float,
    wrong: list[str],
) -> tuple[float, float]:
    """Put the logarithm into `settings`; `theirs = scale * ours + offset`. `factor` is what bands were divided by."""
    scale = 1.0
    if "log" in tables:
        log = values["log"]
        given = [key for key in ("offset", "clamp") if log[key] is not None]
        if log["kind"] not in _LOGS or len(given) != 1 or "AmplitudeToDB" in tables:
            wrong.append(f"[log] takes kind = {', '.join(_LOGS)}, and offset or clamp, and no AmplitudeToDB")
            return 1.0, 0.0
        settings["log"], scale = _LOGS[log["kind"]]
        settings["log_floor"], settings["log_floor_mode"] = float(log[given[0]]), given[0]
    elif "MFCC" in tables and values["MFCC"]["log_mels"]:
        settings |= {"log": "ln", "log_floor": _MFCC_OFFSET, "log_floor_mode": "offset"}
    elif "AmplitudeToDB" in tables or "MFCC" in tables:
        db = values["AmplitudeToDB"]
        if "AmplitudeToDB" not in tables:
            wrong.append(
                "MFCC(log_mels=False) raises every cell to 80 dB below the loudest of the whole clip, which a device "
                'listens cannot know: use log_mels = true, or [AmplitudeToDB] top_db = "none" here and '
                "mfcc.amplitude_to_DB.top_db = None in torchaudio (cells below that differ, no others)"
            )
        if db["top_db"] != "none":
            wrong.append(
                f"AmplitudeToDB.top_db = {db['top_db']} looks at the loudest cell of the whole clip, which a device "
                "that listens cannot know: use top_db = None (cells more than that below the loudest differ, no others)"
            )
        if db["stype"] not in ("power", "magnitude"):
            wrong.append(f"AmplitudeToDB.stype = {db['stype']} is neither power nor magnitude")
        scale = 2.0 if db["stype"] == "magnitude" else 1.0
        settings |= {"log": "db", "log_floor": _AMIN, "log_floor_mode": "clamp"}
    else:
        wrong.append(
            "there is no logarithm: add [AmplitudeToDB] or [log] behind MelSpectrogram, and train on that"
        )
        return 1.0, 0.0
    # log(mel / factor + floor) = log(mel + factor * floor) - log(factor)
    settings["log_floor"] *= factor
    return scale, -scale * LOG_UNIT[settings["log"]] * math.log2(factor)


def _mfcc(mfcc: dict[str, Any], settings: dict[str, Any], offset: float, wrong: list[str]) -> None:
    if mfcc["dct_type"] != 2:
        wrong.append(f"MFCC.dct_type = {mfcc['dct_type']} is not supported: use 2")
    if offset:
        wrong.append("MelSpectrogram.normalized is not supported with MFCC: use normalized = False")
    if mfcc["norm"] not in ("ortho", "none"):
        wrong.append(f'MFCC.norm = {mfcc["norm"]} is neither "ortho" nor "none"')
    if settings.get("log_floor") and settings.get("log") and not wrong:
        settings |= {"n_mfcc": mfcc["n_mfcc"], "dct_norm": mfcc["norm"]}
