"""`stapes import`: a .tflite of another origin becomes a bundle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, errors, goes_on, note, progress_bar, save_file, save_json

if TYPE_CHECKING:
    from stapes.adopt import Backbone, Network, Settings
    from stapes.recipe import Bundle, Recipe
    from stapes.training.embeddings import EmbeddingPool


def import_network(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A full-int8 .tflite; microWakeWord's .json beside one; or, with --backbone, a classifier of "
            "scikit-learn or emlearn (.joblib, .csv).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="Directory of the bundle to write.")],
    frontend: Annotated[
        str,
        typer.Option(
            "--frontend",
            metavar="NAME|FILE",
            help="yamnet, kws, microfrontend, or a TOML file: docs/import.md says what is in it.",
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
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            metavar="NETWORK",
            help="What MODEL is the head of: a .tflite, a bundle, or `statistics`.",
        ),
    ] = "",
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

    from stapes.adopt import Layout, Scores, adopt, check_fit, labels_of, read_manifest, read_network
    from stapes.compiler import compile_bundle, good_hop
    from stapes.errors import StapesError
    from stapes.training import SUFFIXES, imported_bundle, imported_metrics, write_imported

    for option, value, allowed in (("layout", layout, Layout), ("scores", scores, Scores)):
        if value not in get_args(allowed):
            raise StapesError(f"--{option} {value}", hint=f"give {', '.join(get_args(allowed))}")
    called = name or re.sub(r"[^a-z0-9_-]+", "-", out.resolve().name.lower()).strip("-_")
    if backbone and model.suffix not in SUFFIXES:
        raise StapesError(
            f"{model}: with --backbone a classifier is expected ({', '.join(SUFFIXES)})",
            hint="leave --backbone out to import a network; train a head on it with `stapes train --backbone`",
        )
    if model.suffix in SUFFIXES:
        content, network, recipe, classes = _with_own_head(
            model, backbone, _settings(frontend, changes, backbone, data), called, labels, data
        )
    else:
        wake_word = read_manifest(model) if model.suffix == ".json" else None
        settings = _settings(frontend or ("microfrontend" if wake_word else ""), changes, "", data)
        if wake_word:
            model, settings = wake_word.path, wake_word.settings(settings)
        content = read_network(model)
        network = adopt(content, model.name, settings.frontend, layout, scores)  # type: ignore[arg-type]
        if network.tagging:
            settings = settings.with_default("live", "multi_label", True)
        if wake_word:
            settings = wake_word.with_threshold(settings, network.graph.tensor(network.graph.outputs[0]))
        if network.graph.states:
            settings = settings.with_default("window", "stateful", True)
            recipe = settings.recipe(called, network.frames, network.frames)
        else:
            recipe = settings.recipe(called, network.frames, good_hop(network.graph))
        if wake_word and labels is None:
            classes = (wake_word.label,)
        else:
            classes = labels_of(labels, content, network.outputs, model.name)
        fit = check_fit(recipe, network.graph.tensor(network.graph.inputs[0]), model.name)
        network = replace(network, notes=(*settings.notes, *network.notes, *fit))
    notes = list(network.notes)
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


def _settings(frontend: str, changes: Sequence[str] | None, backbone: str, data: Path | None) -> Settings:
    """What is told about the features; a bundle that is the backbone tells them too."""
    from stapes.adopt import bundle_settings, read_settings
    from stapes.recipe import Bundle

    if backbone and Path(backbone).is_dir() and not frontend:
        settings = bundle_settings(Bundle.load(Path(backbone)), changes or ())
    else:
        settings = read_settings(frontend, changes or ())
    return settings.with_default("dataset", "kind", "folders" if data is None else _kind(data))


def _opened(backbone: str, settings: Settings, name: str) -> tuple[Backbone, Recipe]:
    """The backbone, and the recipe of its windows."""
    from stapes.adopt import adopt, open_backbone, read_network
    from stapes.compiler import good_hop
    from stapes.errors import StapesError
    from stapes.recipe import Bundle
    from stapes.training import STATISTICS, statistics_backbone

    if not backbone:
        raise StapesError(
            "a classifier needs what it classifies",
            hint="give --backbone MODEL.tflite, --backbone BUNDLE, or --backbone statistics",
        )
    if backbone == STATISTICS:
        recipe = settings.recipe(name, settings.sections.get("window", {}).get("frames", 1))
        return statistics_backbone(recipe), recipe
    path = Path(backbone)
    data = Bundle.load(path).model if path.is_dir() else read_network(path)
    network = adopt(data, path.name, settings.frontend, scores="as-is")
    recipe = settings.recipe(name, network.frames, good_hop(network.graph))
    return open_backbone(path, recipe), recipe


def _with_own_head(
    model: Path, backbone: str, settings: Settings, name: str, labels: Path | None, data: Path | None
) -> tuple[bytes, Network, Recipe, tuple[str, ...]]:
    """A backbone and a classifier of the user's own: its bytes, the network, its recipe, its classes."""
    import numpy as np

    from stapes.adopt import Network, labels_of
    from stapes.graph import read_tflite, simplify
    from stapes.training import read_head, with_head

    found, recipe = _opened(backbone, settings, name)

    def windows() -> Any:
        pool = _embedded(found, recipe, data)
        return np.concatenate([clip.embeddings for clip in pool.clips[1.0]])

    head, known = read_head(model, found.embedding, windows if data is not None else None)
    network = with_head(found, head)
    graph = simplify(read_tflite(network))
    outputs = graph.tensor(graph.outputs[0]).elements
    classes = known if labels is None and known else labels_of(labels, b"", outputs, model.name)
    notes = (
        *settings.notes,
        *found.notes,
        f"the network up to its embedding is {found.name} (SHA-256 {found.sha256})",
    )
    return model.read_bytes(), Network(network, graph, found.frames, outputs, False, notes), recipe, classes


def _embedded(backbone: Backbone, recipe: Recipe, data: Path | None) -> EmbeddingPool:
    """Embeddings of every recording at its own speed."""
    from stapes.datasets import open_dataset
    from stapes.training import build_embeddings, default_cache

    once = recipe.model_copy(update={"training": recipe.training.model_copy(update={"speeds": (1.0,)})})
    dataset = open_dataset(data, recipe.dataset, recipe.frontend.sample_rate)
    with goes_on(), progress_bar() as progress:
        return build_embeddings(once, dataset, backbone, default_cache(), progress)


def embed(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="A .tflite, a bundle, or `statistics` (no network).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npz", help="Where the embeddings go.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")],
    frontend: Annotated[
        str,
        typer.Option(
            "--frontend", metavar="NAME|FILE", help="As for `stapes import`; a bundle brings its own."
        ),
    ] = "",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `stapes import`.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """What a network gives before its classifier for every window of every recording, int8 as the device computes it.

    FILE.npz has embeddings [windows, size], labels, folds and clips [windows], scale and zero_point.
    """
    import io

    import numpy as np

    found, recipe = _opened(backbone, _settings(frontend, changes, backbone, data), "embeddings")
    for text in found.notes:
        note("note:", text)
    pool = _embedded(found, recipe, data)
    clips = pool.clips[1.0]
    owners = np.repeat(np.arange(len(clips)), [len(clip.embeddings) for clip in clips])
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        embeddings=np.concatenate([clip.embeddings for clip in clips]),
        labels=np.array(pool.labels)[pool.targets[owners]],
        folds=pool.folds[owners],
        clips=owners,
        scale=np.float32(found.embedding.scale),
        zero_point=np.int8(found.embedding.zero_point),
    )
    save_file(out, stream.getvalue(), "--out")
    size = found.embedding.elements
    save_json(json, {"file": str(out), "windows": len(owners), "size": size, "labels": list(pool.labels)})
    console.print(f"{out}: {len(owners)} windows of {size} values, {len(clips)} recordings", soft_wrap=True)


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
