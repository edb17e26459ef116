#!/bin/sh
# The louder the sound, the quieter what pymicro-wakeword gives its network: features beyond int8 wrap around.
#
# Expected by most: what is larger than the input's range becomes its largest value, as TensorFlow Lite's QUANTIZE and
#   ESPHome, for which the networks are made, have it.
# Happens: np.round(features / scale + zero_point).astype(int8). At the onset of a full-scale tone features reach 26.2,
#   which is step 129 of okay_nabu's input: it becomes -127, next to silence, in the loudest cell of all.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q pymicro-wakeword==2.5.0 pymicro-features==2.0.2 numpy==2.4.6
cat >"$place/see.py" <<'PY'
import ctypes
import sys

import numpy as np
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

print("python", sys.version.split()[0], "numpy", np.__version__, "pymicro-wakeword 2.5.0")
word = MicroWakeWord.from_builtin(Model.OKAY_NABU)
given = []


class Watched:
    """The library of TensorFlow Lite; remembers what the network is given."""

    def __init__(self, library):
        self._library = library

    def __getattr__(self, name):
        return getattr(self._library, name)

    def TfLiteTensorCopyFromBuffer(self, tensor, pointer, count):
        given.append(np.frombuffer(ctypes.string_at(pointer.value, count), np.int8).reshape(-1, 40))
        return self._library.TfLiteTensorCopyFromBuffer(tensor, pointer, count)


word.lib = Watched(word.lib)
tone = np.round(32767 * np.sin(0.1 * np.arange(16_000))).astype(np.int16)
rows = []
for row in MicroWakeWordFeatures().process_streaming(tone.tobytes()):
    rows.append(row.ravel())
    word.process_streaming_prob(row)
given = np.concatenate(given)
rows = np.array(rows)[: len(given)]
frame, band = np.unravel_index(rows.argmax(), rows.shape)
print(f"input scale {word.input_scale:.6f}, zero point {word.input_zero_point}")
print(f"loudest feature {rows.max():.3f} is step {rows.max() / word.input_scale + word.input_zero_point:.1f}")
print(f"the network is given {given[frame, band]}; its largest value is {given.max()}")
sys.exit(0 if given[frame, band] < -100 else "that has changed")
PY
"$place/venv/bin/python" "$place/see.py"
