#!/bin/sh
# A FLAC file from a pipe has 9,223,372,036,854,775,807 samples, and its last block cannot be read.
#
# Expected by most: FLAC may leave the number of samples open (total samples 0 in STREAMINFO, as an encoder must that
#   writes into a pipe); a reader then says that it does not know, and reads block by block until the end.
# Happens: libsndfile gives 2^63 - 1 as the number of frames. soundfile believes it: the read that meets the end, which
#   of every other file returns what is left, raises ("Internal psf_fseek() failed") and its samples are lost; a
#   progress bar or buffer made from the number of frames is nonsense.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q soundfile==0.14.0 numpy==2.4.6
cat >"$place/see.py" <<'END'
import io
import sys

import numpy as np
import soundfile

print("python", sys.version.split()[0], "soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
sound = (0.5 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32)
whole = io.BytesIO()
soundfile.write(whole, sound, 16_000, format="FLAC")
streamed = bytearray(whole.getvalue())
assert streamed[:4] == b"fLaC" and streamed[4] & 0x7F == 0, "STREAMINFO comes first"
streamed[21] &= 0xF0  # total samples: the low 36 bits that end at byte 26; 0 means unknown
streamed[22:26] = bytes(4)

frames = soundfile.info(io.BytesIO(streamed)).frames
whole.seek(0)
print(f"written {len(sound)} samples; frames of the whole file {soundfile.info(whole).frames}")
print(f"frames of the same file with its length left open: {frames}")
read = 0
outcome = "ended well"
with soundfile.SoundFile(io.BytesIO(streamed)) as file:
    try:
        while block := len(file.read(3_000)):
            read += block
    except soundfile.LibsndfileError as error:
        outcome = f"raised: {error}"
print(f"read in blocks of 3000: {read} samples, then {outcome}")
sys.exit(0 if frames == 2**63 - 1 and read == 15_000 and "psf_fseek" in outcome else "that has changed")
END
"$place/venv/bin/python" "$place/see.py"
