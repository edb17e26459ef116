"""Weights in the order that the inner loops of firmware/runtime want them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]


def patch_order(runs: int, run_size: int) -> npt.NDArray[np.int64]:
    """Which element of a patch (runs one after the other) comes when the kernel has gathered it; -1: padding.

    Runs are unpacked by words of four in the order 0 2 1 3 (what SXTB16 gives) and then by two; the last
    elements of runs of odd length come after everything else, an odd number of them filled up with a zero.
    """
    even: list[int] = []
    for start in range(0, run_size - run_size % 4, 4):
        even += [start, start + 2, start + 1, start + 3]
    even += range(run_size - run_size % 4, run_size - run_size % 2)
    order = [run * run_size + element for run in range(runs) for element in even]
    if run_size % 2:
        order += [run * run_size + run_size - 1 for run in range(runs)]
        order += [-1] * (runs % 2)
    return np.array(order, dtype=np.int64)


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


def pack_depthwise(weights: Int8, quads: int) -> Int8:
    """Depthwise weights [height, width, channels] for stapes_depthwise_conv_2d.

    First groups of four channels, column by column and in it row by row; then the remaining channels one by
    one, all taps in their order.
    """
    height, width, _ = weights.shape
    grouped = weights[:, :, : 4 * quads].reshape(height, width, quads, 4).transpose(2, 1, 0, 3)
    rest = weights[:, :, 4 * quads :].transpose(2, 0, 1)
    return np.concatenate([grouped.reshape(-1), rest.reshape(-1)])


def can_carry(weights: Int8) -> bool:
    """Whether pairs of channels of `weights` [channels, patch] can share a multiplication: the second one is stored
    less by one where the first one's weight is negative, which a weight of -128 does not bear.
    """
    first, second = weights[0::2], weights[1::2]
    return not np.any((second == -128) & (first[: len(second)] < 0))


def exceeds_carry(lowest: npt.NDArray[np.int64], highest: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Channels whose sums, between `lowest` and `highest`, do not fit what a shared multiplication leaves of them: 24
    bits of every second channel.
    """
    exceeds: npt.NDArray[np.bool_] = (highest >= 2**23) | (lowest < -(2**23))
    exceeds[0::2] = False
    return exceeds


def int4_bytes(weights: int) -> int:
    """Bytes of flash that so many weights of four bits take together."""
    return -(-weights // 8) * 4


def unpacked_bytes(weights: int) -> int:
    """Bytes that they become in the scratch."""
    return -(-weights // 8) * 8


def pack_int4(weights: Int8, together: int) -> Int8:
    """Weights of -8 … 7 as firmware/runtime/src/int4.h takes them apart: plus 8, and of every four bytes the low halves
    first, then the high ones; `together` of them are unpacked at a time.
    """
    runs = weights.reshape(-1, together)
    filled = np.zeros((len(runs), unpacked_bytes(together)), np.int8)
    filled[:, :together] = runs
    halves = (filled + 8).astype(np.uint8).reshape(-1, 2, 4)
    packed: Int8 = (halves[:, 0] | halves[:, 1] << 4).reshape(-1).view(np.int8)
    return packed
