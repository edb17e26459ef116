"""The compiler launcher of `make test`: an object that was kept comes with its call graph."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[1] / "launcher.sh"


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_what_is_kept_is_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "CCACHE_DIR": str(tmp_path / "kept"), "TMPDIR": str(tmp_path)}

    def compiled(place: str, text: str) -> tuple[bytes, str]:
        directory = tmp_path / place
        directory.mkdir()
        (directory / "a.c").write_text(text)
        command = [LAUNCHER, "gcc", "-O1", "-fcallgraph-info=su", "-c", "a.c", "-o", "a.c.o"]
        subprocess.run(command, cwd=directory, env=environment, check=True)
        return (directory / "a.c.o").read_bytes(), (directory / "a.c.ci").read_text()

    def hits() -> int:
        said = subprocess.run(
            ["ccache", "--print-stats"], env=environment, capture_output=True, text=True, check=True
        )
        counts = dict(line.split("\t") for line in said.stdout.splitlines())
        return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])

    first = compiled("first", "int twice(int x) { return 2 * x; }\n")
    assert '"twice' in first[1] and hits() == 0
    assert compiled("second", "int twice(int x) { return 2 * x; }\n") == first
    assert hits() == 1
    other = compiled("third", "int thrice(int x) { return 3 * x; }\n")
    assert '"thrice' in other[1] and hits() == 1
