"""From a graph to a plan: lower every operator, pad, schedule, place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stapes.compiler import (
    builder,
    lower_conv,
    lower_elementwise,
    lower_forest,
    lower_int16,
    lower_move,
    lower_pool,
    lower_recurrent,
)
from stapes.compiler.builder import Builder, Kept, Lowering
from stapes.compiler.explain import layer_notes
from stapes.compiler.memory import Buffer, align, place
from stapes.compiler.plan import Edge, KeptRows, Layer, Plan, Region, Slide, Storage, share_arrays
from stapes.compiler.schedule import Use, last_consumers, simulate
from stapes.compiler.sliding import NotSlidable, plan_slide, time_strides, with_slide
from stapes.compiler.widths import check_widths
from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, check_supported, load_graph
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle

_NARROW: dict[str, Lowering] = {
    **builder.LOWERINGS,
    **lower_conv.LOWERINGS,
    **lower_elementwise.LOWERINGS,
    **lower_forest.LOWERINGS,
    **lower_move.LOWERINGS,
    **lower_pool.LOWERINGS,
    **lower_recurrent.LOWERINGS,
}
LOWERINGS: dict[str, Lowering] = {
    kind: replace(
        lowering,
        kernels=(
            *lowering.kernels,
            *(lower_int16.LOWERINGS[kind].kernels if kind in lower_int16.LOWERINGS else ()),
        ),
    )
    for kind, lowering in _NARROW.items()
}
"""How each operator becomes layers, and the kernels for activations of 8 and 16 bits."""


@dataclass(frozen=True, eq=False)
class Network:
    """Everything about a plan but where and when."""

    name: str
    sha256: str
    input_count: int
    layers: list[Layer]
    storages: list[Storage]
    outputs: tuple[int, ...]
    inputs: tuple[Edge, ...]
    results: tuple[Edge, ...]
    states: tuple[KeptRows, ...]


def compile_bundle(bundle: Bundle) -> Plan:
    """Plan a bundle's network for the windows in which the device listens.

    Raises `ModelError` and `BundleError` as `load_graph` and `compile_graph`.
    """
    return compile_graph(load_graph(bundle), bundle.manifest.name, bundle.manifest.window.hop_frames)


def compile_graph(
    graph: Graph, name: str = "model", hop: int | None = None, *, progress: Progress = no_progress
) -> Plan:
    """Plan a simplified graph; with `hop`, the input rows from one window to the next, so that overlapping windows
    share rows where the network allows that (`Plan.slide`; the notes say why not).

    `progress` is told of operators, then of rows of the inputs. Raises `UnsupportedModelError` with everything that is
    unsupported, before any code is written.
    """
    network, notes = lower(graph, name, progress)
    by_rows = _lay_out(network, by_layers=False, progress=progress)
    by_layers = _lay_out(network, by_layers=True)
    chosen = by_layers if by_layers.arena_bytes < by_rows.arena_bytes else by_rows
    sliding, why = _sliding(network, hop)
    notes = [
        *notes,
        *layer_notes(sliding or chosen),
        f"schedule: row by row takes {by_rows.arena_bytes:,} B, layer by layer {by_layers.arena_bytes:,} B: "
        f"{'layer by layer' if chosen.by_layers else 'row by row'}",
    ]
    if sliding:
        notes.append(f"sliding: {why}; row by row with what windows share takes {sliding.arena_bytes:,} B")
    else:
        notes.insert(-1, f"sliding: {why}")
    plan = replace(sliding or chosen, notes=tuple(notes))
    check_widths(plan)
    return plan


def good_hop(graph: Graph) -> int:
    """Rows from one window to the next: about a quarter of a window, so that windows can share rows where they may."""
    frames = graph.tensor(graph.inputs[0]).shape[1]
    network, _ = lower(graph)
    try:
        steps = math.lcm(*time_strides(network.input_count, network.layers, network.storages))
    except NotSlidable:
        steps = 1
    return max(1, min(frames, max(1, frames // 4 // steps) * steps))


def lower(graph: Graph, name: str = "model", progress: Progress = no_progress) -> tuple[Network, list[str]]:
    """Every operator as layers, and what was noticed on the way."""
    check_supported(graph)
    missing = [op for op in graph.ops if op.kind not in LOWERINGS]
    if missing:
        findings = [f"operator {op.kind} (operator {op.index})" for op in missing]
        raise UnsupportedModelError(f"no kernel for: {', '.join(findings)}", findings)
    found = Builder(graph)
    for index in graph.inputs:
        found.add_input(index)
    for state in graph.states:
        found.add_state(state)
    for number, op in enumerate(graph.ops):
        lowering = lower_int16.LOWERINGS.get(op.kind) if graph.is_wide(op) else None
        (lowering or LOWERINGS[op.kind]).lower(found, op)
        progress("operators", number + 1, len(graph.ops))
    found.end_states()
    outputs = tuple(found.output(index) for index in graph.outputs)
    layers, storages = found.finished()
    states = tuple(_kept_rows(kept, storages) for kept in found.kept)
    storages = _with_padding(layers, storages)
    inputs = tuple(_edge(graph, *pair) for pair in zip(graph.inputs, storages, strict=False))
    results = tuple(
        _edge(graph, index, storages[number]) for index, number in zip(graph.outputs, outputs, strict=True)
    )
    count = len(graph.inputs)
    network = Network(
        name, graph.sha256, count, share_arrays(layers), storages, outputs, inputs, results, states
    )
    return network, found.notes


def _edge(graph: Graph, index: int, storage: Storage) -> Edge:
    tensor = graph.tensor(index)
    stripped = graph.stripped.get(index, "")
    return Edge(
        tensor.name,
        tensor.shape,
        tensor.scale,
        tensor.zero_point,
        storage.rows,
        storage.row_bytes,
        tensor.type_name.lower(),
        stripped,
    )


def _kept_rows(kept: Kept, storages: Sequence[Storage]) -> KeptRows:
    """A state in its home; its initial rows take flash only where they are not all zero points."""
    assert kept.storage is not None
    initial = np.ascontiguousarray(kept.state.initial).reshape(-1).view(np.int8)
    is_plain = bool(np.all(initial == storages[kept.storage].zero_point))
    return KeptRows(kept.state.name, kept.storage, kept.rows, None if is_plain else initial)


def _sliding(network: Network, hop: int | None) -> tuple[Plan | None, str]:
    """The plan in which windows share rows, or None; and what is to be said about it."""
    if network.states:
        return None, "windows share nothing: the network keeps state from window to window"
    try:
        strides = time_strides(network.input_count, network.layers, network.storages)
        if hop is None:
            return None, f"windows can share rows if they are a multiple of {math.lcm(*strides)} rows apart"
        if any(number < len(strides) for number in network.outputs):
            raise NotSlidable("an output of the network is a map")
        slide, heights = plan_slide(network.layers, network.storages, strides, hop)
    except NotSlidable as reason:
        return None, f"windows share nothing: {reason}"
    shared = "1 layer" if slide.trunk == 1 else f"{slide.trunk} layers"
    return _lay_out(network, by_layers=False, slide=slide, heights=heights), f"windows share {shared}"


def _lay_out(
    network: Network,
    by_layers: bool,
    slide: Slide | None = None,
    heights: Sequence[int] = (),
    progress: Progress = no_progress,
) -> Plan:
    """Rings, their heights and their places. With `slide`, for single windows and for sliding ones: the rings of
    the trunk (at least `heights` high) and the outputs are always in use, and the head runs in one go.
    """
    input_count, layers, outputs = network.input_count, network.layers, network.outputs
    storages = list(network.storages)
    schedule = simulate(input_count, layers, storages, outputs, by_layers, progress)
    if slide:
        schedule = with_slide(schedule, layers, outputs, slide, heights)
    consumers = last_consumers(input_count, layers, storages)
    for number, (height, consumer) in enumerate(zip(schedule.heights, consumers, strict=True)):
        storages[number] = replace(storages[number], height=height, last_consumer=consumer)
    # Padding is written once, before the first row: nobody else may use the place until the last row is dead.
    buffers = [
        Buffer(storage.name, storage.bytes, alive.whole if storage.padding else alive)
        for storage, alive in zip(storages, schedule.alive, strict=False)
    ]
    for layer in layers:
        steps = schedule.stepping[layer.index]
        kept = Use.of(0, schedule.events - 1) if layer.keeps_state else steps.whole
        buffers.append(Buffer(f"{layer.name} state", layer.state_bytes, kept))
        buffers.append(Buffer(f"{layer.name} scratch", layer.scratch_bytes, steps))
    counters = align(4 * (input_count + len(layers) + len(network.states)))
    offsets, end = place(buffers, counters)
    regions = [Region("counters", 0, counters, 0, schedule.events - 1)]
    for buffer, offset in zip(buffers, offsets, strict=True):
        if buffer.bytes:
            regions.append(Region(buffer.name, offset, buffer.bytes, *buffer.use.whole.spans[0]))
    count = input_count + len(layers)
    for number in range(count):
        storages[number] = replace(storages[number], offset=offsets[number] + storages[number].padding)
    placed = [
        replace(
            layer,
            state_offset=offsets[count + 2 * layer.index] if layer.state_bytes else None,
            scratch_offset=offsets[count + 2 * layer.index + 1] if layer.scratch_bytes else None,
        )
        for layer in layers
    ]
    return Plan(
        name=network.name,
        sha256=network.sha256,
        input_count=input_count,
        layers=tuple(placed),
        storages=tuple(storages),
        outputs=outputs,
        inputs=network.inputs,
        results=network.results,
        buffer_bytes=align(end, 8),
        row_pointers=max((sum(window.height for window in layer.inputs) for layer in layers), default=1),
        by_layers=by_layers,
        events=schedule.events,
        regions=tuple(sorted(regions, key=lambda region: (region.offset, region.first))),
        slide=slide,
        states=network.states,
    )


def _with_padding(layers: list[Layer], storages: list[Storage]) -> list[Storage]:
    """Every storage with as much padding beside its rows as its most demanding reader wants."""
    padded = list(storages)
    for layer in layers:
        for window in layer.inputs:
            storage = padded[window.tensor]
            padded[window.tensor] = replace(storage, padding=max(storage.padding, window.left, window.right))
    return padded
