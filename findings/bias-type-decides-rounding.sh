#!/bin/sh
# The type of the biases decides how a network with int16 activations rounds.
#
# Expected by most: of a network with int16 activations and int8 weights the converter can write biases as int64 (the
#   default) or as int32. Where all biases fit 32 bits, and no sum comes near to them, that is a matter of the file's
#   size; the network computes the same.
# Happens: with int32 biases the sum is scaled by a multiplier of 31 bits and rounded twice, with int64 biases by one of
#   16 bits, rounded once. Both files have the same weights, bias values and scales, and a part of their int16 outputs is
#   one step apart, in TensorFlow Lite's reference kernels and in TensorFlow Lite Micro alike, which agree with each other.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q tensorflow-cpu==2.21.0 numpy==2.4.6 tflite-micro==0.dev20261023182759
cat >"$place/see.py" <<'END'
import importlib.metadata
import sys

import numpy as np
import tensorflow as tf
from tflite_micro import runtime

print("python", sys.version.split()[0], "tensorflow", tf.__version__, "tflite-micro", importlib.metadata.version("tflite-micro"))
tf.keras.utils.set_random_seed(1)
inputs = tf.keras.Input((8, 8, 4), batch_size=1)
layer = tf.keras.layers.Conv2D(8, 3, bias_initializer="random_normal")
model = tf.keras.Model(inputs, layer(inputs))
samples = np.random.default_rng(1).normal(0.0, 1.0, size=(20, 1, 8, 8, 4)).astype(np.float32)


def network(bias_type):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    converter._experimental_full_integer_quantization_bias_type = bias_type
    return converter.convert()


def outputs(data, windows):
    lite = tf.lite.Interpreter(
        model_content=data, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    lite.allocate_tensors()
    micro = runtime.Interpreter.from_bytes(data)
    found = []
    for window in windows:
        lite.set_tensor(lite.get_input_details()[0]["index"], window)
        lite.invoke()
        micro.set_input(window, 0)
        micro.invoke()
        found.append((lite.get_tensor(lite.get_output_details()[0]["index"]), micro.get_output(0)))
    return [np.array(each).astype(np.int64) for each in zip(*found)]


def constants(data):
    """What the layer is made of: values of weights and biases, and all scales."""
    lite = tf.lite.Interpreter(model_content=data)
    lite.allocate_tensors()
    kept = [detail for detail in lite.get_tensor_details() if detail["quantization_parameters"]["scales"].size]
    scales = np.concatenate([detail["quantization_parameters"]["scales"] for detail in kept])
    weights = [lite.get_tensor(detail["index"]) for detail in kept if detail["dtype"] is np.int8]
    biases = [lite.get_tensor(detail["index"]) for detail in kept if len(detail["shape"]) == 1]
    return np.sort(scales), weights[0], biases[0]


narrow, wide = network(tf.int32), network(tf.int64)
same = all(np.array_equal(a, b) for a, b in zip(constants(narrow), constants(wide), strict=True))
print("seen: types of the biases", constants(narrow)[2].dtype, constants(wide)[2].dtype, "all else equal:", same)
windows = np.random.default_rng(2).integers(-9000, 9001, (50, 1, 8, 8, 4)).astype(np.int16)
(lite32, micro32), (lite64, micro64) = outputs(narrow, windows), outputs(wide, windows)
agree = np.array_equal(lite32, micro32) and np.array_equal(lite64, micro64)
apart = np.abs(micro32 - micro64)
print(f"seen: {np.count_nonzero(apart)} of {apart.size} outputs differ, by at most {apart.max()}; TFLM as TensorFlow Lite: {agree}")
sys.exit(0 if same and agree and 0 < np.count_nonzero(apart) < apart.size else "that has changed")
END
TF_CPP_MIN_LOG_LEVEL=3 "$place/venv/bin/python" "$place/see.py" >"$place/out" 2>"$place/log" || {
    grep -E '^(python|seen)' "$place/out" >&2 || true
    tail -5 "$place/log" >&2
    exit 1
}
grep -E '^(python|seen)' "$place/out"
