"""Where the windows of convolutions and pools lie along one axis (TFLite's `ComputePadding`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stapes.graph.ir import Op


def output_size(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Length of a windowed operator's output along one axis; SAME or VALID. May be ≤ 0 for VALID."""
    if padding == "SAME":
        return (size + stride - 1) // stride
    return (size + stride - (kernel - 1) * dilation - 1) // stride


def padding_total(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Rows or columns of padding before and after together."""
    output = output_size(padding, size, kernel, stride, dilation)
    return max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - size)


def padding_before(padding: str, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Rows or columns of padding before the first; what does not divide evenly goes after the last."""
    return padding_total(padding, size, kernel, stride, dilation) // 2


def alignment_of(op: Op) -> tuple[bool, bool]:
    """Of a RESIZE operator: whether corners fall on corners, and whether values lie in the middle of their pixels."""
    return bool(op.integer("align_corners")), bool(op.integer("half_pixel_centers"))


def nearest(size: int, output: int, align_corners: bool, half_pixel_centers: bool) -> list[int]:
    """Which of `size` rows or columns each of `output` of RESIZE_NEAREST_NEIGHBOR is (`GetNearestNeighbor`)."""
    one = np.float32(1)
    scale = (
        np.float32(size - 1) / np.float32(output - 1) if align_corners and output > 1 else size * one / output
    )
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    found = []
    for position in range(output):
        exact = np.float32((position * one + offset) * np.float32(scale))
        rounded = np.floor(exact + np.float32(0.5)) if align_corners else np.floor(exact)
        found.append(min(max(0, int(rounded)), size - 1))
    return found


@dataclass(frozen=True)
class Interpolation:
    """RESIZE_BILINEAR along one axis: every output lies between `lower` and `upper`, `weights`/1024 of the way."""

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weights: tuple[int, ...]

    @classmethod
    def of(cls, size: int, output: int, align_corners: bool, half_pixel_centers: bool) -> Interpolation:
        """In 10 bits (`ComputeInterpolationValuesInteger`); divisions go towards zero."""
        scale = (1024 * size + output // 2) // output
        if align_corners and output > 1:
            scale = (1024 * (size - 1) + (output - 1) // 2) // (output - 1)
        lower, upper, weights = [], [], []
        for position in range(output):
            at = position * scale + (scale // 2 - 512 if half_pixel_centers else 0)
            low = max(int(at / 1024), 0)
            lower.append(low)
            upper.append(min(int((at + 1023) / 1024), size - 1))
            weights.append(at - 1024 * low)
        return cls(tuple(lower), tuple(upper), tuple(weights))
