"""Where the windows of convolutions and pools lie along one axis (TFLite's `ComputePadding`)."""

from __future__ import annotations


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
