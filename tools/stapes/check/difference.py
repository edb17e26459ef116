"""The first place where a device differs from the reference, and what kind of fault it looks like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Difference:
    """One difference: where (clip, window, stage, layer, index), what was expected, what came.

    `stage` is one of pcm, features, layer, scores, weight, decision. `index` is [row, column, channel] of a layer,
    [frame, band] of features, [class] of scores, [sample] of the PCM. `differing` of
    `total` values of that stage are wrong.
    """

    clip: str
    window: int | None
    stage: str
    layer: str | None
    index: tuple[int, ...] | None
    expected: int
    got: int
    differing: int
    total: int
    looks_like: str

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"clip {self.clip}"
        if self.window is not None:
            where += f", window {self.window}"
        where += f", {self.stage}"
        if self.layer is not None:
            where += f" {self.layer!r}"
        if self.index is not None:
            where += f" at {list(self.index)}"
        return (
            f"{where}: expected {self.expected}, got {self.got} "
            f"({self.differing} of {self.total} differ; {self.looks_like})"
        )


def classify(expected: npt.NDArray[np.generic], got: npt.NDArray[np.generic]) -> str:
    """What kind of fault a difference between two equal-shaped arrays looks like."""
    want, have = expected.astype(np.int64), got.astype(np.int64)
    wrong = want != have
    delta = have - want
    if not have.any() or (have == have.flat[0]).all():
        return "all one value: the stage did not run, or its buffer was never written"
    if want.ndim >= 2 and want.shape[0] > 2:
        for shift in (1, -1):
            shifted, kept = np.roll(have, shift, axis=0), slice(1, -1)
            if np.array_equal(shifted[kept], want[kept]):
                return "rows shifted by one"
        stale = [row for row in range(1, len(want)) if wrong[row].any()]
        if stale and all(np.array_equal(have[row], have[row - 1]) for row in stale):
            return "a row repeats the one before it: stale buffer"
    if want.ndim >= 1 and want.shape[-1] > 1:
        channels = np.unique(np.nonzero(wrong)[-1])
        if len(channels) == 2 and want.ndim >= 2:
            a, b = channels
            if np.array_equal(want[..., a], have[..., b]) and np.array_equal(want[..., b], have[..., a]):
                return f"channels {a} and {b} swapped"
        if len(channels) == 1:
            return f"only channel {channels[0]}: one weight, bias, multiplier or table entry"
    if np.abs(delta).max() == 1:
        return "one step: rounding"
    if np.array_equal(have[wrong], -want[wrong]):
        return "sign"
    offsets = np.unique(delta[wrong])
    if len(offsets) == 1:
        return f"a constant offset of {offsets[0]}: zero point or bias"
    if np.isin(have[wrong], (-128, 127)).all():
        return "saturated"
    if wrong.mean() < 0.02:
        return "few values: a damaged constant or buffer"
    return "many values: wrong constants or wrong order"


def first_difference(
    expected: npt.NDArray[np.generic],
    got: npt.NDArray[np.generic],
    *,
    clip: str,
    window: int | None,
    stage: str,
    layer: str | None = None,
) -> Difference | None:
    """The first differing value in memory order, or None when the arrays are equal."""
    if expected.shape != got.shape:
        got = np.resize(got, expected.shape)
    wrong = expected != got
    if not wrong.any():
        return None
    flat = int(np.argmax(wrong.reshape(-1)))
    index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
    return Difference(
        clip=clip,
        window=window,
        stage=stage,
        layer=layer,
        index=index,
        expected=int(expected.reshape(-1)[flat]),
        got=int(got.reshape(-1)[flat]),
        differing=int(wrong.sum()),
        total=int(wrong.size),
        looks_like=classify(expected, got),
    )
