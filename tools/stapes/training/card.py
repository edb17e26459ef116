"""The model card: what the network is, how well it does, on which data, and what it is not for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stapes.datasets.catalogue import describe
from stapes.recipe import VOTES, FrontendSpec, Recipe
from stapes.reference import vote
from stapes.training.card_figures import figures_sections

_ROWS = {
    "float": "float network, as trained",
    "int8": "int8 network",
    "firmware": "firmware: fixed-point features, int8 network as compiled C",
}


def model_card(recipe: Recipe, labels: Sequence[str], metrics: dict[str, Any]) -> str:
    """Markdown for people, made of the recipe and the content of metrics.json."""
    spec, training = recipe.frontend, recipe.training
    folds = metrics["folds"]
    seconds = recipe.window_samples / spec.sample_rate
    hop = recipe.window.hop_frames * spec.hop_length / spec.sample_rate
    names = ", ".join(label.replace("_", " ") for label in labels)
    speeds = ", ".join(f"{speed:g}" for speed in training.speeds)
    sections = [
        f"# {recipe.name}",
        f"Tells {len(labels)} kinds of sound apart: {names}.",
        "## How well",
        f"Share of clips {_RIGHT[recipe.tagging]}, on the fold that the network was not trained on. "
        "Mean and standard deviation are over the folds.",
        _table(folds, metrics),
        *_seeds(metrics.get("seeds")),
        f"{_which(recipe, metrics)}`folds/foldN.tflite` left out fold N. Every network is {_chosen(recipe)}; the "
        "fold left out had no say in when to stop, in the quantisation's scales or in the normalisation. "
        "The recipe itself (network, augmentation, number of steps) was chosen by people who had seen "
        "results on the same folds: expect a little less on recordings of another origin.",
        *figures_sections(metrics),
        "## What it is",
        f"- Input: {spec.sample_rate} Hz, 16-bit PCM; windows of {seconds:.2f} s every {hop:.2f} s, "
        f"{_trained_on(spec)} from {spec.fmin:g} to {spec.fmax:g} Hz, a frame every "
        f"{1000 * spec.hop_length / spec.sample_rate:g} ms.\n"
        f"- Network: {recipe.model.architecture}, {metrics['parameters']:,} parameters, "
        f"{metrics['macs_per_window']:,} multiply-accumulates a window, {metrics['model_bytes']:,} bytes.\n"
        f"- Decision: {_decision(recipe)}, over all windows of a clip.",
        "## How it was trained",
        _headed(recipe, metrics["backbone"])
        if "backbone" in metrics
        else _grown(recipe)
        if recipe.model.architecture == "forest"
        else f"{_begun(recipe, metrics)}"
        f"{_taught(recipe, metrics)}"
        f"{training.steps} steps of {training.batch} windows{_judged(recipe)}, {_OPTIMIZERS[training.optimizer]}, "
        f"seed {training.seed}"
        f"{_rehearsed(recipe)}; playing speeds {speeds}; {training.mix:.0%} of the windows mixed from two "
        f"clips; random gain, equaliser and masks. `recipe.toml` holds every value. Again: "
        f"`stapes train recipe.toml --data DIR{' --noise DIR' if training.noise_sampled else ''}"
        f"{' --from ' + metrics['from'] if 'from_sha256' in metrics else ''} "
        f"--out BUNDLE --folds all{' --final' if metrics.get('final') else ''}`.",
        "## Data",
        describe(recipe.dataset, len(folds)),
        "## Limits",
        f"{_NAMES[recipe.tagging]}; it has never "
        "heard anything else. Clips were recorded close to their source; other microphones, rooms, levels "
        "and mixtures will do worse. Not for use where a wrong answer can do harm.",
    ]
    return "\n\n".join(sections) + "\n"


def imported_card(recipe: Recipe, labels: Sequence[str], metrics: dict[str, Any]) -> str:
    """The card of a network from elsewhere: what it is, and what was measured, if anything was."""
    spec, origin = recipe.frontend, metrics["origin"]
    hop = recipe.window.hop_frames * spec.hop_length / spec.sample_rate
    seconds = recipe.window_samples / spec.sample_rate
    names = ", ".join(label.replace("_", " ") for label in labels)
    features = f"{_bands(spec)} mel bands"
    if "folds" in metrics:
        how = [
            f"Share of clips {_RIGHT[recipe.tagging]}. Whether the network was trained on any of these recordings is "
            "not known here: the folds only say which recordings a figure is of.",
            _table(metrics["folds"], metrics),
            *figures_sections(metrics),
        ]
    else:
        how = [
            "Nothing was measured. `stapes evaluate BUNDLE --data DIR --record` does it and writes it here."
        ]
    sections = [
        f"# {recipe.name}",
        f"Tells {len(labels)} kinds of sound apart: {names}.",
        "## How well",
        *how,
        "## What it is",
        f"- Input: {spec.sample_rate} Hz, 16-bit PCM; windows of {seconds:.2f} s every {hop:.2f} s, "
        f"{features} from {spec.fmin:g} to {spec.fmax:g} Hz, a frame every "
        f"{1000 * spec.hop_length / spec.sample_rate:g} ms.\n"
        f"- Network: imported from {origin['file']} (SHA-256 {origin['sha256']}), "
        f"{metrics['macs_per_window']:,} multiply-accumulates a window, {metrics['model_bytes']:,} bytes.\n"
        f"- Decision: {_decision(recipe)}, over all windows of a clip.",
        *(["## What to know", "\n".join(f"- {note}" for note in origin["notes"])] if origin["notes"] else []),
        "## Limits",
        "How it was trained, on what, and under which licence, its origin says. "
        f"{_NAMES[recipe.tagging]}. "
        "Not for use where a wrong answer can do harm.",
    ]
    return "\n\n".join(sections) + "\n"


def _bands(spec: FrontendSpec) -> str:
    return f"{spec.n_mfcc} MFCC of {spec.n_mels}" if spec.n_mfcc else f"{spec.n_mels}"


def _trained_on(spec: FrontendSpec) -> str:
    if spec.kind == "log-mel":
        return f"{spec.n_mels} log-mel bands"
    return f"{_bands(spec)} mel bands{' with PCEN' if spec.pcen else ''}"


_RIGHT = {False: "decided right", True: "of which all tags are right, and no other is said"}
_NAMES = {
    False: "It always names one of its classes (or *unknown* where a least confidence is set)",
    True: "It names any of its classes, or none",
}


def _decision(recipe: Recipe) -> str:
    if not recipe.tagging:
        return VOTES[recipe.decision.vote].text
    weighted = ", weighted by their level" if vote(recipe.decision.vote).weighs else ""
    return f"each class by itself, by the mean of its scores{weighted}, against its threshold of the events"


def _which(recipe: Recipe, metrics: dict[str, Any]) -> str:
    """Which network model.tflite is."""
    if metrics.get("final"):
        return (
            "`model.tflite` is none of those: it learned from the recordings of all folds in the same way, so nothing "
            "is left to test it with. The figures are those of the networks that left a fold out; expect about as much "
            "of it, and record anew to know (`stapes evaluate BUNDLE --test DIR`). "
        )
    return f"`model.tflite` is the network that left out fold {recipe.dataset.test_fold}; "


def _judged(recipe: Recipe) -> str:
    """How many windows are judged together; nothing where each is judged by itself."""
    bag = recipe.training.bag
    return f" ({bag} of a clip judged together, as in its decision)" if bag > 1 else ""


def _rehearsed(recipe: Recipe) -> str:
    """How many steps rounded as the int8 network does; nothing where none did."""
    steps = recipe.training.quantize_steps
    return f", the last {steps} with weights and activations rounded as in the int8 network" if steps else ""


def _taught(recipe: Recipe, metrics: dict[str, Any]) -> str:
    """Who taught the network; nothing where nobody did."""
    names = metrics.get("teachers", ())
    if not names:
        return ""
    some = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
    training = recipe.training
    return (
        f"Taught by the bundle{'s' if len(names) > 1 else ''} {some}: their answers to every batch, at the "
        f"temperature {training.temperature:g}, have the weight {training.distill:g} in the loss and the labels "
        "the rest. "
    )


def _headed(recipe: Recipe, backbone: dict[str, Any]) -> str:
    """How a head on a backbone came about."""
    spec = recipe.model
    speeds = ", ".join(f"{speed:g}" for speed in recipe.training.speeds)
    if spec.architecture == "forest":
        head = f"{spec.trees} trees with at least {spec.min_samples_leaf} windows at a leaf"
    else:
        head = f"one dense layer (logistic regression, C = {spec.head_c:g}, standardised embeddings)"
    return (
        f"The network up to its embedding of {backbone['embedding']} values is {backbone['file']} (SHA-256 "
        f"{backbone['sha256']}), unchanged; how it was trained, on what and under which licence, its origin says. "
        f"scikit-learn fitted {head}, seed {recipe.training.seed}, to the embeddings of windows at the playing speeds "
        f"{speeds}, int8 as the device computes them. Again: "
        f"`stapes train recipe.toml --backbone {backbone['file']} --data DIR --out BUNDLE --folds all`."
    )


def _grown(recipe: Recipe) -> str:
    """How a forest came about."""
    speeds = ", ".join(f"{speed:g}" for speed in recipe.training.speeds)
    return (
        f"scikit-learn grew {recipe.model.trees} trees with at least {recipe.model.min_samples_leaf} windows at a "
        f"leaf, seed {recipe.training.seed}, on six integer statistics of each band of the int8 features (mean, "
        "deviation, minimum, maximum, mean step from frame to frame and over four frames) at the playing speeds "
        f"{speeds}; emlearn turned the trees into nodes. Each tree has one vote in a window; *float* is the mean "
        "of the trees' probabilities instead. "
        "Which statistics and how many trees was chosen by people who had seen results on the same folds. Again: "
        "`stapes train recipe.toml --data DIR --out BUNDLE --folds all`."
    )


def _begun(recipe: Recipe, metrics: dict[str, Any]) -> str:
    """What training began with; nothing where that was random."""
    if "from" not in metrics:
        return ""
    freeze = recipe.training.freeze
    if "from_sha256" not in metrics:
        return _BEGINNING[freeze].format(metrics["from"])
    layers = f"the first {len(recipe.model.filters)} layers of {metrics['from']} (SHA-256 {metrics['from_sha256']})"
    begun = (
        f"The network in front of the dense layer is {layers}, unchanged"
        if freeze
        else f"Began with {layers}"
    )
    return f"{begun}, a network of others: how it was trained, on what and under which licence, its origin says. "


_BEGINNING = {
    False: "Began with the weights of the bundle {}. ",
    True: "The network in front of the dense layer is that of the bundle {}, unchanged. ",
}


def _chosen(recipe: Recipe) -> str:
    if recipe.model.architecture == "forest":
        return "the forest as it was grown"
    if recipe.model.architecture == "dense":
        return "a backbone with the head as it was fitted"
    return _CHOSEN[recipe.training.average > 0]


_CHOSEN = {
    False: "the one after the last training step",
    True: "the running average of the weights when training ends (a rule set beforehand)",
}

_OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon"}


def _seeds(figures: dict[str, Any] | None) -> list[str]:
    """The same means for other seeds of everything random; nothing where one seed was trained."""
    if not figures:
        return []
    kinds = [kind for kind in _ROWS if kind in figures]
    lines = [["seed", *kinds], ["---", *("---:" for _ in kinds)]]
    for number, seed in enumerate(figures["seeds"]):
        lines.append([str(seed), *(f"{100 * figures[kind]['per_seed'][number]:.2f} %" for kind in kinds)])
    lines.append(["mean", *(f"**{100 * figures[kind]['accuracy_mean']:.2f} %**" for kind in kinds)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return ["The same recipe with other seeds, mean over the folds (this bundle holds the first):", table]


def _table(folds: Sequence[int], metrics: dict[str, Any]) -> str:
    head = ["", *(f"fold {fold}" for fold in folds), "mean", "sd"]
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    for kind, title in _ROWS.items():
        if kind in metrics:
            figures = metrics[kind]
            values = [*figures["per_fold"], figures["accuracy_mean"], figures["accuracy_sd"]]
            lines.append([title, *(f"{100 * value:.2f} %" for value in values)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
