"""What random windows do not see and a proof does; what the compiler does where a fast kernel's condition fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from modelmaker import ModelMaker

from stapes.compiler import compile_graph
from stapes.compiler.bounds import EVERYTHING, value_ranges
from stapes.graph import read_tflite, simplify
from stapes.int8 import run_graph
from stapes.proof.device import Constants
from stapes.proof.linear import Linear, check_bounds, linear_of
from stapes.proof.prove import op_of

WINDOWS = 200


def test_five_faults_pass_two_hundred_random_windows() -> None:
    """A channel's multiplier by one step, or by some: outputs change at sums that none of the windows makes. Going
    through all sums finds the first of them.
    """
    maker = ModelMaker(4).input((1, 60)).fully_connected(12).fully_connected(8)
    graph = simplify(read_tflite(maker.build(), "model"))
    plan, ranges = compile_graph(graph, "model"), value_ranges(graph)
    random = np.random.default_rng(1)
    windows = [
        run_graph(graph, [random.integers(-128, 128, graph.tensor(graph.inputs[0]).shape).astype(np.int8)])
        for _ in range(WINDOWS)
    ]
    unseen = []
    for layer in plan.layers:
        op = op_of(graph, layer)
        assert op is not None
        linear = linear_of(graph, op, layer)
        bounds = linear.bounds(ranges.get(op.inputs[0], EVERYTHING))
        made: npt.NDArray[np.int64] = np.stack(
            [window[op.inputs[0]].reshape(-1).astype(np.int64) for window in windows]
        )
        sums = made @ linear.flat.T.astype(np.int64) + linear.biases
        for channel, rule in enumerate(linear.rules):
            low, high = int(bounds.lowest[channel]), int(bounds.highest[channel])
            assert sums[:, channel].min() >= low and sums[:, channel].max() <= high
            right = rule.changes(low, high)
            for more in (1, -1, 1 << 12, -(1 << 12)):
                wrong = replace(rule, multiplier=rule.multiplier + more)
                found = wrong.changes(low, high).difference(right)
                if found is None:
                    continue
                seen = (rule.outputs(sums[:, channel]) != wrong.outputs(sums[:, channel])).any()
                if not seen:
                    unseen.append((layer.index, channel, more, found))
    assert len({(index, channel) for index, channel, _, _ in unseen}) >= 5, unseen


def test_sums_that_do_not_share_a_register_are_taken_apart() -> None:
    """Wide and with large weights: the second channels' sums may leave 24 bits, so they go the long way; without that
    the proof's bounds say at which channel it would have been wrong.
    """
    maker = ModelMaker(2).input((1, 1200)).fully_connected(4)
    weights = maker.tensors[maker.ops[0].inputs[1]]
    assert weights.data is not None
    weights.data = np.full(weights.shape, 127, np.int8)
    graph = simplify(read_tflite(maker.build(), "model"))
    layer = compile_graph(graph, "model").layers[0]
    linear = linear_of(graph, graph.ops[0], layer)
    bounds = linear.bounds(EVERYTHING)
    assert layer.kernel == "conv_2d_carry" and bounds.highest.max() >= 2**23
    fields: dict[str, Any] = layer.fields["requantize"]  # type: ignore[assignment]
    image = constants(linear, fields["shifts"].values)
    claim = check_bounds(layer, linear, bounds, EVERYTHING, "DSP", image)
    assert claim.verdict == "proved" and "2 of 4 channels take the long way" in claim.how

    hoped = constants(linear, np.array([-rule.shift - 1 for rule in linear.rules]))
    claim = check_bounds(layer, linear, bounds, EVERYTHING, "DSP", hoped)
    assert claim.verdict == "failed" and "channel 1: its sum may not fit the 24 bits" in claim.how
    assert check_bounds(layer, linear, bounds, EVERYTHING, "portable C", hoped).verdict == "proved"


def constants(linear: Linear, shifts: npt.NDArray[Any]) -> Constants:
    """As an image of `linear` with such `shifts` would answer."""
    rule, multipliers = linear.rules[0], np.array([rule.multiplier for rule in linear.rules])
    head = (rule.zero_point, 2 * rule.zero_point + 1, rule.minimum, rule.maximum, int((shifts >= 0).all()))
    return Constants(*head, linear.biases, multipliers, shifts.astype(np.int64))
