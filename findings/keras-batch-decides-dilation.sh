#!/bin/sh
# Whether a dilated convolution stays one operator is decided by the batch size of the Keras model.
#
# Expected by most: Conv2D(dilation_rate=2) becomes CONV_2D with dilation 2; the batch size, 1 on every device, has
#   nothing to do with it.
# Happens: only with `batch_size=1` on the input. With Keras' default (None) the converter writes SPACE_TO_BATCH_ND,
#   CONV_2D, BATCH_TO_SPACE_ND around each dilated layer: three operators, which copy the map twice, and two that
#   small runtimes often lack, for the same numbers.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q tensorflow-cpu==2.21.0 numpy==2.4.6
cat >"$place/see.py" <<'END'
import sys

import numpy as np
import tensorflow as tf

print("python", sys.version.split()[0], "tensorflow", tf.__version__)


def operators(batch_size):
    inputs = tf.keras.Input((40, 1, 8), batch_size=batch_size)
    network = tf.keras.Model(inputs, tf.keras.layers.Conv2D(8, (3, 1), dilation_rate=(2, 1))(inputs))
    samples = np.random.default_rng(1).normal(size=(8, 1, 40, 1, 8)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    return [operator["op_name"] for operator in interpreter._get_ops_details()]


seen = {batch_size: operators(batch_size) for batch_size in (1, None)}
for batch_size, names in seen.items():
    print(f"seen: batch_size={batch_size}:", " ".join(names))
expected = {1: ["CONV_2D"], None: ["SPACE_TO_BATCH_ND", "CONV_2D", "BATCH_TO_SPACE_ND"]}
sys.exit(0 if seen == expected else "that has changed")
END
TF_CPP_MIN_LOG_LEVEL=3 "$place/venv/bin/python" "$place/see.py" >"$place/out" 2>"$place/log" || {
    tail -3 "$place/log" >&2
    exit 1
}
grep -E '^(python|seen)' "$place/out"
