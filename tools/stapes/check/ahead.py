"""Work done while the caller waits for a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def worked_ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[Result]]:
    """`work` of each item in turn: of the next one, in a thread, while the caller is busy with one.

    What `work` raises comes where its result would. On leaving, the piece that is under way is waited for.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:

        def results() -> Iterator[Result]:
            ahead: Future[Result] | None = None
            for item in items:
                current, ahead = ahead, pool.submit(work, item)
                if current is not None:
                    yield current.result()
            if ahead is not None:
                yield ahead.result()

        try:
            yield results()
        finally:
            pool.shutdown(cancel_futures=True)
