"""Pools and reductions: what is supported of them."""

from __future__ import annotations

from stapes.graph.support.inspection import Inspection, Operator


def _pool(check: Inspection) -> None:
    check.arity(1, 1)
    source, output = check.input(0), check.output
    check.rank4(source, output)
    check.activation()
    check.window(check.op.integer("kernel_h"), check.op.integer("kernel_w"), source.shape[3], dilation=False)
    if check.quantized(source, output):
        check.same_quantization(source, output)


def _reduced(check: Inspection) -> bool:
    """The output of a reduction: axes gone, or of length 1. Whether both ends are int8."""
    check.arity(2, 2)
    source, output = check.input(0), check.output
    quantized = check.quantized(source, output)
    values = check.constant_ints(1, "reduction axes")
    if values is None:
        return False
    axes = {check.axis(int(value), len(source.shape)) for value in values}
    check.require(len(axes) >= 1, "no axis to reduce")
    keep = check.op.integer("keep_dims")
    check.shape(
        tuple(
            1 if axis in axes else size for axis, size in enumerate(source.shape) if keep or axis not in axes
        )
    )
    return quantized


def _mean_or_sum(check: Inspection) -> None:
    if _reduced(check):
        count = check.input(0).elements // max(check.output.elements, 1)
        if check.is_wide and count >= 1 << 16:
            check.refuse(f"sums of {count} elements", "reduce in steps")
        check.rescale(check.input(0).scale / check.output.scale)


def _reduce_max(check: Inspection) -> None:
    if _reduced(check):
        check.same_quantization(check.input(0), check.output)


OPERATORS = {
    "AVERAGE_POOL_2D": Operator(_pool, "any kernel, stride, padding; fused activation", takes_int16=True),
    "MAX_POOL_2D": Operator(_pool, "any kernel, stride, padding; fused activation", takes_int16=True),
    "MEAN": Operator(_mean_or_sum, "any axes, with or without keep_dims", takes_int16=True),
    "REDUCE_MAX": Operator(_reduce_max, "any axes, with or without keep_dims"),
    "SUM": Operator(_mean_or_sum, "any axes, with or without keep_dims", takes_int16=True),
}
