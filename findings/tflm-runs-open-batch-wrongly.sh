#!/bin/sh
# A dilated Keras layer runs in TensorFlow Lite Micro without an error, and gives other numbers.
#
# Expected by most: a .tflite that TensorFlow Lite runs either gives the same int8 numbers in TensorFlow Lite Micro
#   (its kernels are the reference kernels) or is refused when the interpreter is made.
# Happens: with Keras' default batch (None) the converter writes SPACE_TO_BATCH_ND around a dilated convolution, and the
#   shapes of the tensors between hold a batch that only resizing fills in. TensorFlow Lite works the shapes out when it
#   allocates; TensorFlow Lite Micro takes the file at its word, reports nothing, and its outputs differ. The same layer
#   with batch_size=1 is equal in every output.
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


def network(batch_size):
    tf.keras.utils.set_random_seed(1)
    inputs = tf.keras.Input((40, 1, 8), batch_size=batch_size)
    layer = tf.keras.layers.Conv2D(8, (3, 1), dilation_rate=(2, 1), padding="same")
    model = tf.keras.Model(inputs, layer(inputs))
    samples = np.random.default_rng(1).normal(1.0, 1.0, size=(20, 1, 40, 1, 8)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def differing(model):
    reference = tf.lite.Interpreter(
        model_content=model, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    entry = reference.get_input_details()[0]
    reference.resize_tensor_input(entry["index"], (1, 40, 1, 8))
    reference.allocate_tensors()
    micro = runtime.Interpreter.from_bytes(model)
    apart = total = 0
    for window in np.random.default_rng(2).integers(-128, 128, (20, 1, 40, 1, 8)).astype(np.int8):
        reference.set_tensor(entry["index"], window)
        reference.invoke()
        expected = reference.get_tensor(reference.get_output_details()[0]["index"])
        micro.set_input(window, 0)
        micro.invoke()
        apart += np.count_nonzero(micro.get_output(0).reshape(-1)[: expected.size] != expected.reshape(-1))
        total += expected.size
    return apart, total


seen = {batch_size: differing(network(batch_size)) for batch_size in (1, None)}
for batch_size, (apart, total) in seen.items():
    print(f"seen: batch_size={batch_size}: {apart} of {total} outputs differ from TensorFlow Lite's reference kernels")
sys.exit(0 if seen[1][0] == 0 and seen[None][0] > 0 else "that has changed")
END
TF_CPP_MIN_LOG_LEVEL=3 "$place/venv/bin/python" "$place/see.py" >"$place/out" 2>"$place/log" || {
    tail -5 "$place/log" >&2
    exit 1
}
grep -E '^(python|seen)' "$place/out"
