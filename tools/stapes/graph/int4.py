"""Constants of four bits: how a .tflite packs them, two in a byte, the low half first; and which steps they have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST, GREATEST = -8, 7
CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Shares of the largest weight of a channel of which one becomes its `GREATEST`."""


MOST = 0.8
"""Share of a network's weights that its largest layers, those of four bits, have together, or more."""


def largest(sizes: Sequence[int]) -> tuple[int, ...]:
    """Places of the layers of four bits among all layers with weights, whose sizes are given: the largest ones until
    they hold `MOST` of all weights. The first and the last layer, small as a rule, are never among them.
    """
    order = sorted(range(1, len(sizes) - 1), key=lambda place: -sizes[place])
    before = np.cumsum([0, *(sizes[place] for place in order)])
    return tuple(
        sorted(place for place, held in zip(order, before, strict=False) if held < MOST * sum(sizes))
    )


def int4_steps(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The step for each row of weights [channels, n]: that of `CLIPS` which leaves the least squared error."""
    largest = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-30).astype(np.float64)
    steps = [clip * largest / GREATEST for clip in CLIPS]
    errors = [
        ((round_int4(weights, step) * step - weights) ** 2).sum(axis=1, keepdims=True) for step in steps
    ]
    best = np.argmin(errors, axis=0)
    return np.take_along_axis(np.array(steps), best[None], axis=0)[0, :, 0]


def round_int4(weights: npt.NDArray[np.floating], step: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Weights in steps, symmetric: from -7 to 7."""
    return np.clip(np.rint(weights / step), -GREATEST, GREATEST)


def unpack_int4(packed: npt.NDArray[np.generic]) -> npt.NDArray[np.int8]:
    """Two int8 of -8 … 7 for every byte."""
    pairs = np.stack([packed.view(np.int8) << 4, packed.view(np.int8)], axis=-1) >> 4
    values: npt.NDArray[np.int8] = pairs.reshape(-1)
    return values


def pack_int4(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Bytes for the values, all of -8 … 7, in their order; an odd one is filled up with a 0."""
    flat = values.reshape(-1)
    if flat.size and (int(flat.min()) < LEAST or int(flat.max()) > GREATEST):
        raise ValueError(f"values from {flat.min()} to {flat.max()} do not fit four bits")
    even = np.append(flat, np.zeros(flat.size % 2, flat.dtype)).astype(np.uint8) & 15
    return (even[0::2] | even[1::2] << 4).astype(np.uint8)
