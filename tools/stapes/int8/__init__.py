"""The arithmetic of TensorFlow Lite for Microcontrollers in NumPy, bit for bit: one file per family of operators."""

from stapes.int8.run import KERNELS, initial_state, run_graph

__all__ = ["KERNELS", "initial_state", "run_graph"]
