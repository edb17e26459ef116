"""tools/try_exports.py with stand-ins for the frameworks' programs on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

SCRIPT = Path(__file__).parents[2] / "try_exports.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "bells").directory


def stand_in(directory: Path, name: str, script: str) -> None:
    """A program that answers --version and version, and then does what `script` says."""
    path = directory / name
    path.write_text(f'#!/bin/sh\ncase "$1" in *version) echo "{name} 9.8"; exit;; esac\n{script}\n')
    path.chmod(0o755)


def tried(bundle: Path, programs: Path, out: Path, *options: str) -> tuple[int, list[dict[str, str]], str]:
    environment = {**os.environ, "PATH": f"{programs}:/usr/bin:/bin"}
    command = [
        sys.executable,
        str(SCRIPT),
        str(bundle),
        "--out",
        str(out),
        "--json",
        str(out) + ".json",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    return done.returncode, json.loads(Path(f"{out}.json").read_text()), done.stdout + done.stderr


def test_what_is_there_is_tried_and_what_is_not_is_told(bundle: Path, tmp_path: Path) -> None:
    # The stand-ins look for what they are pointed at, as the frameworks would.
    stand_in(tmp_path, "pio", 'test -f "$3/platformio.ini" && echo "self-test: every score is equal"')
    stand_in(tmp_path, "west", 'for last; do :; done; test -f "$last/prj.conf"')
    stand_in(
        tmp_path,
        "idf.py",
        'test -f "$2/main/main.c" || exit 1; test "$5" != build || { echo broken; exit 3; }',
    )
    code, outcomes, said = tried(bundle, tmp_path, tmp_path / "out")
    results = {name: {each["result"] for each in outcomes if each["format"] == name} for name in
               ("platformio", "zephyr", "esp-idf", "arduino")}  # fmt: skip
    assert results == {
        "platformio": {"passed"},
        "zephyr": {"passed"},
        "esp-idf": {"failed"},
        "arduino": {"missing"},
    }
    assert code == 1 and "west 9.8" in said and "missing arduino" in said
    failed = next(each for each in outcomes if each["result"] == "failed")
    assert "broken" in Path(failed["log"]).read_text() and failed["log"] in said


def test_a_self_test_that_does_not_pass_is_a_failure(bundle: Path, tmp_path: Path) -> None:
    stand_in(tmp_path, "pio", "echo self-test: DIFFERENT from the reference")
    code, outcomes, _ = tried(bundle, tmp_path, tmp_path / "out", "--only", "platformio")
    assert code == 1 and [each["result"] for each in outcomes] == ["failed", "passed", "passed", "passed"]


def test_nothing_to_try(bundle: Path, tmp_path: Path) -> None:
    code, outcomes, said = tried(bundle, tmp_path, tmp_path / "out", "--only", "zephyr")
    assert code == 2 and {each["result"] for each in outcomes} == {"missing"}
    assert "west" in said and not (tmp_path / "out").exists()
