"""What the compiler supports: every operator's checks, and the one function that applies them all.

A check tells two things apart: what is valid but unsupported is collected, so that the user sees all of it
at once; what contradicts itself (a shape that does not follow from the inputs) is a corrupt file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError, UnsupportedModelError
from stapes.graph.ir import Graph, Op, Tensor
from stapes.graph.reader import MAX_TENSOR_ELEMENTS
from stapes.graph.schema import OPTIONS
from stapes.graph.slices import slice_of
from stapes.graph.windows import output_size

# A left shift of 2^30 is as far as 32-bit requantisation goes.
_MAX_RESCALE = 2.0**30
_MIN_SCALE, _MAX_SCALE = 2.0**-60, 2.0**60
_INT32_LIMIT = 2**31 - 1


class Inspection:
    """One operator under inspection: shorthand for its tensors, and where findings go."""

    def __init__(self, graph: Graph, op: Op, findings: list[str]) -> None:
        self.graph = graph
        self.op = op
        self._findings = findings

    @property
    def where(self) -> str:
        """The operator as error messages name it."""
        name = self.graph.tensors[self.op.outputs[0]].name if self.op.outputs else "no output"
        return f"operator {self.op.index} {self.op.kind} ({name})"

    def refuse(self, what: str, todo: str) -> None:
        """Note something unsupported and what to do about it."""
        self._findings.append(f"{what} in {self.where}: {todo}")

    def require(self, condition: bool, what: str) -> None:
        """Raise `ModelError` unless `condition`: the file contradicts itself."""
        if not condition:
            raise ModelError(f"corrupt: {self.where}: {what}")

    def input(self, position: int) -> Tensor:
        """The input tensor at `position`."""
        return self.graph.tensors[self.op.inputs[position]]

    def has_input(self, position: int) -> bool:
        """Whether the optional input at `position` is there."""
        return position < len(self.op.inputs) and self.op.inputs[position] >= 0

    @property
    def output(self) -> Tensor:
        """The first output tensor."""
        return self.graph.tensors[self.op.outputs[0]]

    def arity(self, low: int, high: int, outputs: int = 1) -> None:
        """Require `low` to `high` inputs (the first `low` present) and `outputs` outputs."""
        count = len(self.op.inputs)
        self.require(low <= count <= high, f"{count} inputs")
        self.require(all(index >= 0 for index in self.op.inputs[:low]), "an input is missing")
        self.require(len(self.op.outputs) == outputs, f"{len(self.op.outputs)} outputs")

    def int8(self, *tensors: Tensor) -> bool:
        """Whether all `tensors` are int8 with one scale and a zero point; notes those that are not."""
        return all([_is_int8_activation(self, tensor) for tensor in tensors])

    def shape(self, expected: tuple[int, ...]) -> None:
        """Require the output's shape."""
        self.require(
            self.output.shape == expected, f"output shape {list(self.output.shape)}, not {list(expected)}"
        )

    def constant_ints(self, position: int, what: str) -> npt.NDArray[np.int64] | None:
        """The int32 constant at `position`; None (noted) where it is computed at run time."""
        tensor = self.input(position)
        if tensor.data is None:
            self.refuse(f"{what} computed at run time", "convert with fixed shapes")
            return None
        self.require(tensor.type_name in ("INT32", "INT64"), f"{what} of type {tensor.type_name}")
        return tensor.data.astype(np.int64).reshape(-1)

    def activation(self) -> None:
        """The fused activation must be one that clamps."""
        kind = self.op.text("activation")
        if kind not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
            self.refuse(f"fused activation {kind}", "use RELU, RELU6 or none, or a layer of its own")

    def rescale(self, real: float) -> None:
        """The factor from accumulator to output must fit a 32-bit multiplier."""
        if not real < _MAX_RESCALE:
            self.refuse(f"rescaling by {real:.3g}", "calibrate again: an output scale is far too small")

    def same_quantization(self, source: Tensor, target: Tensor) -> None:
        """Operators that only move bytes need equal steps on both sides."""
        if source.scale != target.scale or source.zero_point != target.zero_point:
            self.refuse(
                f"requantisation from {source.name} to {target.name}",
                "quantise both sides with equal scales and zero points, as the TFLite converter does",
            )

    def axis(self, value: int, rank: int) -> int:
        """A non-negative axis."""
        self.require(-rank <= value < rank, f"axis {value} of {rank}")
        return value % rank


_FIXED_BATCH = "export the network with a fixed batch of 1 (batch_shape=(1, …)), which makes it disappear"
_HINTS = dict.fromkeys(
    ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SHAPE", "PACK", "GATHER", "REDUCE_PROD"), _FIXED_BATCH
)


def operator_rows() -> list[tuple[str, str, str]]:
    """`(operator, its attributes, what is supported)` of every operator, for the documentation."""
    return [
        (kind, ", ".join(OPTIONS[kind].fields) if kind in OPTIONS else "", operator.notes)
        for kind, operator in sorted(OPERATORS.items())
    ]


def check_supported(graph: Graph) -> None:
    """Return when everything in `graph` is supported.

    Raises `UnsupportedModelError` naming every unsupported operator, attribute and type at once, each as
    "what, where: what to do"; `ModelError` where the file contradicts itself.
    """
    findings: list[str] = []
    for op in graph.ops:
        inspection = Inspection(graph, op, findings)
        check = OPERATORS.get(op.kind)
        if check is None:
            todo = _HINTS.get(op.kind, "replace the layer; see docs/operators.md for what is supported")
            inspection.refuse(f"operator {op.kind}", todo)
            continue
        sparse = [
            graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0 and graph.tensors[i].is_sparse
        ]
        for tensor in sparse:
            inspection.refuse(f"sparse constant {tensor.name}", "convert without sparsity")
        variables = [graph.tensors[i] for i in op.inputs if i >= 0 and graph.tensors[i].is_variable]
        for tensor in variables:
            inspection.refuse(f"state {tensor.name} kept between runs", "unroll the layer that keeps it")
        if not sparse and not variables:
            check(inspection)
    findings += _check_edges(graph)
    if findings:
        count = len(findings)
        raise UnsupportedModelError(
            f"{count} unsupported {'thing' if count == 1 else 'things'}: " + "; ".join(findings),
            findings,
            hint="stapes runs full-int8 networks with static shapes",
        )


def _check_edges(graph: Graph) -> list[str]:
    findings = []
    for role, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            tensor = graph.tensors[index]
            if tensor.type_name != "INT8":
                findings.append(
                    f"{tensor.type_name} network {role} {tensor.name}: convert to full int8 "
                    f"(inference_{role}_type = tf.int8)"
                )
            elif tensor.quantization is None or len(tensor.quantization.scale) != 1:
                findings.append(f"network {role} {tensor.name} without a scale: convert to full int8")
            if tensor.data is not None:
                findings.append(f"constant network {role} {tensor.name}: leave it out of the network")
    produced = {index for op in graph.ops for index in op.outputs}
    for index in graph.outputs:
        if index not in produced and graph.tensors[index].data is None:
            findings.append(
                f"network output {graph.tensors[index].name} is an input: leave it out of the network"
            )
    return findings


def _is_int8_activation(inspection: Inspection, tensor: Tensor) -> bool:
    if tensor.type_name != "INT8":
        inspection.refuse(f"{tensor.type_name} tensor {tensor.name}", "convert to full int8")
        return False
    quantization = tensor.quantization
    if quantization is None or len(quantization.scale) != 1:
        inspection.refuse(f"tensor {tensor.name} without a single scale", "convert to full int8")
        return False
    inspection.require(-128 <= tensor.zero_point <= 127, f"zero point {tensor.zero_point} of {tensor.name}")
    inspection.require(_MIN_SCALE <= tensor.scale <= _MAX_SCALE, f"scale {tensor.scale} of {tensor.name}")
    return True


def _weights(check: Inspection, axis: int, channels: int) -> bool:
    """Constant int8 weights with one symmetric scale or one per channel along `axis`; int32 bias or none."""
    weights = check.input(1)
    if weights.type_name != "INT8" or weights.data is None:
        what = f"{weights.type_name} weights" if weights.data is not None else "weights computed at run time"
        check.refuse(f"{what} {weights.name}", "convert to full int8 with constant int8 weights")
        return False
    quantization = weights.quantization
    if quantization is None:
        check.refuse(f"weights {weights.name} without scales", "convert to full int8")
        return False
    if np.any(quantization.zero_point != 0):
        check.refuse(f"asymmetric weights {weights.name}", "quantise weights symmetrically (zero point 0)")
        return False
    if len(quantization.scale) > 1:
        check.require(quantization.axis == axis, f"scales of {weights.name} along axis {quantization.axis}")
    accumulator = 255 * np.abs(np.moveaxis(weights.data.astype(np.int64), axis, 0)).reshape(channels, -1).sum(
        axis=1
    )
    if check.has_input(2):
        bias = check.input(2)
        if bias.type_name != "INT32" or bias.data is None:
            check.refuse(f"{bias.type_name} bias {bias.name}", "convert to full int8 (constant int32 biases)")
            return False
        check.require(bias.elements == channels, f"{bias.elements} biases for {channels} channels")
        accumulator = accumulator + np.abs(bias.data.astype(np.int64).reshape(-1))
    if np.any(accumulator > _INT32_LIMIT):
        check.refuse("an accumulator that may exceed 32 bits", "use smaller weights or a smaller bias")
    return True


def _weight_rescale(check: Inspection) -> None:
    weights = check.input(1).quantization
    assert weights is not None
    check.rescale(check.input(0).scale * float(np.max(weights.scale)) / check.output.scale)


def _window(check: Inspection, kernel_h: int, kernel_w: int, channels: int, dilation: bool) -> None:
    """Require the output of a convolution or pool over a [batch, height, width, channels] input."""
    op = check.op
    batch, height, width, _ = check.input(0).shape
    stride_h, stride_w = op.integer("stride_h"), op.integer("stride_w")
    dilation_h = op.integer("dilation_h") if dilation else 1
    dilation_w = op.integer("dilation_w") if dilation else 1
    sizes, dilations = (stride_h, stride_w, kernel_h, kernel_w), (dilation_h, dilation_w)
    check.require(
        all(1 <= size <= MAX_TENSOR_ELEMENTS for size in sizes)
        and all(1 <= dilation <= 1 << 16 for dilation in dilations),
        "a stride, dilation or kernel size of no use",
    )
    if batch != 1:
        check.refuse(f"a batch of {batch}", "export the network with a batch of 1")
    padding = op.text("padding")
    check.shape(
        (
            batch,
            output_size(padding, height, kernel_h, stride_h, dilation_h),
            output_size(padding, width, kernel_w, stride_w, dilation_w),
            channels,
        )
    )


def _rank4(check: Inspection, *tensors: Tensor) -> None:
    for tensor in tensors:
        check.require(len(tensor.shape) == 4, f"{tensor.name} has {len(tensor.shape)} dimensions, not 4")


def _conv_2d(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    _rank4(check, source, weights, output)
    channels, kernel_h, kernel_w, depth = weights.shape
    check.require(depth >= 1 and source.shape[3] % depth == 0, "channels of input and weights do not fit")
    groups = source.shape[3] // depth
    check.require(groups >= 1 and channels % groups == 0, f"{channels} output channels in {groups} groups")
    check.activation()
    _window(check, kernel_h, kernel_w, channels, dilation=True)
    quantized = check.int8(source, output)
    if _weights(check, 0, channels) and quantized:
        _weight_rescale(check)


def _depthwise_conv_2d(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    _rank4(check, source, weights, output)
    one, kernel_h, kernel_w, channels = weights.shape
    check.require(one == 1, "depthwise weights with a first axis other than 1")
    check.require(
        source.shape[3] * check.op.integer("depth_multiplier") == channels,
        "the depth multiplier does not fit",
    )
    check.activation()
    _window(check, kernel_h, kernel_w, channels, dilation=True)
    quantized = check.int8(source, output)
    if _weights(check, 3, channels) and quantized:
        _weight_rescale(check)


def _fully_connected(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    check.require(len(weights.shape) == 2, f"weights with {len(weights.shape)} dimensions, not 2")
    channels, depth = weights.shape
    check.require(channels >= 1 and depth >= 1 and len(output.shape) >= 1, "empty weights or output")
    check.require(
        output.shape[-1] == channels and source.elements * channels == output.elements * depth,
        f"shapes {list(source.shape)}, {list(weights.shape)} and {list(output.shape)} do not fit",
    )
    if check.op.integer("weights_format") != 0:
        check.refuse("shuffled weights", "convert with the default weights format")
    check.activation()
    quantized = check.int8(source, output)
    if _weights(check, 0, channels) and quantized:
        _weight_rescale(check)


def _pool(check: Inspection) -> None:
    check.arity(1, 1)
    source, output = check.input(0), check.output
    _rank4(check, source, output)
    check.activation()
    _window(
        check, check.op.integer("kernel_h"), check.op.integer("kernel_w"), source.shape[3], dilation=False
    )
    if check.int8(source, output):
        check.same_quantization(source, output)


def _reduced(check: Inspection) -> bool:
    """The output of a reduction: axes gone, or of length 1. Whether both ends are int8."""
    check.arity(2, 2)
    source, output = check.input(0), check.output
    quantized = check.int8(source, output)
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
        check.rescale(check.input(0).scale / check.output.scale)


def _reduce_max(check: Inspection) -> None:
    if _reduced(check):
        check.same_quantization(check.input(0), check.output)


def _elementwise_pair(check: Inspection) -> bool:
    check.arity(2, 2)
    left, right, output = check.input(0), check.input(1), check.output
    try:
        check.shape(tuple(np.broadcast_shapes(left.shape, right.shape)))
    except ValueError:
        check.require(False, f"shapes {list(left.shape)} and {list(right.shape)} do not broadcast")
    if len(output.shape) > 6:
        check.refuse(f"{len(output.shape)} dimensions", "reshape to at most 6")
    check.activation()
    return check.int8(left, right, output)


def _add_or_sub(check: Inspection) -> None:
    if _elementwise_pair(check):
        twice_max = 2 * max(check.input(0).scale, check.input(1).scale)
        if not twice_max < 0.999 * check.output.scale * 2**20:
            check.refuse(
                "input scales 2^19 times the output's", "calibrate again: the output scale is far too small"
            )


def _mul(check: Inspection) -> None:
    if _elementwise_pair(check):
        check.rescale(check.input(0).scale * check.input(1).scale / check.output.scale)


def _prelu(check: Inspection) -> None:
    check.arity(2, 2)
    source, alpha, output = check.input(0), check.input(1), check.output
    check.shape(source.shape)
    try:
        fits = np.broadcast_shapes(source.shape, alpha.shape) == source.shape
    except ValueError:
        fits = False
    check.require(fits, f"slopes of shape {list(alpha.shape)} for {list(source.shape)}")
    if len(output.shape) > 6:
        check.refuse(f"{len(output.shape)} dimensions", "reshape to at most 6")
    if alpha.data is None:
        check.refuse(f"slopes {alpha.name} computed at run time", "use constant slopes")
    if check.int8(source, alpha, output):
        check.rescale(max(source.scale, source.scale * alpha.scale) / output.scale)


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
    if count > 10:
        check.refuse(f"{count} inputs", "join at most 10 tensors at once")
    if check.int8(*sources, output):
        for source in sources:
            check.same_quantization(source, output)


def _softmax(check: Inspection) -> None:
    check.arity(1, 1)
    source, output = check.input(0), check.output
    check.shape(source.shape)
    check.require(len(source.shape) >= 1, "a scalar")
    if not check.int8(source, output):
        return
    if output.scale != 1 / 256 or output.zero_point != -128:
        check.refuse(
            "output not in steps of 1/256 from -128", "convert with the TFLite converter's int8 softmax"
        )
    if not source.scale * check.op.real("beta") * 2**26 > 1:
        check.refuse("an input scale below 2^-26", "calibrate again: the input of the softmax is constant")
    if source.shape[-1] > 4095:
        check.refuse(
            f"{source.shape[-1]} classes", "at most 4095: the sum of exponentials has 12 integer bits"
        )


def _unary(check: Inspection) -> bool:
    """One input and one output of the same shape; whether both are int8."""
    check.arity(1, 1)
    check.shape(check.input(0).shape)
    return check.int8(check.input(0), check.output)


def _relu6(check: Inspection) -> None:
    if _unary(check):
        check.same_quantization(check.input(0), check.output)


def _rescaling(check: Inspection) -> None:
    if _unary(check):
        check.rescale(check.input(0).scale / check.output.scale)


def _dequantize(check: Inspection) -> None:
    check.refuse(
        "a float tensor inside the network", "keep the whole network int8; only its edges may be float"
    )


def _sigmoid(check: Inspection) -> None:
    """LOGISTIC and TANH: their outputs have one fixed scale each."""
    if not _unary(check):
        return
    expected = (1 / 256, -128) if check.op.kind == "LOGISTIC" else (1 / 128, 0)
    if (check.output.scale, check.output.zero_point) != expected:
        check.refuse(
            f"output not in steps of {expected[0]} from {expected[1]}",
            "convert with the TFLite converter's int8",
        )
    if not 2.0**-27 <= check.input(0).scale < 16:
        check.refuse(
            f"an input scale of {check.input(0).scale:.3g}", "calibrate again: it must lie in [2^-27, 16)"
        )


def _leaky_relu(check: Inspection) -> None:
    if not _unary(check):
        return
    alpha = check.op.real("alpha")
    if alpha < 0:
        check.refuse(f"a slope of {alpha}", "use a slope of at least 0")
    check.rescale(max(1.0, alpha) * check.input(0).scale / check.output.scale)


def _hard_swish(check: Inspection) -> None:
    if not _unary(check):
        return
    # 16-bit arithmetic: outputs at least as coarse as 1/128 of the input, and shifts that 16 bits hold.
    ratio = check.input(0).scale / 128 / check.output.scale
    if not 2.0**-15 <= ratio < 0.999:
        check.refuse(f"an input scale {ratio * 128:.3g} times the output's", "calibrate again")
    if not 2.0**-20 <= check.input(0).scale <= 2.0**20:
        check.refuse(f"an input scale of {check.input(0).scale:.3g}", "calibrate again")


def _transpose(check: Inspection) -> None:
    check.arity(2, 2)
    source, output = check.input(0), check.output
    if len(source.shape) > 5:
        check.refuse(f"transposition of {len(source.shape)} dimensions", "reshape to at most 5")
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
    if len(source.shape) > 4:
        check.refuse(f"a slice of {len(source.shape)} dimensions", "reshape to at most 4")
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
    if len(source.shape) > 5:
        check.refuse(f"padding of {len(source.shape)} dimensions", "reshape to at most 5")
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


STATISTICS_KINDS = 6
"""Statistics of each band: see `stapes.int8.forest.statistics`."""

STATISTICS_LAG = 4
"""Rows between the two of a slow step; the firmware's LAG."""


def _statistics(check: Inspection) -> None:
    check.arity(1, 1)
    source = check.input(0)
    check.int8(source, check.output)
    check.require(len(source.shape) >= 3 and source.shape[0] == 1, f"input shape {list(source.shape)}")
    rows, bands = source.shape[1], source.elements // max(1, source.shape[1])
    check.require(STATISTICS_LAG < rows < 1 << 16, f"{rows} rows")
    check.shape((1, STATISTICS_KINDS * bands))


def _forest(check: Inspection) -> None:
    check.arity(3, 3)
    source, nodes, roots = (check.input(i) for i in range(3))
    if check.int8(source, check.output) and (check.output.scale, check.output.zero_point) != (2.0**-8, -128):
        check.refuse("an output that is not in steps of 1/256", "train the forest with `stapes train`")
    features, classes = source.elements, check.output.elements
    check.require(1 <= features <= 256, f"{features} features, 256 at most")
    for tensor, kind in ((nodes, "INT16"), (roots, "INT32")):
        check.require(
            tensor.data is not None and tensor.type_name == kind, f"{tensor.name}: no {kind} constant"
        )
    assert nodes.data is not None and roots.data is not None
    count = nodes.shape[0] if nodes.shape else 0
    check.require(
        nodes.shape == (count, 4) and 1 <= count < 1 << 16, f"nodes of the shape {list(nodes.shape)}"
    )
    starts, values = roots.data.astype(np.int64), nodes.data.astype(np.int64)
    check.require(1 <= starts.size < 1 << 16 and bool(((starts >= 0) & (starts < count)).all()), "bad roots")
    check.require(
        bool(((values[:, 0] >= 0) & (values[:, 0] < features)).all()), "a feature that is not there"
    )
    check.require(bool((np.abs(values[:, 1]) <= 127).all()), "a threshold outside of int8")
    # A node only leads forward, so that every walk ends.
    steps = values[:, 2:]
    last = np.arange(count)[:, None] + steps >= count
    check.require(not bool(((steps == 0) | ((steps > 0) & last) | (steps < -classes)).any()), "bad nodes")


@dataclass(frozen=True)
class Operator:
    """A supported operator: what is checked, and what the documentation says of it."""

    check: Callable[[Inspection], None]
    notes: str

    def __call__(self, inspection: Inspection) -> None:
        """Apply the check."""
        self.check(inspection)


OPERATORS: dict[str, Operator] = {
    "ADD": Operator(_add_or_sub, "broadcasting up to 6 dimensions; fused activation"),
    "AVERAGE_POOL_2D": Operator(_pool, "any kernel, stride, padding; fused activation"),
    "CONCATENATION": Operator(_concatenation, "any axis, up to 10 inputs of equal scale and zero point"),
    "CONV_2D": Operator(
        _conv_2d,
        "any kernel, stride, dilation, padding, groups; weights per channel or per tensor; fused activation",
    ),
    "CUSTOM:stapes_forest": Operator(_forest, "trees of int8 features, one vote each; up to 256 features"),
    "CUSTOM:stapes_statistics": Operator(_statistics, "six statistics of every band over time"),
    "DEPTHWISE_CONV_2D": Operator(
        _depthwise_conv_2d,
        "any kernel, stride, dilation, padding, multiplier; weights per channel or tensor; fused activation",
    ),
    "DEQUANTIZE": Operator(
        _dequantize, "only from int8 to float32 at the network's output, where it is taken off"
    ),
    "EXPAND_DIMS": Operator(_expand_dims, "costs nothing"),
    "FULLY_CONNECTED": Operator(_fully_connected, "weights per channel or per tensor; fused activation"),
    "HARD_SWISH": Operator(_hard_swish, "as a table of 256 entries"),
    "LEAKY_RELU": Operator(_leaky_relu, "any slope of at least 0; as a table of 256 entries"),
    "LOGISTIC": Operator(_sigmoid, "output in steps of 1/256; as a table of 256 entries"),
    "MAX_POOL_2D": Operator(_pool, "any kernel, stride, padding; fused activation"),
    "MEAN": Operator(_mean_or_sum, "any axes, with or without keep_dims"),
    "MUL": Operator(_mul, "broadcasting up to 6 dimensions; fused activation"),
    "PAD": Operator(_pad, "up to 5 dimensions, constant paddings"),
    "PADV2": Operator(_pad, "as PAD, with a constant value"),
    "PRELU": Operator(_prelu, "constant slopes that broadcast"),
    "QUANTIZE": Operator(
        _rescaling, "from int8 to int8; from float32 or uint8 at the network's input, where it is taken off"
    ),
    "REDUCE_MAX": Operator(_reduce_max, "any axes, with or without keep_dims"),
    "RELU": Operator(_rescaling, "as a table of 256 entries"),
    "RELU6": Operator(_relu6, "equal scale and zero point on both sides"),
    "RESHAPE": Operator(_reshape, "costs nothing"),
    "SOFTMAX": Operator(_softmax, "last axis, any beta, output in steps of 1/256"),
    "SPLIT": Operator(_split, "equal parts along a constant axis"),
    "SQUEEZE": Operator(_squeeze, "costs nothing"),
    "STRIDED_SLICE": Operator(
        _strided_slice, "up to 4 dimensions, constant begin, end, strides of either sign"
    ),
    "SUB": Operator(_add_or_sub, "broadcasting up to 6 dimensions; fused activation"),
    "SUM": Operator(_mean_or_sum, "any axes, with or without keep_dims"),
    "TANH": Operator(_sigmoid, "output in steps of 1/128; as a table of 256 entries"),
    "TRANSPOSE": Operator(_transpose, "up to 5 dimensions, constant permutation"),
}
