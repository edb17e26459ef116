"""Training a forest: without TensorFlow, the same for the same seed, and a bundle like any other at its end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("emlearn", reason="emlearn is not installed")

from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import RecipeError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.recipe import Bundle, DecisionSpec, FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import (
    FeaturePool,
    build_pool,
    metrics_of,
    train_fold,
    untrained_network,
    write_bundle,
)

LABELS = ("clock_tick", "helicopter", "rooster")


def make_recipe(bands: int = 20, seed: int = 1) -> Recipe:
    return Recipe(
        name="trees",
        frontend=FrontendSpec(n_mels=bands, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(architecture="forest", trees=15, min_samples_leaf=2),
        training=TrainingSpec(speeds=(1.0, 1.1), seed=seed),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 30, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def test_a_forest_learns_without_tensorflow(
    pool: FeaturePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)
    recipe = make_recipe()
    result = train_fold(recipe, pool, 1, tmp_path / "a")
    assert result.clips == 6 and result.float_accuracy >= 0.8 and result.int8_accuracy >= 0.8
    check_supported(simplify(read_tflite(result.network)))
    assert train_fold(recipe, pool, 1, tmp_path / "b").network == result.network
    assert train_fold(make_recipe(seed=2), pool, 1, tmp_path / "c").network != result.network
    (tmp_path / "a/fold1.tflite").unlink()
    assert train_fold(recipe, pool, 1, tmp_path / "a").network == result.network

    metrics = metrics_of(recipe, [result])
    bundle = write_bundle(tmp_path / "bundle", recipe, "name = 'trees'\n", pool.labels, [result], metrics)
    assert Bundle.load(bundle.directory).hash == bundle.hash
    card = (bundle.directory / "MODEL_CARD.md").read_text()
    assert "15 trees" in card and "AdamW" not in card
    assert "Decision: mean of the window scores, weighted" in card


def test_a_forest_of_a_majority(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe().model_copy(update={"decision": DecisionSpec(vote="majority")})
    result = train_fold(recipe, pool, 1, tmp_path / "a")
    assert result.float_accuracy >= 0.8 and result.int8_accuracy >= 0.8
    bundle = write_bundle(tmp_path / "b", recipe, "", pool.labels, [result], metrics_of(recipe, [result]))
    assert bundle.manifest.decision.vote == "majority"
    assert "Decision: the class that most windows have" in (bundle.directory / "MODEL_CARD.md").read_text()


def test_more_statistics_than_a_node_can_name_are_refused(pool: FeaturePool, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="43 bands give 258") as caught:
        train_fold(make_recipe(bands=43), pool, 1, tmp_path)
    assert "42 or less" in caught.value.hint


def test_the_cost_is_known_before(pool: FeaturePool) -> None:
    check_supported(simplify(read_tflite(untrained_network(make_recipe(), 3))))


def test_other_recipes_keep_their_hashes() -> None:
    asked = Recipe(name="x").model_dump(mode="json")["model"]
    assert "trees" not in asked
    forest = make_recipe().model_dump(mode="json")["model"]
    assert (forest["trees"], forest["min_samples_leaf"]) == (15, 2)
