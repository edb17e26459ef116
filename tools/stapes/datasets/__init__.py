"""Recordings to labelled 16-bit PCM."""

from stapes.datasets.audio import AudioInfo, Span, audio_info, read_audio
from stapes.datasets.dataset import Clip, Dataset, remembered
from stapes.datasets.esc50 import ESC10_LABELS
from stapes.datasets.noise import noise_clips
from stapes.datasets.open import open_dataset
from stapes.datasets.synthetic import synthetic_clips

__all__ = [
    "ESC10_LABELS",
    "AudioInfo",
    "Clip",
    "Dataset",
    "Span",
    "audio_info",
    "noise_clips",
    "open_dataset",
    "read_audio",
    "remembered",
    "synthetic_clips",
]
