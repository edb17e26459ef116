"""Recordings of noise that training puts under the sounds: any tree of audio files, without labels."""

from __future__ import annotations

from pathlib import Path

from stapes.datasets.audio import Span, audio_info
from stapes.datasets.dataset import Clip
from stapes.datasets.division import cut
from stapes.datasets.own import recordings
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import require_directory
from stapes.errors import DataError

PIECE_SECONDS = 60.0
"""Longer recordings are cut into pieces of about this: only one is in memory at a time."""

_HINT = "give a directory of recordings of noise"


def noise_clips(directory: Path, sample_rate: int) -> list[Clip]:
    """Every recording below `directory`, by path, long ones in pieces; raises `DataError` where there is none.

    Bad files are among them: what is wrong is said when they are read, for all of them together.
    """
    require_directory(directory, _HINT)
    clips = []
    for path in recordings(directory):
        spans: list[Span | None] = [None]
        try:
            pieces = cut(Span(0.0, audio_info(path).seconds), PIECE_SECONDS)
        except DataError:
            pieces = []
        if len(pieces) > 1:
            spans = [*pieces]
        for number, span in enumerate(spans, start=1):
            name = path.relative_to(directory).as_posix() + (f"#{number}" if span else "")
            clips.append(
                recorded_clip(path, name=name, label="noise", fold=0, sample_rate=sample_rate, span=span)
            )
    if not clips:
        raise DataError(f"{directory}: no recordings of noise", hint=_HINT)
    return clips
