"""Layers that are no sums of products: every value, every pair of values, every byte's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer, Plan
from stapes.compiler.builder import ALIASES
from stapes.graph import Graph, Op
from stapes.int8.arithmetic import bit_length, multiply_by_quantized_multiplier, padding_before
from stapes.int8.elementwise import UNARY
from stapes.int8.fixed_point import exp_on_negative_values, log_of_sum, one_over_one_plus_x
from stapes.int8.run import KERNELS
from stapes.proof.claim import FAILED, PROVED, TESTED, Claim
from stapes.proof.device import ProofDevice, Row
from stapes.proof.reduction import elements_of, single_inputs
from stapes.proof.tflm import quantized_multiplier

Int8 = npt.NDArray[np.int8]

PAIRS = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SQUARED_DIFFERENCE", "SUB")
MOVES = (
    "CONCATENATION",
    "GATHER",
    "PACK",
    "PAD",
    "PADV2",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPLIT",
    "SPLIT_V",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
)
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
MOST_SUMS = 1 << 28
"""Of a softmax's exponentials, all of which are tried: of 1,024 classes, or 512 whose logarithms are asked for."""
SUMS_AT_ONCE = 1 << 20
MOST_CALLS = 60_000
"""Of a kernel for one layer: where more were needed, the layer is only tested."""


class Unlike(Exception):
    """A layer gave another row than the reference."""

    def __init__(self, row: int, byte: int, got: int, wanted: int) -> None:
        super().__init__(f"row {row}, byte {byte} is {got}, not {wanted}")


@dataclass
class Runner:
    """Runs one layer alone on whole maps, and compares what it makes with the operator in NumPy."""

    device: ProofDevice
    graph: Graph
    plan: Plan
    layer: Layer
    op: Op
    sources: tuple[int, ...]
    """Of each of the operator's inputs that is an activation: which of `tensors`."""
    tensors: tuple[int, ...]
    """The activations that the layer reads."""
    calls: int = 0
    compared: int = 0

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of `tensors`."""
        return [self.graph.tensor(index).shape for index in self.tensors]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the operator's first input, whose bytes the first map has."""
        return self.graph.tensor(self.op.inputs[0]).shape

    @property
    def calls_a_map(self) -> int:
        """Calls of the kernel that one run takes."""
        return self.layer.steps

    def expected(self, maps: Sequence[Int8]) -> Int8:
        """What the operator makes of maps, as rows."""
        given: list[npt.NDArray[np.generic]] = []
        position = 0
        for index in self.op.inputs:
            tensor = self.graph.tensor(index) if index >= 0 else None
            if tensor is None:
                given.append(np.empty(0, np.int8))
            elif tensor.data is not None:
                given.append(tensor.data)
            else:
                given.append(maps[self.sources[position]].reshape(tensor.shape))
                position += 1
        results = KERNELS[self.op.kind](self.graph, self.op, given)
        wanted = results[self.op.outputs.index(self._made)]
        return wanted.astype(np.int8).reshape(self.layer.rows, self.layer.row_bytes)

    @property
    def _made(self) -> int:
        own = self.layer.tensor
        return own if own in self.op.outputs else self.op.outputs[0]

    def run(self, maps: Sequence[Int8]) -> None:
        """Raises `Unlike` where a row is another."""
        wanted = self.expected(maps)
        state: bytes | None = None
        output: Int8 | None = None
        for step in range(self.layer.steps):
            before = bytes([0x5A]) * self.layer.state_bytes if state is None else state
            output, state = self.device.call(
                self.layer, self._rows(maps, step), step=step, output=output, state=before
            )
            self.calls += 1
            if self.layer.accumulates and step + 1 < self.layer.steps:
                continue
            row = 0 if self.layer.accumulates else step
            if not np.array_equal(output, wanted[row]):
                byte = int(np.flatnonzero(output != wanted[row])[0])
                raise Unlike(row, byte, int(output[byte]), int(wanted[row, byte]))
            self.compared += output.size
            if not self.layer.accumulates:
                output = state = None

    def _rows(self, maps: Sequence[Int8], step: int) -> list[Row]:
        table: list[Row] = []
        at = 0
        for window in self.layer.inputs:
            storage = self.plan.storages[window.tensor]
            if storage.data is None:
                rows = maps[self._map_of(window.tensor, at)].reshape(storage.rows, storage.row_bytes)
                at += 1
            else:
                rows = storage.data.reshape(storage.rows, storage.row_bytes)
            for k in range(window.height):
                row = step * window.stride - window.before + k * window.dilation
                size = window.left + storage.row_bytes + window.right
                if 0 <= row < storage.rows:
                    padded = np.full(size, storage.zero_point, np.int8)
                    padded[window.left : window.left + storage.row_bytes] = rows[row]
                    table.append(padded)
                else:
                    table.append(np.full(size, storage.zero_point, np.int8) if window.fills_outside else None)
        return table

    def _map_of(self, storage: int, position: int) -> int:
        count = self.plan.input_count
        tensor = self.graph.inputs[storage] if storage < count else self.plan.layers[storage - count].tensor
        return self.tensors.index(tensor) if tensor in self.tensors else position


def runner_of(device: ProofDevice, graph: Graph, plan: Plan, layer: Layer, op: Op) -> Runner | None:
    """None where the layer does not read whole maps as they are: rows of a window before, parts of rows."""
    storages = [plan.storages[window.tensor] for window in layer.inputs]
    if layer.keeps_state or any(storage.kept for storage in storages):
        return None
    if any(window.left < 0 or window.right < 0 for window in layer.inputs):
        return None
    count = plan.input_count
    maps = []
    for window, storage in zip(layer.inputs, storages, strict=True):
        if storage.data is None:
            number = window.tensor
            maps.append(graph.inputs[number] if number < count else plan.layers[number - count].tensor)
    roots = []
    for index in op.inputs:
        if index >= 0 and graph.tensor(index).data is None:
            roots.append(_root(graph, index))
    tensors = tuple(dict.fromkeys(maps))
    if not set(roots) <= {_root(graph, index) for index in tensors}:
        return None
    by_root = {_root(graph, index): number for number, index in enumerate(tensors)}
    if any(graph.tensor(index).elements != graph.tensor(_root(graph, index)).elements for index in tensors):
        return None
    for window, storage in zip(layer.inputs, storages, strict=True):
        if storage.data is None:
            number = window.tensor
            index = graph.inputs[number] if number < count else plan.layers[number - count].tensor
            if storage.rows * storage.row_bytes != graph.tensor(index).elements:
                return None
            if window.before < 0:
                return None
    return Runner(device, graph, plan, layer, op, tuple(by_root[root] for root in roots), tensors)


def _root(graph: Graph, index: int) -> int:
    """The tensor whose bytes these are, reshapes taken off."""
    while True:
        maker = next((op for op in graph.ops if index in op.outputs), None)
        if maker is None or maker.kind not in ALIASES:
            same = graph.tensor(index).same_as
            return index if same is None else same
        index = maker.inputs[0]


def check_values(runner: Runner) -> Claim:
    """What can be shown of a layer that is no sum of products."""
    kind, layer = runner.op.kind, runner.layer
    part, how, verdict, counted = "values", "", PROVED, 0
    if layer.kernel in ("reshape", "concatenation_rows", "concatenation", "pick", "gather", "pad") and (
        kind in MOVES or kind in ALIASES
    ):
        part, maps = "bytes", _digits(runner)
        how = "every output byte's place in the input read off the digits of its number"
    elif kind in UNARY:
        maps, how = _every_value(runner), "every input of the table"
    elif kind in PAIRS:
        maps, how = _every_pair(runner), "every pair of inputs that can meet"
    elif kind in POOLS:
        maps, how = _pool(runner)
    elif kind == "REDUCE_MAX":
        maps, how = _greatest(runner), "every pair of inputs, and every input of an output alone"
    elif kind in ("SOFTMAX", "LOG_SOFTMAX"):
        maps = _softmax(runner)
        verdict, how, counted = _softmax_parts(runner)
    else:
        maps, verdict = _random(runner), TESTED
        how = f"random maps: nothing shows {kind} for all inputs"
    if verdict == FAILED:
        return Claim(part, FAILED, how, counted)
    planned = 0
    try:
        for each in maps:
            planned += runner.calls_a_map
            if planned > MOST_CALLS:
                verdict, how = TESTED, f"{how}: stopped after {MOST_CALLS:,} calls, too large"
                break
            runner.run(each)
    except Unlike as wrong:
        return Claim(part, FAILED, str(wrong), runner.compared)
    return Claim(part, verdict, how, runner.compared + counted)


def _full(runner: Runner, value: int) -> list[Int8]:
    return [np.full(shape, value, np.int8) for shape in runner.shapes]


def _digits(runner: Runner) -> Iterator[list[Int8]]:
    """The number of every input element, digit by digit, and its complement."""
    sizes = [int(np.prod(shape)) for shape in runner.shapes]
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    digits = 1
    while 256**digits < sum(sizes):
        digits += 1
    for digit in range(digits):
        values = [(number >> 8 * digit & 255).astype(np.uint8).view(np.int8) for number in numbers]
        yield [value.reshape(shape) for value, shape in zip(values, runner.shapes, strict=True)]
        yield [~value.reshape(shape) for value, shape in zip(values, runner.shapes, strict=True)]


def _every_value(runner: Runner) -> Iterator[list[Int8]]:
    """Every element takes every value."""
    for value in range(256):
        maps = []
        for shape in runner.shapes:
            numbers = np.arange(int(np.prod(shape))) + value
            maps.append((numbers & 255).astype(np.uint8).view(np.int8).reshape(shape))
        yield maps


def _every_pair(runner: Runner) -> Iterator[list[Int8]]:
    """65,536 pairs over the elements of the maps, one after the other; with a constant, every value of each element."""
    if len(runner.shapes) < 2:
        yield from _every_value(runner)
        return
    # Where one operand is spread over the other, each of its elements stays as it is while the other takes all values.
    sizes = [int(np.prod(shape)) for shape in runner.shapes]
    for second in range(256):
        for first in range(0, 256, max(1, min(256, max(sizes)))):
            one, two = (np.arange(size) for size in sizes)
            maps = [(one + first) & 255, np.full(two.shape, second)]
            if sizes[0] < sizes[1]:
                maps = [np.full(one.shape, second), (two + first) & 255]
            yield [
                each.astype(np.uint8).view(np.int8).reshape(shape)
                for each, shape in zip(maps, runner.shapes, strict=True)
            ]


def _windows(runner: Runner) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Sets of output pixels whose windows do not overlap; of every output pixel the flat input pixels (-1: none)."""
    _, height, width, _ = runner.shape
    output = runner.graph.tensor(runner.op.outputs[0]).shape
    op = runner.op
    kernel = (op.integer("kernel_h"), op.integer("kernel_w"))
    stride = (op.integer("stride_h"), op.integer("stride_w"))
    top, left = (
        padding_before(op.text("padding"), size, k, s)
        for size, k, s in zip((height, width), kernel, stride, strict=True)
    )
    pixels = np.full((output[1], output[2], kernel[0] * kernel[1]), -1, np.int64)
    for y in range(output[1]):
        for x in range(output[2]):
            for number in range(kernel[0] * kernel[1]):
                row = y * stride[0] - top + number // kernel[1]
                column = x * stride[1] - left + number % kernel[1]
                if 0 <= row < height and 0 <= column < width:
                    pixels[y, x, number] = row * width + column
    apart = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
    flat = np.arange(output[1] * output[2]).reshape(output[1], output[2])
    sets = [flat[y :: apart[0], x :: apart[1]].reshape(-1) for y in range(apart[0]) for x in range(apart[1])]
    return [each for each in sets if each.size], pixels.reshape(-1, kernel[0] * kernel[1])


def _pool(runner: Runner) -> tuple[Iterator[list[Int8]], str]:
    sets, pixels = _windows(runner)
    is_mean = runner.op.kind == "AVERAGE_POOL_2D"
    counts = sorted({int((each >= 0).sum()) for each in pixels})
    if is_mean and counts[-1] > 254:
        return _random(runner), f"random maps: one of {counts[-1]} inputs alone does not change a mean"
    what = "every sum that a window can have" if is_mean else "every pair of inputs"
    maps = _sums(runner, sets, pixels) if is_mean else _largest(runner, sets, pixels)

    def both() -> Iterator[list[Int8]]:
        yield from _single_pixels(runner, sets, pixels, 0 if is_mean else -128)
        yield from maps

    return both(), f"{what}, and every input of a window alone"


def _single_pixels(
    runner: Runner, sets: list[npt.NDArray[np.int64]], pixels: npt.NDArray[np.int64], background: int
) -> Iterator[list[Int8]]:
    """A single input of every window is 127, for a half of the outputs after the other: who reads it shows it."""
    channels = runner.shape[3]
    for chosen in sets:
        outputs = chosen[:, None] * channels + np.arange(channels)
        for number in range(pixels.shape[1]):
            places = pixels[chosen, number]
            for bit in range(int(pixels.shape[0] * channels - 1).bit_length() + 1):
                marked = (
                    (outputs >> bit & 1) == 1 if 1 << bit <= outputs.max() else np.ones_like(outputs, bool)
                )
                values = np.full((int(np.prod(runner.shape[:3])), channels), background, np.int8)
                values[places[places >= 0]] = np.where(marked[places >= 0], 127, background)
                yield [values.reshape(runner.shape)]


def _sums(
    runner: Runner, sets: list[npt.NDArray[np.int64]], pixels: npt.NDArray[np.int64]
) -> Iterator[list[Int8]]:
    """Windows with every sum, for every number of inputs that a window has."""
    channels = runner.shape[3]
    for chosen in sets:
        sizes = (pixels[chosen] >= 0).sum(axis=1)
        for size in np.unique(sizes):
            windows = pixels[chosen[sizes == size]]
            windows = np.stack([each[each >= 0] for each in windows])
            every = np.arange(-128 * size, 127 * size + 1)
            at_once = len(windows) * channels
            for start in range(0, len(every), at_once):
                sums = np.resize(every[start : start + at_once], at_once).reshape(len(windows), 1, channels)
                values = np.zeros((int(np.prod(runner.shape[:3])), channels), np.int64)
                base, rest = sums // size, sums % size
                values[windows] = base + (np.arange(size)[None, :, None] < rest)
                yield [values.astype(np.int8).reshape(runner.shape)]


def _largest(
    runner: Runner, sets: list[npt.NDArray[np.int64]], pixels: npt.NDArray[np.int64]
) -> Iterator[list[Int8]]:
    """One input of a window against all others: every pair, at places that go round."""
    channels = runner.shape[3]
    chosen = sets[0]
    at_once = len(chosen) * channels
    for round_, start in enumerate(range(0, 65536, at_once)):
        pairs = np.resize(np.arange(start, min(65536, start + at_once)), at_once).reshape(-1, channels)
        values = np.full((int(np.prod(runner.shape[:3])), channels), -128, np.int64)
        for window, pair in zip(pixels[chosen], pairs, strict=True):
            inside = window[window >= 0]
            values[inside] = (pair & 255) - 128
            values[inside[round_ % len(inside)]] = (pair >> 8) - 128
        yield [values.astype(np.int8).reshape(runner.shape)]


def _greatest(runner: Runner) -> Iterator[list[Int8]]:
    """Of a reduction: each input of each output alone, then one against all others, at places that go round."""
    elements = elements_of(runner.graph, runner.op)
    for x in single_inputs(elements, 127, -128):
        yield [x.reshape(runner.shape)]
    outputs, count = elements.shape
    for round_, start in enumerate(range(0, 65536, outputs)):
        pairs = np.resize(np.arange(start, min(65536, start + outputs)), outputs)
        values = np.empty(elements.size, np.int64)
        values[elements] = (pairs[:, None] & 255) - 128
        values[elements[:, round_ % count]] = (pairs >> 8) - 128
        yield [values.astype(np.int8).reshape(runner.shape)]


def _softmax_parts(runner: Runner) -> tuple[str, str, int]:
    """Verdict, how and number of what a row's outputs are made of: an exponential for each difference from the row's
    greatest value, and a reciprocal, or a logarithm, for each sum of exponentials.
    """
    layer, channels, is_log = runner.layer, runner.shape[-1], runner.op.kind == "LOG_SOFTMAX"
    # The greatest input's exponential is one, 2^19. A reciprocal is that of the sum's leading bits: that of a sum is
    # that of its double, so those of the greater half are all.
    last = channels << 19
    first = 1 << 19 if is_log else max(1 << 19, last // 2 + 1)
    if last - first >= MOST_SUMS:
        return TESTED, f"differences and random rows: too many sums of {channels} exponentials", 0
    source = runner.graph.tensor(runner.op.inputs[0])
    beta = 1.0 if is_log else runner.op.real("beta")
    multiplier, shift = quantized_multiplier(min(beta * source.scale * 2.0**26, 2.0**31 - 1))
    differences = -np.arange(256, dtype=np.int64)
    scaled = multiply_by_quantized_multiplier(differences, multiplier, shift)
    least = -int(31.0 * 2.0**26 / 2.0**shift)
    wanted = np.where(
        differences >= least, exp_on_negative_values(np.where(differences >= least, scaled, 0)), -1
    )
    got, back = runner.device.exponentials(layer, 256)
    if not np.array_equal(got, wanted):
        at = int(np.flatnonzero(got != wanted)[0])
        return FAILED, f"the exponential of the difference {-at} is {got[at]}, not {wanted[at]}", at
    right = quantized_multiplier(2.0 ** (31 - shift) / multiplier) if is_log else (0, 0)
    if back != right:
        return FAILED, f"from a logarithm to a difference by {back}, not {right}", 256
    what, function = ("logarithm", log_of_sum) if is_log else ("reciprocal", _reciprocals)
    start = first
    while start <= last:
        # Up to a power of two: there they begin from above again.
        end = min(start + SUMS_AT_ONCE, 1 << start.bit_length(), last + 1)
        # A piece at a time, which stays in the cache.
        pieces = np.array_split(np.arange(start, end, dtype=np.int64), -(-(end - start) >> 14))
        wanted = np.concatenate([function(piece) for piece in pieces])
        got_first, more = runner.device.of_sums(start, end - start, logarithms=is_log)
        same = np.concatenate([[got_first == wanted[0]], more == np.diff(wanted)])
        if not same.all():
            at = start + int(np.flatnonzero(~same)[0])
            return FAILED, f"the {what} of the sum {at:,} is not {wanted[at - start]}", at - first
        start = end
    how = (
        f"every difference's exponential and every sum's {what} by the kernel's source; their product by "
        "docs/proof-runs.md; rows of two values and random rows by the kernel"
    )
    return PROVED, how.replace("product", "difference") if is_log else how, 256 + last - first + 1


def _reciprocals(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of sums of exponentials in Q12."""
    return one_over_one_plus_x((sums << 32 - bit_length(sums)) - (1 << 31))


def _softmax(runner: Runner) -> Iterator[list[Int8]]:
    """Rows of two values: so many of the lesser, every difference; then random rows."""
    shape = runner.shape
    lines, channels = int(np.prod(shape[:-1])), shape[-1]
    some = []
    for lesser in range(1, min(channels, 32)):
        for difference in range(256):
            line = np.full(channels, 127)
            line[:lesser] = 127 - difference
            some.append(line)
    random = np.random.default_rng(1)
    some += list(random.integers(-128, 128, (2000, channels)))
    some += list(np.clip(random.normal(0, 20, (2000, channels)).round(), -128, 127).astype(int))
    for start in range(0, len(some), lines):
        part = np.resize(np.array(some[start : start + lines]), (lines, channels))
        yield [part.astype(np.int8).reshape(shape)]


def _random(runner: Runner) -> Iterator[list[Int8]]:
    random = np.random.default_rng(1)
    for _ in range(50):
        yield [random.integers(-128, 128, shape).astype(np.int8) for shape in runner.shapes]
