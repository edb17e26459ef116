"""Work ahead: in order, one piece early, errors where the result would be, nothing left running."""

from __future__ import annotations

import threading

import pytest

from stapes.check.ahead import worked_ahead


def test_results_come_in_order_and_the_next_is_under_way() -> None:
    started: list[str] = []
    second = threading.Event()

    def work(item: str) -> int:
        started.append(item)
        if item == "1":
            second.set()
        return 10 * int(item)

    with worked_ahead(str, work, range(4)) as results:
        assert next(results) == 0
        assert second.wait(10)  # while this caller is busy with the first
        assert started == ["0", "1"]
        assert list(results) == [10, 20, 30]
    with worked_ahead(str, work, []) as results:
        assert list(results) == []


def test_one_is_read_while_the_one_before_it_is_worked_on() -> None:
    second = threading.Event()

    def read(item: int) -> int:
        if item == 1:
            second.set()
        return item

    def work(item: int) -> bool:
        return item != 0 or second.wait(10)

    with worked_ahead(read, work, range(3)) as results:
        assert list(results) == [True] * 3


@pytest.mark.parametrize("where", ["read", "work"])
def test_an_error_comes_where_the_result_would(where: str) -> None:
    def fail(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    def good(item: int) -> int:
        return item

    seen = []
    read, work = (fail, good) if where == "read" else (good, fail)
    with pytest.raises(ValueError, match="two"), worked_ahead(read, work, range(5)) as results:
        for result in results:
            seen.append(result)
    assert seen == [0, 1]


def test_nothing_is_begun_once_the_caller_has_left() -> None:
    started: list[int] = []
    go_on = threading.Event()

    def work(item: int) -> int:
        started.append(item)
        if item == 1:
            go_on.wait(10)
        return item

    with pytest.raises(KeyboardInterrupt), worked_ahead(abs, work, range(100)) as results:
        next(results)
        go_on.set()
        raise KeyboardInterrupt
    assert started in ([0], [0, 1])
    assert threading.active_count() == 1 or not any("ThreadPool" in t.name for t in threading.enumerate())
