"""Convolutions and dense layers: their sums' bounds, every requantised sum, and every weight at its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer
from stapes.compiler.bounds import Range, SumBounds, sum_bounds
from stapes.compiler.structures import macro
from stapes.graph import Graph, Op
from stapes.int8.arithmetic import activation_range
from stapes.proof.claim import FAILED, PROVED, TESTED, Claim
from stapes.proof.device import FAMILIES, Constants, ProofDevice, Row
from stapes.proof.tflm import Changes, Rule, quantized_multiplier

Advance = Callable[[int], None]
"""Told of so many sums that are done."""


@dataclass(frozen=True)
class Linear:
    """A layer from its operator alone: what it must compute, in the shape in which kernels see rows.

    A step's output column o of channel c is the sum over rows k and bytes p of `weights`[step, k, p, c] times byte
    o * `column_step` + p of row k, plus `biases`[c], through `rules`[c].
    """

    weights: npt.NDArray[np.int8]
    """[steps, rows, bytes of a window, channels]; more than one step: sums go on from step to step."""
    biases: npt.NDArray[np.int64]
    """The zero point of the input in them."""
    given_biases: npt.NDArray[np.int64]
    rules: tuple[Rule, ...]
    columns: int
    column_step: int
    depth: int
    """Bytes of one input column."""
    groups: int
    zero_point: int
    """Of the input."""

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weights.shape[3])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row that all windows together see."""
        return (self.columns - 1) * self.column_step + int(self.weights.shape[2])

    @property
    def flat(self) -> npt.NDArray[np.int8]:
        """[channels, inputs of one output]."""
        return self.weights.reshape(-1, self.channels).T

    def bounds(self, values: Range) -> SumBounds:
        """Of every channel's sum, for inputs within `values`."""
        return sum_bounds(self.flat, self.biases, values)


def linear_of(graph: Graph, op: Op, layer: Layer) -> Linear:
    """From the operator; of the layer only how its rows are cut."""
    data = graph.tensor(op.inputs[1]).data
    assert data is not None
    given = data.astype(np.int8)
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    columns, depth, groups = 1, 0, 1
    if op.kind == "FULLY_CONNECTED":
        channels, inputs = given.shape
        if source.elements != inputs:
            columns, depth, column_step = layer.row_bytes // channels, inputs, inputs
            weights = given.T.reshape(1, 1, inputs, channels)
        else:
            steps = layer.steps if layer.accumulates else 1
            rows = layer.inputs[0].height
            weights = given.T.reshape(steps, rows, -1, channels)
            depth = column_step = weights.shape[2]
    else:
        depth = source.shape[-1]
        if op.kind == "CONV_2D":
            channels, height, width, inputs = given.shape
            groups = depth // inputs
        else:
            _, height, width, channels = given.shape
            groups = depth
        dilation = op.integer("dilation_w") if "dilation_w" in op.attributes else 1
        weights = np.zeros((1, height, ((width - 1) * dilation + 1) * depth, channels), np.int8)
        for channel in range(channels):
            group = channel // (channels // groups)
            for tap in range(width):
                if op.kind == "CONV_2D":
                    at = tap * dilation * depth + group * inputs
                    weights[0, :, at : at + inputs, channel] = given[channel, :, tap]
                else:
                    weights[0, :, tap * dilation * depth + group, channel] = given[0, :, tap, channel]
        columns, column_step = layer.row_bytes // channels, op.integer("stride_w") * depth
    biases = np.zeros(channels, np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        constant = graph.tensor(op.inputs[2]).data
        assert constant is not None
        biases = constant.astype(np.int64).reshape(-1)
    sums = weights.astype(np.int64).sum(axis=(0, 1, 2))
    quantization = graph.tensor(op.inputs[1]).quantization
    assert quantization is not None
    scales = np.broadcast_to(quantization.scale, (channels,))
    low, high = activation_range(op.text("activation"), output.scale, output.zero_point)
    rules = []
    for scale in scales:
        multiplier, shift = quantized_multiplier(source.scale * float(scale) / output.scale)
        rules.append(Rule(multiplier, shift, output.zero_point, low, high))
    return Linear(
        weights,
        biases - source.zero_point * sums,
        biases,
        tuple(rules),
        columns,
        column_step,
        depth,
        groups,
        source.zero_point,
    )


def check_bounds(
    layer: Layer, linear: Linear, bounds: SumBounds, values: Range, core: str, found: Constants
) -> Claim:
    """No sum leaves an int32, and whatever this layer's kernel on this core leans on holds for the channels that the
    image takes the short way.
    """
    wide = np.abs(linear.flat.astype(np.int64)).sum(axis=1)
    reach = max(abs(value - linear.zero_point) for value in values)
    partial = np.abs(linear.given_biases) + wide * reach
    kernels = np.abs(linear.biases) + 128 * wide
    short = (found.shifts >= 0) | bool(found.is_short)
    right = np.array([-rule.shift for rule in linear.rules])
    offsets = np.array([abs(2 * rule.zero_point + 1) for rule in linear.rules], np.int64) << np.clip(
        right, 1, 31
    )
    first, second, is_second = _pairs(linear)
    carried = (
        layer.kernel.endswith(("_carry", "_int4")) and FAMILIES[layer.kernel] != "DEPTHWISE" and core == "DSP"
    )
    narrow = is_second & short if FAMILIES[layer.kernel] == "CONV_2D" and carried else np.zeros_like(short)
    conditions = (
        ("a partial sum of the reference may leave int32", partial < 2**31),
        ("a partial sum of the kernel may leave int32", kernels < 2**31),
        ("its short requantisation wants a right shift", ~short | (right >= 1)),
        ("its short requantisation wants sums below 2^29", ~short | (bounds.largest < 2**29)),
        ("its rounding offset may leave int32", ~short | (bounds.largest + (offsets >> 1) < 2**31)),
        (
            "its sum may not fit the 24 bits beside another's",
            ~narrow | ((bounds.lowest >= -(2**23)) & (bounds.highest < 2**23)),
        ),
        (
            "a weight of -128 beside a negative one cannot be carried",
            ~(second == -128).any(axis=1) | ~carried | ~((second == -128) & (first < 0)).any(axis=1),
        ),
    )
    for what, holds in conditions:
        if not holds.all():
            channel = int(np.flatnonzero(~holds)[0])
            return Claim(
                "bounds",
                FAILED,
                f"channel {channel}: {what} (sums from {bounds.lowest[channel]:,} to {bounds.highest[channel]:,})",
            )
    return Claim(
        "bounds",
        PROVED,
        f"sums from {bounds.lowest.min():,} to {bounds.highest.max():,} for inputs from {values[0]} to {values[1]}"
        + (f"; {int((~short).sum())} of {len(short)} channels take the long way" if not short.all() else ""),
        linear.channels,
    )


def check_constants(linear: Linear, found: Constants) -> Claim:
    """Biases, multipliers, shifts and limits in the image are those that the file's scales give."""
    rule = linear.rules[0]
    shifts = np.where(found.shifts >= 0, -found.shifts - 1, found.shifts + macro("STAPES_LONG"))
    wanted = (
        ("zero point", found.zero_point, rule.zero_point),
        ("rounding constant", found.rounding, 2 * rule.zero_point + 1),
        ("activation's minimum", found.minimum, rule.minimum),
        ("activation's maximum", found.maximum, rule.maximum),
        ("mark of short channels", found.is_short, int((found.shifts >= 0).all())),
    )
    for name, got, right in wanted:
        if got != right:
            return Claim("constants", FAILED, f"{name} {got}, not {right}")
    for channel, rule in enumerate(linear.rules):
        for name, got, right in (
            ("bias", int(found.biases[channel]), int(linear.biases[channel])),
            ("multiplier", int(found.multipliers[channel]), rule.multiplier),
            ("shift", int(shifts[channel]), rule.shift),
        ):
            if got != right and not (name == "shift" and rule.multiplier == 0):
                return Claim("constants", FAILED, f"channel {channel}: {name} {got}, not {right}")
    return Claim(
        "constants", PROVED, "read back, equal to those that the file's scales give", 3 * linear.channels
    )


def check_products(device: ProofDevice, layer: Layer, linear: Linear) -> Claim:
    """Every weight comes out where it must: single inputs of 2 through the kernel, whose requantisation halves."""
    steps, rows, window, _ = linear.weights.shape
    calls = compared = 0
    for step in range(steps):
        for k in range(rows):
            weights = linear.weights[step, k].astype(np.float32)
            for x in _single_inputs(layer, linear):
                table: list[Row] = [linear.row_bytes] * rows
                table[k] = x
                output, _ = device.call(layer, table, identity=True, step=step, steps=step + 1)
                seen = np.lib.stride_tricks.sliding_window_view(x, window)[:: linear.column_step]
                expected = (seen.astype(np.float32) @ weights / 2).astype(np.int8)
                calls += 1
                compared += expected.size
                got = output.reshape(expected.shape)
                if not np.array_equal(got, expected):
                    column, channel = (int(at[0]) for at in np.nonzero(got != expected))
                    at = int(np.flatnonzero(seen[column])[0]) if seen[column].any() else -1
                    return Claim(
                        "products",
                        FAILED,
                        f"channel {channel}: weight of row {k + step}, byte {at} is {got[column, channel]}, "
                        f"not {expected[column, channel]} (output column {column})",
                        compared,
                    )
    return Claim(
        "products",
        PROVED,
        f"a kernel of multiply-adds, {calls:,} calls with single inputs: every weight found at its place, once",
        compared,
    )


def _single_inputs(layer: Layer, linear: Linear) -> Iterator[npt.NDArray[np.int8]]:
    """Rows with an input of 2 in each window, at every byte in turn. Padding that a depthwise kernel takes from one
    channel for all gets them in all channels.
    """
    window, depth = linear.weights.shape[2], linear.depth
    left, right = (int(layer.fields.get(name, 0)) * depth for name in ("pad_left", "pad_right"))  # type: ignore[arg-type]
    for first in range(window):
        x = np.zeros(linear.row_bytes, np.int8)
        x[first::window] = 2
        x[:left] = 0
        x[linear.row_bytes - right :] = 0
        yield x
    if left or right:
        for first in range(0, window, depth):
            x = np.zeros(linear.row_bytes, np.int8)
            for at in range(first, linear.row_bytes, window):
                x[at : at + depth] = 2
            x[left : linear.row_bytes - right] = 0
            yield x


def check_requantisation(
    devices: Sequence[ProofDevice],
    layer: Layer,
    linear: Linear,
    bounds: SumBounds,
    core: str,
    advance: Advance,
) -> Claim:
    """Every sum that a channel can have, through the kernel's own code, on `devices` that all run the same image, and
    through TFLM's rounding.
    """
    if bounds.lowest.min() < -(2**31) or bounds.highest.max() >= 2**31:
        return Claim("requantisation", TESTED, "sums wrap: only what the tests run was compared")
    free: SimpleQueue[ProofDevice] = SimpleQueue()
    for device in devices:
        free.put(device)

    def sweep(first: int, ranges: list[tuple[int, int]], columns: int) -> tuple[list[Changes], int]:
        device = free.get()
        try:
            return device.sweep(layer, first, ranges, columns)
        finally:
            free.put(device)

    compared = 0
    pool, sweeps = ThreadPoolExecutor(1), ThreadPoolExecutor(len(devices))
    try:
        jobs = []
        for first, count in _groups(layer, linear):
            channels = range(first, first + count)
            ranges = [(int(bounds.lowest[c]), int(bounds.highest[c])) for c in channels]
            pairs = zip(channels, ranges, strict=True)
            expected = [pool.submit(_expected, linear.rules[c], low, high) for c, (low, high) in pairs]
            for columns in _tiles(layer, linear, core, count):
                jobs.append(
                    (channels, ranges, columns, expected, sweeps.submit(sweep, first, ranges, columns))
                )
        for channels, ranges, columns, expected, swept in jobs:
            found, done = swept.result()
            compared += done
            advance(done)
            for channel, got, wanted in zip(channels, found, expected, strict=True):
                difference = got.difference(wanted.result())
                if difference is not None:
                    at, one, two = difference
                    how = f"channel {channel}: the sum {at:,} becomes {one}, not {two} ({columns} columns at a time)"
                    return Claim("requantisation", FAILED, how, compared)
            if done != sum(high - low + 1 for low, high in ranges):
                how = f"channel {channels[0]}: {done:,} sums went through"
                return Claim("requantisation", FAILED, how, compared)
    except (KeyboardInterrupt, SystemExit):
        for device in devices:
            device.stop()
        raise
    finally:
        for each in (pool, sweeps):
            each.shutdown(cancel_futures=True)
    return Claim(
        "requantisation",
        PROVED,
        "every sum of every channel through the kernel's code, equal to TFLM's double rounding",
        compared,
    )


def sums_of(layer: Layer, linear: Linear, bounds: SumBounds, core: str) -> int:
    """How many sums `check_requantisation` will compare."""
    total = 0
    for first, count in _groups(layer, linear):
        sizes = (bounds.highest - bounds.lowest + 1)[first : first + count]
        total += int(sizes.sum()) * len(_tiles(layer, linear, core, count))
    return total


@lru_cache(maxsize=8192)
def _expected(rule: Rule, low: int, high: int) -> Changes:
    return rule.changes(low, high)


def _pairs(linear: Linear) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Of every channel its weights and its partner's as first and second of a pair; whether it is the second."""
    per_group = linear.channels // linear.groups
    inside = np.arange(linear.channels) % per_group
    is_second = inside % 2 == 1
    flat = linear.flat
    partner = np.arange(linear.channels) - is_second + ~is_second
    lonely = ~is_second & (inside + 1 == per_group)
    other = flat[np.where(lonely, 0, partner) % linear.channels] * ~lonely[:, None]
    return (
        np.where(is_second[:, None], other, flat),
        np.where(is_second[:, None], flat, other),
        is_second,
    )


def _groups(layer: Layer, linear: Linear) -> Iterator[tuple[int, int]]:
    """First channel and number of those that a kernel takes together."""
    if FAMILIES[layer.kernel] == "DEPTHWISE":
        quads = layer.fields["quads"]
        assert isinstance(quads, int)
        for first in range(0, 4 * quads, 4):
            yield first, 4
        for first in range(4 * quads, linear.channels):
            yield first, 1
        return
    per_group = linear.channels // linear.groups
    for start in range(0, linear.channels, per_group):
        for first in range(start, start + per_group - 1, 2):
            yield first, 2
        if per_group % 2:
            yield start + per_group - 1, 1


def _tiles(layer: Layer, linear: Linear, core: str, count: int) -> list[int]:
    """The numbers of output columns that the layer's kernel takes at a time: each is code of its own."""
    columns, family = linear.columns, FAMILIES[layer.kernel]
    if family == "CONV_2D":
        found = set()
        while columns:
            tile = 3 if columns == 3 or columns > 4 else 1 if columns == 1 else 2
            found.add(tile)
            columns -= tile
        return sorted(found, reverse=True)
    if family == "FULLY_CONNECTED" or count == 1:
        return [1]
    if core == "DSP":
        return [min(columns, 4)]
    if core == "MVE":
        height, width = layer.fields["kernel_height"], layer.fields["kernel_width"]
        assert isinstance(height, int) and isinstance(width, int)
        if height <= 4 and width <= 4:
            return [min(columns, 4)]
        return [tile for tile, used in ((4, columns >= 4), (2, columns % 4 >= 2), (1, columns % 2)) if used]
    return [tile for tile in (3, columns % 3) if 0 < tile <= columns]
