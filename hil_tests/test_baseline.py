"""Nothing became worse than in the last accepted run: bits, instructions, flash, RAM, stack, accuracy."""


def test_no_regression(stapes_baseline: list[str]) -> None:
    assert not stapes_baseline, "\n".join(stapes_baseline)
