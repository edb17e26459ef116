"""A clip for the eye and the ear: the device's features as a picture, its samples as a sound."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.features import FixedFrontend
from stapes.recipe import FrontendSpec
from stapes.report.picture import HEAT, palette, png

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Heard:
    """A clip as data URIs, for a page that needs no other file."""

    picture: str
    sound: str

    @classmethod
    def of(cls, pcm: Pcm, spec: FrontendSpec) -> Heard:
        """What a device with this front end gets of int16[n]."""
        picture, sound = spectrogram(pcm, spec), wav(pcm, spec.sample_rate)
        return cls(
            "data:image/png;base64," + base64.b64encode(picture).decode(),
            "data:audio/wav;base64," + base64.b64encode(sound).decode(),
        )


def wav(pcm: Pcm, sample_rate: int) -> bytes:
    """int16[n] as a WAV file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(pcm.astype("<i2").tobytes())
    return stream.getvalue()


def spectrogram(pcm: Pcm, spec: FrontendSpec) -> bytes:
    """The device's features of int16[n] as a PNG, a pixel each: time to the right, high bands on top, all colours
    between the least and the greatest.
    """
    missing = max(0, spec.frame_length - len(pcm))
    values = FixedFrontend(spec).log_mel_float(np.concatenate([pcm, np.zeros(missing, np.int16)]))
    low, high = float(values.min()), float(values.max())
    pixels = np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return png(np.ascontiguousarray(pixels.T[::-1]), palette(HEAT))
