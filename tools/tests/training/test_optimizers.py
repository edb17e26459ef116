"""Muon's step for kernels against NumPy; everything else learns by Adam, as without it."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from stapes.recipe import TrainingSpec
from stapes.training.backend import import_keras
from stapes.training.optimizers import build_optimizer

RATE, DECAY = 1e-2, 0.5


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """U V^T of the singular value decomposition: what Newton and Schulz's iteration comes near to."""
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


@pytest.fixture
def variables() -> dict[str, object]:
    keras = import_keras()
    random = np.random.default_rng(1)
    shapes = {"kernel": (3, 3, 4, 8), "dense": (6, 5), "bias": (5,)}
    return {
        name: keras.Variable(random.normal(size=shape).astype(np.float32), name=name)
        for name, shape in shapes.items()
    }


def stepped(
    settings: TrainingSpec, variables: dict[str, object], gradients: list[np.ndarray]
) -> list[np.ndarray]:
    keras = import_keras()
    optimizer = build_optimizer(settings)
    optimizer.build(list(variables.values()))
    optimizer.apply(
        [keras.ops.convert_to_tensor(gradient) for gradient in gradients], list(variables.values())
    )
    return [keras.ops.convert_to_numpy(variable) for variable in variables.values()]


def test_a_kernels_step_is_nearly_orthogonal_whatever_its_gradient(variables: dict[str, object]) -> None:
    keras = import_keras()
    random = np.random.default_rng(2)
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables.values()]
    gradients = [random.normal(size=value.shape).astype(np.float32) for value in before]
    gradients[0][..., 0] *= 100.0  # one output's gradient is far larger: its step must not be
    settings = TrainingSpec(optimizer="muon", learning_rate=RATE, weight_decay=DECAY)
    after = stepped(settings, variables, gradients)

    moved = (before[0] * (1 - RATE * DECAY) - after[0]).reshape(36, 8)
    direction = moved / (RATE * 0.2 * np.sqrt(36))
    values = np.linalg.svd(direction, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3
    wanted = orthogonal(gradients[0].reshape(36, 8))
    cosine = (direction * wanted).sum() / np.linalg.norm(direction) / np.linalg.norm(wanted)
    assert cosine > 0.95

    # Adam's first step has the gradient's sign and the learning rate's size; nothing decays.
    for value, start, gradient in zip(after[1:], before[1:], gradients[1:], strict=True):
        np.testing.assert_allclose(start - value, RATE * np.sign(gradient), rtol=1e-3)


def test_without_the_option_it_is_adamw(variables: dict[str, object]) -> None:
    keras = import_keras()
    optimizer = build_optimizer(TrainingSpec(learning_rate=RATE, weight_decay=DECAY))
    assert type(optimizer) is keras.optimizers.AdamW
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables.values()]
    gradients = [np.ones_like(value) for value in before]
    after = stepped(TrainingSpec(learning_rate=RATE, weight_decay=DECAY), variables, gradients)
    for value, start in zip(after, before, strict=True):
        np.testing.assert_allclose(value, start * (1 - RATE * DECAY) - RATE, rtol=1e-4, atol=1e-5)


def test_the_option_is_not_in_a_recipe_that_does_not_use_it() -> None:
    assert "optimizer" not in TrainingSpec().model_dump()
    assert TrainingSpec(optimizer="muon").model_dump()["optimizer"] == "muon"
