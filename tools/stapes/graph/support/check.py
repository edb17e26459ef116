"""What the compiler supports: every operator's checks, and the one function that applies them all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

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

_AROUND = (
    "only around one convolution, as a dilated one is written; export with a fixed batch (batch_shape=(1, …))"
)
_COMPUTED = "shapes must be known when the network is converted: export it with a fixed batch of 1 (batch_shape=(1, …))"
_FLOAT_ONLY = "TFLM and TensorFlow Lite have no int8 for it: "
_HINTS = {
    "SPACE_TO_BATCH_ND": _AROUND,
    "BATCH_TO_SPACE_ND": _AROUND,
    "SHAPE": _COMPUTED,
    "REDUCE_PROD": _COMPUTED,
    "FILL": _COMPUTED,
    "CAST": "convert to full int8, with indices and shapes that are constants",
    "SQUARE": _FLOAT_ONLY + "multiply the tensor by itself",
    "NEG": _FLOAT_ONLY + "subtract the tensor from 0",
    "POW": _FLOAT_ONLY + "multiply",
    "WHILE": "unroll the recurrent layer (unroll=True)",
    "IF": "export a network without conditions",
    "ARG_MAX": "end the network with the scores: the decision takes the largest",
}


def operator_rows() -> list[tuple[str, str, str]]:
    """`(operator, its attributes, what is supported)` of every operator, for the documentation."""
    return [
        (kind, ", ".join(OPTIONS[kind].fields) if kind in OPTIONS else "", operator.notes)
        for kind, operator in sorted(OPERATORS.items())
    ]


def check_supported(graph: Graph) -> None:
    """Return when everything in `graph` is supported.

    Raises `UnsupportedModelError` naming every unsupported operator, attribute and type at once: its `unsupported`
    has each as "what, where: what to do", its message says them once each, with how often; `ModelError` where the file
    contradicts itself.
    """
    whole = _not_int8(graph)
    if whole is not None:
        raise UnsupportedModelError(
            whole, [whole], hint="convert it to full int8 with a representative data set"
        )
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
        if inspection.is_wide and not check.takes_int16:
            inspection.refuse(f"operator {op.kind} with int16 activations", "convert to full int8")
        elif not sparse and not variables:
            check(inspection)
    findings += _check_edges(graph)
    if findings:
        raise UnsupportedModelError(
            headline(findings), findings, hint="stapes runs full-int8 networks with static shapes"
        )


_SHOWN = 8
"""Different findings in a message."""


def headline(findings: Sequence[str]) -> str:
    """One line for all findings: those that only differ in their place are said once, the most frequent first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        subject, _, place = finding.partition(": ")[0].partition(" in operator ")
        kind = place.split(" ")[1] if place else ""
        groups.setdefault((_without_names(subject), kind), []).append(finding)
    found = sorted(groups.items(), key=lambda group: -len(group[1]))
    texts = []
    for (subject, kind), alike in found[:_SHOWN]:
        if len(alike) == 1:
            texts.append(_short(alike[0]))
            continue
        what = subject if subject == f"operator {kind}" or not kind else f"{subject} in {kind}"
        texts.append(f"{what}, {len(alike)} times: {alike[0].partition(': ')[2]}")
    rest = len(found) - _SHOWN
    count = len(findings)
    return (
        f"{count} unsupported {'thing' if count == 1 else 'things'}: "
        + "; ".join(texts)
        + (f"; and {rest} other {'kind' if rest == 1 else 'kinds'}" if rest > 0 else "")
    )


def _without_names(subject: str) -> str:
    """ "INT32 tensor a/b" and "INT32 tensor c" are alike."""
    return re.sub(r"\b(tensor|weights|bias|state|slopes|constant|from) \S+( to \S+)?$", r"\1", subject)


def _short(finding: str) -> str:
    return finding if len(finding) <= 300 else f"{finding[:140]} … {finding[-140:]}"


def _not_int8(graph: Graph) -> str | None:
    """What to say of a network that is of another type as a whole."""
    types = Counter(graph.tensors[i].type_name for op in graph.ops for i in op.outputs)
    kind, count = max(types.items(), key=lambda item: item[1], default=("", 0))
    if kind not in ("FLOAT32", "FLOAT16", "UINT8") or types["INT8"] * 4 > count:
        return None
    name = {"FLOAT32": "float32", "FLOAT16": "float16", "UINT8": "uint8"}[kind]
    operators = Counter(op.kind for op in graph.ops).most_common(4)
    listed = ", ".join(f"{op} {count} times" if count > 1 else op for op, count in operators)
    weights = any(graph.tensors[i].type_name == "INT8" for op in graph.ops for i in op.inputs if i >= 0)
    only = "; only its weights are int8" if weights and kind != "UINT8" else ""
    return f"this network is {name}: {count} of {sum(types.values())} activations are{only} ({listed})"


def _check_edges(graph: Graph) -> list[str]:
    findings = []
    for role, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            tensor = graph.tensors[index]
            if tensor.type_name not in ("INT8", "INT16"):
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
