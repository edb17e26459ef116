"""Clips that come from files: whole recordings, or pieces of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from stapes.datasets.audio import Span, read_audio
from stapes.datasets.dataset import Clip, Pcm
from stapes.files import sha256_file


def recorded_clip(
    path: Path,
    *,
    name: str,
    label: str,
    fold: int,
    sample_rate: int,
    span: Span | None = None,
    gain: float = 1.0,
    foreground: bool | None = None,
    also: tuple[str, ...] = (),
    group: str = "",
) -> Clip:
    """A clip of `path`, read when it is asked for; `gain` (at most 1) scales its samples."""
    return Clip(
        name=name,
        label=label,
        fold=fold,
        identity=partial(_identity, path, span, gain),
        read=partial(_read, path, sample_rate, span, gain),
        path=path,
        foreground=foreground,
        also=also,
        span=span,
        group=group,
    )


def padded(clip: Clip, seconds: float, sample_rate: int) -> Clip:
    """The same clip, in the middle of `seconds` (at its own speed) of silence where it is shorter.

    In the middle, because on a device silence comes before a sound as well, and several windows hear all of it.
    """
    return replace(
        clip,
        identity=lambda: f"{clip.identity()} within {seconds}",
        read=lambda speed: _pad(clip.read(speed), round(seconds * sample_rate / speed)),
    )


def _pad(pcm: Pcm, samples: int) -> Pcm:
    missing = max(0, samples - len(pcm))
    return np.pad(pcm, (missing // 2, missing - missing // 2))


def _read(path: Path, sample_rate: int, span: Span | None, gain: float, speed: float) -> Pcm:
    pcm = read_audio(path, sample_rate, speed=speed, span=span)
    return pcm if gain == 1.0 else np.rint(pcm * gain).astype(np.int16)


def _identity(path: Path, span: Span | None, gain: float) -> str:
    status = path.stat()
    digest = _hash(path, status.st_size, status.st_mtime_ns)
    return digest if span is None and gain == 1.0 else f"{digest} {span} {gain}"


@cache
def _hash(path: Path, size: int, modified: int) -> str:
    """Of the content; many pieces may come from one file."""
    return sha256_file(path)
