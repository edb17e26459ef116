"""Costs before training: those of the trained network, and refused where they are over the budget."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stapes.bench.cost import Cost, check_budget, plan_cost, recipe_cost
from stapes.cli.app import app
from stapes.compiler import compile_graph
from stapes.errors import RecipeError
from stapes.graph import read_tflite, simplify
from stapes.recipe import Bundle, Recipe, load_recipe
from stapes.targets import board_for_target

ROOT = Path(__file__).parents[3]
TINY = ROOT / "models" / "esc10-tiny"

needs_m4 = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("cmake", "ninja", "arm-none-eabi-gcc", "qemu-system-arm")),
    reason="no cross compiler or emulator for the Cortex-M4",
)


def recipe_with(**budget: object) -> Recipe:
    text = load_recipe(TINY / "recipe.toml").model_dump(mode="json")
    return Recipe.model_validate({**text, "budget": budget}, strict=False)


def test_the_plan_is_that_of_the_network() -> None:
    recipe, network = load_recipe(TINY / "recipe.toml"), Bundle.load(TINY).model
    plan = compile_graph(simplify(read_tflite(network, "tiny")), "tiny", recipe.window.hop_frames)
    cost = plan_cost(recipe, network, 10)
    assert (cost.macs_per_window, cost.arena_bytes) == (plan.macs, plan.arena_bytes)
    assert cost.weights_bytes == plan.weights_bytes
    assert cost.windows_per_second == pytest.approx(8000 / (recipe.window.hop_frames * 256))
    assert plan.slide is not None
    assert cost.macs_per_hop < plan.macs / 2, "windows share rows: the next one is cheaper"
    apart = recipe.model_copy(update={"window": recipe.window.model_copy(update={"hop_frames": 3})})
    assert plan_cost(apart, network, 10).macs_per_hop == plan.macs, "3 is no multiple of the strides"


COST = Cost(
    classes=10,
    macs_per_window=1000,
    macs_per_hop=1000,
    windows_per_second=2.0,
    weights_bytes=100,
    arena_bytes=100,
    board="b",
    flash_bytes=70000,
    ram_bytes=9000,
    instructions_per_window=10**6,
    instructions_per_frame=10**4,
    instructions_per_second=3e6,
)


def test_everything_over_the_budget_is_named_at_once() -> None:
    check_budget(COST, recipe_with(flash="69 KiB", ram="9000 B", cpu=0.0375))
    check_budget(COST, recipe_with())
    with pytest.raises(RecipeError) as caught:
        check_budget(COST, recipe_with(flash="68 KiB", ram="8 KiB", cpu=0.03))
    for text in (
        "flash: 70,000 B, the budget is 69,632",
        "RAM: 9,000 B, the budget is 8,192",
        "processor: 3,000,000 instructions a second, the budget is 2,400,000",
    ):
        assert text in caught.value.message
    assert "filters" in caught.value.hint
    with pytest.raises(RecipeError) as caught:
        check_budget(COST, recipe_with(flash="1 MiB", ram="8 KiB"))
    assert "flash" not in caught.value.message


@needs_m4
def test_what_the_budget_limits_is_measured(tmp_path: Path) -> None:
    network = Bundle.load(TINY).model
    plain = recipe_cost(recipe_with(), network, 10, tmp_path / "a", measure=False)
    assert plain.flash_bytes is None and plain.instructions_per_second is None
    assert not (tmp_path / "a").exists(), "nothing is built that nobody asked for"
    limited = recipe_with(ram="20 KiB", cpu=0.25)
    found = recipe_cost(limited, network, 10, tmp_path / "b", measure=False)
    assert found.board == limited.budget.board
    assert found.flash_bytes is not None and found.flash_bytes > found.weights_bytes
    assert found.ram_bytes is not None and found.ram_bytes > found.arena_bytes
    assert found.instructions_per_window is not None and found.instructions_per_second is not None
    assert 0.5 < found.instructions_per_window / found.macs_per_window < 5
    scratch = found.instructions_per_window * found.windows_per_second
    assert found.instructions_per_frame is not None
    frames = 8000 / 256
    assert found.instructions_per_second < scratch + found.instructions_per_frame * frames
    assert found.instructions_per_second > found.instructions_per_frame * frames
    check_budget(found, limited)
    assert board_for_target("qemu:mps2-an386") == "mps2_an386"


@pytest.mark.slow
def test_the_command_prints_the_cost_and_refuses(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
    text = (TINY / "recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(text)
    arguments = ["cost", str(tmp_path / "recipe.toml"), "--classes", "10", "--no-measure"]
    done = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "j.json")], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "j.json").read_text())
    expected = plan_cost(load_recipe(TINY / "recipe.toml"), Bundle.load(TINY).model, 10)
    for key in ("macs_per_window", "macs_per_hop", "arena_bytes"):
        assert found[key] == getattr(expected, key), "random weights, the trained network's cost"
    assert f"{expected.macs_per_window:,}" in done.output
    assert "tensorflow" not in done.output.lower()
