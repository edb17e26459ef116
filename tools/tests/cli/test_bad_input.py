"""Whatever a user gets wrong is one clear line and a non-zero exit, never a traceback."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BUNDLE = ROOT / "models/esc10"


def stapes(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    return subprocess.run(
        [sys.executable, "-m", "stapes", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean | environment,
        timeout=120,
    )


def assert_one_error(result: subprocess.CompletedProcess[str], pattern: str) -> None:
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.stderr
    assert re.search(pattern, errors[0]), errors[0]


def write_recipe(path: Path, text: str) -> Path:
    path.write_text(f'name = "x"\n{text}\n')
    return path


@pytest.mark.parametrize(
    ("recipe", "pattern"),
    [
        ("colour = 1", "colour: unknown key"),
        ("[frontend]\nhop = 1", r"frontend\.hop: unknown key"),
        ("[frontend]\nfmax = 9000.0", "fmax = 9000 Hz is above half the sample rate"),
        ("[frontend]\nhop_length = 600", "hop_length = 600 is longer than frame_length"),
        ("[frontend]\nn_fft = 500", "n_fft = 500 is not a power of two"),
        ("[frontend]\nn_fft = 256", "frame_length = 512 is longer than n_fft"),
        ("[frontend]\nfmin = 7900.0", "fmin = 7900 Hz is not below fmax"),
        ("[model]\nfilters = [8]", "one of each per layer"),
        ("[training]\nsteps = 0\nbatch = 0", r"training\.steps.*training\.batch"),
        ("= nonsense", "is not TOML"),
    ],
)
def test_recipe(tmp_path: Path, recipe: str, pattern: str) -> None:
    path = write_recipe(tmp_path / "recipe.toml", recipe)
    result = stapes("train", path, "--data", tmp_path, "--out", tmp_path / "out", cwd=tmp_path)
    assert_one_error(result, pattern)
    assert not (tmp_path / "out").exists()


def test_missing_recipe(tmp_path: Path) -> None:
    assert_one_error(
        stapes("train", "no.toml", "--data", ".", "--out", "o", cwd=tmp_path), "cannot read the recipe"
    )


def test_missing_data_directory(tmp_path: Path) -> None:
    result = stapes("check", BUNDLE, "--target", "host", "--data", tmp_path / "none", cwd=tmp_path)
    assert_one_error(result, "none")


def test_missing_bundle(tmp_path: Path) -> None:
    assert_one_error(stapes("check", tmp_path, cwd=tmp_path), "is not a bundle")


def test_truncated_model(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes((BUNDLE / "model.tflite").read_bytes()[:5000])
    result = stapes("compile", model, "--out", tmp_path / "c", cwd=tmp_path)
    assert_one_error(result, "model.tflite")
    assert not (tmp_path / "c").exists()


def test_missing_compiler(tmp_path: Path) -> None:
    keep = tmp_path / "bin"
    keep.mkdir()
    for tool in ("cmake", "ninja"):
        (keep / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
    result = stapes(
        "build", BUNDLE, "--board", "stm32f4_discovery", "--out", "b", cwd=tmp_path, PATH=str(keep)
    )
    assert_one_error(result, "arm-none-eabi-gcc")
    assert "gcc-arm-none-eabi" in result.stderr


def test_missing_emulator(tmp_path: Path) -> None:
    result = stapes(
        "check", BUNDLE, "--target", "qemu:netduinoplus2", "--clips", 1, cwd=tmp_path, PATH=str(tmp_path)
    )
    assert_one_error(result, "qemu-system-arm")


@pytest.mark.parametrize(
    ("target", "pattern"),
    [("qemu:toaster", "toaster"), ("toaster", "toaster"), ("/dev/ttyNOTHING9", "ttyNOTHING9")],
)
def test_unknown_target(tmp_path: Path, target: str, pattern: str) -> None:
    assert_one_error(stapes("check", BUNDLE, "--target", target, "--clips", 1, cwd=tmp_path), pattern)


def test_unknown_board(tmp_path: Path) -> None:
    assert_one_error(stapes("build", BUNDLE, "--board", "toaster", "--out", "b", cwd=tmp_path), "toaster")


def test_json_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = stapes("generate", BUNDLE, "--out", "c", "--json", "file/x.json", cwd=tmp_path)
    assert_one_error(result, "cannot write")
