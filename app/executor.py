"""The pool that runs: each worker takes the next run from the queue and brings it to an end.

May be called from any thread. The queue itself is in the database; what waits for the threads only
says how often it is worth looking there.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from app import transitions
from app.api_errors import INSIDE
from app.threads import RestingThreads
from app.transitions import Claimed
from app.writer import Transaction, Writer
from engine.errors import StorageError

Attempt = tuple[str, int]
log = logging.getLogger("studio.runs")


class Job(Protocol):
    """One attempt at a run."""

    def work(self) -> None:
        """Bring it to an end, and store that."""


class Surroundings(Protocol):
    """What a job asks while it works."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""

    def stopping(self) -> bool:
        """Tell whether that is because the server stops."""


class Executor:
    """Brings runs to an end on ``threads``; ``make_job`` is called there, and may take its time."""

    def __init__(
        self,
        threads: RestingThreads,
        writer: Writer,
        make_job: Callable[[Claimed, Surroundings], Job],
        ended: Callable[[], None],
    ) -> None:
        self._threads = threads
        self._writer = writer
        self._make_job = make_job
        self._ended = ended
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._active: set[Attempt] = set()
        self._to_cancel: set[Attempt] = set()

    def notify(self, n_queued: int = 1) -> None:
        """Say that runs have been queued."""
        with contextlib.suppress(RuntimeError):  # the next start finds them
            for _ in range(n_queued):
                self._threads.submit(self._take)

    def cancel(self, run_id: str, attempt: int) -> None:
        """Ask the worker of an attempt to stop; one that has ended is not asked."""
        with self._lock:
            if (run_id, attempt) in self._active:
                self._to_cancel.add((run_id, attempt))

    def stop(self, timeout_s: float) -> bool:
        """Interrupt what runs and put it back into the queue; tell whether all work ended."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        all_ended = self._threads.finished(timeout_s)
        with self._lock:
            left = sorted(self._active)
        for run_id, attempt in left:
            log.warning("left behind at work", extra={"run_id": run_id})
            self._writer.submit(transitions.requeue(run_id, attempt, crashed=False), lasting=True)
        return all_ended

    def _take(self) -> None:
        """Take the next run, if there is one, and work on it."""
        if self._stopping.is_set():
            return
        try:
            claimed = self._claim()
        except StorageError:  # the database has been closed
            return
        except Exception:
            log.exception("the queue could not be read")
            return
        if claimed is not None:
            self._work(claimed)

    def _claim(self) -> Claimed | None:
        """Take the next run; it counts as active before anyone can see that it is running.

        So a cancel that finds it running finds its attempt here as well.
        """
        tried: set[Attempt] = set()

        def work(transaction: Transaction) -> Claimed | None:
            claimed = transitions.claim(transaction)
            if claimed is not None:
                tried.add((claimed.run_id, claimed.attempt))
                with self._lock:
                    self._active |= tried
            return claimed

        claimed: Claimed | None = None
        try:
            claimed = self._writer.submit(work, lasting=True).result()
        finally:
            if claimed is not None:
                tried.discard((claimed.run_id, claimed.attempt))
            self._forget(tried)
        return claimed

    def _forget(self, attempts: set[Attempt]) -> None:
        with self._lock:
            self._active -= attempts
            self._to_cancel -= attempts

    def _work(self, claimed: Claimed) -> None:
        attempt = (claimed.run_id, claimed.attempt)
        try:
            self._make_job(claimed, _Surroundings(self, attempt)).work()
        except StorageError:
            log.warning("the end of the run could not be stored", extra={"run_id": claimed.run_id})
        except BaseException:  # a plugin's interrupt too: nobody else would hear of it here
            log.exception("a worker met an error", extra={"run_id": claimed.run_id})
            self._end(attempt)
        finally:
            self._forget({attempt})
        self._ended()

    def _end(self, attempt: Attempt) -> None:
        """End a run whose job did not; without that it would be at work for ever."""
        fail = transitions.fail(*attempt, "INTERNAL_ERROR", INSIDE)
        with contextlib.suppress(StorageError):
            if not self._writer.submit(fail, lasting=True).result():
                self._writer.submit(transitions.confirm_cancel(*attempt), lasting=True).result()

    def is_to_stop(self, attempt: Attempt) -> bool:
        """Tell whether an attempt should stop, for whatever reason."""
        return self._stopping.is_set() or attempt in self._to_cancel

    def is_stopping(self) -> bool:
        """Tell whether the whole pool stops."""
        return self._stopping.is_set()


class _Surroundings:
    def __init__(self, executor: Executor, attempt: Attempt) -> None:
        self._executor = executor
        self._attempt = attempt

    def cancelled(self) -> bool:
        return self._executor.is_to_stop(self._attempt)

    def stopping(self) -> bool:
        return self._executor.is_stopping()
