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


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_c_equals_python(decide: Callable[[str], str], data: st.DataObject) -> None:
    classes = data.draw(st.integers(1, 64))
    windows = data.draw(st.integers(1, 12))
    vote = data.draw(st.sampled_from(["mean", "energy"]))
    zero_point = data.draw(scores)
    threshold = data.draw(st.integers(-10, 260))
    rule = DecisionRule(vote, zero_point, threshold)
    table = data.draw(
        st.lists(st.lists(scores, min_size=classes, max_size=classes), min_size=windows, max_size=windows)
    )
    pcm = [
        np.array(data.draw(st.lists(st.integers(-32768, 32767), min_size=1, max_size=9)), dtype=np.int16)
        for _ in range(windows)
    ]
    lines = [f"{classes} {windows} {int(vote == 'energy')} {zero_point} {threshold}"]
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
    assert decide(f"2 1 1 -128 0\n{squares} {samples} 127 -128").split() == ["0", "0", "255"]


def test_no_window_is_an_error(decide: Callable[[str], str]) -> None:
    assert decide("3 0 0 0 0").split() == ["error", "-4"]


def test_first_of_equals_wins_and_threshold_makes_unknown() -> None:
    rule = DecisionRule.of(DecisionSpec(vote="mean", min_confidence=0.5), 1 / 256, -128)
    assert rule.threshold == 128
    tie = np.array([-28, 72, 72], np.int8)
    assert rule.verdict([tie], [1]) == rule.verdict([tie, tie], [1, 1])
    assert (rule.verdict([tie], [1]).class_index, rule.verdict([tie], [1]).confidence) == (1, 200)
    low = np.array([-128, -1, -128], np.int8)
    assert (rule.verdict([low], [1]).class_index, rule.verdict([low], [1]).best) == (-1, 1)
