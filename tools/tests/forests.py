"""Small forests for tests: a trained one, and the bundle around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stapes.recipe import Bundle, BundleManifest, DecisionSpec, FrontendSpec, Normalization, WindowSpec
from stapes.training.forest import forest_model

LABELS = ("bell", "dog", "rain")
FRAMES, BANDS = 20, 20


def random_forest(features: int, seed: int = 1, trees: int = 12):
    """A forest that has learned noise: every threshold and every class occurs."""
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(seed)
    inputs = random.integers(-128, 128, (400, features))
    targets = (inputs[:, :3].argmax(axis=1) + random.integers(0, 2, 400)) % len(LABELS)
    return RandomForestClassifier(trees, min_samples_leaf=3, random_state=seed).fit(inputs, targets)


def make_forest_bundle(directory: Path, *, vote: str = "energy", name: str = "trees") -> Bundle:
    """A bundle like `small_bundle`'s, with a forest for a network."""
    model = forest_model(random_forest(6 * BANDS), FRAMES, BANDS)
    manifest = BundleManifest(
        name=name,
        labels=LABELS,
        frontend=FrontendSpec(n_mels=BANDS),
        normalization=Normalization(mean=-6.0, std=4.0),
        window=WindowSpec(frames=FRAMES, hop_frames=7),
        decision=DecisionSpec(vote=vote, min_confidence=0.3),
    )
    return Bundle.save(directory, manifest, {"model.tflite": model})
