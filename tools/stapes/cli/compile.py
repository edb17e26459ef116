"""`stapes compile` and `stapes bench`: any full-int8 .tflite to C, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.bench.model import ModelBench
    from stapes.compiler import Plan

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A full-int8 .tflite, or the directory of a bundle.")
]


def read_model(path: Path) -> tuple[bytes, int | None]:
    """The network of a .tflite or a bundle, and a bundle's rows from one window to the next."""
    from stapes.errors import ModelError
    from stapes.recipe import Bundle

    if (path / "bundle.json").is_file():
        bundle = Bundle.load(path)
        return bundle.model, bundle.manifest.window.hop_frames
    file = path / "model.tflite" if path.is_dir() else path
    try:
        return file.read_bytes(), None
    except OSError as error:
        raise ModelError(
            f"cannot read {file}: {error.strerror}", hint="give a .tflite or a bundle"
        ) from error


def compile_model(
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the C files go.")],
    explain: Annotated[bool, typer.Option("--explain", help="Say what each pass did.")] = False,
    memory_map: Annotated[
        bool, typer.Option("--memory-map", help="Print the arena, and draw it as DIR/memory.svg.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Compile a .tflite to C sources."""
    from stapes.codegen.emitter import Provenance
    from stapes.codegen.model import generate_model
    from stapes.compiler import compile_graph, layer_costs
    from stapes.errors import UnsupportedModelError
    from stapes.files import sha256, write_atomic
    from stapes.graph import read_tflite, simplify

    data, hop = read_model(model)
    name = model.name
    try:
        with progress_bar(after=5.0) as progress:
            plan = compile_graph(simplify(read_tflite(data, name)), name, hop, progress=progress)
    except UnsupportedModelError as error:
        save_json(json, {"files": [], "arena_bytes": 0, "weights_bytes": 0, "unsupported": error.unsupported})
        raise
    stem = model.stem if model.is_file() else name
    files = generate_model(plan, out, Provenance({name: sha256(data)}), name=stem)
    if memory_map:
        from stapes.report.memory_map import memory_svg, memory_text

        files.append(out / "memory.svg")
        write_atomic(files[-1], memory_svg(plan))
        console.print(memory_text(plan), soft_wrap=True)
    if explain:
        _explain(plan)
    for path in files:
        console.print(f"{path}  {path.stat().st_size:,} B", soft_wrap=True)
    for role, edges in (("input", plan.inputs), ("output", plan.results)):
        for number, edge in enumerate(edges):
            console.print(f"{role} {number} {edge}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"{len(plan.layers)} layers, {plan.macs:,} multiplications, arena {plan.arena_bytes:,} B, "
        f"constants {plan.weights_bytes:,} B",
    )
    save_json(
        json,
        {
            "files": [path.name for path in files],
            "arena_bytes": plan.arena_bytes,
            "weights_bytes": plan.weights_bytes,
            "macs": plan.macs,
            "inputs": [edge.as_json() for edge in plan.inputs],
            "outputs": [edge.as_json() for edge in plan.results],
            "unsupported": [],
            "layers": layer_costs(plan),
        },
    )


def _explain(plan: Plan) -> None:
    for note in plan.notes:
        console.print(note, soft_wrap=True)


def bench(
    model: ModelArgument,
    target: Annotated[
        str,
        typer.Option("--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT"),
    ] = "host",
    inputs: Annotated[int, typer.Option("--inputs", min=1, metavar="N", help="Random windows to run.")] = 200,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Build directory.")] = Path("build/bench"),
    json: JsonOption = None,
) -> None:
    """Measure a network on a target, and compare every output with the TFLM interpreter."""
    from stapes.bench.model import bench_model

    data, hop = read_model(model)
    with progress_bar() as progress:
        result = bench_model(
            data, target, out / model.stem, name=model.name, hop=hop, inputs=inputs, progress=progress
        )
    _print_bench(result)
    save_json(json, {"target": target, **result.as_json()})
    if not result.equal:
        raise typer.Exit(1)


def _print_bench(result: ModelBench) -> None:
    from rich.table import Table

    plan = result.plan
    table = Table("layer", "op", "multiplications", "instructions", "each")
    counts = result.layer_instructions or (None,) * len(plan.layers)
    for layer, count in zip(plan.layers, counts, strict=True):
        each = f"{count / layer.macs:.2f}" if count and layer.macs else ""
        shown = f"{count:,}" if count is not None else ""
        table.add_row(layer.name.split(";")[0], layer.op, f"{layer.macs:,}", shown, each)
    console.print(table)
    values = result.as_json()
    if result.instructions is not None:
        console.print(
            f"{result.instructions:,} instructions a window, "
            f"{result.instructions / max(1, plan.macs):.2f} per multiplication",
        )
    for what in ("flash_bytes", "ram_bytes"):
        parts = ", ".join(f"{name} {size:,}" for name, size in values[what].items())
        console.print(f"{what.partition('_')[0]}: {parts} B")
    verdict = "equal" if result.equal else f"{result.different_outputs} DIFFERENT"
    console.print(f"{result.inputs} windows against {result.reference}: {verdict}", soft_wrap=True)
    for name in result.different_layers:
        console.print(f"  different: {name}")
