"""The arithmetic of TensorFlow Lite for Microcontrollers in NumPy, bit for bit: one file per family of operators."""

from stapes.int8.run import KERNELS, run_graph

__all__ = ["KERNELS", "run_graph"]
