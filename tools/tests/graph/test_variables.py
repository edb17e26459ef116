"""Variables of a .tflite become states of the graph; what cannot is refused in one line."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from modelmaker import ModelMaker

from stapes.errors import ModelError
from stapes.graph import Graph, read_tflite, simplify
from stapes.graph.variables import resolve_variables
from stapes.int8 import initial_state, run_graph


def counter() -> ModelMaker:
    """Adds its input to what it holds."""
    maker = ModelMaker().input((1, 4), scale=1.0, zero_point=0)
    total = maker.variable("total", np.array([[1, 2, 3, 4]]), 1.0, 0)
    return maker.binary("ADD", total, maker.inputs[0], 1.0, 0).assign("total")


def test_state_goes_on_from_run_to_run() -> None:
    graph = simplify(read_tflite(counter().build()))
    (state,) = graph.states
    assert [op.kind for op in graph.ops] == ["ADD"]
    assert state.name == "total" and state.assigned == graph.outputs[0]
    kept = initial_state(graph)
    ones = np.ones((1, 4), np.int8)
    assert run_graph(graph, [ones], kept)[state.assigned].tolist() == [[2, 3, 4, 5]]
    assert run_graph(graph, [ones], kept)[state.assigned].tolist() == [[3, 4, 5, 6]]
    assert run_graph(graph, [ones])[state.assigned].tolist() == [[2, 3, 4, 5]]  # anew
    assert state.initial.tolist() == [[1, 2, 3, 4]]


def test_variable_that_is_never_assigned_is_a_constant() -> None:
    maker = ModelMaker().input((1, 4), scale=1.0, zero_point=0)
    fixed = maker.variable("fixed", np.array([[5, 6, 7, 8]]), 1.0, 0)
    graph = read_tflite(maker.binary("ADD", maker.inputs[0], fixed, 1.0, 0).build())
    assert graph.states == ()
    assert graph.tensors[fixed].data is not None
    assert graph.tensors[fixed].data.tolist() == [[5, 6, 7, 8]]


def test_what_no_output_needs_is_dropped_and_what_only_a_later_run_needs_is_not() -> None:
    maker = ModelMaker().input((1, 4), scale=1.0, zero_point=0)
    source = maker.last
    late = maker.variable("late", np.zeros((1, 4)), 1.0, 0)
    unread = maker.variable("unread", np.zeros((1, 4)), 1.0, 0)
    maker.unary("RELU", source=source).assign("late")
    needed = maker.last
    maker.unary("RELU", source=unread).assign("unread")
    maker.unary("RELU", source=late)
    graph = simplify(read_tflite(maker.build()))
    assert [state.name for state in graph.states] == ["late"]
    assert [op.outputs[0] for op in graph.ops] == [needed, maker.last]


def broken(change: dict[str, object], position: int = 0) -> tuple[Graph, list[Graph]]:
    """The graph of `counter` as in the file, one operator or its initialiser changed."""
    from stapes.graph import reader

    schema = pytest.importorskip("tflite")
    raw = reader._Reader(schema, counter().build())
    graph, initialiser = raw.subgraph(0), raw.subgraph(1)
    ops = list(initialiser.ops)
    ops[position] = dataclasses.replace(ops[position], **change)  # type: ignore[arg-type]
    return graph, [dataclasses.replace(initialiser, ops=tuple(ops))]


@pytest.mark.parametrize(
    ("change", "position", "message"),
    [
        ({"kind": "CONV_2D"}, 0, "operator CONV_2D in an initialiser"),
        ({"attributes": {"container": "", "shared_name": "other"}}, 0, "total is read before"),
        ({"inputs": (1, 1)}, 1, "no handle"),
        ({"inputs": (0, 0)}, 1, "initial value of total is computed"),
        ({"inputs": (0,)}, 1, "one tensor is assigned"),
    ],
)
def test_initialisers_that_cannot_be(change: dict[str, object], position: int, message: str) -> None:
    graph, initialisers = broken(change, position)
    with pytest.raises(ModelError, match=message):
        resolve_variables(graph, initialisers)


def test_subgraph_that_nobody_calls() -> None:
    graph, _ = broken({})
    assert resolve_variables(graph, [broken({})[1][0]]).states
    with pytest.raises(ModelError, match="total is read before anything is assigned to it"):
        resolve_variables(graph, [])


def test_another_shape_in_the_beginning() -> None:
    maker = counter()
    handle, given = maker.variables["total"]
    values = np.zeros((1, 5), np.int8)
    maker.variables["total"] = (handle, dataclasses.replace(given, shape=(1, 5), data=values))
    with pytest.raises(ModelError, match=r"corrupt: total is INT8\[1, 4\].*INT8\[1, 5\] in the beginning"):
        read_tflite(maker.build())
