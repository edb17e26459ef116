"""A small MobileNetV1 as YAMNet is one: [1, 96, 64, 1], depthwise and pointwise layers, a mean, a dense layer."""

from __future__ import annotations

from pathlib import Path

from modelmaker import ModelMaker

FRAMES = 96
CHANNELS = (8, 16, 24, 24)


def mobilenet(directory: Path, classes: int = 7) -> Path:
    """The .tflite with random weights, its input quantised for YAMNet's features; its labels stand in labels.txt."""
    scales: list[float] = []
    maker = _layers(scales)
    for _ in range(2 * len(CHANNELS) - 1):
        # Again with the steps found so far, since a layer's steps depend on those of the layer before.
        scales.append(_filled(maker, len(scales)))
        maker = _layers(scales)
    maker.reduce("MEAN", (1, 2), scale=maker.scale() / 2, zero_point=-128)
    maker.fully_connected(classes).softmax()
    path = directory / "mobilenet.tflite"
    path.write_bytes(maker.build())
    (directory / "labels.txt").write_text("".join(f"class {number}\n" for number in range(classes)))
    return path


def _filled(maker: ModelMaker, layer: int) -> float:
    """The scale with which the largest of a layer's values fill int8."""
    import numpy as np

    from stapes.graph import read_tflite, simplify
    from stapes.int8 import run_graph

    graph = simplify(read_tflite(maker.build()))
    rows = np.random.default_rng(1).integers(-128, 128, (1, FRAMES, 64, 1)).astype(np.int8)
    index = graph.ops[layer].outputs[0]
    tensor = graph.tensor(index)
    most = int(run_graph(graph, [rows])[index].max()) - tensor.zero_point
    return float(tensor.scale * max(most, 1) / 240)


def _layers(scales: list[float]) -> ModelMaker:
    given = iter(scales)
    maker = ModelMaker(11).input((1, FRAMES, 64, 1), 0.05, 20)

    def steps() -> dict[str, float | int]:
        scale = next(given, None)
        return {"zero_point": -128} if scale is None else {"zero_point": -128, "scale": scale}

    maker.conv_2d(CHANNELS[0], stride=(2, 2), activation="RELU", **steps())
    for channels in CHANNELS[1:]:
        maker.depthwise_conv_2d(stride=(2, 2), activation="RELU", **steps())
        maker.conv_2d(channels, kernel=(1, 1), activation="RELU", **steps())
    return maker
