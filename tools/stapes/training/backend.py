"""Keras and TensorFlow, imported when training starts; set up to give the same bits every time."""

from __future__ import annotations

import os
from typing import Any

from stapes.packages import needed_for, require


def require_packages() -> None:
    """Raise `ToolError` where Keras or TensorFlow is missing, without the seconds that importing them takes."""
    require("training", "keras", "tensorflow")


def import_keras() -> Any:
    """The `keras` module; raises `ToolError` where it is not installed."""
    # Faster convolutions; TensorFlow reads this once, when it is first imported.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needed_for("training", "keras", "tensorflow"):
        import keras
        import tensorflow  # noqa: F401 (Keras imports its backend lazily; conversion needs this one)
    return keras


def make_deterministic(seed: int) -> None:
    """One seed for everything, deterministic kernels, one thread: its number decides how sums are split."""
    keras = import_keras()
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # TensorFlow has run in this process before (only tests do that): the number of threads stays.
        pass
