"""MEAN, SUM and REDUCE_MAX: every reachable sum, and every input in its own output, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer, Plan
from stapes.compiler.bounds import Range
from stapes.graph import Graph, Op
from stapes.proof.claim import FAILED, PROVED, Claim
from stapes.proof.device import MOST_COLUMNS, ProofDevice
from stapes.proof.linear import Advance
from stapes.proof.tflm import Rule, mean_multiplier


@dataclass(frozen=True)
class Reduction:
    """What a layer must reduce, from its operator; of the layer only how its rows are cut."""

    places: npt.NDArray[np.int64]
    """[outputs of a row, inputs]: the bytes of a row that become each."""
    steps: int
    """Rows that are added up."""
    bias: int
    """Less the zero points of all inputs."""
    rule: Rule

    @property
    def count(self) -> int:
        """Inputs of an output."""
        return self.steps * int(self.places.shape[1])

    def bounds(self, values: Range) -> tuple[int, int]:
        """The least and the greatest sum."""
        return self.bias + self.count * values[0], self.bias + self.count * values[1]


def elements_of(graph: Graph, op: Op) -> npt.NDArray[np.int64]:
    """[outputs, inputs]: the numbers of the elements that become each output of a reduction, upwards."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    data = graph.tensor(op.inputs[1]).data
    assert data is not None
    axes = sorted({int(axis) % len(source.shape) for axis in data.reshape(-1)})
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    numbers = np.arange(source.elements).reshape(source.shape).transpose(kept + axes)
    return np.sort(numbers.reshape(output.elements, -1), axis=1)


def reduction_of(graph: Graph, plan: Plan, layer: Layer, op: Op) -> Reduction | None:
    """None where the rows that the layer reads are not those of its input."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    storage = plan.storages[layer.inputs[0].tensor]
    steps = layer.steps if layer.accumulates else 1
    elements = elements_of(graph, op)
    # Of the first output row; those of the others are as far on as their rows.
    places = elements[: layer.row_bytes, : elements.shape[1] // steps]
    every = places[:, None, :] + storage.row_bytes * np.arange(layer.steps)[:, None]
    every = every if layer.accumulates else every.swapaxes(0, 1)
    if storage.kept or places.size != storage.row_bytes or every.size != elements.size:
        return None
    if not np.array_equal(every.reshape(elements.shape), elements):
        return None
    count = elements.shape[1]
    real = float(np.float64(source.scale) / np.float64(output.scale))
    multiplier, shift = mean_multiplier(real, count if op.kind == "MEAN" else 1)
    rule = Rule(multiplier, shift, output.zero_point, -128, 127)
    return Reduction(places, steps, -source.zero_point * count, rule)


def check_reduction(
    device: ProofDevice, layer: Layer, reduction: Reduction, values: Range, advance: Advance
) -> Iterator[Claim]:
    """All claims about a MEAN or SUM whose inputs are within `values`."""
    low, high = reduction.bounds(values)
    reach = abs(reduction.bias) + 128 * reduction.count
    if reach >= 2**31:
        yield Claim("bounds", FAILED, f"a sum of {reduction.count:,} inputs may leave int32")
        return
    how = f"sums from {low:,} to {high:,} for inputs from {values[0]} to {values[1]}"
    yield Claim("bounds", PROVED, how, len(reduction.places))
    yield _constants(device, layer, reduction)
    yield _inputs(device, layer, reduction)
    found, compared = device.sweep(layer, 0, [(low, high)], MOST_COLUMNS)
    advance(compared)
    difference = found[0].difference(reduction.rule.changes(low, high))
    if difference is not None:
        at, one, two = difference
        yield Claim("requantisation", FAILED, f"the sum {at:,} becomes {one}, not {two}", compared)
    elif compared != high - low + 1:
        yield Claim("requantisation", FAILED, f"{compared:,} sums went through", compared)
    else:
        how = "every reachable sum through the kernel's code, equal to TFLM's double rounding"
        yield Claim("requantisation", PROVED, how, compared)


def _constants(device: ProofDevice, layer: Layer, reduction: Reduction) -> Claim:
    found, rule = device.constants(layer), reduction.rule
    for name, got, right in (
        ("zero point", found.zero_point, rule.zero_point),
        ("bias", int(found.biases[0]), reduction.bias),
        ("multiplier", int(found.multipliers[0]), rule.multiplier),
        ("shift", int(found.shifts[0]), rule.shift),
    ):
        if got != right:
            return Claim("constants", FAILED, f"{name} {got}, not {right}")
    return Claim("constants", PROVED, "read back, equal to those that the file's scales give", 4)


def single_inputs(places: npt.NDArray[np.int64], value: int, rest: int) -> Iterator[npt.NDArray[np.int8]]:
    """Rows in which one input of each output is `value`, all others `rest`: in all outputs, then in those whose number
    has a bit, bit by bit. Who reads the value once, and by each bit, reads that of its own number.
    """
    outputs = np.arange(len(places))
    for number in range(places.shape[1]):
        at = places[:, number]
        for bit in range(-1, int(len(places) - 1).bit_length()):
            x = np.full(places.size, rest, np.int8)
            x[at if bit < 0 else at[(outputs >> bit & 1) == 1]] = value
            yield x


def _inputs(device: ProofDevice, layer: Layer, reduction: Reduction) -> Claim:
    """Single inputs of 2 by the kernel as it adds: in the output of the last step, and in the sums kept before it."""
    calls = compared = 0
    outputs = len(reduction.places)
    held = np.arange(1000, 1000 + outputs, dtype="<i4")
    for step in range(reduction.steps):
        for x in single_inputs(reduction.places, 2, 0):
            wanted = x[reduction.places].sum(axis=1)
            output, _ = device.call(layer, [x], identity=True, step=step, steps=step + 1)
            calls += 1
            compared += outputs
            if not np.array_equal(output, wanted):
                at = int(np.flatnonzero(output != wanted)[0])
                how = f"row {step}: output {at} finds {output[at]}, not {wanted[at]}"
                return Claim("inputs", FAILED, how, compared)
        if reduction.steps == 1:
            continue
        x = np.random.default_rng(step).integers(-128, 128, reduction.places.size).astype(np.int8)
        sums = x[reduction.places].astype(np.int64).sum(axis=1) + (held if step else 0)
        _, state = device.call(
            layer, [x], identity=True, step=step, steps=reduction.steps, state=held.tobytes()
        )
        kept = np.frombuffer(state, "<i4")[:outputs]
        if not np.array_equal(kept, sums):
            at = int(np.flatnonzero(kept != sums)[0])
            how = f"row {step}: the sum kept for output {at} is {kept[at]}, not {sums[at]}"
            return Claim("inputs", FAILED, how, compared)
    how = f"a kernel of additions, {calls:,} calls with single inputs: each found in its output, once"
    return Claim("inputs", PROVED, how, compared)
