#!/bin/sh
# The "same" micro front end gives a network other features from TensorFlow than from pymicro-features.
#
# Expected by most: pymicro-features is TensorFlow's microfrontend (its source, in integers, with the same settings), so
#   what a wake word was trained on with one is what it hears from the other; integers have no rounding of their own.
# Happens: pymicro-features (as the library of ESPHome) makes the tables in float32 where TensorFlow has double. One of
#   480 coefficients of the window (number 17: 54, not 53) and a weight come out one step apart. On noise hardly a cell
#   differs; on a loud tone every tenth, by up to 469 of 671 steps: what leaks into quiet bands is all rounding, and gain
#   control and logarithm make it large.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q tensorflow-cpu==2.21.0 pymicro-features==2.0.2
cat >"$place/see.py" <<'PY'
import sys

import numpy as np
import pymicro_features
import tensorflow as tf
from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

print("python", sys.version.split()[0], "tensorflow", tf.__version__, "pymicro-features 2.0.2")


def of_tensorflow(pcm):
    return audio_microfrontend_op.audio_microfrontend(
        tf.constant(pcm), sample_rate=16000, window_size=30, window_step=10, num_channels=40,
        lower_band_limit=125.0, upper_band_limit=7500.0, smoothing_bits=10, even_smoothing=0.025,
        odd_smoothing=0.06, min_signal_remaining=0.05, enable_pcan=True, pcan_strength=0.95, pcan_offset=80.0,
        gain_bits=21, enable_log=True, scale_shift=6,
    ).numpy().astype(int)


def of_pymicro(pcm):
    frontend, data, rows = pymicro_features.MicroFrontend(), pcm.tobytes(), []
    for at in range(0, len(data) - 319, 320):
        features = frontend.process_samples(data[at : at + 320]).features
        if features:
            rows.append(features)
    return np.rint(np.array(rows) * 25.6).astype(int)


differ = {}
for name, wave in {
    "noise": np.random.default_rng(0).normal(0, 3000, 160_000),
    "tone": 32767 * np.sin(0.1 * np.arange(160_000)),
}.items():
    pcm = np.clip(np.round(wave), -32768, 32767).astype(np.int16)
    apart = np.abs(of_tensorflow(pcm) - of_pymicro(pcm))
    differ[name] = np.count_nonzero(apart)
    print(f"{name}: {differ[name]} of {apart.size} features differ, by up to {apart.max()}")
sys.exit(0 if 0 < differ["noise"] < 100 and differ["tone"] > 1000 else "that has changed")
PY
"$place/venv/bin/python" "$place/see.py"
