"""Whatever a user gets wrong is one clear line and a non-zero exit, never a traceback."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.device import prepare
from stapes.errors import StapesError

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


def path_with(directory: Path, *programs: str) -> Path:
    """A directory for PATH with these programs and no other."""
    keep = directory / "bin"
    keep.mkdir()
    for program in programs:
        found = shutil.which(program)
        if found:
            (keep / program).symlink_to(found)
    return keep


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


@pytest.mark.parametrize(
    ("arguments", "wrong", "hint"),
    [
        (["check", "nowhere"], "nowhere: no such directory", "as models/esc10"),
        (["check", "dog.wav"], "not a bundle but a file", "as models/esc10"),
        (["check", "it.tflite"], "not a bundle but a file", "stapes import"),
        (["check", "BUNDLE/model.tflite"], "not a bundle but a file", "give the directory that it lies in, "),
        (["train", "BUNDLE", "--out", "o", "--data", "."], "Is a directory", "recipe.toml"),
        (["check", "BUNDLE", "--target", "nucleo_f446re"], "unknown target", "board:nucleo_f446re@auto"),
        (["check", "BUNDLE", "--target", "mps2-an386"], "unknown target", "qemu:mps2-an386"),
        (["check", "BUNDLE", "--target", "board:nucleo_f446re"], "names no port", "@auto"),
        (
            ["check", "BUNDLE", "--target", "host", "--data", "."],
            "whose labels are known",
            "folder of its name",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_common_mistakes(
    arguments: list[str], wrong: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("dog.wav", "it.tflite"):
        (tmp_path / name).write_bytes(b"")
    given = [word.replace("BUNDLE", str(BUNDLE)) for word in arguments]
    result = CliRunner().invoke(app, given, terminal_width=400)
    error = result.exception
    assert isinstance(error, StapesError), result.output
    assert wrong in error.message and hint in error.hint
    assert {path.name for path in tmp_path.iterdir()} == {"dog.wav", "it.tflite"}


def test_truncated_model(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes((BUNDLE / "model.tflite").read_bytes()[:5000])
    result = stapes("compile", model, "--out", tmp_path / "c", cwd=tmp_path)
    assert_one_error(result, "model.tflite")
    assert not (tmp_path / "c").exists()


def test_missing_compiler(tmp_path: Path) -> None:
    keep = path_with(tmp_path, "cmake", "ninja")
    result = stapes(
        "build", BUNDLE, "--board", "stm32f4_discovery", "--out", "b", cwd=tmp_path, PATH=str(keep)
    )
    assert_one_error(result, "arm-none-eabi-gcc")
    assert "gcc-arm-none-eabi" in result.stderr


def test_missing_emulator(tmp_path: Path) -> None:
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is missing, and would be named first")
    keep = path_with(tmp_path, "cmake", "ninja", "arm-none-eabi-gcc", "arm-none-eabi-objcopy")
    result = stapes(
        "check", BUNDLE, "--target", "qemu:netduinoplus2", "--clips", 1, cwd=tmp_path, PATH=str(keep)
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


def test_a_target_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"socket://127.0.0.1:{silent.getsockname()[1]}"
        result = stapes("check", BUNDLE, "--target", target, "--clips", 1, cwd=tmp_path)
    assert_one_error(result, "no answer to HELLO within")


def test_firmware_of_another_bundle(tmp_path: Path) -> None:
    other = make_small_bundle(tmp_path / "other")
    elf = prepare(other, "host", tmp_path / "build").build.elf
    with subprocess.Popen([elf], stdout=subprocess.PIPE, text=True) as device:
        try:
            port = device.stdout.readline().strip()
            result = stapes("check", BUNDLE, "--target", port, "--clips", 1, cwd=tmp_path)
        finally:
            device.kill()
    assert_one_error(result, "another bundle")


def test_noise_that_is_missing_and_noise_that_nothing_asks_for(tmp_path: Path) -> None:
    ask = '[dataset]\nkind = "synthetic"\n[training]\nnoise_sampled = '
    for share, more, pattern in (
        (0.5, (), r"noise_sampled = 0\.5 takes recordings of noise, none are given"),
        (0.0, ("--noise", tmp_path), "puts no recorded noise under its sounds"),
        (0.5, ("--noise", tmp_path), "no recordings of noise"),
    ):
        recipe = write_recipe(tmp_path / "recipe.toml", f"{ask}{share}")
        result = stapes("train", recipe, "--out", tmp_path / "b", *more, cwd=tmp_path)
        assert_one_error(result, pattern)
    assert not (tmp_path / "b.work").exists()


def test_corrupt_and_empty_recordings_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta").mkdir()
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for name, content in (("1-1-A-0.ogg", b"not audio"), ("1-2-A-0.wav", b"")):
        (tmp_path / "audio" / name).write_bytes(content)
        rows.append(f"{name},1,0,dog,True,1,A")
    (tmp_path / "meta/esc50.csv").write_text("\n".join(rows) + "\n")
    result = stapes("check", BUNDLE, "--target", "host", "--data", tmp_path, cwd=tmp_path)
    assert_one_error(result, "1-1-A-0.ogg.*1-2-A-0.wav")
