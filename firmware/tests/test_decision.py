"""The decision in C equals the one in Python, and both equal the votes' definitions in fractions."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from math import floor, isqrt
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.recipe import VOTES, DecisionSpec
from stapes.reference import DecisionRule, vote

ROOT = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{ROOT / 'runtime/include'}",
]  # fmt: skip
SOURCES = [
    *sorted((ROOT / "runtime/src").glob("vote_*.c")),
    *(ROOT / f"runtime/src/{name}.c" for name in ("decision", "integer")),
]


def compiled(directory: Path, source: str) -> Path:
    program = directory / source.removesuffix(".c")
    files = [*map(str, SOURCES), str(ROOT / "tests" / source)]
    subprocess.run(["cc", *FLAGS, "-o", str(program), *files], check=True)
    return program


@pytest.fixture(scope="module")
def decide(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    program = compiled(tmp_path_factory.mktemp("decision"), "decision_driver.c")

    def run(text: str) -> str:
        return subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout

    return run


def case(rule: DecisionRule, table: list[list[int]], sounds: list[tuple[int, int]], times: int = 1) -> str:
    """One case for the driver; `sounds` has the sum of squares and the number of samples of every window."""
    classes = len(table[0]) if table else 3
    head = [rule.vote, classes, len(table), rule.zero_point, rule.threshold, rule.full_score, rule.resolution]
    lines = [" ".join(map(str, [*head, times]))]
    for row, sound in zip(table, sounds, strict=True):
        lines.append(" ".join(map(str, [*sound, *row])))
    return "\n".join(lines)


def in_python(rule: DecisionRule, table: list[list[int]], sounds: list[tuple[int, int]]) -> list[int]:
    """What the driver prints: class, best class, confidence, every class's score."""
    scores, weights = [np.array(row, np.int8) for row in table], [rule.weight(*sound) for sound in sounds]
    verdict = rule.verdict(scores, weights)
    return [verdict.class_index, verdict.best, verdict.confidence, *rule.scores(scores, weights)]


Exact = Callable[[list[int], list[list[int]], int, list[int]], Fraction]
"""Scores of one class and of all windows, its index, the windows' weights."""


def exact_mean(own: list[int], table: list[list[int]], index: int, weights: list[int]) -> Fraction:
    return sum(map(Fraction, own)) / len(own)


def exact_energy(own: list[int], table: list[list[int]], index: int, weights: list[int]) -> Fraction:
    return sum(Fraction(score * weight, sum(weights)) for score, weight in zip(own, weights, strict=True))


def exact_majority(own: list[int], table: list[list[int]], index: int, weights: list[int]) -> Fraction:
    return Fraction(sum(row.index(max(row)) == index for row in table), len(table))


def exact_median(own: list[int], table: list[list[int]], index: int, weights: list[int]) -> Fraction:
    return median(map(Fraction, own))


EXACT: dict[str, Exact] = {
    "mean": exact_mean,
    "energy": exact_energy,
    "majority": exact_majority,
    "median": exact_median,
}
SHARES = {"majority"}
"""Votes whose scores are shares of the windows."""


def in_fractions(rule: DecisionRule, table: list[list[int]], sounds: list[tuple[int, int]]) -> list[int]:
    """The same without a line of the product."""
    steps = [[score - rule.zero_point for score in row] for row in table]
    roots = [max(1, isqrt(squares // samples)) for squares, samples in sounds]
    weights = roots if rule.vote == "energy" else [1] * len(table)
    columns = list(zip(*steps, strict=True))
    scores = [EXACT[rule.vote](list(own), steps, index, weights) for index, own in enumerate(columns)]
    sums = [exact_energy(list(own), steps, index, weights) for index, own in enumerate(columns)]
    order = [(score, total, -index) for index, (score, total) in enumerate(zip(scores, sums, strict=True))]
    best = order.index(max(order))
    unit = rule.full_score if rule.vote in SHARES else rule.resolution
    found = [floor(score * unit) for score in scores]
    return [best if found[best] >= rule.threshold else -1, best, found[best], *found]


scores = st.integers(-128, 127)
MOST_WINDOWS = 2**32 - 1


def test_every_listed_vote_is_there() -> None:
    sources = {path.stem.removeprefix("vote_") for path in (ROOT / "runtime/src").glob("vote_*.c")}
    assert set(VOTES) == sources == set(EXACT)
    for name in VOTES:
        assert vote(name).weighs == (vote(name).weight(10**6, 1) != 1)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_c_equals_python_equals_fractions(decide: Callable[[str], str], data: st.DataObject) -> None:
    classes = data.draw(st.one_of(st.integers(1, 6), st.integers(1, 70)))
    windows = data.draw(st.integers(1, 12))
    rule = DecisionRule(
        data.draw(st.sampled_from(list(VOTES))),
        zero_point=data.draw(scores),
        threshold=data.draw(st.integers(-10, 260)),
        full_score=data.draw(st.sampled_from([1, 3, 256, 32767, 2**31 - 1])),
        resolution=data.draw(st.sampled_from([1, 1, 7, 256])),
    )
    score = data.draw(st.sampled_from([scores, st.integers(-1, 1)]))  # few values: many ties
    table = data.draw(
        st.lists(st.lists(score, min_size=classes, max_size=classes), min_size=windows, max_size=windows)
    )
    pcm = st.lists(st.integers(-32768, 32767), min_size=1, max_size=9)
    sounds = [
        (sum(sample**2 for sample in one), len(one)) for one in (data.draw(pcm) for _ in range(windows))
    ]
    times = data.draw(st.sampled_from([1, 2, MOST_WINDOWS // windows]))
    expected = in_fractions(rule, table, sounds)
    assert in_python(rule, table, sounds) == expected
    assert list(map(int, decide(case(rule, table, sounds, times)).split())) == expected


@settings(max_examples=60, deadline=None)
@given(roots=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4), off=st.integers(-1, 0))
def test_weights_are_integer_roots(decide: Callable[[str], str], roots: list[int], off: int) -> None:
    """Of any 64-bit number: squares, and what is one less."""
    sounds = [(max(0, root**2 + off), 1) for root in roots]
    rule, table = DecisionRule("energy", 0, 0), [[number, -number] for number in range(len(roots))]
    assert list(map(int, decide(case(rule, table, sounds)).split())) == in_fractions(rule, table, sounds)


@pytest.mark.parametrize("name", VOTES)
def test_a_thousand_and_one_classes(decide: Callable[[str], str], name: str) -> None:
    table = np.random.default_rng(1).integers(-128, 128, (5, 1001)).tolist()
    sounds = [(9 * number, 1) for number in range(1, 6)]
    rule = DecisionRule(name, -128, 0)
    assert list(map(int, decide(case(rule, table, sounds)).split())) == in_fractions(rule, table, sounds)


def test_the_longest_loud_window_does_not_overflow(decide: Callable[[str], str]) -> None:
    samples = 4096 * 4096
    sound = (samples * 32768**2, samples)
    for name in VOTES:
        rule = DecisionRule(name, -128, 0, 256 * 256, resolution=256)
        found = decide(case(rule, [[127, -128]], [sound], MOST_WINDOWS)).split()
        assert found[:3] == ["0", "0", str(256 * (256 if name in SHARES else 255))]
        lowest = decide(case(DecisionRule(name, 127, -(2**31), 256, 256), [[-128]], [sound], MOST_WINDOWS))
        assert lowest.split()[2] == str(256 if name in SHARES else -255 * 256)


def test_no_window_is_an_error(decide: Callable[[str], str]) -> None:
    for name in VOTES:
        assert decide(case(DecisionRule(name, 0, 0), [], [])).split() == ["error", "-4"]
    with pytest.raises(ValueError, match="no window"):
        DecisionRule("mean", 0, 0).verdict([], [])


def test_what_the_initialisation_refuses(tmp_path: Path) -> None:
    text = subprocess.run(
        [compiled(tmp_path, "decision_limits.c")], capture_output=True, text=True, check=True
    ).stdout
    found = [line.rsplit(" ", 1) for line in text.splitlines()]
    assert found == [
        ["good", "0"],
        ["no decision", "-1"],
        ["no rule", "-1"],
        ["no memory", "-1"],
        ["a byte less", "-2"],
        ["misaligned", "-2"],
        ["no vote", "-1"],
        ["no class", "-1"],
        ["too many classes", "-1"],
        *([["size", "0"]] * len(VOTES)),
    ]


def test_first_of_equals_wins_and_threshold_makes_unknown() -> None:
    rule = DecisionRule.of(DecisionSpec(vote="mean", min_confidence=0.5), 1 / 256, -128)
    assert rule.threshold == 128
    tie = np.array([-28, 72, 72], np.int8)
    assert rule.verdict([tie], [1]) == rule.verdict([tie, tie], [1, 1])
    assert (rule.verdict([tie], [1]).class_index, rule.verdict([tie], [1]).confidence) == (1, 200)
    low = np.array([-128, -1, -128], np.int8)
    assert (rule.verdict([low], [1]).class_index, rule.verdict([low], [1]).best) == (-1, 1)


def test_votes_may_each_say_something_else(decide: Callable[[str], str]) -> None:
    """Three windows are a little for class 0, one is sure of class 1, and the loudest is for class 2."""
    table = [[100, 90, 0], [100, 90, 0], [100, 90, 0], [-128, 127, -128], [-50, -128, 20]]
    sounds = [(4 * level**2, 4) for level in (10, 10, 10, 10, 1000)]
    said = {}
    for name in VOTES:
        rule = DecisionRule(name, -128, 0)
        found = in_python(rule, table, sounds)
        assert list(map(int, decide(case(rule, table, sounds)).split())) == found
        said[name] = (found[1], found[2])
    assert said["mean"] == (1, (3 * 218 + 255 + 0) // 5)
    assert said["energy"] == (2, (10 * (3 * 128 + 0) + 1000 * 148) // 1040)
    assert said["majority"] == (0, 256 * 3 // 5)
    assert said["median"] == (0, 228)


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
    rule, sounds = DecisionRule("majority", -128, 0), [(9, 1)] * len(table)
    assert in_python(rule, table, sounds)[:3] == [best, best, confidence]
    assert decide(case(rule, table, sounds)).split()[:3] == [str(best), str(best), str(confidence)]


@pytest.mark.parametrize(
    ("table", "best", "confidence"),
    [
        ([[0, 9, 0], [100, 9, 0], [0, 9, 0]], 1, 9),  # one outlier, though its sum is larger
        ([[0, 7, 4], [9, 0, 5]], 0, 4),  # 4.5 twice, of the same sum: the first
        ([[0, 2, 0], [0, 4, 5], [9, 6, 9], [9, 8, 9]], 2, 7),  # 4.5, 5 and 7 of the middle two
        ([[5, 3], [5, 5], [5, 9]], 1, 5),  # equal medians: the larger sum
        ([[-9, -8]], 1, -8),
        ([[-9, -8], [-9, -9]], 1, -9),  # -8.5 is rounded down
    ],
)
def test_the_median(decide: Callable[[str], str], table: list[list[int]], best: int, confidence: int) -> None:
    rule, sounds = DecisionRule("median", 0, -128), [(9, 1)] * len(table)
    assert in_python(rule, table, sounds)[:3] == [best, best, confidence]
    assert decide(case(rule, table, sounds)).split()[:3] == [str(best), str(best), str(confidence)]


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
