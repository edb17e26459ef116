"""Dilated convolutions that a converter spread over the batch become one each, with the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from modelmaker import ModelMaker

from stapes.compiler import compile_graph
from stapes.errors import UnsupportedModelError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.reference import TflmOracle


def spread(
    size: tuple[int, int],
    block: tuple[int, int],
    kernel: tuple[int, int],
    padding: str,
    before: tuple[int, int],
    placeholder: bool,
    depthwise: bool,
    pad: bool,
) -> bytes:
    """A dilated convolution as Keras writes it, the batch in the file's shapes or one in its place."""
    maker = ModelMaker(3).input((1, *size, 3), zero_point=5)
    first = before
    if pad:
        maker.pad([(0, 0), (before[0], 0), (before[1], 0), (0, 0)])
        first = (0, 0)
    length = maker.shape()[1:3]
    lows = [(low, -(n + low) % step) for low, n, step in zip(first, length, block, strict=True)]
    parts = [(n + sum(pair)) // step for n, pair, step in zip(length, lows, block, strict=True)]
    batch = 1 if placeholder else int(np.prod(block))
    blocks = maker.constant(np.array(block, np.int32))
    maker.op(
        "SPACE_TO_BATCH_ND",
        [maker.last, blocks, maker.constant(np.array(lows, np.int32))],
        (batch, *parts, 3),
    )
    if depthwise:
        maker.depthwise_conv_2d(1, kernel, padding=padding)
    else:
        maker.conv_2d(4, kernel, padding=padding)
    _, height, width, channels = maker.shape()
    crops = [(0, high) for _, high in lows]
    out = [n * step - high for n, step, (_, high) in zip((height, width), block, crops, strict=True)]
    assume(all(n >= 1 for n in out))
    maker.op(
        "BATCH_TO_SPACE_ND",
        [maker.last, blocks, maker.constant(np.array(crops, np.int32))],
        (1, *out, channels),
    )
    return maker.binary("ADD", maker.last, maker.last, 0.3, 2).build()


@settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    size=st.tuples(st.integers(4, 12), st.integers(4, 9)),
    block=st.tuples(st.integers(1, 4), st.integers(1, 3)).filter(lambda block: block != (1, 1)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID"]),
    before=st.tuples(st.integers(0, 5), st.integers(0, 3)),
    placeholder=st.booleans(),
    depthwise=st.booleans(),
    pad=st.booleans(),
)
def test_one_convolution_with_the_same_bytes(**given: object) -> None:
    size, block, kernel, before = (given[name] for name in ("size", "block", "kernel", "before"))
    assume(
        given["padding"] == "SAME" or all((size[i] + before[i]) // block[i] >= kernel[i] for i in (0, 1))  # type: ignore[index]
    )
    data = spread(**given)  # type: ignore[arg-type]
    graph = simplify(read_tflite(data))
    assert [op.kind for op in graph.ops if op.kind != "PAD"][1:] == ["ADD"]
    check_supported(graph)
    convolution = next(op for op in graph.ops if op.kind.endswith("CONV_2D"))
    assert (convolution.integer("dilation_h"), convolution.integer("dilation_w")) == block
    if not TflmOracle.available():
        pytest.skip("the package tflite-micro is not installed")
    values = np.random.default_rng(0).integers(-128, 128, graph.tensor(graph.inputs[0]).shape, dtype=np.int8)
    ours, theirs = run_graph(graph, [values]), TflmOracle(data).run([values])
    for layer in compile_graph(graph).layers:
        assert ours[layer.tensor].tobytes() == theirs[layer.tensor].tobytes(), layer.name


def test_tensorflow_lite_pads_with_the_zero_point_too() -> None:
    """TFLM does not, so it is asked with the dilated convolution; this holds that to what the file says."""
    lite = pytest.importorskip("tensorflow").lite
    data = spread((8, 6), (2, 3), (3, 2), "SAME", (3, 1), placeholder=False, depthwise=False, pad=False)
    graph = simplify(read_tflite(data))
    interpreter = lite.Interpreter(
        model_content=data, experimental_op_resolver_type=lite.experimental.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    values = np.random.default_rng(0).integers(-128, 128, (1, 8, 6, 3), dtype=np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert run_graph(graph, [values])[graph.outputs[0]].tobytes() == expected.tobytes()


def test_padding_of_a_sequence_is_taken_by_its_convolution() -> None:
    maker = ModelMaker().input((1, 20, 6)).pad([(0, 0), (2, 0), (0, 0)])
    maker.reshape((1, 1, 22, 6)).conv_2d(4, (1, 3), padding="VALID").reshape((1, 20, 4))
    data = maker.build()
    plan = compile_graph(simplify(read_tflite(data)))
    assert "pad" not in [layer.kernel for layer in plan.layers]


def test_what_is_no_dilated_convolution_is_refused() -> None:
    maker = ModelMaker().input((1, 8, 8, 2))
    amounts = [maker.constant(np.array(values, np.int32)) for values in ([2, 2], [[0, 0], [0, 0]])]
    maker.op("SPACE_TO_BATCH_ND", [0, *amounts], (4, 4, 4, 2)).unary("RELU")
    maker.op("BATCH_TO_SPACE_ND", [maker.last, *amounts], (1, 8, 8, 2))
    with pytest.raises(UnsupportedModelError, match="only around one convolution"):
        check_supported(simplify(read_tflite(maker.build())))
