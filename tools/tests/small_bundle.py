"""A small bundle with random weights: quick to build, quick to run, every kind of stage in it."""

from __future__ import annotations

from pathlib import Path

from modelmaker import ModelMaker

from stapes.recipe import Bundle, BundleManifest, DecisionSpec, FrontendSpec, Normalization, WindowSpec

LABELS = ("bell", "dog", "rain")
FRAMES, BANDS = 20, 20


def make_small_bundle(
    directory: Path,
    *,
    seed: int = 1,
    vote: str = "energy",
    min_confidence: float = 0.3,
    name: str = "small",
    frontend: FrontendSpec | None = None,
    hop_frames: int = 7,
) -> Bundle:
    """Two convolutions, pools over frequency and time, dense, softmax; 20 frames of 20 bands (or an even number of
    features of `frontend`).
    """
    frontend = frontend or FrontendSpec(n_mels=BANDS)
    maker = ModelMaker(seed).input((1, FRAMES, frontend.n_features, 1), scale=0.05, zero_point=-3)
    maker.conv_2d(8, kernel=(3, 3), stride=(2, 2), activation="RELU")
    maker.depthwise_conv_2d(kernel=(3, 3), stride=(1, 1), activation="RELU")
    maker.conv_2d(12, kernel=(1, 1), activation="RELU")
    maker.pool("AVERAGE_POOL_2D", (1, frontend.n_features // 2))
    maker.pool("MAX_POOL_2D", (FRAMES // 2, 1))
    maker.reshape((1, 12)).fully_connected(len(LABELS)).softmax()
    manifest = BundleManifest(
        name=name,
        labels=LABELS,
        frontend=frontend,
        normalization=Normalization(mean=-6.0, std=4.0),
        window=WindowSpec(frames=FRAMES, hop_frames=hop_frames),
        decision=DecisionSpec(vote=vote, min_confidence=min_confidence),
    )
    return Bundle.save(directory, manifest, {"model.tflite": maker.build()})
