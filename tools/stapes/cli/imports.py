"""`stapes import`: a .tflite of another origin becomes a bundle."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, errors, note, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.recipe import Bundle


def import_network(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A full-int8 .tflite.")],
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="Directory of the bundle to write.")],
    frontend: Annotated[
        str,
        typer.Option(
            "--frontend",
            metavar="NAME|FILE",
            help="yamnet, kws, or a TOML file: docs/import.md says what is in it.",
        ),
    ] = "",
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="A label a line; without it, those that MODEL brings."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting, as n_mels=40 or normalization.mean=-8.0; repeat it.",
        ),
    ] = None,
    layout: Annotated[
        str, typer.Option("--layout", help="auto, frames-first or bands-first: the first axis of the input.")
    ] = "auto",
    scores: Annotated[
        str,
        typer.Option("--scores", help="auto, softmax, sigmoid (put behind the network) or as-is."),
    ] = "auto",
    name: Annotated[str, typer.Option("--name", help="Of the bundle; default: that of --out.")] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="Recordings to measure it with; without, nothing is measured."
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Make a bundle of a network of another origin; what does not fit is said before anything is written."""
    from typing import get_args

    from stapes.adopt import Layout, Scores, adopt, check_fit, labels_of, read_network, read_settings
    from stapes.compiler import compile_bundle, good_hop
    from stapes.errors import StapesError
    from stapes.training import imported_bundle, imported_metrics, write_imported

    for option, value, allowed in (("layout", layout, Layout), ("scores", scores, Scores)):
        if value not in get_args(allowed):
            raise StapesError(f"--{option} {value}", hint=f"give {', '.join(get_args(allowed))}")
    settings = read_settings(frontend, changes or ())
    content = read_network(model)
    network = adopt(content, model.name, settings.frontend, layout, scores)  # type: ignore[arg-type]
    if network.tagging:
        settings = settings.with_default("live", "multi_label", True)
    if data is not None:
        settings = settings.with_default("dataset", "kind", _kind(data))
    else:
        settings = settings.with_default("dataset", "kind", "folders")
    called = name or re.sub(r"[^a-z0-9_-]+", "-", out.resolve().name.lower()).strip("-_")
    recipe = settings.recipe(called, network.frames, good_hop(network.graph))
    classes = labels_of(labels, content, network.outputs, model.name)
    fit = check_fit(recipe, network.graph.tensor(network.graph.inputs[0]), model.name)
    notes = [*settings.notes, *network.notes, *fit]
    bundle = imported_bundle(recipe, classes, network.model, out)
    plan = compile_bundle(bundle)
    metrics = imported_metrics(model.name, content, network.model, plan.macs, notes)
    for text in notes:
        note("note:", text)
    if data is not None:
        metrics = _measured(bundle, data, metrics)
    write_imported(bundle, recipe, metrics)
    console.print(
        f"bundle written to {out}: {len(plan.layers)} layers, {plan.macs:,} multiplications a window, arena "
        f"{plan.arena_bytes:,} B, {network.frames} frames of {recipe.frontend.n_features} values, {len(classes)} "
        f"classes; {_figures(metrics)}",
        soft_wrap=True,
    )
    save_json(
        json,
        metrics
        | {
            "bundle": str(out),
            "measured": "firmware" in metrics,
            "notes": notes,
            "frames": network.frames,
            "labels": list(classes),
            "arena_bytes": plan.arena_bytes,
            "weights_bytes": plan.weights_bytes,
        },
    )


def _measured(bundle: Bundle, data: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics with the accuracy on recordings, by the firmware on the host."""
    from tempfile import TemporaryDirectory

    from stapes.check import evaluate_bundle, recorded
    from stapes.errors import ToolError
    from stapes.recipe import Bundle

    try:
        with TemporaryDirectory() as work, progress_bar() as progress:
            saved = Bundle.save(Path(work) / "bundle", bundle.manifest, bundle.files)
            result = evaluate_bundle(saved, data, "all", Path(work) / "build", progress=progress)
    except ToolError as error:
        note("not measured:", str(error), to=errors)
        return metrics
    return recorded(result, metrics)


def _figures(metrics: dict[str, Any]) -> str:
    if "firmware" not in metrics:
        return "nothing was measured (give --data DIR)"
    return f"{metrics['firmware']['accuracy_mean']:.1%} of {sum(metrics['clips'])} clips decided right"


def _kind(data: Path) -> str:
    """The layout of a directory of recordings, where it shows."""
    if (data / "meta" / "esc50.csv").is_file():
        return "esc50"
    if (data / "metadata" / "UrbanSound8K.csv").is_file():
        return "urbansound8k"
    if (data / "testing_list.txt").is_file():
        return "speech_commands"
    return "folders"
