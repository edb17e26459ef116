"""The schedule is what the engine's plain loop does, however few of its rows are simulated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernelnets import NETWORKS
from modelmaker import ModelMaker

from stapes.compiler import compile_bundle, compile_graph
from stapes.compiler.compile import lower
from stapes.compiler.memory import Buffer, conflicts_of
from stapes.compiler.plan import Layer, Storage
from stapes.compiler.schedule import Use, simulate
from stapes.errors import UnsupportedModelError
from stapes.graph import read_tflite, simplify
from stapes.recipe import Bundle

MODELS = Path(__file__).parents[3] / "models"


class PlainLoop:
    """Every event, one after the other; sets of events are bit masks. Nothing clever: firmware/runtime/src/engine.c."""

    def __init__(
        self,
        inputs: int,
        layers: Sequence[Layer],
        storages: Sequence[Storage],
        outputs: Sequence[int],
        by_layers: bool,
    ) -> None:
        self.inputs, self.layers, self.storages, self.outputs = inputs, layers, storages, outputs
        self.count = inputs + len(layers)
        self.pushed = [0] * inputs
        self.steps = [0] * len(layers)
        self.heights = [1] * self.count
        self.alive = [0] * self.count
        self.stepping = [0] * len(layers)
        self.live: set[int] = set()
        self.event = 0
        for tensor in range(inputs):
            for row in range(storages[tensor].rows):
                lowest = self.lowest_needed(tensor)
                self.pushed[tensor] += 1
                self.account(tensor, row, lowest, ())
                if not by_layers:
                    self.run_rows(tensor)
        if by_layers:
            for layer in layers:
                for _ in range(layer.steps):
                    self.step(layer)
        for layer in layers:
            if layer.accumulates:
                self.alive[inputs + layer.index] |= whole(self.stepping[layer.index])
        for tensor in outputs:
            self.alive[tensor] = whole(self.alive[tensor] | 1 << (self.event - 1))

    def produced(self, tensor: int) -> int:
        if tensor < self.inputs:
            return self.pushed[tensor]
        if tensor >= self.count:
            return self.storages[tensor].rows
        layer = self.layers[tensor - self.inputs]
        steps = self.steps[layer.index]
        return int(steps == layer.steps) if layer.accumulates else steps

    def is_ready(self, layer: Layer) -> bool:
        step = self.steps[layer.index]
        if step == layer.steps:
            return False
        return all(
            min(
                step * window.stride - window.before + (window.height - 1) * window.dilation,
                self.storages[window.tensor].rows - 1,
            )
            < self.produced(window.tensor)
            for window in layer.inputs
        )

    @cache  # noqa: B019
    def readers(self, tensor: int) -> list[Layer]:
        return [layer for layer in self.layers if any(window.tensor == tensor for window in layer.inputs)]

    def lowest_needed(self, tensor: int) -> int:
        return min(
            (
                max(0, self.steps[layer.index] * window.stride - window.before)
                for layer in self.readers(tensor)
                if self.steps[layer.index] < layer.steps
                for window in layer.inputs
                if window.tensor == tensor
            ),
            default=self.storages[tensor].rows,
        )

    def account(self, tensor: int, row: int, lowest: int, touched: Sequence[int]) -> None:
        bit = 1 << self.event
        lowest = min(lowest, self.storages[tensor].rows)
        self.heights[tensor] = max(self.heights[tensor], row + 1 - (0 if tensor in self.outputs else lowest))
        self.alive[tensor] |= bit
        for other in self.live:
            self.alive[other] |= bit
        for other in {tensor, *touched} & set(range(self.count)):
            if other in self.outputs or self.produced(other) > self.lowest_needed(other):
                self.live.add(other)
                self.alive[other] |= bit
            else:
                self.live.discard(other)
        self.event += 1

    def step(self, layer: Layer) -> None:
        tensor = self.inputs + layer.index
        row = 0 if layer.accumulates else self.steps[layer.index]
        lowest = self.lowest_needed(tensor)
        self.stepping[layer.index] |= 1 << self.event
        self.steps[layer.index] += 1
        self.account(tensor, row, lowest, [window.tensor for window in layer.inputs])

    def run_rows(self, tensor: int) -> None:
        index = max((layer.index for layer in self.readers(tensor)), default=0)
        while index >= 0:
            layer = self.layers[index]
            if self.is_ready(layer):
                self.step(layer)
                if not layer.accumulates or self.steps[index] == layer.steps:
                    readers = [reader.index for reader in self.readers(self.inputs + index)]
                    index = max([index, *readers])
            else:
                index -= 1


def whole(events: int) -> int:
    return (1 << events.bit_length()) - (events & -events)


def assert_equal(data: bytes) -> None:
    """Heights, first and last events, how many events, and who is in use together with whom."""
    network, _ = lower(simplify(read_tflite(data)))
    if network.states:
        pytest.skip("the plain loop starts every window anew; test_state.py runs networks with state")
    for by_layers in (False, True):
        arguments = (network.input_count, network.layers, network.storages, network.outputs, by_layers)
        found, plain = simulate(*arguments), PlainLoop(*arguments)
        assert found.events == plain.event
        assert list(found.heights) == plain.heights
        uses, masks = [*found.alive, *found.stepping], [*plain.alive, *plain.stepping]
        for use, mask in zip(uses, masks, strict=True):
            assert use.whole.spans[0] == ((mask & -mask).bit_length() - 1, mask.bit_length() - 1)
            assert use.events == mask.bit_count()
            assert all(
                mask >> first & ((1 << (last - first + 1)) - 1) == (1 << (last - first + 1)) - 1
                for first, last in use.spans
            )
        conflicts = conflicts_of([Buffer("", 1, use) for use in uses])
        for number, mask in enumerate(masks):
            together = [other for other, each in enumerate(masks) if each & mask and other != number]
            assert conflicts[number].tolist() == together


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    assert_equal(NETWORKS[name]())


def long_network(seed: int, rows: int, depth: int) -> bytes:
    """A few layers of every kind of window over a long map."""
    random = np.random.default_rng(seed)
    maker = ModelMaker(seed).input((1, rows, 2, 2))
    outputs = []
    for _ in range(depth):
        length, source = maker.shape()[1], maker.last
        kind = random.integers(8)
        kernel = (int(random.integers(1, 6)), 1)
        if length < 12:
            break
        if kind <= 2:
            maker.conv_2d(
                2,
                kernel,
                (int(random.integers(1, 4)), 1),
                (1, 1),
                str(random.choice(["SAME", "VALID"])),
                bias=False,
            )
        elif kind == 3:
            maker.depthwise_conv_2d(1, (3, 1), dilation=(int(random.integers(1, 4)), 1))
        elif kind == 4:
            maker.pool("MAX_POOL_2D", kernel, (int(random.integers(1, 8)), 1))
        elif kind == 5:
            maker.conv_2d(2, kernel).conv_2d(2, (3, 1))
            maker.binary("ADD", source, maker.last, 0.1, 0)
        elif kind == 6:
            begin = int(random.integers(0, length // 2))
            maker.strided_slice((0, begin, 0, 0), (1, length, 2, 2), (1, 1, 1, 1), (1, length - begin, 2, 2))
        else:
            maker.conv_2d(2, (3, 1), (2, 1), padding="VALID")
            maker.concatenation([source, maker.last], 1)
        if random.integers(4) == 0:
            outputs.append(maker.last)
    end = random.integers(4)
    if end == 0:
        source = maker.last
        maker.reduce("MEAN", (1,), keep_dims=True)
        maker.binary("SUB", source, maker.last, 0.1, 0)
    elif end == 1:
        maker.reshape((1, int(np.prod(maker.shape())))).fully_connected(3)
    elif end == 2:
        maker.pool("AVERAGE_POOL_2D", (maker.shape()[1], 1))
    return maker.build(list(dict.fromkeys([*outputs, maker.last])))


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(12, 260), depth=st.integers(1, 6))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_long_networks(seed: int, rows: int, depth: int) -> None:
    with suppress(UnsupportedModelError):  # an output that a padded convolution reads
        assert_equal(long_network(seed, rows, depth))


def test_two_inputs_one_after_the_other() -> None:
    maker = ModelMaker(0).input((1, 90, 2, 2)).conv_2d(2, (3, 1))
    first = maker.last
    maker.input((1, 90, 2, 2)).conv_2d(2, (5, 1))
    assert_equal(maker.binary("ADD", first, maker.last, 0.1, 0).build())


def test_what_repeats_is_not_simulated() -> None:
    """The plain loop would take hundreds of thousands of events."""
    maker = ModelMaker(0).input((1, 80_000, 1, 1))
    for _ in range(12):
        maker.conv_2d(1, (3, 1))
    graph = simplify(read_tflite(maker.pool("AVERAGE_POOL_2D", (4, 1)).build()))
    started = time.process_time()
    plan = compile_graph(graph)
    assert time.process_time() - started < 2
    assert plan.events == 12 * 80_000 + 80_000 + 20_000
    assert {storage.height for storage in plan.storages[1:12]} == {3}


def test_deep_networks_take_time_in_proportion() -> None:
    """A recurrent layer of 160 steps, unrolled, and 1,500 layers that all run at once: seconds."""
    maker = ModelMaker(0).input((1, 16, 8, 4))
    for _ in range(1500):
        maker.unary("RELU")
    started = time.process_time()
    compile_graph(simplify(read_tflite(maker.build())))
    maker = ModelMaker(1).input((1, 1, 1, 8))
    state = maker.fully_connected(8).last
    for _ in range(160):
        maker.fully_connected(8, source=state)
        maker.unary("LOGISTIC", 1 / 256, -128)
        state = maker.binary("MUL", state, maker.last, 0.05, 0).last
    assert len(compile_graph(simplify(read_tflite(maker.build()))).layers) == 481
    assert time.process_time() - started < 8


ARENAS = {
    "esc10": 15_244,
    "esc10-forest": 1_260,
    "esc10-pretrained": 37_516,
    "esc10-small": 6_900,
    "esc10-tiny": 3_636,
    "esc10-nano": 2_156,
}
"""Of the committed models, when the schedule was still simulated row by row."""


@pytest.mark.parametrize("name", ARENAS)
def test_plans_of_the_committed_models(name: str) -> None:
    assert compile_bundle(Bundle.load(MODELS / name)).arena_bytes <= ARENAS[name]


def test_uses() -> None:
    use = Use.of(3, 5).and_then(9, 9)
    assert (use.spans, use.events, use.whole) == (((3, 5), (9, 9)), 4, Use.of(3, 9))
