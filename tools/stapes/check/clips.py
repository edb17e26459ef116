"""Which clips to run: recordings where there are any, else the deterministic synthetic ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stapes.datasets import Clip, Dataset, open_dataset, remembered, synthetic_clips
from stapes.recipe import Bundle, load_recipe

SYNTHETIC_SECONDS = 5.0
KEPT_BYTES = 256 << 20
"""Of samples that were decoded to see whether they can be, and will be needed again: more than two hours at 16 kHz."""


@dataclass(frozen=True)
class ClipSet:
    """Clips, and one word on where they come from; the network was not trained on those named in `held_out`."""

    source: str
    clips: Sequence[Clip]
    held_out: frozenset[str] = frozenset()


def spread(clips: Sequence[Clip], count: int | None, held_out: int | None) -> list[Clip]:
    """`count` clips, the held-out fold's first, taken from every class in turn; all of them when None."""
    groups: dict[tuple[bool, str], list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: clip.name):
        groups.setdefault((clip.fold != held_out, clip.label), []).append(clip)
    ordered: list[Clip] = []
    for other in (False, True):
        columns = [groups[key] for key in sorted(groups) if key[0] is other]
        longest = max((len(column) for column in columns), default=0)
        ordered += [column[i] for i in range(longest) for column in columns if i < len(column)]
    return ordered[:count]


def select_clips(bundle: Bundle, data: Path | None, count: int | None) -> ClipSet:
    """Clips to check `bundle` with: from the directory `data`, or synthetic ones (20 unless `count` says else).

    Raises one `DataError` that names every recording that cannot be read.
    """
    manifest = bundle.manifest
    if data is None:
        clips = synthetic_clips(
            manifest.labels, count or 20, manifest.frontend.sample_rate, SYNTHETIC_SECONDS, seed=1
        )
        return ClipSet("synthetic", clips)
    recipe = load_recipe(bundle.directory / "recipe.toml")
    dataset = open_dataset(
        data, recipe.dataset, manifest.frontend.sample_rate, for_training=False, tagging=recipe.tagging
    )
    chosen = remembered(spread(dataset.clips, count, recipe.dataset.test_fold), KEPT_BYTES)
    Dataset(tuple(chosen), dataset.sample_rate).check()
    final = bool(bundle.metrics().get("final"))  # has heard every fold
    # A check compares one class with the label: of tags that says nothing.
    judges = not final and not recipe.tagging
    held_out = (clip.name for clip in chosen if clip.fold == recipe.dataset.test_fold and judges)
    return ClipSet(str(data), chosen, frozenset(held_out))
