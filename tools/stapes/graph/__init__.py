"""A .tflite file as one small typed graph; what is unsupported is refused here, all of it named at once."""

from stapes.graph.bundle import load_graph
from stapes.graph.edit import (
    Editor,
    large_layers,
    up_to,
    weighted_layers,
    with_input,
    with_int4_weights,
    with_int8_edges,
    with_probabilities,
)
from stapes.graph.ir import Attribute, Graph, Op, Quantization, State, Tensor
from stapes.graph.reader import read_tflite
from stapes.graph.simplify import simplify
from stapes.graph.support import STATISTICS_KINDS, STATISTICS_LAG, check_supported, operator_rows
from stapes.graph.transpose import NotTransposable, transposed
from stapes.graph.writer import write_tflite

__all__ = [
    "STATISTICS_KINDS",
    "STATISTICS_LAG",
    "Attribute",
    "Editor",
    "Graph",
    "NotTransposable",
    "Op",
    "Quantization",
    "State",
    "Tensor",
    "check_supported",
    "large_layers",
    "load_graph",
    "operator_rows",
    "read_tflite",
    "simplify",
    "transposed",
    "up_to",
    "weighted_layers",
    "with_input",
    "with_int4_weights",
    "with_int8_edges",
    "with_probabilities",
    "write_tflite",
]
