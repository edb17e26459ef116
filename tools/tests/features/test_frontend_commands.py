"""`stapes frontend parity` and `stapes features`, run as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np


def stapes(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    return subprocess.run(
        [sys.executable, "-m", "stapes", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env=clean, timeout=120,
    )  # fmt: skip


def test_parity_meets_its_bars_on_synthetic_clips(tmp_path: Path) -> None:
    result = stapes("frontend", "parity", "--clips", 3, "--json", tmp_path / "parity.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "parity.json").read_text())
    for part in (found, found["quiet"]):
        assert part["int8_equal_fraction"] >= 0.9997
        assert part["int8_max_step"] <= 1
        assert part["snr_db"] >= 100
        assert part["max_abs_error_nat"] <= 0.005
        assert part["mean_abs_error_nat"] <= 3e-5
        assert sum(part["histogram"]["counts"]) == part["cells"] == 3 * 249 * 64
        assert len(part["histogram"]["edges_nat"]) == len(part["histogram"]["counts"]) + 1


def test_features_draws_a_picture_and_refuses_a_click(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "clip.wav", np.sin(np.arange(8000) / 9) / 2, 16000)
    soundfile.write(tmp_path / "click.wav", np.zeros(100), 16000)
    drawn = stapes("features", tmp_path / "clip.wav", "--out", tmp_path / "out", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "out/clip.png").read_bytes().startswith(b"\x89PNG")
    refused = stapes("features", tmp_path / "click.wav", "--out", tmp_path / "out", cwd=tmp_path)
    assert refused.returncode == 1
    assert "fewer than one frame" in refused.stderr
    assert "Traceback" not in refused.stderr
