"""A .tflite file as one small typed graph; what is unsupported is refused here, all of it named at once."""

from stapes.graph.bundle import load_graph
from stapes.graph.edit import Editor, up_to, with_input, with_probabilities
from stapes.graph.ir import Attribute, Graph, Op, Quantization, Tensor
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
    "Tensor",
    "check_supported",
    "load_graph",
    "operator_rows",
    "read_tflite",
    "simplify",
    "transposed",
    "up_to",
    "with_input",
    "with_probabilities",
    "write_tflite",
]
