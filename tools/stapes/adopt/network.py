"""An outside network as the network of a bundle: int8, one input [1, frames, features, 1], one score a class."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stapes.adopt.metadata import sample_rate_of
from stapes.compiler import compile_graph
from stapes.errors import BundleError, ModelError
from stapes.files import read_file
from stapes.graph import (
    Graph,
    NotTransposable,
    check_supported,
    read_tflite,
    simplify,
    transposed,
    with_input,
    with_int8_edges,
    with_probabilities,
    write_tflite,
)
from stapes.recipe import FrontendSpec

Layout = Literal["auto", "frames-first", "bands-first"]
Scores = Literal["auto", "softmax", "sigmoid", "as-is"]

_APPENDED = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}
_PROBABILITIES = ("SOFTMAX", "LOGISTIC", "CUSTOM:stapes_forest")
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Network:
    """A network that fits its front end, and what was done to it."""

    model: bytes
    """The .tflite file: the one that came where nothing had to be changed."""
    graph: Graph
    frames: int
    outputs: int
    tagging: bool
    """Every class has a probability of its own."""
    notes: tuple[str, ...]


def read_network(path: Path) -> bytes:
    """The bytes of a .tflite file; raises `ModelError`."""
    try:
        return read_file(path, _MOST_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="give a .tflite file") from error


def adopt(
    data: bytes, name: str, frontend: FrontendSpec, layout: Layout = "auto", scores: Scores = "auto"
) -> Network:
    """Make the network of `data` one that takes the rows of `frontend`; `name` is for errors.

    Raises `ModelError` for what is no full-int8 network, `BundleError` for one that does not fit the front end.
    """
    rate = sample_rate_of(data)
    if rate is not None and rate != frontend.sample_rate:
        raise BundleError(
            f"{name} takes sound of {rate} Hz, its metadata says, and this front end hears {frontend.sample_rate} Hz",
            hint=f"give the front end that it was trained with, --set sample_rate={rate}",
        )
    graph = read_int8(data, name)
    shape = graph.tensor(graph.inputs[0]).shape
    features = frontend.n_features
    frames, bands_first = _layout(shape, features, name, layout)
    if graph.states:
        return _with_state(data, graph, name, frames, bands_first, scores)
    fitted, notes = _with_rows(graph, frames, features, bands_first)
    fitted, tagging, more = _with_scores(fitted, scores)
    others = _other_edges(data)
    untouched = fitted is graph and not others
    model = data if untouched else write_tflite(fitted)
    if fitted is graph and not untouched:
        more = (
            *more,
            f"its {' and '.join(others)} edges are made int8: the front end gives int8, the decision reads int8",
        )
    outputs = fitted.tensor(fitted.outputs[0]).elements
    return Network(model, fitted, frames, outputs, tagging, (*notes, *more))


def _with_state(
    data: bytes, graph: Graph, name: str, frames: int, bands_first: bool, scores: Scores
) -> Network:
    """A network whose variables go on from window to window: as it came."""
    if "int16" in _other_edges(data):
        raise ModelError(
            f"{name} begins or ends in int16 and keeps state ({graph.states[0].name}): it is not changed",
            hint="convert it with inference_input_type and inference_output_type int8 or float32",
        )
    last = _last(graph)
    if bands_first and frames > 1:
        raise ModelError(
            f"{name}: its input is {list(graph.tensor(graph.inputs[0]).shape)}, bands first, and it keeps state "
            f"({graph.states[0].name}): such a network is not transposed",
            hint="convert it with frames as the first axis",
        )
    if (last not in _PROBABILITIES and scores != "as-is") or scores not in ("auto", "as-is"):
        raise ModelError(
            f"{name} ends in {last} and keeps state ({graph.states[0].name}): nothing is put behind such a network",
            hint="convert it with the softmax or the sigmoid at its end, or give --scores as-is",
        )
    outputs = graph.tensor(graph.outputs[0]).elements
    kept = sum(state.initial.nbytes for state in graph.states)
    text = f"{len(graph.states)} variables, {kept:,} B, go on from window to window: {frames} new rows each"
    return Network(data, graph, frames, outputs, last == "LOGISTIC", (text,))


def read_int8(data: bytes, name: str) -> Graph:
    """The simplified graph of a full-int8 network with one input and one output; raises `ModelError`."""
    graph = simplify(read_tflite(data, name))
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if len(indices) != 1:
            raise ModelError(
                f"{name}: {len(indices)} {what}s, a bundle's network has one",
                hint=f"convert it again with the {what} that counts",
            )
        tensor = graph.tensor(indices[0])
        if (
            tensor.type_name not in ("INT8", "INT16")
            or tensor.quantization is None
            or len(tensor.quantization.scale) != 1
        ):
            raise ModelError(
                f"{name}: its {what} {tensor.name} is {tensor.type_name.lower()}"
                f"{'' if tensor.type_name != 'INT8' else ' without one scale and zero point'}, not int8",
                hint="convert it as full int8: a representative_dataset, TFLITE_BUILTINS_INT8, "
                f"inference_{what}_type = tf.int8",
            )
    check_supported(graph)
    return with_int8_edges(graph)


def _last(graph: Graph) -> str:
    """The operator that makes the scores, be it in int16."""
    makers = {index: op for op in graph.ops for index in op.outputs}
    last = makers[graph.outputs[0]]
    return (makers.get(last.inputs[0], last) if last.kind == "QUANTIZE" else last).kind


def _other_edges(data: bytes) -> list[str]:
    """The types other than int8 in which the file begins or ends."""
    raw = read_tflite(data)
    return sorted({raw.tensor(index).type_name.lower() for index in (*raw.inputs, *raw.outputs)} - {"int8"})


def _layout(shape: tuple[int, ...], features: int, name: str, layout: Layout) -> tuple[int, bool]:
    """Frames of a window, and whether bands are the first axis of the input."""
    sizes = [size for size in shape if size != 1]
    count = 1
    for size in sizes:
        count *= size
    if len(sizes) > 2:
        raise BundleError(
            f"{name}: its input is {list(shape)}, of {len(sizes)} axes; frames and the values of a row are two",
            hint="give a network of one channel, as [1, frames, bands, 1]",
        )
    if count % features or (len(sizes) == 2 and features not in sizes):
        raise BundleError(
            f"{name}: its input is {list(shape)}, and no axis of it has the {features} values of a row of this "
            "front end",
            hint=f"give the front end that it was trained with (n_mels, or n_mfcc: {features} here)",
        )
    frames = count // features
    if len(sizes) < 2:
        return frames, frames > 1 and layout == "bands-first"
    if layout == "auto":
        return frames, sizes[1] != features
    bands_first = layout == "bands-first"
    if sizes[0 if bands_first else 1] != features:
        raise BundleError(
            f"{name}: its input is {list(shape)}: axis of {features} values, the bands, is not where --layout {layout} "
            "says",
            hint="leave out --layout",
        )
    return frames, bands_first


def _with_rows(graph: Graph, frames: int, features: int, bands_first: bool) -> tuple[Graph, tuple[str, ...]]:
    """The network with the input [1, frames, features, 1]."""
    source = graph.tensor(graph.inputs[0]).shape
    wanted = (1, frames, features, 1)
    if not bands_first:
        return (graph if source == wanted else with_input(graph, wanted)), ()
    in_front = with_input(graph, wanted, (0, 2, 1, 3))
    whole = compile_graph(in_front).arena_bytes
    try:
        turned = transposed(graph)
    except NotTransposable as reason:
        return in_front, (
            f"layout {list(source)}: a TRANSPOSE in front, because {reason} knows the axes; the network waits for the "
            f"whole window, arena {whole:,} B",
        )
    rows = compile_graph(turned).arena_bytes
    return turned, (
        f"layout {list(source)}: the network is transposed at compile time, so that rows run along time: arena "
        f"{rows:,} B (with a TRANSPOSE in front it were {whole:,} B)",
    )


def _with_scores(graph: Graph, scores: Scores) -> tuple[Graph, bool, tuple[str, ...]]:
    """The network with probabilities at its end; whether classes are independent; what was done."""
    last = _last(graph)
    if scores == "as-is" or (scores == "auto" and last in _PROBABILITIES):
        return graph, last == "LOGISTIC", ()
    kind = _APPENDED["softmax" if scores == "auto" else scores]
    if kind == last:
        return graph, last == "LOGISTIC", ()
    return (
        with_probabilities(graph, kind),
        kind == "LOGISTIC",
        (f"its scores are no probabilities (it ends in {last}): {kind} is put behind it",),
    )


def labels_of(path: Path | None, data: bytes, outputs: int, name: str) -> tuple[str, ...]:
    """The classes, one for every score: of a text file, a CSV file with the column `display_name`, `label` or `name`,
    or, without a path, of the label file that TensorFlow Lite's metadata packs into the network.

    Raises `BundleError`.
    """
    if path is None:
        text, source = _packed_labels(data), f"the label file in {name}"
        if text is None:
            raise BundleError(
                f"{name} brings no labels with it: it gives {outputs} scores",
                hint="give --labels FILE, a label a line in the order of its scores",
            )
    else:
        try:
            text, source = read_file(path, 16 << 20).decode("utf-8-sig"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(
                f"cannot read {path}: {reason}", hint="give a text file, a label a line"
            ) from error
    found = _column(text) if source.endswith(".csv") else [line.strip() for line in text.splitlines()]
    while found and not found[-1]:
        found.pop()
    if len(found) != outputs:
        raise BundleError(
            f"{source} names {len(found)} classes, the network gives {outputs} scores",
            hint="one label a line, as many as scores and in their order",
        )
    return tuple(found)


def _column(text: str) -> list[str]:
    import csv

    rows = list(csv.DictReader(io.StringIO(text)))
    for name in ("display_name", "label", "name"):
        if rows and name in rows[0]:
            return [str(row[name] or "").strip() for row in rows]
    return [line.strip() for line in text.splitlines()]


def _packed_labels(data: bytes) -> str | None:
    """The text file at the end of a .tflite with metadata; None where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = [entry for entry in packed.infolist() if entry.filename.endswith(".txt")]
            if len(names) != 1 or names[0].file_size > 1 << 20:
                return None
            return packed.read(names[0]).decode("utf-8")
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, RuntimeError, OSError, ValueError):
        return None
