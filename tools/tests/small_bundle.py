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
    labels: tuple[str, ...] = LABELS,
    n_mfcc: int = 0,
    hop_frames: int = 7,
) -> Bundle:
    """Two convolutions, pools over frequency and time, dense, softmax; 20 frames of 20 bands or `n_mfcc` MFCCs."""
    frontend = FrontendSpec(n_mels=BANDS, n_mfcc=n_mfcc)
    features = frontend.n_features
    maker = ModelMaker(seed).input((1, FRAMES, features, 1), scale=0.05, zero_point=-3)
    maker.conv_2d(8, kernel=(3, 3), stride=(2, 2), activation="RELU")
    maker.depthwise_conv_2d(kernel=(3, 3), stride=(1, 1), activation="RELU")
    maker.conv_2d(12, kernel=(1, 1), activation="RELU")
    maker.pool("AVERAGE_POOL_2D", (1, (features + 1) // 2))
    maker.pool("MAX_POOL_2D", (FRAMES // 2, 1))
    maker.reshape((1, 12)).fully_connected(len(labels)).softmax()
    manifest = BundleManifest(
        name=name,
        labels=labels,
        frontend=frontend,
        normalization=Normalization(mean=-6.0, std=4.0),
        window=WindowSpec(frames=FRAMES, hop_frames=hop_frames),
        decision=DecisionSpec(vote=vote, min_confidence=min_confidence),
    )
    return Bundle.save(directory, manifest, {"model.tflite": maker.build()})
