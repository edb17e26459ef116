"""Work ahead: in order, one piece early, errors where the result would be, nothing left running."""

from __future__ import annotations

import threading

import pytest

from stapes.check.ahead import worked_ahead


def test_results_come_in_order_and_the_next_is_under_way() -> None:
    started: list[int] = []
    second = threading.Event()

    def work(item: int) -> int:
        started.append(item)
        if item == 1:
            second.set()
        return 10 * item

    with worked_ahead(work, range(4)) as results:
        assert next(results) == 0
        assert second.wait(10)  # while this caller is busy with the first
        assert started == [0, 1]
        assert list(results) == [10, 20, 30]
    with worked_ahead(work, []) as results:
        assert list(results) == []


def test_an_error_comes_where_the_result_would() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    seen = []
    with pytest.raises(ValueError, match="two"), worked_ahead(work, range(5)) as results:
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

    with pytest.raises(KeyboardInterrupt), worked_ahead(work, range(100)) as results:
        next(results)
        go_on.set()
        raise KeyboardInterrupt
    assert started in ([0], [0, 1])
    assert threading.active_count() == 1 or not any("ThreadPool" in t.name for t in threading.enumerate())
