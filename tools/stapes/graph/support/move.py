"""Operators that only move bytes: what is supported of them."""

from __future__ import annotations

import numpy as np

from stapes.definitions import limit
from stapes.errors import ModelError
from stapes.graph.slices import slice_of
from stapes.graph.support.inspection import Inspection, Operator


def _copy(check: Inspection) -> None:
    """The same bytes in another shape."""
    check.require(check.input(0).elements == check.output.elements, "the number of elements changes")
    if check.int8(check.input(0), check.output):
        check.same_quantization(check.input(0), check.output)


def _reshape(check: Inspection) -> None:
    check.arity(1, 2)
    _copy(check)


def _squeeze(check: Inspection) -> None:
    check.arity(1, 1)
    _copy(check)


def _expand_dims(check: Inspection) -> None:
    check.arity(2, 2)
    _copy(check)


def _concatenation(check: Inspection) -> None:
    count = len(check.op.inputs)
    check.arity(count, count)
    check.require(count >= 1, "nothing to join")
    output = check.output
    axis = check.axis(check.op.integer("axis"), len(output.shape))
    sources = [check.input(position) for position in range(count)]
    for source in sources:
        check.require(
            len(source.shape) == len(output.shape), f"{source.name} has another rank than the output"
        )
    total = sum(source.shape[axis] for source in sources)
    for source in sources:
        check.shape((*source.shape[:axis], total, *source.shape[axis + 1 :]))
    if check.op.text("activation") != "NONE":
        check.refuse("activation fused into CONCATENATION", "put it into the layers before")
    check.limit("CONCATENATION_INPUTS", count, "join fewer at once")
    if check.int8(*sources, output):
        for source in sources:
            check.same_quantization(source, output)


def _transpose(check: Inspection) -> None:
    check.arity(2, 2)
    source, output = check.input(0), check.output
    check.limit("TRANSPOSE_DIMENSIONS", len(source.shape), "reshape first")
    order = check.constant_ints(1, "permutation")
    if order is None:
        return
    axes = [int(value) for value in order]
    check.require(sorted(axes) == list(range(len(source.shape))), f"permutation {axes}")
    check.shape(tuple(source.shape[axis] for axis in axes))
    if check.int8(source, output):
        check.same_quantization(source, output)


def _strided_slice(check: Inspection) -> None:
    check.arity(4, 4)
    source, output = check.input(0), check.output
    op = check.op
    check.limit("SLICE_DIMENSIONS", len(source.shape), "reshape first")
    for mask in ("ellipsis_mask", "new_axis_mask", "offset"):
        if op.integer(mask):
            check.refuse(f"the {mask}", "slice with begin, end and strides only")
            return
    indices = [check.constant_ints(i, name) for i, name in ((1, "begin"), (2, "end"), (3, "strides"))]
    if any(values is None for values in indices):
        return
    begin, end, strides = (values for values in indices if values is not None)
    rank = len(source.shape)
    if not begin.size == end.size == strides.size == rank:
        check.refuse(
            f"{begin.size} begins for {rank} dimensions", "give begin, end and stride for every axis"
        )
        return
    try:
        part = np.broadcast_to(np.int8(0), source.shape)[slice_of(op, source.shape, begin, end, strides)]
    except ValueError as error:
        raise ModelError(f"corrupt: {check.where}: {error}") from error
    check.require(part.size > 0, "an empty slice")
    check.shape(part.shape)
    if check.int8(source, output):
        check.same_quantization(source, output)


def _split(check: Inspection) -> None:
    count = len(check.op.outputs)
    check.arity(2, 2, outputs=count)
    check.require(count >= 1 and check.op.integer("num_splits") == count, f"{count} parts")
    source = check.input(1)
    values = check.constant_ints(0, "split axis")
    if values is None:
        return
    check.require(values.size == 1, f"{values.size} split axes")
    axis = check.axis(int(values[0]), len(source.shape))
    check.require(source.shape[axis] % count == 0, f"{source.shape[axis]} does not divide into {count} parts")
    part = (*source.shape[:axis], source.shape[axis] // count, *source.shape[axis + 1 :])
    for index in check.op.outputs:
        output = check.graph.tensors[index]
        check.require(output.shape == part, f"part shape {list(output.shape)}, not {list(part)}")
        if check.int8(source, output):
            check.same_quantization(source, output)


def _pad(check: Inspection) -> None:
    check.arity(2, 3)
    source, output = check.input(0), check.output
    quantized = check.int8(source, output)
    check.limit("PAD_DIMENSIONS", len(source.shape), "reshape first")
    amounts = check.constant_ints(1, "paddings")
    if amounts is None:
        return
    check.require(
        amounts.size == 2 * len(source.shape), f"{amounts.size} paddings for {len(source.shape)} axes"
    )
    check.require(bool(np.all(amounts >= 0)), "negative paddings")
    before_after = amounts.reshape(-1, 2)
    check.shape(tuple(size + int(pair.sum()) for size, pair in zip(source.shape, before_after, strict=True)))
    if quantized:
        check.same_quantization(source, output)
    if check.has_input(2):
        value = check.input(2)
        check.require(value.elements == 1, f"{value.elements} padding values")
        if value.data is None:
            check.refuse("padding value computed at run time", "use a constant")
        elif quantized and check.int8(value):
            check.same_quantization(value, output)


OPERATORS = {
    "CONCATENATION": Operator(
        _concatenation,
        f"any axis, up to {limit('CONCATENATION_INPUTS')} inputs of equal scale and zero point",
    ),
    "EXPAND_DIMS": Operator(_expand_dims, "costs nothing"),
    "PAD": Operator(_pad, f"up to {limit('PAD_DIMENSIONS')} dimensions, constant paddings"),
    "PADV2": Operator(_pad, "as PAD, with a constant value"),
    "RESHAPE": Operator(_reshape, "costs nothing"),
    "SPLIT": Operator(_split, "equal parts along a constant axis"),
    "SQUEEZE": Operator(_squeeze, "costs nothing"),
    "STRIDED_SLICE": Operator(
        _strided_slice,
        f"up to {limit('SLICE_DIMENSIONS')} dimensions, constant begin, end, strides of either sign",
    ),
    "TRANSPOSE": Operator(
        _transpose, f"up to {limit('TRANSPOSE_DIMENSIONS')} dimensions, constant permutation"
    ),
}
