"""Every operator: the NumPy twin against the TFLM interpreter, on random shapes, scales and values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from modelmaker import ModelMaker

from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, check_supported, read_tflite, simplify
from stapes.graph.support import OPERATORS
from stapes.graph.windows import output_size
from stapes.int8 import run_graph
from stapes.int8.run import KERNELS
from stapes.reference import TflmOracle

pytestmark = pytest.mark.skipif(
    not TflmOracle.available(), reason="the package tflite-micro is not installed"
)
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)

# Powers of two make rounding ties; the others everything else.
scales = st.one_of(
    st.integers(-9, 0).map(lambda e: 2.0**e),
    st.floats(-3, 0).map(lambda e: float(np.float32(10.0**e))),
)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
activations = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
paddings = st.sampled_from(["SAME", "VALID"])
seeds = st.integers(0, 10_000)


def example_inputs(graph: Graph, seed: int) -> list[list[npt.NDArray[np.generic]]]:
    """Random values, and the corners that saturate."""
    random = np.random.default_rng(seed)
    shapes = [graph.tensor(index).shape for index in graph.inputs]
    return [
        [random.integers(-128, 128, shape, dtype=np.int8) for shape in shapes],
        [random.choice(np.array([-128, 127], np.int8), shape) for shape in shapes],
        [np.full(shape, -128, np.int8) for shape in shapes],
        [np.full(shape, 127, np.int8) for shape in shapes],
    ]


def check(data: bytes, seed: int = 0) -> None:
    """Twin and TFLM agree in every activation of the network in `data`."""
    graph = simplify(read_tflite(data))
    try:
        check_supported(graph)
    except UnsupportedModelError:
        assume(False)
    oracle = TflmOracle(data)
    for inputs in example_inputs(graph, seed):
        ours, theirs = run_graph(graph, inputs), oracle.run(inputs)
        for op in graph.ops:
            for index in op.outputs:
                assert ours[index].dtype == np.int8
                assert ours[index].shape == theirs[index].shape == graph.tensor(index).shape
                np.testing.assert_array_equal(ours[index], theirs[index], err_msg=f"{op.kind} tensor {index}")


@st.composite
def windows(draw: st.DrawFn, dilated: bool = True) -> dict[str, object]:
    """Kernel, stride, dilation and padding, and an input height and width that they fit."""
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 2))) if dilated else (1, 1)
    padding = draw(paddings)
    size = draw(st.tuples(st.integers(1, 14), st.integers(1, 9)))
    assume(all(output_size(padding, size[i], kernel[i], stride[i], dilation[i]) >= 1 for i in (0, 1)))
    return {"size": size, "kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}


@quick
@given(
    window=windows(),
    groups=st.sampled_from([1, 1, 2, 3]),
    depth=st.integers(1, 4),
    per_group=st.integers(1, 4),
    per_channel=st.booleans(),
    bias=st.booleans(),
    activation=activations,
    zero=zero_points,
    out_zero=zero_points,
    spread=st.sampled_from([None, 0.002, 0.5]),
    seed=seeds,
)
def test_conv_2d(
    window, groups, depth, per_group, per_channel, bias, activation, zero, out_zero, spread, seed
):
    maker = ModelMaker(seed).input((1, *window.pop("size"), depth * groups), 0.05, zero)
    maker.conv_2d(
        per_group * groups,
        **window,
        groups=groups,
        per_channel=per_channel,
        bias=bias,
        activation=activation,
        zero_point=out_zero,
        scale=spread,
    )
    check(maker.build(), seed)


@quick
@given(
    batch=st.lists(st.integers(1, 3), max_size=2),
    alone=st.sampled_from([None, 0, 1]),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 6)),
    adj_x=st.booleans(),
    adj_y=st.booleans(),
    zeros=st.tuples(zero_points, zero_points),
)
def test_batch_matmul(batch, alone, sizes, adj_x, adj_y, zeros):
    rows, depth, columns = sizes
    ones = [1] * len(batch)
    left = (*(ones if alone == 0 else batch), *((depth, rows) if adj_x else (rows, depth)))
    right = (*(ones if alone == 1 else batch), *((columns, depth) if adj_y else (depth, columns)))
    maker = ModelMaker().input(left, 0.03, zeros[0]).input(right, 0.07, zeros[1])
    check(maker.batch_matmul(0, 1, adj_x, adj_y, 0.4).build())


@quick
@given(
    window=windows(dilated=False),
    depth=st.integers(1, 4),
    channels=st.integers(1, 4),
    per_channel=st.booleans(),
    bias=st.booleans(),
    activation=activations,
    zero=zero_points,
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=seeds,
)
def test_transpose_conv(window, depth, channels, per_channel, bias, activation, zero, more, seed):
    """The map that a convolution would make is the input, or more than that; the map that it would read the output."""
    size, kernel, stride, padding = (window[name] for name in ("size", "kernel", "stride", "padding"))
    shape = [output_size(padding, size[i], kernel[i], stride[i]) + more[i] for i in (0, 1)]
    maker = ModelMaker(seed).input((1, *shape, depth), 0.05, zero)
    maker.transpose_conv(
        channels, size, kernel, stride, padding, activation, per_channel, bias, zero_point=-7
    )
    check(maker.build(), seed)


@quick
@given(
    window=windows(),
    depth=st.integers(1, 5),
    multiplier=st.integers(1, 3),
    per_channel=st.booleans(),
    bias=st.booleans(),
    activation=activations,
    zero=zero_points,
    out_zero=zero_points,
    spread=st.sampled_from([None, 0.002, 0.5]),
    seed=seeds,
)
def test_depthwise_conv_2d(
    window, depth, multiplier, per_channel, bias, activation, zero, out_zero, spread, seed
):
    maker = ModelMaker(seed).input((1, *window.pop("size"), depth), 0.05, zero)
    maker.depthwise_conv_2d(
        multiplier,
        **window,
        per_channel=per_channel,
        bias=bias,
        activation=activation,
        zero_point=out_zero,
        scale=spread,
    )
    check(maker.build(), seed)


@quick
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    units=st.integers(1, 20),
    keep=st.booleans(),
    per_channel=st.booleans(),
    bias=st.booleans(),
    activation=activations,
    scale=scales,
    zero=zero_points,
    out_zero=zero_points,
    seed=seeds,
)
def test_fully_connected(shape, units, keep, per_channel, bias, activation, scale, zero, out_zero, seed):
    maker = ModelMaker(seed).input((1, *shape), scale, zero)
    maker.fully_connected(
        units, activation, per_channel=per_channel, bias=bias, keep_num_dims=keep, zero_point=out_zero
    )
    check(maker.build(), seed)


@quick
@given(
    kind=st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]),
    window=windows(dilated=False),
    channels=st.integers(1, 5),
    activation=activations,
    scale=scales,
    zero=zero_points,
    seed=seeds,
)
def test_pools(kind, window, channels, activation, scale, zero, seed):
    maker = ModelMaker(seed).input((1, *window["size"], channels), scale, zero)
    maker.pool(kind, window["kernel"], window["stride"], window["padding"], activation)
    check(maker.build(), seed)


@quick
@given(
    kind=st.sampled_from(["MEAN", "SUM", "REDUCE_MAX"]),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    axes=st.lists(st.integers(-4, 3), min_size=1, max_size=3),
    keep=st.booleans(),
    scale=scales,
    zero=zero_points,
    out_scale=scales,
    out_zero=zero_points,
    seed=seeds,
)
def test_reductions(kind, shape, axes, keep, scale, zero, out_scale, out_zero, seed):
    rank = len(shape) + 1
    assume(all(-rank <= axis < rank for axis in axes))
    maker = ModelMaker(seed).input((1, *shape), scale, zero)
    maker.reduce(kind, axes, keep, *((None, None) if kind == "REDUCE_MAX" else (out_scale, out_zero)))
    check(maker.build(), seed)


@quick
@given(
    kind=st.sampled_from(["ADD", "SUB", "MUL"]),
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    cut=st.integers(0, 3),
    flat=st.lists(st.booleans(), min_size=4, max_size=4),
    left=st.tuples(scales, zero_points),
    right=st.tuples(scales, zero_points),
    output=st.tuples(scales, zero_points),
    activation=activations,
    constant=st.booleans(),
    swap=st.booleans(),
    seed=seeds,
)
def test_binary(kind, shape, cut, flat, left, right, output, activation, constant, swap, seed):
    full = (1, *shape)
    other = tuple(1 if narrow else size for size, narrow in zip(full, flat, strict=False))
    maker = ModelMaker(seed).input(full, *left)
    first = maker.last
    if constant:
        other = other[min(cut, len(other) - 1) :]
        values = maker.random.integers(-128, 128, other)
        second = maker.constant(values, "INT8", scale=right[0], zero_point=right[1])
    else:
        second = maker.input(other, *right).last
    pair = (second, first) if swap else (first, second)
    maker.binary(kind, *pair, *output, activation)
    check(maker.build(), seed)


@quick
@given(
    kind=st.sampled_from(["MAXIMUM", "MINIMUM"]),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    flat=st.lists(st.booleans(), min_size=5, max_size=5),
    steps=st.tuples(scales, zero_points),
    swap=st.booleans(),
    seed=seeds,
)
def test_maximum_and_minimum(kind, shape, flat, steps, swap, seed):
    full = (1, *shape)
    maker = ModelMaker(seed).input(full, *steps)
    first = maker.last
    other = tuple(1 if narrow else size for size, narrow in zip(full, flat, strict=False))
    second = maker.constant(
        maker.random.integers(-128, 128, other), "INT8", scale=steps[0], zero_point=steps[1]
    )
    maker.binary(kind, *((second, first) if swap else (first, second)))
    check(maker.build(), seed)


def test_a_maximum_of_other_steps_is_refused():
    """Of a constant they are not: its values are known."""
    maker = ModelMaker().input((1, 4), 0.1, 0).input((1, 4), 0.2, 0)
    with pytest.raises(UnsupportedModelError, match="requantisation from"):
        check_supported(read_tflite(maker.binary("MAXIMUM", *maker.inputs).build()))


@settings(quick, max_examples=200)
@given(
    kind=st.sampled_from(["RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "QUANTIZE", "LOGISTIC", "TANH"]),
    source=st.tuples(scales, zero_points),
    output=st.tuples(scales, zero_points),
    alpha=st.sampled_from([0.0, 0.01, 0.1, 0.3, 1.0, 2.5]),
)
def test_unary(kind, source, output, alpha):
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "RELU6": source}
    maker = ModelMaker().input((1, 256), *source)
    maker.unary(kind, *fixed.get(kind, output), **({"alpha": alpha} if kind == "LEAKY_RELU" else {}))
    data = maker.build()
    graph = read_tflite(data)
    try:
        check_supported(graph)
    except UnsupportedModelError:
        assume(False)
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    index = graph.outputs[0]
    np.testing.assert_array_equal(run_graph(graph, [every])[index], TflmOracle(data).run([every])[index])


@quick
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    flat=st.lists(st.booleans(), min_size=3, max_size=3),
    source=st.tuples(scales, zero_points),
    slopes=st.tuples(scales, zero_points),
    output=st.tuples(scales, zero_points),
    seed=seeds,
)
def test_prelu(shape, flat, source, slopes, output, seed):
    maker = ModelMaker(seed).input((1, *shape), *source)
    narrow = tuple(1 if one else size for size, one in zip(shape, flat, strict=False))
    alpha = maker.constant(
        maker.random.integers(-128, 128, narrow), "INT8", scale=slopes[0], zero_point=slopes[1]
    )
    maker.op("PRELU", [maker.last, alpha], (1, *shape), *output)
    check(maker.build(), seed)


@settings(quick, max_examples=100)
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    scale=st.one_of(scales, st.floats(0.001, 40).map(lambda x: float(np.float32(x)))),
    beta=st.sampled_from([1.0, 0.5, 3.0]),
    zero=zero_points,
    seed=seeds,
)
def test_softmax(shape, scale, beta, zero, seed):
    maker = ModelMaker(seed).input((1, *shape), scale, zero).softmax(beta)
    check(maker.build(), seed)


@quick
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    amounts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=5, max_size=5),
    value=st.one_of(st.none(), st.integers(-128, 127)),
    zero=zero_points,
)
def test_pad(shape, amounts, value, zero):
    amounts = [(0, 0), *amounts[: len(shape)]]
    check(ModelMaker().input((1, *shape), 0.05, zero).pad(amounts, value).build())


@quick
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_transpose(shape, data):
    order = [0, *data.draw(st.permutations(range(1, len(shape) + 1)))]
    check(ModelMaker().input((1, *shape)).transpose(order).build())


@quick
@given(shape=st.lists(st.integers(1, 8), min_size=1, max_size=3), data=st.data())
def test_strided_slice(shape, data):
    shape = [1, *shape]
    rank = len(shape)
    position = st.integers(-10, 10)
    begin = data.draw(st.lists(position, min_size=rank, max_size=rank))
    end = data.draw(st.lists(position, min_size=rank, max_size=rank))
    strides = data.draw(st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=rank, max_size=rank))
    masks = {name: data.draw(st.integers(0, 2**rank - 1)) for name in ("begin_mask", "end_mask")}
    shrink = data.draw(st.integers(0, 2**rank - 1)) & ~1
    for axis in range(rank):
        if shrink >> axis & 1:
            begin[axis] = data.draw(st.integers(-shape[axis], shape[axis] - 1))
            strides[axis] = 1
            masks["begin_mask"] &= ~(1 << axis)
        elif axis == 0:
            begin[0], end[0], strides[0] = 0, 1, 1
    index = tuple(
        begin[axis]
        if shrink >> axis & 1
        else slice(
            None if masks["begin_mask"] >> axis & 1 else begin[axis],
            None if masks["end_mask"] >> axis & 1 else end[axis],
            strides[axis],
        )
        for axis in range(rank)
    )
    part = np.zeros(shape)[index]
    assume(part.size)
    maker = ModelMaker().input(shape)
    maker.strided_slice(begin, end, strides, part.shape, shrink_axis_mask=shrink, **masks)
    check(maker.build())


@quick
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    count=st.integers(1, 4),
    axis=st.integers(1, 3),
    negative=st.booleans(),
)
def test_split_and_concatenation(shape, count, axis, negative):
    shape = [1, *shape]
    assume(axis < len(shape))
    shape[axis] *= count
    maker = ModelMaker().input(shape)
    where = axis - len(shape) if negative else axis
    parts = maker.split(count, where)
    maker.concatenation([*reversed(parts), parts[0]], where)
    check(maker.build([maker.last, *parts]))


@quick
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_parts_and_joints(shape, data):
    rank = len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    maker = ModelMaker().input(shape)
    source, outputs = maker.last, []
    begin = [data.draw(st.integers(0, size - 1)) for size in shape]
    size = [data.draw(st.integers(1, size - first)) for size, first in zip(shape, begin, strict=True)]
    size = [data.draw(st.sampled_from([count, -1])) for count in size]
    outputs.append(maker.slice(begin, size, source=source).last)
    cut = data.draw(st.integers(1, shape[axis]))
    rest = data.draw(st.sampled_from([shape[axis] - cut, -1]))
    outputs += maker.split_v([cut, rest] if cut < shape[axis] else [cut], axis, source=source)
    if rank > 1:
        parts = maker.unpack(axis, source=source)
        outputs += parts
        outputs.append(maker.pack(parts, data.draw(st.integers(-rank, rank - 1))).last)
    positions = st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=4)
    outputs.append(maker.gather(data.draw(positions), axis, source=source).last)
    check(maker.build(outputs))


@quick
@given(
    kind=st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    output=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    where=st.sampled_from([(False, False), (True, False), (False, True)]),
    channels=st.integers(1, 3),
)
def test_resize(kind, size, output, where, channels):
    check(ModelMaker().input((1, *size, channels)).resize(kind, output, *where).build())


@quick
@given(kind=st.sampled_from(["ABS", "ELU"]), scale=scales, out=scales, zero=zero_points, out_zero=zero_points)
def test_tables_that_tflm_has(kind, scale, out, zero, out_zero):
    check(ModelMaker().input((1, 256), scale, zero).unary(kind, out, out_zero).build())


@quick
@given(scale=st.floats(0.002, 4), out=st.floats(0.001, 0.1), out_zero=zero_points)
def test_inverse_square_roots(scale, out, out_zero):
    maker = ModelMaker().input((1, 256), float(np.float32(scale)), -128)
    check(maker.unary("RSQRT", float(np.float32(out)), out_zero).build())


@quick
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    scale=st.one_of(scales, st.floats(0.001, 40).map(lambda x: float(np.float32(x)))),
    zero=zero_points,
    seed=seeds,
)
def test_log_softmax(shape, scale, zero, seed):
    maker = ModelMaker(seed).input((1, *shape), scale, zero)
    check(maker.unary("LOG_SOFTMAX", 1 / 16, 127).build(), seed)


@quick
@given(left=scales, right=scales, out=scales, zero=zero_points, second=zero_points, seed=seeds)
def test_squared_difference(left, right, out, zero, second, seed):
    maker = ModelMaker(seed).input((1, 5, 4, 3), left, zero).input((1, 1, 4, 3), right, second)
    check(maker.binary("SQUARED_DIFFERENCE", 0, 1, out, 7).build(), seed)


@quick
@given(
    scale=st.floats(0.01, 0.2),
    ratio=st.floats(70, 1000),
    zero=zero_points,
    second=zero_points,
    activation=activations,
    seed=seeds,
)
def test_div(scale, ratio, zero, second, activation, seed):
    """By constants, as TFLM does not say what a division by 0 is; quotients for which it shifts by at most 31 bits."""
    scale = np.float32(scale)
    maker = ModelMaker(seed).input((1, 60, 4), float(scale), zero)
    divisors = [value for value in range(-128, 128) if value != second]
    random = np.random.default_rng(seed)
    constant = maker.constant(random.choice(divisors, (60, 4)), "INT8", scale=0.02, zero_point=second)
    out = float(np.float32(scale / 0.02 / ratio))
    check(maker.binary("DIV", 0, constant, out, 5, activation).build(), seed)


@pytest.mark.parametrize("kind", ["EXP", "GELU", "tanh"])
def test_tables_that_only_tensorflow_lite_has(kind):
    """All 256 inputs, for many scales, against its interpreter."""
    tensorflow = pytest.importorskip("tensorflow")
    random = np.random.default_rng(0)
    values = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    for _ in range(20):
        scale, out = (float(np.float32(10 ** random.uniform(-3, -0.5))) for _ in range(2))
        maker = ModelMaker().input((1, 256), scale, int(random.integers(-128, 128)))
        name, attributes = ("EXP", {}) if kind == "EXP" else ("GELU", {"approximate": kind == "tanh"})
        data = maker.unary(name, out, int(random.integers(-128, 128)), **attributes).build()
        interpreter = tensorflow.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        theirs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        graph = read_tflite(data)
        np.testing.assert_array_equal(run_graph(graph, [values])[graph.outputs[0]], theirs)


@pytest.mark.parametrize(
    ("kind", "shape"), [("RESHAPE", (2, 12)), ("SQUEEZE", (2, 3, 4)), ("EXPAND_DIMS", (1, 1, 2, 3, 4))]
)
def test_reshapes(kind, shape):
    check(ModelMaker().input((1, 2, 3, 4)).unary("RELU", 0.05, -3).reshape(shape, kind).build())


def test_branches_and_several_inputs_and_outputs():
    maker = ModelMaker(3).input((1, 8, 6, 4)).input((1, 8, 6, 4), 0.1, 9)
    first, second = maker.inputs
    left = maker.conv_2d(4, activation="RELU", source=first).last
    right = maker.depthwise_conv_2d(kernel=(5, 1), source=second).last
    joined = maker.binary("ADD", left, right, 0.1, 3).last
    residual = maker.conv_2d(4, (1, 1), source=joined).binary("ADD", joined, maker.last, 0.2, 0).last
    scores = maker.reduce("MEAN", (1, 2)).fully_connected(5).softmax().last
    check(maker.build([residual, scores]))


def test_every_supported_operator_has_a_twin():
    assert set(OPERATORS) - {"DEQUANTIZE"} == set(KERNELS)


def test_factors_between_scales_are_computed_in_float64():
    """Pairs of scales whose ratio is a rounding tie in float32 and not in float64."""
    random = np.random.default_rng(0)
    for number in range(40):
        source = np.float32(random.uniform(0.01, 0.3))
        ratio = np.float32(random.choice([0.5, 0.75, 1.25, 1.5, 2.5, 3.5]))
        for kind, attributes in (("RELU", {}), ("LEAKY_RELU", {"alpha": 0.3}), ("QUANTIZE", {})):
            maker = ModelMaker().input((1, 256), float(source), 0)
            check(maker.unary(kind, float(source / ratio), 0, **attributes).build())
        hires = (random.integers(1 << 14, 1 << 15) + 0.5) / 2**15 / 2.0 ** random.integers(0, 7)
        maker = ModelMaker().input((1, 256), float(source), 0)
        check(maker.unary("HARD_SWISH", float(np.float32(source / 128 / hires)), 0).build())
        weight = np.float32(random.uniform(0.01, 0.3))
        maker = ModelMaker(number).input((1, 4), float(source), 0)
        maker.fully_connected(16, bias=False, scale=float(source * weight * np.float32(2)), zero_point=0)
        maker.tensors[1].scales = (float(weight),)
        maker.tensors[1].data[...] = maker.random.integers(-1, 2, (16, 4))
        check(maker.build())


def test_bounds_of_activations_are_computed_in_float32():
    """Scales where 6 / scale is a tie in float32 and not in float64."""
    for step in range(1, 120):
        scale = float(np.float32(6 / (step + 0.5)))
        check(ModelMaker().input((1, 256), scale, -100).unary("RELU6").build())
        maker = ModelMaker(step).input((1, 4), 0.1, 0)
        check(maker.fully_connected(32, "RELU6", bias=False, scale=scale, zero_point=-100).build())
