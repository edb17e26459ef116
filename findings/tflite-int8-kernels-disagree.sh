#!/bin/sh
# One int8 .tflite, one interpreter, three sets of kernels, three answers.
#
# Expected by most: an int8 network is integer arithmetic, so that "the output of the .tflite" is one thing, whatever
#   kernels the interpreter picks, and a device can be compared with it bit for bit.
# Happens: tf.lite.Interpreter as everybody opens it (XNNPACK), the same without that delegate, and its reference
#   kernels each round differently; outputs of one convolution are one step apart here and there. The quantisation
#   specification leaves the last bit open. What is compared bit for bit must name its kernels (TensorFlow Lite
#   Micro's are the reference ones).
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

print("python", sys.version.split()[0], "tensorflow", tf.__version__, "numpy", np.__version__)
tf.keras.utils.set_random_seed(1)
inputs = tf.keras.Input((16, 16, 8), batch_size=1)
network = tf.keras.Model(inputs, tf.keras.layers.Conv2D(16, 3, bias_initializer="random_normal")(inputs))
samples = np.random.default_rng(1).normal(size=(50, 1, 16, 16, 8)).astype(np.float32)
converter = tf.lite.TFLiteConverter.from_keras_model(network)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([sample] for sample in samples)
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
model = converter.convert()

Resolver = tf.lite.experimental.OpResolverType
ways = {
    "default (XNNPACK)": Resolver.BUILTIN,
    "without the delegate": Resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference kernels": Resolver.BUILTIN_REF,
}
windows = np.random.default_rng(2).integers(-128, 128, (200, 1, 16, 16, 8)).astype(np.int8)
answers = {}
for name, way in ways.items():
    interpreter = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=way)
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for window in windows:
        interpreter.set_tensor(entry["index"], window)
        interpreter.invoke()
        found.append(interpreter.get_tensor(exit_["index"]).astype(int))
    answers[name] = np.array(found)
same = False
names = list(ways)
for first, second in ((0, 1), (0, 2), (1, 2)):
    apart = np.abs(answers[names[first]] - answers[names[second]])
    print(f"{names[first]} / {names[second]}: {np.count_nonzero(apart)} of {apart.size} outputs differ, by {apart.max()}")
    same = same or not apart.any()
sys.exit("two of them agree now" if same else 0)
END
TF_CPP_MIN_LOG_LEVEL=3 "$place/venv/bin/python" "$place/see.py" >"$place/out" 2>"$place/log" || {
    tail -3 "$place/log" >&2
    exit 1
}
grep -E '^python|differ' "$place/out"
