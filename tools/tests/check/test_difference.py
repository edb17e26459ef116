"""A difference is found at its first index and named by what it looks like."""

import numpy as np
import pytest

from stapes.check import classify, first_difference


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).integers(-100, 100, (12, 8, 6)).astype(np.int8)


def test_equal_is_none(rows: np.ndarray) -> None:
    assert first_difference(rows, rows.copy(), clip="c", window=0, stage="layer") is None


def test_first_index_and_counts(rows: np.ndarray) -> None:
    got = rows.copy()
    got[3, 2, 5] ^= 1
    got[7, 0, 5] ^= 1
    found = first_difference(rows, got, clip="c", window=2, stage="layer", layer="conv")
    assert found is not None
    assert (found.index, found.expected, found.got) == ((3, 2, 5), rows[3, 2, 5], got[3, 2, 5])
    assert (found.differing, found.total) == (2, rows.size)
    assert "window 2" in str(found) and "'conv'" in str(found) and "[3, 2, 5]" in str(found)


def swapped(rows: np.ndarray) -> np.ndarray:
    got = rows.copy()
    got[..., [1, 4]] = got[..., [4, 1]]
    return got


def stale(rows: np.ndarray) -> np.ndarray:
    got = rows.copy()
    got[5] = got[4]
    return got


def one_channel(rows: np.ndarray) -> np.ndarray:
    got = rows.copy()
    got[..., 2] += 9
    return got


def one_step(rows: np.ndarray) -> np.ndarray:
    return rows + (np.random.default_rng(2).random(rows.shape) < 0.3).astype(np.int8)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda rows: np.roll(rows, 1, axis=0), "rows shifted"),
        (stale, "stale buffer"),
        (swapped, "channels 1 and 4 swapped"),
        (one_channel, "only channel 2"),
        (one_step, "one step"),
        (lambda rows: -rows, "sign"),
        (lambda rows: rows + 5, "constant offset of 5"),
        (np.zeros_like, "all one value"),
        (lambda rows: np.where(rows > 20, 127, rows).astype(np.int8), "saturated"),
        (
            lambda rows: np.random.default_rng(3).permutation(rows.reshape(-1)).reshape(rows.shape),
            "many values",
        ),
    ],
)
def test_kinds_of_fault(rows: np.ndarray, fault, words: str) -> None:
    assert words in classify(rows, fault(rows))
