"""Work done while the caller waits for a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Result = TypeVar("Result")


@contextmanager
def worked_ahead(
    read: Callable[[Item], Read], work: Callable[[Read], Result], items: Iterable[Item]
) -> Iterator[Iterator[Result]]:
    """`work` of what `read` makes of each item, in turn: of the next one while the caller is busy with one.

    Each has a thread of its own, so that one item is read while the one before it is worked on. What they raise comes
    where the result would. On leaving, what is under way is waited for.
    """
    with ThreadPoolExecutor(max_workers=1) as reader, ThreadPoolExecutor(max_workers=1) as worker:

        def worked(being_read: Future[Read]) -> Result:
            return work(being_read.result())

        def results() -> Iterator[Result]:
            ahead: Future[Result] | None = None
            for item in items:
                current, ahead = ahead, worker.submit(worked, reader.submit(read, item))
                if current is not None:
                    yield current.result()
            if ahead is not None:
                yield ahead.result()

        try:
            yield results()
        finally:
            worker.shutdown(wait=False, cancel_futures=True)
            reader.shutdown(cancel_futures=True)
