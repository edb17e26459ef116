"""Nothing became worse than in the last accepted run: bits, instructions, flash, RAM, stack, accuracy."""


def test_no_regression(baseline: list[str]) -> None:
    assert not baseline, "\n".join(baseline)
