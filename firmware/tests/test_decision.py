"""The decision in C equals the one in Python."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.recipe import DecisionSpec
from stapes.reference import DecisionRule

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def decide(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    program = tmp_path_factory.mktemp("decision") / "driver"
    subprocess.run(
        [
            "cc", "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            f"-I{ROOT / 'runtime/include'}", "-o", str(program),
            str(ROOT / "runtime/src/decision.c"), str(ROOT / "tests/decision_driver.c"),
        ],
        check=True,
    )  # fmt: skip

    def run(text: str) -> str:
        return subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout

    return run


scores = st.integers(-128, 127)
VOTES = ["mean", "energy", "majority"]
"""As decision_driver.c numbers them."""
MOST_WINDOWS = 2**32 - 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_c_equals_python(decide: Callable[[str], str], data: st.DataObject) -> None:
    classes = data.draw(st.integers(1, 64))
    windows = data.draw(st.integers(1, 12))
    vote = data.draw(st.sampled_from(VOTES))
    zero_point = data.draw(scores)
    threshold = data.draw(st.integers(-10, 260))
    full_score = data.draw(st.sampled_from([1, 3, 256, 32767]))
    rule = DecisionRule(vote, zero_point, threshold, full_score)
    score = data.draw(st.sampled_from([scores, st.integers(-1, 1)]))  # few values: many ties
    table = data.draw(
        st.lists(st.lists(score, min_size=classes, max_size=classes), min_size=windows, max_size=windows)
    )
    pcm = [
        np.array(data.draw(st.lists(st.integers(-32768, 32767), min_size=1, max_size=9)), dtype=np.int16)
        for _ in range(windows)
    ]
    times = data.draw(st.sampled_from([1, 2, MOST_WINDOWS // windows]))
    lines = [f"{classes} {windows} {VOTES.index(vote)} {zero_point} {threshold} {full_score} {times}"]
    for row, samples in zip(table, pcm, strict=True):
        squares = sum(int(sample) ** 2 for sample in samples)
        lines.append(f"{squares} {len(samples)} " + " ".join(map(str, row)))
    expected = rule.verdict(
        [np.array(row, np.int8) for row in table], [rule.weight(samples) for samples in pcm]
    )
    assert decide("\n".join(lines)).split() == [
        str(expected.class_index),
        str(expected.best),
        str(expected.confidence),
    ]


def test_the_longest_loud_window_does_not_overflow(decide: Callable[[str], str]) -> None:
    samples = 4096 * 4096
    squares = samples * 32768**2
    assert decide(f"2 1 1 -128 0 256 {MOST_WINDOWS}\n{squares} {samples} 127 -128").split() == [
        "0",
        "0",
        "255",
    ]


def test_no_window_is_an_error(decide: Callable[[str], str]) -> None:
    for vote in range(len(VOTES)):
        assert decide(f"3 0 {vote} 0 0 256 1").split() == ["error", "-4"]


def test_first_of_equals_wins_and_threshold_makes_unknown() -> None:
    rule = DecisionRule.of(DecisionSpec(vote="mean", min_confidence=0.5), 1 / 256, -128)
    assert rule.threshold == 128
    tie = np.array([-28, 72, 72], np.int8)
    assert rule.verdict([tie], [1]) == rule.verdict([tie, tie], [1, 1])
    assert (rule.verdict([tie], [1]).class_index, rule.verdict([tie], [1]).confidence) == (1, 200)
    low = np.array([-128, -1, -128], np.int8)
    assert (rule.verdict([low], [1]).class_index, rule.verdict([low], [1]).best) == (-1, 1)


def test_majority_mean_and_energy_may_each_say_something_else(decide: Callable[[str], str]) -> None:
    """Three windows are a little for class 0, one is sure of class 1, and the loudest is for class 2."""
    table = np.array([[100, 90, 0], [100, 90, 0], [100, 90, 0], [-128, 127, -128], [-50, -128, 20]], np.int8)
    levels = [10, 10, 10, 10, 1000]
    pcm = [np.full(4, level, np.int16) for level in levels]
    said = {}
    for number, vote in enumerate(VOTES):
        rule = DecisionRule(vote, -128, 0)
        verdict = rule.verdict(list(table), [rule.weight(samples) for samples in pcm])
        lines = [f"3 5 {number} -128 0 256 1"]
        for row, level in zip(table, levels, strict=True):
            lines.append(f"{4 * level**2} 4 " + " ".join(map(str, row)))
        assert decide("\n".join(lines)).split() == [
            str(verdict.class_index),
            str(verdict.best),
            str(verdict.confidence),
        ]
        said[vote] = (verdict.best, verdict.confidence)
    assert said["mean"] == (1, (3 * 218 + 255 + 0) // 5)
    assert said["energy"] == (2, (10 * (3 * 128 + 0) + 1000 * 148) // 1040)
    assert said["majority"] == (0, 256 * 3 // 5)


@pytest.mark.parametrize(
    ("table", "best", "confidence"),
    [
        ([[10, 9, 0], [0, 50, 3]], 1, 128),  # one vote each: the larger sum, which here has the second
        ([[50, 0, 3], [9, 10, 0]], 0, 128),
        ([[5, 1, 0], [1, 5, 0]], 0, 128),  # the same sums: the first
        ([[0, 1, 5], [0, 5, 1]], 1, 128),
        ([[7, 7, 7]], 0, 256),  # inside a window: the first
        ([[0, 7, 7], [0, 0, 9], [0, 9, 8]], 1, 170),  # two votes, though the sum is smaller
    ],
)
def test_ties_of_a_majority(
    decide: Callable[[str], str], table: list[list[int]], best: int, confidence: int
) -> None:
    rule = DecisionRule("majority", -128, 0)
    verdict = rule.verdict([np.array(row, np.int8) for row in table], [1] * len(table))
    assert (verdict.class_index, verdict.best, verdict.confidence) == (best, best, confidence)
    lines = [f"3 {len(table)} 2 -128 0 256 1", *("9 1 " + " ".join(map(str, row)) for row in table)]
    assert decide("\n".join(lines)).split() == [str(best), str(best), str(confidence)]


@pytest.mark.parametrize("scale", [1 / 256, 0.3, 0.02, 1e-6])
@pytest.mark.parametrize("windows", [1, 3, 5, 7, 10])
def test_least_confidence_of_a_majority_is_a_share_of_windows(scale: float, windows: int) -> None:
    def verdict(votes: int, least: float) -> int:
        rule = DecisionRule.of(DecisionSpec(vote="majority", min_confidence=least), scale, 0)
        table = [np.array([9, 0] if number < votes else [0, 1], np.int8) for number in range(windows)]
        return rule.verdict(table, [1] * windows).class_index

    for votes in range(windows // 2 + 1, windows + 1):
        assert verdict(votes, votes / windows) == 0, "a share that equals it is enough"
        if scale <= 1 / 256 and votes < windows:
            assert verdict(votes, (votes + 0.5) / windows) == -1
    assert verdict(windows, 1.0) == 0


def test_a_majority_weighs_every_window_the_same() -> None:
    assert DecisionRule("majority", 0, 0).weight(np.full(9, 20000, np.int16)) == 1
