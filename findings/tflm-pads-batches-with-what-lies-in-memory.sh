#!/bin/sh
# TensorFlow Lite Micro pads SPACE_TO_BATCH_ND with a number that changes from run to run.
#
# Expected by most: what is outside an int8 map is its zero point, the int8 number of 0.0, as in TensorFlow Lite and in
#   TensorFlow Lite Micro's own PAD and CONV_2D; and the same network gives the same numbers every time.
# Happens: where SPACE_TO_BATCH_ND pads (the converter writes that for each dilated Keras layer with padding="same" and
#   the default batch), the cells outside are a number that no step set: often 0, else anything, seldom the zero point.
#   Nothing is reported. All other cells are equal.
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


def network(pads):
    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 2), tf.float32)])
    def spread(values):
        return tf.space_to_batch(values, [2, 2], pads)

    samples = np.random.default_rng(1).uniform(-1, 6, size=(20, 1, 8, 8, 2)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([spread.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def outside(model):
    """Zero point; what TensorFlow Lite and TensorFlow Lite Micro write where they differ."""
    lite = tf.lite.Interpreter(
        model_content=model, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    lite.allocate_tensors()
    entry = lite.get_input_details()[0]
    window = np.random.default_rng(2).integers(-128, 128, (1, 8, 8, 2)).astype(np.int8)
    lite.set_tensor(entry["index"], window)
    lite.invoke()
    expected = lite.get_tensor(lite.get_output_details()[0]["index"])
    micro = runtime.Interpreter.from_bytes(model)
    micro.set_input(window, 0)
    micro.invoke()
    found = micro.get_output(0)
    apart = found != expected
    return int(entry["quantization"][1]), set(expected[apart].tolist()), set(found[apart].tolist())


held = True
for name, pads in (("no padding", [[0, 0], [0, 0]]), ("padding", [[1, 1], [1, 1]])):
    seen = [outside(network(pads)) for _ in range(6)]
    points = {point for point, _, _ in seen}
    expected, found = (set().union(*(run[place] for run in seen)) for place in (1, 2))
    print(f"seen: {name}, zero point {points}: where they differ, TensorFlow Lite {expected or '-'}, Micro {found or '-'}")
    held = held and (not found if name == "no padding" else bool(found) and expected == points)
sys.exit(0 if held else "that has changed")
END
TF_CPP_MIN_LOG_LEVEL=3 "$place/venv/bin/python" "$place/see.py" >"$place/out" 2>"$place/log" || {
    cat "$place/out"
    tail -5 "$place/log" >&2
    exit 1
}
grep -E '^(python|seen)' "$place/out"
