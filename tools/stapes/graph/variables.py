"""Variables of a .tflite file (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE) as states of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError
from stapes.graph.ir import Graph, Op, State, Tensor

Array = npt.NDArray[np.generic]
Key = tuple[str, str]
"""Container and shared name: what makes two handles the same variable."""
KINDS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def resolve_variables(graph: Graph, initialisers: Sequence[Graph]) -> Graph:
    """`graph` without operators on variables: what they read and assign are its `states`.

    `initialisers` are the subgraphs that CALL_ONCE runs. A variable that is never assigned becomes a constant. Raises
    `ModelError` where a variable has no initial value, where that is computed, or where its type or shape changes.
    """
    if not any(op.kind in KINDS for op in graph.ops):
        return graph
    initial = _initial_values(initialisers)
    handles: dict[int, Key] = {}
    reads: dict[Key, int] = {}
    assigned: dict[Key, int] = {}
    instead: dict[int, int] = {}
    """Tensors that are another name of a tensor."""
    ops: list[Op] = []
    for op in graph.ops:
        if op.kind not in KINDS:
            ops.append(replace(op, inputs=tuple(instead.get(index, index) for index in op.inputs)))
            continue
        if op.kind == "CALL_ONCE":
            continue
        key = _handle(op, handles)
        if op.kind == "READ_VARIABLE":
            _require(len(op.inputs) == 1 and len(op.outputs) == 1, op, "one variable is read into one tensor")
            found = assigned.get(key, reads.setdefault(key, op.outputs[0]))
            if found != op.outputs[0]:
                instead[op.outputs[0]] = found
        elif op.kind == "ASSIGN_VARIABLE":
            _require(len(op.inputs) == 2 and not op.outputs, op, "one tensor is assigned to one variable")
            assigned[key] = instead.get(op.inputs[1], op.inputs[1])
    tensors = list(graph.tensors)
    states = []
    for key, read in reads.items():
        name = key[1] or f"variable {read}"
        if key not in initial:
            raise ModelError(f"{name} is read before anything is assigned to it", hint="convert it again")
        _same_kind(name, tensors[read], initial[key])
        if key in assigned:
            _same_kind(name, tensors[assigned[key]], initial[key])
            values = _data(initial[key])
            states.append(State(name, read, assigned[key], values))
        else:
            tensors[read] = replace(tensors[read], data=_data(initial[key]))
    outputs = tuple(instead.get(index, index) for index in graph.outputs)
    return replace(graph, tensors=tuple(tensors), ops=tuple(ops), outputs=outputs, states=tuple(states))


def _initial_values(initialisers: Sequence[Graph]) -> Mapping[Key, Tensor]:
    """The constants that the initialisers assign."""
    found: dict[Key, Tensor] = {}
    for graph in initialisers:
        handles: dict[int, Key] = {}
        for op in graph.ops:
            if op.kind not in ("VAR_HANDLE", "ASSIGN_VARIABLE"):
                raise ModelError(
                    f"operator {op.kind} in an initialiser of variables, where only constants are supported",
                    hint="give the variables constant initial values",
                )
            key = _handle(op, handles)
            if op.kind == "ASSIGN_VARIABLE":
                _require(len(op.inputs) == 2, op, "one tensor is assigned to one variable")
                value = graph.tensors[op.inputs[1]]
                if value.data is None:
                    raise ModelError(
                        f"the initial value of {key[1]} is computed", hint="give it a constant one"
                    )
                found[key] = value
    return found


def _handle(op: Op, handles: dict[int, Key]) -> Key:
    """The variable that an operator is about; a VAR_HANDLE is noted."""
    if op.kind == "VAR_HANDLE":
        _require(len(op.outputs) == 1, op, "a handle is one tensor")
        handles[op.outputs[0]] = (op.text("container"), op.text("shared_name"))
        return handles[op.outputs[0]]
    _require(
        len(op.inputs) >= 1 and op.inputs[0] in handles, op, "its first input is no handle of a variable"
    )
    return handles[op.inputs[0]]


def _require(condition: bool, op: Op, what: str) -> None:
    if not condition:
        raise ModelError(f"corrupt: operator {op.index} ({op.kind}): {what}")


def _same_kind(name: str, tensor: Tensor, initial: Tensor) -> None:
    if tensor.type_name != initial.type_name or tensor.shape != initial.shape:
        raise ModelError(
            f"corrupt: {name} is {tensor.type_name}{list(tensor.shape)} in tensor {tensor.index} "
            f"and {initial.type_name}{list(initial.shape)} in the beginning"
        )


def _data(tensor: Tensor) -> Array:
    assert tensor.data is not None
    return tensor.data
