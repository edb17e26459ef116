"""What the user asked for, and the bundle that training makes of it."""

from stapes.recipe.bundle import Bundle, BundleManifest, summary
from stapes.recipe.frontend import MICRO, FrontendSpec, PcenSpec
from stapes.recipe.live import EXPONENTIAL, LiveSpec
from stapes.recipe.recipe import (
    BudgetSpec,
    DatasetSpec,
    DecisionSpec,
    ModelSpec,
    Normalization,
    Recipe,
    TrainingSpec,
    WindowSpec,
    load_recipe,
)
from stapes.recipe.text import recipe_text
from stapes.recipe.votes import VOTES

__all__ = [
    "EXPONENTIAL",
    "MICRO",
    "VOTES",
    "BudgetSpec",
    "Bundle",
    "BundleManifest",
    "DatasetSpec",
    "DecisionSpec",
    "FrontendSpec",
    "LiveSpec",
    "ModelSpec",
    "Normalization",
    "PcenSpec",
    "Recipe",
    "TrainingSpec",
    "WindowSpec",
    "load_recipe",
    "recipe_text",
    "summary",
]
