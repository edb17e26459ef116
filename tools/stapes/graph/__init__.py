"""A .tflite file as one small typed graph; what is unsupported is refused here, all of it named at once."""

from stapes.graph.ir import Attribute, Graph, Op, Quantization, Tensor
from stapes.graph.reader import read_tflite
from stapes.graph.simplify import simplify
from stapes.graph.support import check_supported, operator_rows

__all__ = [
    "Attribute",
    "Graph",
    "Op",
    "Quantization",
    "Tensor",
    "check_supported",
    "operator_rows",
    "read_tflite",
    "simplify",
]
