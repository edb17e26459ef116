"""A clip for the eye and the ear: the device's features as a picture, its samples as a sound."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.datasets import Clip
from stapes.datasets.audio import wav_bytes
from stapes.features import FixedFrontend
from stapes.progress import Progress, no_progress
from stapes.recipe import FrontendSpec
from stapes.report.picture import HEAT, palette, png

Pcm = npt.NDArray[np.int16]

SMALL_BYTES = 4 << 20
"""Sounds of a page that nobody asked for: 26 clips of five seconds at 16 kHz."""


@dataclass(frozen=True)
class Heard:
    """A clip as data URIs, for a page that needs no other file; `sound` may be empty."""

    picture: str
    sound: str

    @classmethod
    def of(cls, pcm: Pcm, spec: FrontendSpec, *, sound: bool = True) -> Heard:
        """What a device with this front end gets of int16[n]."""
        picture = base64.b64encode(spectrogram(pcm, spec)).decode()
        audio = base64.b64encode(wav_bytes(pcm, spec.sample_rate)).decode() if sound else ""
        return cls(f"data:image/png;base64,{picture}", audio and f"data:audio/wav;base64,{audio}")


def hear(
    clips: Sequence[Clip], spec: FrontendSpec, *, sound: bool, progress: Progress = no_progress
) -> dict[str, Heard]:
    """Each clip by its name: all pictures, and all sounds or the first ones that are small together."""
    heard: dict[str, Heard] = {}
    bytes_left = SMALL_BYTES
    for clip in clips:
        progress("pictures of the clips", len(heard), len(clips))
        pcm = clip.pcm
        bytes_left -= pcm.nbytes
        heard[clip.name] = Heard.of(pcm, spec, sound=sound or bytes_left >= 0)
    return heard


def spectrogram(pcm: Pcm, spec: FrontendSpec) -> bytes:
    """The device's features of int16[n], before they become int8, as a PNG, a pixel each: time to the right, high
    bands on top, all colours between the least and the greatest.
    """
    missing = max(0, spec.frame_length - len(pcm))
    values = FixedFrontend(spec).values(np.concatenate([pcm, np.zeros(missing, np.int16)]))
    low, high = float(values.min()), float(values.max())
    pixels = np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return png(np.ascontiguousarray(pixels.T[::-1]), palette(HEAT))
