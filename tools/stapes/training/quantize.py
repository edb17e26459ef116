"""From a trained Keras model to a full-int8 .tflite, and the clip accuracy of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError
from stapes.graph import large_layers, read_tflite, weighted_layers, with_int4_weights, write_tflite
from stapes.recipe import Recipe
from stapes.training.augment import Float32, Int64
from stapes.training.backend import import_keras
from stapes.training.evaluate import clip_accuracy, windows_of
from stapes.training.networks import build_network
from stapes.training.pool import FeaturePool

_CALIBRATION_WINDOWS = 500
_OUTLIERS_PERCENT = 0.01


def calibration_windows(recipe: Recipe, pool: FeaturePool, fold: int) -> Float32:
    """Up to 500 windows of training clips, spread evenly; float32[n, frames, n_features, 1].

    The loudest hundredth of a percent is clipped: the input's scale should follow the sounds, not one click.
    """
    windows, _, _ = windows_of(pool, recipe, pool.indices(fold, held_out=False))
    ceiling = np.percentile(windows, 100.0 - _OUTLIERS_PERCENT)
    chosen = np.linspace(0, len(windows) - 1, min(_CALIBRATION_WINDOWS, len(windows))).astype(int)
    clipped: Float32 = np.minimum(windows[chosen], np.float32(ceiling))
    return clipped


def quantize(model: Any, recipe: Recipe, calibration: Float32) -> bytes:
    """A full-int8 .tflite: input [1, frames, n_features, 1], output [1, classes] probabilities.

    `calibration` (training folds only) decides every scale and zero point of an activation. With `training.weights` of
    "int4" the weights of the large layers have four bits, which the converter does not write.
    """
    import_keras()
    import tensorflow as tf

    fixed = build_network(recipe, model.output.shape[-1], batch=1, probabilities=True)
    fixed.set_weights(model.get_weights())

    def representative() -> Iterator[list[Float32]]:
        for window in calibration:
            yield [window[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    network = _converted(converter)
    if recipe.training.weights == "int4":
        graph = read_tflite(network)
        exact = read_tflite(_converted(tf.lite.TFLiteConverter.from_keras_model(fixed)))
        pairs = zip(weighted_layers(graph), weighted_layers(exact), strict=True)
        data = {ours.index: exact.tensor(theirs.inputs[1]).data for ours, theirs in pairs}
        real = {index: values.astype(np.float32) for index, values in data.items() if values is not None}
        network = write_tflite(with_int4_weights(graph, large_layers(graph), real))
    return network


def _converted(converter: Any) -> bytes:
    try:
        return bytes(converter.convert())
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"TensorFlow cannot convert the network: {str(error).splitlines()[0]}") from error


def int8_accuracy(network: bytes, recipe: Recipe, pool: FeaturePool, clips: Int64) -> float:
    """Clip accuracy of an int8 .tflite under TensorFlow Lite's reference kernels."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        model_content=network,
        num_threads=1,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = source["quantization"]
    step, lowest = result["quantization"]

    def scores(windows: Float32) -> npt.NDArray[np.floating[Any]]:
        quantized = np.clip(np.rint(windows / scale) + zero_point, -128, 127).astype(np.int8)
        found = []
        for window in quantized:
            interpreter.reset_all_variables()
            interpreter.set_tensor(source["index"], window[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(result["index"])[0].astype(np.float64) - lowest)
        return np.stack(found) * float(step)

    return clip_accuracy(scores, recipe, pool, clips)
