"""Processes that work side by side: on this machine, or on a Ray cluster. Both report, both can be asked to stop."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

from stapes.errors import TargetError
from stapes.packages import needed_for

Work = Callable[..., Any]
"""Called with its own arguments, then `report(value)` and `stop() -> bool`. Must be importable: it is sent by name."""

_ASK_SECONDS = 1.0


class Crew(Protocol):
    """Workers; leaving the context ends them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def submit(self, work: Work, *args: Any) -> Future[Any]:
        """Call `work` in a worker; the future gives what it returns or raises."""

    def reports(self) -> list[Any]:
        """What workers have reported since the last call."""

    def stop(self) -> None:
        """Ask all workers to stop, those too that begin after this."""


def open_crew(jobs: int, address: str | None) -> Crew:
    """`jobs` processes here, or the Ray cluster at `address` (`local`: one on this machine of `jobs` CPUs)."""
    return LocalCrew(jobs) if address is None else RayCrew(address, jobs)


class LocalCrew:
    """Processes of this machine."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._reports: Any = context.Queue()
        self._stopping: Any = context.Event()
        self._executor = ProcessPoolExecutor(
            jobs, context, initializer=_start, initargs=(self._reports, self._stopping)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def submit(self, work: Work, *args: Any) -> Future[Any]:
        """See `Crew`."""
        return self._executor.submit(_call, work, args)

    def reports(self) -> list[Any]:
        """See `Crew`."""
        found = []
        while True:
            try:
                found.append(self._reports.get_nowait())
            except queue.Empty:
                return found

    def stop(self) -> None:
        """See `Crew`."""
        self._stopping.set()


_reports: Any = None
_stopping: Any = None


def _start(reports: Any, stopping: Any) -> None:
    """Ctrl-C reaches every process of the terminal; only the first one decides what it means."""
    global _reports, _stopping
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _reports, _stopping = reports, stopping


def _call(work: Work, args: tuple[Any, ...]) -> Any:
    return work(*args, _reports.put, _stopping.is_set)


class RayCrew:
    """Workers of a Ray cluster, one CPU each. Paths must mean the same on every machine: a shared file system.

    Work that was lost with a machine is done again, three times at most.
    """

    def __init__(self, address: str, jobs: int) -> None:
        with needed_for("a cluster", "ray"):
            import ray
        self._ray: Any = ray
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        options |= {"num_cpus": jobs, "include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise TargetError(
                f"no Ray cluster at {address} ({reason})", hint="start one with `ray start --head`"
            ) from error
        self._mailbox: Any = ray.remote(num_cpus=0)(_Mailbox).remote()
        self._remote: Any = ray.remote(num_cpus=1, max_retries=3)(_call_remotely)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ray.shutdown()

    def submit(self, work: Work, *args: Any) -> Future[Any]:
        """See `Crew`."""
        outcome: Future[Any] = Future()

        def arrived(answer: Future[Any]) -> None:
            try:
                value, error = answer.result()
            except Exception as lost:
                value, error = None, TargetError(f"the cluster lost a worker ({type(lost).__name__})")
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(value)

        self._remote.remote(work, args, self._mailbox).future().add_done_callback(arrived)
        return outcome

    def reports(self) -> list[Any]:
        """See `Crew`."""
        found: list[Any] = self._ray.get(self._mailbox.take.remote())
        return found

    def stop(self) -> None:
        """See `Crew`."""
        self._ray.get(self._mailbox.stop.remote())


class _Mailbox:
    """Lives on the cluster: what workers say, and whether they shall stop."""

    def __init__(self) -> None:
        self._reports: list[Any] = []
        self._stopped = False

    def put(self, report: Any) -> None:
        self._reports.append(report)

    def take(self) -> list[Any]:
        found, self._reports = self._reports, []
        return found

    def stop(self) -> None:
        self._stopped = True

    def stopped(self) -> bool:
        return self._stopped


def _call_remotely(work: Work, args: tuple[Any, ...], mailbox: Any) -> tuple[Any, Exception | None]:
    """Errors are values here: Ray would wrap them into its own."""
    import ray

    asked = {"at": 0.0, "stopped": False}

    def stop() -> bool:
        if time.monotonic() - asked["at"] > _ASK_SECONDS:
            asked.update(at=time.monotonic(), stopped=ray.get(mailbox.stopped.remote()))
        return bool(asked["stopped"])

    try:
        return work(*args, mailbox.put.remote, stop), None
    except Exception as error:
        return None, error
