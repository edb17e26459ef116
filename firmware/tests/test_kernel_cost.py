"""What kernels cost on a Cortex-M4, in instructions counted exactly: the layers that other people's networks have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.bench.model import bench_model
from stapes.errors import ToolError
from stapes.targets import require_target

TARGET = "qemu:mps2-an386"


def layers_of_others() -> bytes:
    """One layer of each kind, all of the same input but the one over time."""
    maker = ModelMaker(21).input((1, 20, 10, 32), scale=0.05, zero_point=-128)
    source, outputs = maker.last, []

    def add(made: ModelMaker) -> None:
        outputs.append(made.last)

    windows = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
    scales = [40.0 if channel == 5 else 1e-3 for channel in range(32)]
    spoilt = maker.tensor(
        (1, 3, 3, 32), scales, data=np.random.default_rng(1).integers(-127, 128, 288), axis=3
    )
    add(maker.binary("ADD", source, source, 0.1, 3))
    add(maker.pool("MAX_POOL_2D", (2, 2), (2, 2), source=source))
    add(maker.pool("AVERAGE_POOL_2D", (2, 2), (2, 2), source=source))
    add(maker.conv_2d(32, (3, 3), groups=32, source=source, zero_point=-128, activation="RELU"))
    add(maker.depthwise_conv_2d(1, (3, 3), source=source, zero_point=-128, activation="RELU"))
    maker.op(
        "DEPTHWISE_CONV_2D",
        [source, spoilt],
        (1, 20, 10, 32),
        0.1,
        3,
        depth_multiplier=1,
        activation="NONE",
        **windows,
    )
    add(maker)
    maker.reshape((1, 200, 1, 32), source=source)
    add(maker.depthwise_conv_2d(1, (9, 1), padding="VALID"))
    return maker.build(outputs)


BARS = {
    "add_0": 25,  # an element
    "max_pool_2d_1": 25,  # an output
    "average_pool_2d_2": 40,
    "conv_2d_3": 3.0,  # a multiplication, as the same layer as DEPTHWISE_CONV_2D
    "depthwise_conv_2d_4": 3.0,
    "depthwise_conv_2d_5": 5.0,  # one channel of 32 takes the long way
    "depthwise_conv_2d_7": 9.0,  # over time
}


def test_layers_of_others_are_cheap(tmp_path: Path) -> None:
    try:
        require_target(TARGET)
    except ToolError as error:
        pytest.skip(str(error))
    result = bench_model(layers_of_others(), TARGET, tmp_path, inputs=1)
    assert result.equal
    costs = {}
    for layer, count in zip(result.plan.layers, result.layer_instructions, strict=True):
        costs[layer.name] = count / (layer.macs or layer.rows * layer.row_bytes)
    print({name: round(cost, 2) for name, cost in costs.items()})
    assert {name for name, bar in BARS.items() if costs[name] > bar} == set()
    assert result.plan.layers[3].kernel == result.plan.layers[4].kernel == "depthwise_3x3"
