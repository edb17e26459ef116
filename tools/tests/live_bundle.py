"""A small bundle with random weights that listens: its windows share rows, or its network pads along time."""

from __future__ import annotations

from pathlib import Path

from modelmaker import ModelMaker

from stapes.recipe import (
    Bundle,
    BundleManifest,
    DecisionSpec,
    FrontendSpec,
    LiveSpec,
    Normalization,
    WindowSpec,
)

LABELS = ("bell", "dog", "rain", "other")
FRAMES, HOP, BANDS = 22, 4, 20


def make_live_bundle(
    directory: Path,
    live: LiveSpec | None = None,
    *,
    padded: bool = False,
    seed: int = 1,
    frames: int = FRAMES,
    hop: int = HOP,
    frontend: FrontendSpec | None = None,
) -> Bundle:
    """Convolutions with a time stride of 4 together, mean over frequency, mean and maximum over time, dense."""
    front = frontend or FrontendSpec(n_mels=BANDS)
    maker = ModelMaker(seed).input((1, frames, front.n_mels, 1), scale=0.05, zero_point=-3)
    if padded:
        maker.conv_2d(6, stride=(2, 2), activation="RELU").conv_2d(8, stride=(2, 2), activation="RELU")
    else:
        for channels in (6, 8):
            maker.pad([(0, 0), (0, 0), (1, 1), (0, 0)])
            maker.conv_2d(channels, stride=(2, 2), padding="VALID", activation="RELU")
    height, width = maker.shape()[1:3]
    last = maker.pool("AVERAGE_POOL_2D", (1, width)).last
    mean = maker.pool("AVERAGE_POOL_2D", (height, 1), source=last).last
    peak = maker.pool("MAX_POOL_2D", (height, 1), source=last).last
    maker.concatenation([mean, peak]).reshape((1, 16)).fully_connected(len(LABELS), scale=0.02).softmax()
    manifest = BundleManifest(
        name="live",
        labels=LABELS,
        frontend=front,
        normalization=Normalization(mean=-6.0, std=4.0),
        window=WindowSpec(frames=frames, hop_frames=hop),
        decision=DecisionSpec(),
        live=live or LiveSpec(),
    )
    return Bundle.save(directory, manifest, {"model.tflite": maker.build()})
