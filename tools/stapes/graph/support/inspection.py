"""One operator under inspection, and what a check finds.

A check tells two things apart: what is valid but unsupported is collected, so that the user sees all of it
at once; what contradicts itself (a shape that does not follow from the inputs) is a corrupt file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.definitions import limit, limits
from stapes.errors import ModelError
from stapes.graph.ir import Graph, Op, Tensor
from stapes.graph.windows import output_size

_MAX_RESCALE = 2.0**30
_MIN_SCALE, _MAX_SCALE = 2.0**-60, 2.0**60


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

    def limit(self, name: str, count: int, todo: str) -> None:
        """Note `count` that are more than the limit `name` allows."""
        if count > limit(name):
            self.refuse(limits()[name].exceeded(count), todo)

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

    @property
    def is_wide(self) -> bool:
        """Whether the operator's activations are int16."""
        return self.graph.is_wide(self.op)

    def quantized(self, *tensors: Tensor) -> bool:
        """Whether all `tensors` have one scale and a zero point and are int8, or int16 where the operator's activations
        are; notes those that are not.
        """
        return all([_is_quantized(self, tensor, self.is_wide) for tensor in tensors])

    def either(self, *tensors: Tensor) -> bool:
        """The same where each may be int8 or int16."""
        return all([_is_quantized(self, tensor, tensor.is_wide) for tensor in tensors])

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

    def rank4(self, *tensors: Tensor) -> None:
        """Require four dimensions."""
        for tensor in tensors:
            self.require(len(tensor.shape) == 4, f"{tensor.name} has {len(tensor.shape)} dimensions, not 4")

    def window(self, kernel_h: int, kernel_w: int, channels: int, dilation: bool) -> None:
        """Require the output of a convolution or pool over a [batch, height, width, channels] input."""
        op = self.op
        batch, height, width, _ = self.input(0).shape
        stride_h, stride_w = op.integer("stride_h"), op.integer("stride_w")
        dilation_h = op.integer("dilation_h") if dilation else 1
        dilation_w = op.integer("dilation_w") if dilation else 1
        sizes, dilations = (stride_h, stride_w, kernel_h, kernel_w), (dilation_h, dilation_w)
        self.require(
            all(1 <= size <= limit("TENSOR_ELEMENTS") for size in sizes)
            and all(1 <= dilation <= 1 << 16 for dilation in dilations),
            "a stride, dilation or kernel size of no use",
        )
        if batch != 1:
            self.refuse(f"a batch of {batch}", "export the network with a batch of 1")
        padding = op.text("padding")
        self.shape(
            (
                batch,
                output_size(padding, height, kernel_h, stride_h, dilation_h),
                output_size(padding, width, kernel_w, stride_w, dilation_w),
                channels,
            )
        )


def _is_quantized(inspection: Inspection, tensor: Tensor, is_wide: bool) -> bool:
    if tensor.type_name != ("INT16" if is_wide else "INT8"):
        inspection.refuse(f"{tensor.type_name} tensor {tensor.name}", "convert to full int8")
        return False
    quantization = tensor.quantization
    if quantization is None or len(quantization.scale) != 1:
        inspection.refuse(f"tensor {tensor.name} without a single scale", "convert to full int8")
        return False
    if is_wide and tensor.zero_point != 0:
        inspection.refuse(f"zero point {tensor.zero_point} of {tensor.name}", "int16 activations have none")
        return False
    inspection.require(-128 <= tensor.zero_point <= 127, f"zero point {tensor.zero_point} of {tensor.name}")
    inspection.require(_MIN_SCALE <= tensor.scale <= _MAX_SCALE, f"scale {tensor.scale} of {tensor.name}")
    return True


@dataclass(frozen=True)
class Operator:
    """A supported operator: what is checked, and what the documentation says of it."""

    check: Callable[[Inspection], None]
    notes: str
    takes_int16: bool = False
    """Whether its activations may be int16."""

    def __call__(self, inspection: Inspection) -> None:
        """Apply the check."""
        self.check(inspection)
