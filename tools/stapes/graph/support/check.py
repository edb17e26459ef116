"""What the compiler supports: every operator's checks, and the one function that applies them all."""

from __future__ import annotations

from stapes.errors import UnsupportedModelError
from stapes.graph.ir import Graph
from stapes.graph.schema import OPTIONS
from stapes.graph.support import conv, elementwise, forest, move, pool, recurrent
from stapes.graph.support.inspection import Inspection, Operator

OPERATORS: dict[str, Operator] = {
    **conv.OPERATORS,
    **elementwise.OPERATORS,
    **pool.OPERATORS,
    **move.OPERATORS,
    **forest.OPERATORS,
    **recurrent.OPERATORS,
}
"""Every supported operator by its name in the file."""

_FIXED_BATCH = "export the network with a fixed batch of 1 (batch_shape=(1, …)), which makes it disappear"
_HINTS = dict.fromkeys(
    ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SHAPE", "PACK", "GATHER", "REDUCE_PROD"), _FIXED_BATCH
)


def operator_rows() -> list[tuple[str, str, str]]:
    """`(operator, its attributes, what is supported)` of every operator, for the documentation."""
    return [
        (kind, ", ".join(OPTIONS[kind].fields) if kind in OPTIONS else "", operator.notes)
        for kind, operator in sorted(OPERATORS.items())
    ]


def check_supported(graph: Graph) -> None:
    """Return when everything in `graph` is supported.

    Raises `UnsupportedModelError` naming every unsupported operator, attribute and type at once, each as
    "what, where: what to do"; `ModelError` where the file contradicts itself.
    """
    findings: list[str] = []
    for op in graph.ops:
        inspection = Inspection(graph, op, findings)
        check = OPERATORS.get(op.kind)
        if check is None:
            todo = _HINTS.get(op.kind, "replace the layer; see docs/operators.md for what is supported")
            inspection.refuse(f"operator {op.kind}", todo)
            continue
        sparse = [
            graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0 and graph.tensors[i].is_sparse
        ]
        for tensor in sparse:
            inspection.refuse(f"sparse constant {tensor.name}", "convert without sparsity")
        variables = []
        if op.kind not in recurrent.OPERATORS:
            variables = [graph.tensors[i] for i in op.inputs if i >= 0 and graph.tensors[i].is_variable]
        for tensor in variables:
            inspection.refuse(f"state {tensor.name} kept between runs", "keep it in a tf.Variable")
        if not sparse and not variables:
            check(inspection)
    findings += _check_edges(graph)
    if findings:
        count = len(findings)
        raise UnsupportedModelError(
            f"{count} unsupported {'thing' if count == 1 else 'things'}: " + "; ".join(findings),
            findings,
            hint="stapes runs full-int8 networks with static shapes",
        )


def _check_edges(graph: Graph) -> list[str]:
    findings = []
    for role, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            tensor = graph.tensors[index]
            if tensor.type_name != "INT8":
                findings.append(
                    f"{tensor.type_name} network {role} {tensor.name}: convert to full int8 "
                    f"(inference_{role}_type = tf.int8)"
                )
            elif tensor.quantization is None or len(tensor.quantization.scale) != 1:
                findings.append(f"network {role} {tensor.name} without a scale: convert to full int8")
            if tensor.data is not None:
                findings.append(f"constant network {role} {tensor.name}: leave it out of the network")
    produced = {index for op in graph.ops for index in op.outputs}
    for index in graph.outputs:
        if index not in produced and graph.tensors[index].data is None:
            findings.append(
                f"network output {graph.tensors[index].name} is an input: leave it out of the network"
            )
    return findings
