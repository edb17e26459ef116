"""What a training is given besides its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stapes.adopt import Backbone, Outside, open_backbone, open_outside
from stapes.datasets import Clip, Dataset, open_dataset
from stapes.recipe import Bundle, Recipe
from stapes.training.noise import open_noise


@dataclass(frozen=True)
class Setup:
    """The same for all folds and seeds of one training: where its inputs are, and where it happens.

    On a cluster, `data`, `cache`, `noise` and the bundles must mean the same on every machine.
    """

    data: Path | None
    """Recordings; None for a data set that is made."""
    cache: Path
    """Where features are kept."""
    folds: tuple[int, ...] | None = None
    """The folds to leave out, a network each; None: every one."""
    final: bool = False
    """Whether a network that leaves out none is trained besides: the one for use."""
    jobs: int = 1
    """Folds trained at the same time."""
    start: Path | None = None
    """What training begins with: a bundle, or the .tflite of an outside network."""
    teachers: tuple[Path, ...] = ()
    """Bundles whose networks it learns from."""
    noise: Path | None = None
    """Recordings for `training.noise_sampled`."""
    backbone: Path | None = None
    """A network, a .tflite or a bundle, on whose embeddings a head is trained."""
    ray: str | None = None
    """Address of a cluster that trains instead of this machine."""

    def open_dataset(self, recipe: Recipe) -> Dataset:
        """The recordings as the recipe takes them."""
        return open_dataset(self.data, recipe.dataset, recipe.frontend.sample_rate, tagging=recipe.tagging)

    def open_noise(self, recipe: Recipe) -> Sequence[Clip]:
        """The recordings of noise, where the recipe uses them."""
        return open_noise(recipe, self.noise)

    def open_start(self) -> Bundle | Outside | None:
        """What training begins with; raises `BundleError` and `ModelError`."""
        if self.start is None:
            return None
        return open_outside(self.start) if self.start.suffix == ".tflite" else Bundle.load(self.start)

    def open_backbone(self, recipe: Recipe) -> Backbone | None:
        """The network without its classifier, checked against the recipe."""
        return open_backbone(self.backbone, recipe) if self.backbone else None

    def open_teachers(self) -> list[Bundle]:
        """The bundles that training learns from."""
        return [Bundle.load(teacher) for teacher in self.teachers]
