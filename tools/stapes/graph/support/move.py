"""Operators that only move bytes: what is supported of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.definitions import limit
from stapes.errors import ModelError
from stapes.graph.slices import SOURCE_OF_PARTS, parts_of
from stapes.graph.support.inspection import Inspection, Operator
from stapes.graph.windows import Interpolation, alignment_of


def _copy(check: Inspection) -> None:
    """The same bytes in another shape."""
    check.require(check.input(0).elements == check.output.elements, "the number of elements changes")
    if check.quantized(check.input(0), check.output):
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
    if check.quantized(*sources, output):
        for source in sources:
            check.same_quantization(source, output)


def _pack(check: Inspection) -> None:
    count = len(check.op.inputs)
    check.arity(count, count)
    check.require(count >= 1 and check.op.integer("values_count") == count, f"{count} tensors to pack")
    output, sources = check.output, [check.input(position) for position in range(count)]
    axis = check.axis(check.op.integer("axis"), len(sources[0].shape) + 1)
    for source in sources:
        check.shape((*source.shape[:axis], count, *source.shape[axis:]))
    if check.quantized(*sources, output):
        for source in sources:
            check.same_quantization(source, output)


def _gather(check: Inspection) -> None:
    check.arity(2, 2)
    source, output = check.input(0), check.output
    if check.op.integer("batch_dims") != 0:
        check.refuse(
            f"batch_dims {check.op.integer('batch_dims')}", "gather with the same indices everywhere"
        )
        return
    axis = check.axis(check.op.integer("axis"), len(source.shape))
    indices = check.constant_ints(1, "indices")
    if indices is None:
        return
    check.require(
        indices.size > 0 and bool(np.all((indices >= 0) & (indices < source.shape[axis]))),
        f"indices beyond an axis of {source.shape[axis]}",
    )
    check.shape((*source.shape[:axis], *check.input(1).shape, *source.shape[axis + 1 :]))
    if check.quantized(source, output):
        check.same_quantization(source, output)


def _transpose(check: Inspection) -> None:
    check.arity(2, 2)
    source = check.input(0)
    check.limit("TRANSPOSE_DIMENSIONS", len(source.shape), "reshape first")
    order = check.constant_ints(1, "permutation")
    if order is None:
        return
    axes = [int(value) for value in order]
    check.require(sorted(axes) == list(range(len(source.shape))), f"permutation {axes}")
    _parts(check, {1: order})


def _strided_slice(check: Inspection) -> None:
    check.arity(4, 4)
    source, op = check.input(0), check.op
    check.limit("SLICE_DIMENSIONS", len(source.shape), "reshape first")
    for mask in ("ellipsis_mask", "new_axis_mask", "offset"):
        if op.integer(mask):
            check.refuse(f"the {mask}", "slice with begin, end and strides only")
            return
    constants = _constants(check, {1: "begin", 2: "end", 3: "strides"})
    if constants is None:
        return
    rank = len(source.shape)
    if any(values.size != rank for values in constants.values()):
        check.refuse(
            f"{constants[1].size} begins for {rank} dimensions", "give begin, end and stride for every axis"
        )
        return
    _parts(check, constants)


def _slice(check: Inspection) -> None:
    check.arity(3, 3)
    check.limit("TRANSPOSE_DIMENSIONS", len(check.input(0).shape), "reshape first")
    constants = _constants(check, {1: "begin", 2: "size"})
    if constants is not None:
        _parts(check, constants)


def _split(check: Inspection) -> None:
    count = len(check.op.outputs)
    check.arity(2, 2, outputs=count)
    check.require(count >= 1 and check.op.integer("num_splits") == count, f"{count} parts")
    constants = _axis_constant(check, {0: "split axis"}, 0)
    if constants is not None:
        _parts(check, constants)


def _split_v(check: Inspection) -> None:
    count = len(check.op.outputs)
    check.arity(3, 3, outputs=count)
    check.require(count >= 1 and check.op.integer("num_splits") == count, f"{count} parts")
    constants = _axis_constant(check, {1: "sizes of the parts", 2: "split axis"}, 2)
    if constants is not None:
        check.require(constants[1].size == count, f"{constants[1].size} sizes for {count} parts")
        _parts(check, constants)


def _unpack(check: Inspection) -> None:
    count = len(check.op.outputs)
    check.arity(1, 1, outputs=count)
    shape = check.input(0).shape
    axis = check.axis(check.op.integer("axis"), len(shape))
    check.require(count == check.op.integer("num") == shape[axis], f"{count} parts of {shape[axis]}")
    _parts(check, {})


Constants = dict[int, npt.NDArray[np.int64]]
"""Those among an operator's inputs, by position."""


def _constants(check: Inspection, names: dict[int, str]) -> Constants | None:
    found = {position: check.constant_ints(position, name) for position, name in names.items()}
    constants = {position: values for position, values in found.items() if values is not None}
    return constants if len(constants) == len(names) else None


def _axis_constant(check: Inspection, names: dict[int, str], position: int) -> Constants | None:
    """The constants, of which that at `position` is an axis of the input."""
    constants = _constants(check, names)
    if constants is not None:
        axis = constants[position]
        check.require(axis.size == 1, f"{axis.size} split axes")
        source = check.input(SOURCE_OF_PARTS.get(check.op.kind, 0))
        check.axis(int(axis[0]), len(source.shape))
    return constants


def _parts(check: Inspection, constants: Constants) -> None:
    """Outputs as `parts_of` would take them from the input, and of its scale and zero point."""
    source = check.input(SOURCE_OF_PARTS.get(check.op.kind, 0))
    whole = np.broadcast_to(np.int8(0), source.shape)
    try:
        parts = parts_of(check.op, [constants.get(i, whole) for i in range(len(check.op.inputs))])
    except ValueError as error:
        raise ModelError(f"corrupt: {check.where}: {error}") from error
    for part, index in zip(parts, check.op.outputs, strict=True):
        output = check.graph.tensors[index]
        check.require(part.size > 0, "an empty slice")
        check.require(
            output.shape == part.shape, f"output shape {list(output.shape)}, not {list(part.shape)}"
        )
        if check.quantized(source, output):
            check.same_quantization(source, output)


def _pad(check: Inspection) -> None:
    check.arity(2, 3)
    source, output = check.input(0), check.output
    quantized = check.quantized(source, output)
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
        elif quantized and check.quantized(value):
            check.same_quantization(value, output)


def _tile(check: Inspection) -> None:
    check.arity(2, 2)
    source, output = check.input(0), check.output
    times = check.constant_ints(1, "multiples")
    if times is None:
        return
    check.require(
        times.size == len(source.shape) and bool(np.all(times >= 1)),
        f"multiples {[int(count) for count in times]} for {len(source.shape)} axes",
    )
    check.shape(tuple(size * int(count) for size, count in zip(source.shape, times, strict=True)))
    if check.quantized(source, output):
        check.same_quantization(source, output)


def _resize(check: Inspection) -> None:
    check.arity(2, 2)
    source, output = check.input(0), check.output
    check.rank4(source, output)
    sizes = check.constant_ints(1, "the new size")
    if sizes is None:
        return
    check.require(sizes.size == 2 and bool(np.all(sizes >= 1)), f"the new size {[int(n) for n in sizes]}")
    check.shape((source.shape[0], int(sizes[0]), int(sizes[1]), source.shape[3]))
    if source.shape[0] != 1:
        check.refuse(f"a batch of {source.shape[0]}", "export the network with a batch of 1")
    if check.op.kind == "RESIZE_BILINEAR":
        for axis in (1, 2):
            along = Interpolation.of(source.shape[axis], output.shape[axis], *alignment_of(check.op))
            if max(along.upper + along.lower) >= source.shape[axis]:
                check.refuse(
                    f"{output.shape[axis]} of {source.shape[axis]} rows or columns", "resize in steps"
                )
    if check.op.integer("align_corners") and check.op.integer("half_pixel_centers"):
        check.refuse("align_corners with half_pixel_centers", "use one of the two")
    if check.quantized(source, output):
        check.same_quantization(source, output)


OPERATORS = {
    "CONCATENATION": Operator(
        _concatenation, "any axis, any number of inputs of equal scale and zero point", takes_int16=True
    ),
    "EXPAND_DIMS": Operator(_expand_dims, "costs nothing", takes_int16=True),
    "GATHER": Operator(_gather, "constant indices along any axis, batch_dims 0", takes_int16=True),
    "PACK": Operator(_pack, "any axis, any number of inputs of equal scale and zero point", takes_int16=True),
    "PAD": Operator(_pad, f"up to {limit('PAD_DIMENSIONS')} dimensions, constant paddings", takes_int16=True),
    "PADV2": Operator(_pad, "as PAD, with a constant value", takes_int16=True),
    "RESIZE_BILINEAR": Operator(
        _resize, "any size, align_corners or half_pixel_centers; equal scale and zero point"
    ),
    "RESIZE_NEAREST_NEIGHBOR": Operator(_resize, "as RESIZE_BILINEAR", takes_int16=True),
    "RESHAPE": Operator(_reshape, "costs nothing", takes_int16=True),
    "SLICE": Operator(
        _slice, f"up to {limit('TRANSPOSE_DIMENSIONS')} dimensions, constant begin and size", takes_int16=True
    ),
    "SPLIT": Operator(_split, "equal parts along a constant axis", takes_int16=True),
    "SPLIT_V": Operator(_split_v, "parts of constant sizes along a constant axis", takes_int16=True),
    "SQUEEZE": Operator(_squeeze, "costs nothing", takes_int16=True),
    "STRIDED_SLICE": Operator(
        _strided_slice,
        f"up to {limit('SLICE_DIMENSIONS')} dimensions, constant begin, end, strides of either sign",
        takes_int16=True,
    ),
    "TILE": Operator(_tile, "constant multiples", takes_int16=True),
    "TRANSPOSE": Operator(
        _transpose,
        f"up to {limit('TRANSPOSE_DIMENSIONS')} dimensions, constant permutation",
        takes_int16=True,
    ),
    "UNPACK": Operator(_unpack, "any axis", takes_int16=True),
}
