"""What is unsupported is refused: all of it at once, each with its place and what to do."""

from __future__ import annotations

import pytest
from modelmaker import ModelMaker

from stapes.errors import ModelError, UnsupportedModelError
from stapes.graph import check_supported, operator_rows, read_tflite, simplify
from stapes.graph.support import OPERATORS


def refusals(maker: ModelMaker) -> list[str]:
    with pytest.raises(UnsupportedModelError) as caught:
        check_supported(simplify(read_tflite(maker.build())))
    assert "\n" not in str(caught.value)
    return caught.value.unsupported


def test_everything_unsupported_is_named_at_once():
    maker = ModelMaker().input((1, 8, 8, 2)).conv_2d(4, activation="TANH").unary("COS")
    maker.unary("CUSTOM:Mystery").reduce("MEAN", (1, 2)).op("SOFTMAX", [maker.last], (1, 4), 0.1, 0, beta=1.0)
    found = refusals(maker)
    assert len(found) == 4
    assert found[0].startswith("fused activation TANH in operator 0 CONV_2D (conv_2d_0): use RELU")
    assert found[1].startswith("operator COS in operator 1 COS (cos_1): replace the layer")
    assert found[2].startswith("operator CUSTOM:Mystery in operator 2")
    assert found[3].startswith("output not in steps of 1/256 from -128 in operator 4 SOFTMAX")


def test_the_documentation_knows_every_operator():
    rows = {kind: (attributes, notes) for kind, attributes, notes in operator_rows()}
    assert rows["LEAKY_RELU"][0] == "alpha"
    assert rows["MAX_POOL_2D"][0] == "padding, stride_h, stride_w, kernel_h, kernel_w, activation"
    assert set(rows) == set(OPERATORS) and all(notes for _, notes in rows.values())


def test_the_message_counts():
    maker = ModelMaker().input((1, 4)).unary("COS")
    with pytest.raises(UnsupportedModelError, match=r"^1 unsupported thing: operator COS"):
        check_supported(read_tflite(maker.build()))


def test_what_is_alike_is_said_once():
    maker = ModelMaker().input((1, 6))
    for _ in range(300):
        maker.unary("COS").fully_connected(6, activation="TANH", scale=0.1)
    with pytest.raises(UnsupportedModelError) as caught:
        check_supported(read_tflite(maker.build()))
    assert len(caught.value.unsupported) == 600
    message = str(caught.value)
    assert "operator COS, 300 times: replace" in message
    assert "fused activation TANH in FULLY_CONNECTED, 300 times: use RELU" in message
    assert len(message) < 500


def test_a_network_of_another_type_is_one_sentence():
    maker = ModelMaker().input((1, 6), None, 0, "FLOAT32")
    for _ in range(3):
        maker.op("COS", [maker.last], (1, 6), type_name="FLOAT32")
    (found,) = refusals(maker)
    assert found == "this network is float32: 3 of 3 activations are (COS 3 times)"


def with_weights(**changes: object) -> ModelMaker:
    maker = ModelMaker().input((1, 6)).fully_connected(4)
    for name, value in changes.items():
        setattr(maker.tensors[1], name, value)
    return maker


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (with_weights(zero_points=(3,)), "asymmetric weights"),
        (with_weights(scales=(), zero_points=()), "without scales"),
        (with_weights(scales=(1e12,)), "rescaling by"),
        (ModelMaker().input((1, 6), type_name="INT16").unary("RELU"), "INT8 tensor relu_0"),
        (ModelMaker().input((1, 6), 0.1, 0, type_name="INT16").unary("ELU"), "ELU with int16 activations"),
        (ModelMaker().input((1, 6), 0.1, 3, type_name="INT16").unary("QUANTIZE"), "zero point 3 of input0"),
        (
            ModelMaker().input((1, 6), None, 0, "FLOAT32").unary("RELU", 0.1, 0),
            "FLOAT32 network input input0",
        ),
        (ModelMaker().input((1, 6), None).unary("RELU", 0.1, 0), "input0 without a scale"),
        (ModelMaker().input((2, 6, 6, 1)).conv_2d(2), "a batch of 2"),
        (ModelMaker().input((1, 6)).unary("RELU6", 0.1, 0), "requantisation from input0 to relu6_0"),
        (ModelMaker().input((1, 6)).unary("LEAKY_RELU", alpha=-0.5), "a slope of -0.5"),
        (ModelMaker().input((1, 6)).unary("LOGISTIC", 0.1, 0), "steps of 0.00390625 from -128"),
        (ModelMaker().input((1, 6)).unary("TANH", 0.1, 0), "steps of 0.0078125 from 0"),
        (ModelMaker().input((1, 6), 100.0).unary("TANH", 1 / 128, 0), "an input scale of 100"),
        (ModelMaker().input((1, 6), 100.0).unary("HARD_SWISH", 0.1, 0), "an input scale 1e+03 times"),
        (ModelMaker().input((1, 6), 1e-9).softmax(), "an input scale below 2"),
        (
            ModelMaker().input((1, 5000)).softmax(),
            "5000 values that a SOFTMAX or LOG_SOFTMAX runs over (at most 4095",
        ),
        (
            ModelMaker().input((1, 2, 2, 2, 2, 2)).pad([(0, 0)] * 6),
            "6 dimensions of PAD and PADV2 (at most 5",
        ),
        (
            ModelMaker().input((1, 2, 2, 2, 2, 2)).transpose(range(6)),
            "6 dimensions of TRANSPOSE, SLICE and BATCH_MATMUL (at most 5",
        ),
        (
            ModelMaker().input((1, 6)).strided_slice((0, 0), (1, 6), (1, 1), (1, 6), new_axis_mask=1),
            "the new_axis_mask",
        ),
        (ModelMaker().input((1, 6)).strided_slice((0,), (1,), (1,), (1, 6)), "1 begins for 2 dimensions"),
    ],
)
def test_refusals(maker, message):
    assert any(message in finding for finding in refusals(maker)), refusals(maker)


def test_an_accumulator_that_could_overflow_is_refused():
    maker = ModelMaker().input((1, 6)).fully_connected(4)
    maker.tensors[2].data[1] = 2**31 - 1000
    assert "an accumulator that may exceed 32 bits" in refusals(maker)[0]
    maker.tensors[2].data[1] = 2**31 - 6 * 127 * 255 - 1
    check_supported(read_tflite(maker.build()))


@pytest.mark.parametrize("name", ["paddings", "axes"])
def test_amounts_computed_at_run_time_are_refused(name):
    maker = ModelMaker().input((1, 6)).input((2, 2) if name == "paddings" else (1,), None, 0, "INT32")
    if name == "paddings":
        maker.op("PAD", [0, 1], (1, 6))
    else:
        maker.op("MEAN", [0, 1], (1,), keep_dims=False)
    found = refusals(maker)
    assert any(f"{name} computed at run time" in finding for finding in found)


@pytest.mark.parametrize(
    "maker",
    [
        ModelMaker().input((1, 6, 6, 2)).op("CONV_2D", [0], (1, 6, 6, 2)),
        ModelMaker().input((1, 6)).op("RESHAPE", [0], (1, 7)),
        ModelMaker().input((1, 6)).op("RELU", [0], (1, 7)),
        ModelMaker().input((1, 6)).op("ADD", [0, 0], (1, 7), activation="NONE"),
        ModelMaker().input((1, 6)).op("CONCATENATION", [0, 0], (1, 11), axis=1, activation="NONE"),
        ModelMaker().input((1, 6)).op("CONCATENATION", [0, 0], (1, 12), axis=2, activation="NONE"),
        ModelMaker().input((1, 6, 4)).transpose((0, 1, 1)),
        ModelMaker().input((1, 6, 4)).pad([(0, 0), (-1, 0), (0, 0)]),
        ModelMaker().input((1, 6, 4)).reduce("MEAN", (1,)).op("MEAN", [0, 1], (1, 6), keep_dims=False),
    ],
)
def test_a_file_that_contradicts_itself_is_corrupt(maker):
    with pytest.raises(ModelError, match="corrupt: operator") as caught:
        check_supported(read_tflite(maker.build()))
    assert not isinstance(caught.value, UnsupportedModelError)
