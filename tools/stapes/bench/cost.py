"""What a recipe will cost on a device, before anything is trained, and whether its budget allows that.

The network is built with random weights, converted and planned: multiplications, weights and working memory are
those of the trained one. Flash, RAM and stack come from building the whole application for the budget's board;
instructions from running network and front end in an emulator, on the same kind of core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stapes.bench.frontend import bench_frontend
from stapes.bench.model import bench_model
from stapes.codegen import generate
from stapes.compiler import Plan, compile_graph
from stapes.errors import RecipeError
from stapes.firmware import build_firmware
from stapes.graph import check_supported, load_graph, read_tflite, simplify
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle, BundleManifest, Recipe
from stapes.reference import output_quantization

EMULATOR = "qemu:mps2-an386"
"""A Cortex-M4 whose executed instructions are counted."""


@dataclass(frozen=True)
class Cost:
    """Costs of one recipe. What was not measured (`measure` says what for) is None."""

    classes: int
    macs_per_window: int
    macs_per_hop: int
    """Of the next window, when windows share rows; `macs_per_window` where they share none."""
    windows_per_second: float
    weights_bytes: int
    arena_bytes: int
    board: str | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    """Static data and the deepest stack."""
    instructions_per_window: int | None = None
    instructions_per_frame: int | None = None
    instructions_per_second: float | None = None
    """Live: what each new window takes, and the front end."""

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes cost --json`."""
        return asdict(self)


def recipe_cost(
    recipe: Recipe,
    network: bytes,
    classes: int,
    directory: Path,
    *,
    measure: bool,
    progress: Progress = no_progress,
) -> Cost:
    """What `network` (the recipe's, trained or not) costs.

    What the budget limits is measured, everything with `measure`; each needs its compiler, the instructions QEMU
    too. Programs are built in `directory`.
    """
    budget = recipe.budget
    cost = plan_cost(recipe, network, classes)
    if measure or budget.flash or budget.ram:
        cost = measure_image(cost, recipe, network, directory, progress=progress)
    if measure or budget.cpu is not None:
        cost = measure_instructions(cost, recipe, network, directory, progress=progress)
    return cost


def plan_cost(recipe: Recipe, network: bytes, classes: int) -> Cost:
    """What follows from the network alone; raises `ModelError` where the compiler does not take it."""
    graph = simplify(read_tflite(network, recipe.name))
    check_supported(graph)
    plan = compile_graph(graph, recipe.name, recipe.window.hop_frames)
    spec = recipe.frontend
    return Cost(
        classes=classes,
        macs_per_window=plan.macs,
        macs_per_hop=round(per_hop([layer.macs for layer in plan.layers], plan)),
        windows_per_second=spec.sample_rate / (recipe.window.hop_frames * spec.hop_length),
        weights_bytes=plan.weights_bytes,
        arena_bytes=plan.arena_bytes,
    )


def measure_image(
    cost: Cost, recipe: Recipe, network: bytes, directory: Path, *, progress: Progress = no_progress
) -> Cost:
    """With flash and RAM of the whole application, built for the budget's board in `directory`."""
    bundle = _bundle(recipe, network, cost.classes, directory)
    generated = generate(bundle, directory / "generated")
    board = recipe.budget.board
    built = build_firmware(generated.directory, board, directory / board, progress=progress)
    return replace(
        cost, board=board, flash_bytes=built.flash_bytes, ram_bytes=built.ram_bytes + (built.stack_bytes or 0)
    )


def measure_instructions(
    cost: Cost, recipe: Recipe, network: bytes, directory: Path, *, progress: Progress = no_progress
) -> Cost:
    """With the instructions of network and front end, counted in the emulator."""
    hop_frames = recipe.window.hop_frames
    model = bench_model(
        network, EMULATOR, directory / "model", name=recipe.name, hop=hop_frames, inputs=1, progress=progress
    )
    bundle = _bundle(recipe, network, cost.classes, directory)
    output = output_quantization(bundle, load_graph(bundle))
    front = bench_frontend(EMULATOR, recipe.frontend, output, directory / "frontend")
    frames = recipe.frontend.sample_rate / recipe.frontend.hop_length
    window, frame = model.instructions or 0, int(front["instructions_per_frame"] or 0)
    hop = window - sum(model.layer_instructions) + per_hop(model.layer_instructions, model.plan)
    return replace(
        cost,
        instructions_per_window=window,
        instructions_per_frame=frame,
        instructions_per_second=hop * cost.windows_per_second + frame * frames,
    )


def per_hop(per_window: Sequence[float], plan: Plan) -> float:
    """Of what each layer costs for a whole window, what the next window costs: shared rows are not made again."""
    shared = plan.slide.trunk if plan.slide else 0
    advance = plan.slide.advance[1:] if plan.slide else ()
    trunk = (
        value * rows / layer.rows
        for value, rows, layer in zip(per_window[:shared], advance, plan.layers, strict=False)
    )
    return sum(trunk) + sum(per_window[shared:])


def _bundle(recipe: Recipe, network: bytes, classes: int, directory: Path) -> Bundle:
    manifest = BundleManifest(
        name=recipe.name,
        labels=tuple(f"class {number}" for number in range(classes)),
        frontend=recipe.frontend,
        normalization=recipe.normalization,
        window=recipe.window,
        decision=recipe.decision,
        live=recipe.live.model_copy(
            update={"thresholds": {}, "other": ""}
        ),  # of classes that are not known yet
    )
    return Bundle.save(directory / "bundle", manifest, {"model.tflite": network})


def check_budget(cost: Cost, recipe: Recipe) -> None:
    """Raise one `RecipeError` for everything that is over the budget."""
    budget = recipe.budget
    limits = (
        ("flash", cost.flash_bytes, budget.flash_bytes, "B"),
        ("RAM", cost.ram_bytes, budget.ram_bytes, "B"),
        ("processor", cost.instructions_per_second, budget.instructions_per_second, "instructions a second"),
    )
    over = [
        f"{name}: {found:,.0f} {unit}, the budget is {allowed:,.0f}"
        for name, found, allowed, unit in limits
        if found is not None and allowed is not None and found > allowed
    ]
    if over:
        raise RecipeError(
            "; ".join(over), hint="fewer or smaller model.filters, fewer n_mels, a longer window.hop_frames"
        )
