"""Weights in the order that the inner loops of firmware/runtime want them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]


def patch_order(segments: int, segment_size: int) -> npt.NDArray[np.int64]:
    """Which element of a patch (runs one after the other) comes when the kernel has gathered it; -1: padding.

    Runs of even length are unpacked by words of four in the order 0 2 1 3 (what SXTB16 gives); runs of odd
    length are copied, and an odd total is filled up with one zero.
    """
    if segment_size % 2:
        total = segments * segment_size
        return np.array([*range(total), *([-1] if total % 2 else [])], dtype=np.int64)
    run: list[int] = []
    for start in range(0, segment_size - segment_size % 4, 4):
        run += [start, start + 2, start + 1, start + 3]
    run += range(segment_size - segment_size % 4, segment_size)
    return np.concatenate([np.array(run, dtype=np.int64) + s * segment_size for s in range(segments)])


def pack_pairs(weights: Int8, order: npt.NDArray[np.int64]) -> Int8:
    """Interleave weights [channels, patch] for stapes_dot: of two channels and two inputs, a0 b0 a1 b1.

    A missing last channel and padding inputs are zero weights.
    """
    channels = weights.shape[0]
    padded = np.zeros((channels + channels % 2, weights.shape[1] + 1), dtype=np.int8)
    padded[:channels, :-1] = weights
    ordered = padded[:, order]
    pairs = ordered.reshape(-1, 2, len(order) // 2, 2)
    return np.ascontiguousarray(pairs.transpose(0, 2, 3, 1)).reshape(-1)


def pack_depthwise(weights: Int8, quads: int) -> npt.NDArray[np.int16]:
    """Depthwise weights [height, width, channels] as int16.

    First groups of four channels: for each tap column and pair of rows (a zero row fills up an odd height),
    per channel both rows' weights, doubled, which saves the shift before the multiplier. Then the remaining
    channels one by one, all taps in their order.
    """
    height, width, channels = weights.shape
    wide = weights.astype(np.int16)
    even = np.zeros((height + height % 2, width, 4 * quads), dtype=np.int16)
    even[:height] = 2 * wide[:, :, : 4 * quads]
    # [pair, row of the pair, width, quad, channel] to [quad, width, pair, channel, row of the pair]
    grouped = even.reshape(-1, 2, width, quads, 4).transpose(3, 2, 0, 4, 1)
    rest = wide[:, :, 4 * quads :].transpose(2, 0, 1)
    assert rest.shape[0] == channels - 4 * quads
    return np.concatenate([grouped.reshape(-1), rest.reshape(-1)])
