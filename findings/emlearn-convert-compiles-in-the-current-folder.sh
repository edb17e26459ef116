#!/bin/sh
# emlearn.convert compiles and leaves programs in the folder that one happens to stand in.
#
# Expected by most: convert() turns a fitted model into an object that can write C; nothing is written before save(),
#   and no C compiler is needed on a machine that only converts. So it is for a random forest with method="inline".
# Happens: for a scikit-learn MLPClassifier convert() writes C, compiles it with the machine's compiler and leaves
#   sources, objects and programs in `tmp/` of the current folder, with method="inline" too. In a checkout they are
#   easily committed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
command -v cc >/dev/null || { echo "a C compiler is missing (apt install gcc)" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q emlearn==0.23.2 scikit-learn==1.9.1 setuptools==80.9.0
cat >"$place/see.py" <<'END'
import os
import sys
import tempfile
import warnings
from importlib.metadata import version

import emlearn
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("emlearn", "scikit-learn")))
values = np.random.default_rng(1).normal(size=(100, 4))
classes = (values[:, 0] > 0).astype(int)
seen = {}
for model in (RandomForestClassifier(3, random_state=1), MLPClassifier((4,), max_iter=50, random_state=1)):
    os.chdir(tempfile.mkdtemp(dir=sys.argv[1]))
    emlearn.convert(model.fit(values, classes), method="inline")
    name = type(model).__name__
    seen[name] = sorted(os.path.join(folder, file) for folder, _, files in os.walk(".") for file in files)
    print(f"seen: {name}: {' '.join(seen[name]) or 'nothing written'}")
compiled = any(os.access(file, os.X_OK) for file in seen["MLPClassifier"])
sys.exit(0 if not seen["RandomForestClassifier"] and compiled else "that has changed")
END
"$place/venv/bin/python" "$place/see.py" "$place" >"$place/out" 2>"$place/log" || {
    cat "$place/out"
    tail -3 "$place/log" >&2
    exit 1
}
grep -E '^(python|seen)' "$place/out"
