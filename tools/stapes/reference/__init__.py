"""Bit-exact int8 operators in NumPy, the TFLM interpreter, and the whole pipeline."""

from stapes.reference.run import run_graph
from stapes.reference.tflm import TflmOracle

__all__ = ["TflmOracle", "run_graph"]
