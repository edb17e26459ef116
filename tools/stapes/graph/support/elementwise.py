"""Operators that compute every element by itself, and softmax: what is supported of them."""

from __future__ import annotations

import numpy as np

from stapes.definitions import limit
from stapes.graph.support.inspection import Inspection, Operator


def _broadcasting(check: Inspection) -> bool:
    """Two operands; whether all three tensors are int8."""
    check.arity(2, 2)
    left, right, output = check.input(0), check.input(1), check.output
    try:
        check.shape(tuple(np.broadcast_shapes(left.shape, right.shape)))
    except ValueError:
        check.require(False, f"shapes {list(left.shape)} and {list(right.shape)} do not broadcast")
    check.limit("BROADCAST_DIMENSIONS", len(output.shape), "reshape first")
    return check.quantized(left, right, output)


def _elementwise_pair(check: Inspection) -> bool:
    check.activation()
    return _broadcasting(check)


def _add_or_sub(check: Inspection) -> None:
    if _elementwise_pair(check):
        twice_max = 2 * max(check.input(0).scale, check.input(1).scale)
        bits = 15 if check.is_wide else 20
        if not twice_max < 0.999 * check.output.scale * 2**bits:
            check.refuse(
                f"input scales 2^{bits - 1} times the output's",
                "calibrate again: the output scale is far too small",
            )


def _mul(check: Inspection) -> None:
    if _elementwise_pair(check):
        check.rescale(check.input(0).scale * check.input(1).scale / check.output.scale)


def _maximum_or_minimum(check: Inspection) -> None:
    if _broadcasting(check):
        for position in (0, 1):
            # As in TFLM, bytes are compared: a constant's are what they are.
            if check.input(position).data is None:
                check.same_quantization(check.input(position), check.output)


def _prelu(check: Inspection) -> None:
    check.arity(2, 2)
    source, alpha, output = check.input(0), check.input(1), check.output
    check.shape(source.shape)
    try:
        fits = np.broadcast_shapes(source.shape, alpha.shape) == source.shape
    except ValueError:
        fits = False
    check.require(fits, f"slopes of shape {list(alpha.shape)} for {list(source.shape)}")
    check.limit("BROADCAST_DIMENSIONS", len(output.shape), "reshape first")
    if alpha.data is None:
        check.refuse(f"slopes {alpha.name} computed at run time", "use constant slopes")
    if check.quantized(source, alpha, output):
        check.rescale(max(source.scale, source.scale * alpha.scale) / output.scale)


def _softmax(check: Inspection) -> None:
    _over_classes(check, "softmax", steps=256, zero_point=-128)


def _log_softmax(check: Inspection) -> None:
    _over_classes(check, "log_softmax", steps=16, zero_point=127)


def _over_classes(check: Inspection, name: str, *, steps: int, zero_point: int) -> None:
    """A function of all values of the last axis, whose output has a scale of 1/`steps`."""
    if check.is_wide:
        steps, zero_point = 1 << 15, 0
    check.arity(1, 1)
    source, output = check.input(0), check.output
    check.shape(source.shape)
    check.require(len(source.shape) >= 1, "a scalar")
    if not check.quantized(source, output):
        return
    if output.scale != 1 / steps or output.zero_point != zero_point:
        check.refuse(
            f"output not in steps of 1/{steps} from {zero_point}",
            f"convert with the TFLite converter's int8 {name}",
        )
    beta = check.op.real("beta") if name == "softmax" else 1.0
    if not source.scale * beta * 2**26 > 1:
        check.refuse("an input scale below 2^-26", f"calibrate again: the input of the {name} is constant")
    check.limit("SOFTMAX_CLASSES", source.shape[-1], "use fewer classes, or a sigmoid for each")


def _unary(check: Inspection) -> bool:
    """One input and one output of the same shape; whether both are int8."""
    check.arity(1, 1)
    check.shape(check.input(0).shape)
    return check.quantized(check.input(0), check.output)


def _relu6(check: Inspection) -> None:
    if _unary(check):
        check.same_quantization(check.input(0), check.output)


def _rescaling(check: Inspection) -> None:
    if _unary(check):
        check.rescale(check.input(0).scale / check.output.scale)


def _quantize(check: Inspection) -> None:
    check.arity(1, 1)
    check.shape(check.input(0).shape)
    if check.either(check.input(0), check.output):
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
    if check.is_wide:
        expected = (2.0**-15, 0)
    if (check.output.scale, check.output.zero_point) != expected:
        check.refuse(
            f"output not in steps of {expected[0]} from {expected[1]}",
            "convert with the TFLite converter's int8",
        )
    highest = 2 if check.is_wide else 16
    if not 2.0**-27 <= check.input(0).scale < highest:
        check.refuse(
            f"an input scale of {check.input(0).scale:.3g}",
            f"calibrate again: it must lie in [2^-27, {highest})",
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


def _squared_difference(check: Inspection) -> None:
    if _broadcasting(check):
        twice_max = 2 * max(check.input(0).scale, check.input(1).scale)
        check.rescale(twice_max * twice_max / check.output.scale)


def _div(check: Inspection) -> None:
    if not _elementwise_pair(check):
        return
    divisor = check.input(1)
    if divisor.data is not None and np.any(divisor.data == divisor.zero_point):
        check.refuse(f"a division by the constant {divisor.name}, which has zeros", "multiply instead")
    ratio = check.input(0).scale / (divisor.scale * check.output.scale)
    if not 2.0**-20 <= ratio <= 2.0**20:
        check.refuse(f"a quotient rescaled by {ratio:.3g}", "calibrate again")


def _rsqrt(check: Inspection) -> None:
    if not _unary(check):
        return
    ratio = 1.0 / (np.sqrt(check.input(0).scale) * check.output.scale)
    if not 2.0**-10 <= ratio <= 2.0**19:
        check.refuse(f"a root rescaled by {ratio:.3g}", "calibrate again")


def _table(check: Inspection) -> None:
    if _unary(check) and not check.input(0).scale <= 2.0**10:
        check.refuse(f"an input scale of {check.input(0).scale:.3g}", "calibrate again")


OPERATORS = {
    "ABS": Operator(_rescaling, "as a table of 256 entries"),
    "DIV": Operator(
        _div,
        f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions; fused activation; no constant 0",
    ),
    "LOG_SOFTMAX": Operator(_log_softmax, "last axis, output in steps of 1/16 from 127"),
    "RSQRT": Operator(_rsqrt, "as a table of 256 entries"),
    "SQUARED_DIFFERENCE": Operator(
        _squared_difference, f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions"
    ),
    "ELU": Operator(_table, "as a table of 256 entries"),
    "EXP": Operator(_table, "as a table of 256 entries, as in TensorFlow Lite: TFLM has no int8 for it"),
    "GELU": Operator(_table, "as EXP, exact or approximate"),
    "ADD": Operator(
        _add_or_sub,
        f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions; fused activation",
        takes_int16=True,
    ),
    "DEQUANTIZE": Operator(
        _dequantize, "only from int8 to float32 at the network's output, where it is taken off"
    ),
    "HARD_SWISH": Operator(_hard_swish, "as a table of 256 entries"),
    "LEAKY_RELU": Operator(
        _leaky_relu, "any slope of at least 0; as a table of 256 entries", takes_int16=True
    ),
    "LOGISTIC": Operator(
        _sigmoid,
        "output in steps of 1/256 (int16: 1/32768); as a table of 256 entries",
        takes_int16=True,
    ),
    "MAXIMUM": Operator(
        _maximum_or_minimum,
        f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions; equal steps, but of constants",
        takes_int16=True,
    ),
    "MINIMUM": Operator(_maximum_or_minimum, "as MAXIMUM", takes_int16=True),
    "MUL": Operator(
        _mul,
        f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions; fused activation",
        takes_int16=True,
    ),
    "PRELU": Operator(_prelu, "constant slopes that broadcast"),
    "QUANTIZE": Operator(
        _quantize,
        "between int8 and int16; from float32 or uint8 at the network's input, where it is taken off",
        takes_int16=True,
    ),
    "RELU": Operator(_rescaling, "as a table of 256 entries", takes_int16=True),
    "RELU6": Operator(_relu6, "equal scale and zero point on both sides", takes_int16=True),
    "SOFTMAX": Operator(
        _softmax, "last axis, any beta, output in steps of 1/256 (int16: 1/32768)", takes_int16=True
    ),
    "SUB": Operator(
        _add_or_sub,
        f"broadcasting up to {limit('BROADCAST_DIMENSIONS')} dimensions; fused activation",
        takes_int16=True,
    ),
    "TANH": Operator(
        _sigmoid,
        "output in steps of 1/128 (int16: 1/32768); as a table of 256 entries",
        takes_int16=True,
    ),
}
