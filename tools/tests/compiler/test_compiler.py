"""Plans: rows, memory, schedule; what is refused; the page about operators."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernelnets import NETWORKS
from modelmaker import ModelMaker

from stapes.compiler import Plan, compile_graph
from stapes.compiler.compile import LOWERINGS
from stapes.compiler.memory import Buffer, align, place
from stapes.compiler.operators import operators_page
from stapes.compiler.pack import pack_depthwise, pack_pairs, patch_order
from stapes.compiler.schedule import Use
from stapes.errors import UnsupportedModelError
from stapes.graph import read_tflite, simplify
from stapes.graph.support import OPERATORS

ROOT = Path(__file__).parents[3]


def plan_of(data: bytes) -> Plan:
    return compile_graph(simplify(read_tflite(data)))


def test_operators_page_is_current() -> None:
    page = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    assert page == operators_page(), "run: python -m stapes.compiler.operators > docs/operators.md"


def test_every_supported_operator_has_a_lowering_and_kernels() -> None:
    assert set(OPERATORS) - set(LOWERINGS) <= {"DEQUANTIZE"}
    header = (ROOT / "firmware/runtime/include/stapes/kernels.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"void stapes_(\w+)\(const stapes_call_t", header))
    assert {name for lowering in LOWERINGS.values() for name in lowering.kernels} | {"reshape"} == declared


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_use_the_kernels_named_in_the_page(name: str) -> None:
    for layer in plan_of(NETWORKS[name]()).layers:
        # A map that is a view of another, or has two homes, is copied where somebody needs it whole.
        copies = ("reshape", "concatenation_rows") if layer.name.endswith(" (copy)") else ("reshape",)
        assert layer.kernel in (*LOWERINGS[layer.op].kernels, *copies)


@pytest.mark.parametrize("name", NETWORKS)
def test_regions_lie_in_the_arena(name: str) -> None:
    plan = plan_of(NETWORKS[name]())
    assert all(r.offset >= 0 and r.offset + r.bytes <= plan.buffer_bytes for r in plan.regions)
    assert all(r.offset % 4 == 0 for r in plan.regions)


USES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=3)
"""Spans as a gap, and how much longer than one event."""


@given(st.lists(st.tuples(st.integers(0, 200), USES), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_buffers_in_use_together_never_share_bytes(given: list[tuple[int, list[tuple[int, int]]]]) -> None:
    buffers, events = [], []
    for size, gaps in given:
        spans, end = [], -1
        for gap, length in gaps:
            spans.append((end + gap, end + gap + length))
            end += gap + length
        events.append({event for first, last in spans for event in range(first, last + 1)})
        buffers.append(Buffer(str(size), size, Use(tuple(spans), len(events[-1]))))
    offsets, end = place(buffers, 8)
    assert (offsets, end) == plain_place(buffers, events, 8)
    for i, first in enumerate(buffers):
        assert offsets[i] >= 8 and offsets[i] % 4 == 0 and offsets[i] + first.bytes <= end
        for j, second in enumerate(buffers[:i]):
            if events[i] & events[j]:
                assert offsets[i] + first.bytes <= offsets[j] or offsets[j] + second.bytes <= offsets[i]


def plain_place(buffers: list[Buffer], events: list[set[int]], start: int) -> tuple[list[int], int]:
    """In three orders, each buffer into the lowest gap among all that are there already and in use with it."""
    found = []
    indices = [i for i, buffer in enumerate(buffers) if buffer.bytes]
    for key in (
        lambda i: (-buffers[i].bytes, i),
        lambda i: (-len(events[i]), -buffers[i].bytes, i),
        lambda i: (min(events[i]), -buffers[i].bytes, i),
    ):
        offsets: dict[int, int] = {}
        for i in sorted(indices, key=key):
            offset = start
            together = [
                (offsets[j], offsets[j] + align(buffers[j].bytes)) for j in offsets if events[i] & events[j]
            ]
            for low, high in sorted(together):
                if offset + buffers[i].bytes <= low:
                    break
                offset = max(offset, high)
            offsets[i] = offset
        end = max((offsets[i] + align(buffers[i].bytes) for i in indices), default=start)
        found.append(([offsets.get(i, start) for i in range(len(buffers))], end))
    return min(found, key=lambda result: result[1])


def test_weights_of_several_steps_are_there_once() -> None:
    """An unrolled recurrent layer: every step has the same weights."""
    maker = ModelMaker(0).input((1, 4, 8))
    steps = maker.unpack(1)
    maker.fully_connected(8, source=steps[0])
    operands, scale = maker.ops[-1].inputs[1:], maker.scale()
    alone = plan_of(maker.build()).weights_bytes
    for step in steps[1:]:
        maker.op("FULLY_CONNECTED", [step, *operands], (1, 8), scale, 4, activation="NONE")
    plan = plan_of(maker.build([tensor.outputs[0] for tensor in maker.ops[1:]]))
    assert sum(layer.kernel.startswith("conv_2d") for layer in plan.layers) == 4
    assert plan.weights_bytes == alone


def test_a_chain_keeps_only_the_kernel_height() -> None:
    maker = ModelMaker(0).input((1, 64, 8, 4))
    for _ in range(3):
        maker.conv_2d(4, (3, 3), activation="RELU")
    maker.conv_2d(4, (5, 1), dilation=(2, 1), padding="VALID")
    plan = plan_of(maker.pool("AVERAGE_POOL_2D", (56, 8)).build())
    assert [storage.height for storage in plan.storages[:4]] == [3, 3, 3, 9]


def test_a_residual_keeps_what_its_branch_delays() -> None:
    maker = ModelMaker(0).input((1, 64, 8, 4)).conv_2d(4)
    trunk = maker.last
    maker.conv_2d(4).conv_2d(4).conv_2d(4).binary("ADD", trunk, maker.last, 0.1, 0)
    plan = plan_of(maker.pool("MAX_POOL_2D", (64, 8)).build())
    assert plan.storages[1].height == 4  # each of three convolutions is a row behind its input


def test_the_first_layer_of_one_channel_is_an_ordinary_convolution() -> None:
    plan = plan_of(ModelMaker(0).input((1, 9, 9, 1)).depthwise_conv_2d(6).build())
    assert plan.layers[0].kernel.startswith("conv_2d")
    assert plan.macs == 9 * 9 * 6 * 9


def test_padding_goes_into_the_convolution() -> None:
    maker = ModelMaker(0).input((1, 9, 9, 2)).pad([(0, 0), (1, 1), (1, 1), (0, 0)])
    plan = plan_of(maker.conv_2d(3, padding="VALID").build())
    assert [layer.op for layer in plan.layers] == ["CONV_2D"]
    assert any("folded into 1 convolution" in note for note in plan.notes)


def test_a_batch_inside_is_refused() -> None:
    maker = ModelMaker(0).input((1, 4, 6, 2)).transpose((1, 0, 2, 3)).conv_2d(2)
    maker.transpose((1, 0, 2, 3))
    with pytest.raises(UnsupportedModelError, match="batch of 4"):
        plan_of(maker.build())


@given(st.integers(1, 4), st.integers(1, 11))
def test_patch_order_takes_every_element_once(runs: int, size: int) -> None:
    order = patch_order(runs, size)
    assert len(order) % 2 == 0
    assert sorted(order[order >= 0].tolist()) == list(range(runs * size))


def test_packed_weights_are_where_the_inner_loop_looks() -> None:
    weights = np.arange(3 * 5, dtype=np.int8).reshape(3, 5)
    packed = pack_pairs(weights, patch_order(1, 5)).reshape(2, 3, 4)
    # order 0 2 1 3 4 and a zero; channels 0 and 1, then 2 and nothing
    assert packed[0].tolist() == [[0, 5, 2, 7], [1, 6, 3, 8], [4, 9, 0, 0]]
    assert packed[1].tolist() == [[10, 0, 12, 0], [11, 0, 13, 0], [14, 0, 0, 0]]
    taps = np.arange(2 * 3 * 5, dtype=np.int8).reshape(2, 3, 5)
    assert pack_depthwise(taps, 1)[:8].tolist() == [0, 1, 2, 3, 15, 16, 17, 18]
    assert pack_depthwise(taps, 1)[24:].tolist() == [4, 9, 14, 19, 24, 29]
