"""docs/tutorials/: every command as it stands there, in this order; what is not run says why."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pages import DOCS, commands, run, without_stapes

PAGES = sorted(DOCS.glob("tutorials/*.md"))
FENCED = re.compile(r"```\n((?:stapes|pip) .*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the models, labels and a recording; pages share what they build."""
    directory = tmp_path_factory.mktemp("tutorials")
    (directory / "models").symlink_to(DOCS.parent / "models")
    (labels,) = re.findall(
        r"```text\n(.*?)```", (DOCS / "tutorials/own-network.md").read_text(), flags=re.DOTALL
    )
    (directory / "labels.txt").write_text(labels)
    noise = np.random.default_rng(1).normal(0, 3000, 5 * 44100).astype(np.int16)
    soundfile.write(directory / "dog.wav", noise, 44100)
    return directory


def test_there_is_one_for_each() -> None:
    assert [page.stem for page in PAGES] == ["firmware", "own-network", "python", "rig"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_says_why(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(FENCED.findall(text)) == text.count("<!-- not run by the tests: ")
    assert len(text) < 3000, "short"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_is_true(page: Path, place: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    listed = commands(text)
    assert len(listed) >= 2
    environment = without_stapes(tmp_path)
    for arguments in listed:
        run(arguments, place, environment)
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place, env=environment, text=True, capture_output=True
        )
        assert done.returncode == 0 and done.stdout, done.stderr
