"""`stapes compile` and `stapes bench`: any full-int8 .tflite to C, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.bench.model import CycleEstimate, ModelBench
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
        str | None,
        typer.Option(
            "--target",
            metavar="T",
            help="host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT; host by default, none with --cycles.",
        ),
    ] = None,
    inputs: Annotated[int, typer.Option("--inputs", min=1, metavar="N", help="Random windows to run.")] = 200,
    cycles: Annotated[
        str,
        typer.Option("--cycles", metavar="BOARD", help="Estimate cycles and time of a board, without one."),
    ] = "",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Build directory.")] = Path("build/bench"),
    json: JsonOption = None,
) -> None:
    """Measure a network on a target, and compare every output with the TFLM interpreter."""
    from stapes.bench.model import bench_model, estimate_cycles

    data, hop = read_model(model)
    where = out / model.stem
    estimate = None
    if target is None and not cycles:
        target = "host"
    with progress_bar() as progress:
        if cycles:
            estimate = estimate_cycles(data, cycles, where, name=model.name, hop=hop, progress=progress)
            result = estimate.uncounted
        if target is not None:
            result = bench_model(
                data, target, where, name=model.name, hop=hop, inputs=inputs, progress=progress
            )
    _print_bench(result, estimate)
    values = {"target": target, **result.as_json()}
    save_json(json, {**values, "estimate": estimate.as_json()} if estimate else values)
    if not result.equal or (estimate is not None and not estimate.bench.equal):
        raise typer.Exit(1)


def _print_bench(result: ModelBench, estimate: CycleEstimate | None) -> None:
    from rich.table import Table

    plan = result.plan
    columns = {
        "instructions": result.layer_instructions,
        "cycles": result.layer_cycles,
        "estimated cycles": estimate.bench.layer_cycles if estimate else (),
    }
    counted = {name: counts for name, counts in columns.items() if counts}
    headings = [heading for name in counted for heading in (name, "each")]
    table = Table("layer", "op", "multiplications", *headings)
    for number, layer in enumerate(plan.layers):
        cells = [f"{layer.macs:,}"]
        for count in (counts[number] for counts in counted.values()):
            cells += [f"{count:,}", f"{count / layer.macs:.2f}" if layer.macs else ""]
        table.add_row(layer.name.split(";")[0], layer.op, *cells)
    console.print(table)
    values = result.as_json()
    for unit in ("instructions", "cycles"):
        if (count := values[unit]) is not None:
            each = count / max(1, plan.macs)
            console.print(f"{count:,} {unit} a window, {each:.2f} per multiplication")
    if estimate is not None:
        _print_estimate(estimate)
    for what in ("flash_bytes", "ram_bytes"):
        parts = ", ".join(f"{name} {size:,}" for name, size in values[what].items())
        console.print(f"{what.partition('_')[0]}: {parts} B")
    verdict = "equal" if result.equal else f"{result.different_outputs} DIFFERENT"
    console.print(f"{result.inputs} windows against {result.reference}: {verdict}", soft_wrap=True)
    for name in result.different_layers:
        console.print(f"  different: {name}")


def _print_estimate(estimate: CycleEstimate) -> None:
    known, values = estimate.known, estimate.as_json()
    console.print(
        f"{estimate.board}, estimated and not measured: {estimate.cycles:,} cycles a window, "
        f"{values['milliseconds']:.1f} ms at {estimate.mhz} MHz; for {known.figures} published figures the estimate "
        f"was wrong by {known.median:.1f} % in the median, {known.worst:.1f} % at most (docs/cycles.md)",
        soft_wrap=True,
    )
    if not estimate.bench.equal:
        console.print(f"{estimate.board}, estimated: outputs DIFFERENT", soft_wrap=True)
