"""The multiplication of cores without a long one, compiled for the host under the sanitizers, equals 64 bits."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

FIRMWARE = Path(__file__).parents[1]
DRIVER = """
#include <stdio.h>
#include "requantize.h"

int main(void) {
    int32_t pair[2];
    while (fread(pair, sizeof pair, 1, stdin) == 1) {
        const int32_t high = %s(pair[0], pair[1]);
        (void)fwrite(&high, sizeof high, 1, stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize(
    ("function", "limit"), [("stapes_high_word_short", 2**30 - 1), ("stapes_high_word", 2**31 - 1)]
)
def test_by_halves(function: str, limit: int, tmp_path: Path) -> None:
    (tmp_path / "driver.c").write_text(DRIVER % function)
    driver = tmp_path / "driver"
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-DSTAPES_THUMB1=1"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}"]
    flags += [f"-I{FIRMWARE / 'runtime/src'}"]
    subprocess.run(["cc", *flags, str(tmp_path / "driver.c"), "-o", str(driver)], check=True)
    random = np.random.default_rng(1)
    # Both sides of every carry between halves, the ends, and anything.
    edges = np.array([0, 1, 2, 2**14, 2**15, 2**16, 2**29, 2**30, 2**31])
    edges = np.unique(np.clip([sign * edges + d for sign in (1, -1) for d in (-1, 0, 1)], -limit, limit))
    a = np.concatenate([np.repeat(edges, edges.size), random.integers(-limit, limit + 1, 300_000)])
    b = np.concatenate([np.tile(np.abs(edges), edges.size), random.integers(2**30, 2**31, 300_000)])
    b = np.minimum(b, 2**31 - 1)
    given = np.stack([a, b], axis=1).astype("<i4").tobytes()
    done = subprocess.run([str(driver)], input=given, capture_output=True, check=True)
    assert np.array_equal(np.frombuffer(done.stdout, "<i4"), (a * b + 2**31) >> 32)
