"""Replicates on a ``dask.distributed`` cluster: the same rows, computed elsewhere.

A worker runs the engine that is installed there, so it must be this very one: another version,
another lock file or another platform is refused by the worker itself, for every portion anew.
"""

import contextlib
import functools
import logging
import pickle
import platform
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Protocol, Self

from engine.code import code_version
from engine.errors import ClusterError, PluginError, StudioError
from engine.identity import environment
from engine.records import CancelCheck, never_cancelled
from engine.validation.replicates import POLL_S, Report, assembled, portions
from engine.validation.test import Task

if TYPE_CHECKING:
    from engine.records import Floats

CONNECT_S = 10
# How long a cluster may be without a scheduler or a worker before it counts as gone.
PATIENCE_S = 5.0
PORTIONS_PER_THREAD = 4
MAX_PORTION = 1_000


class _OtherMachineError(Exception):
    """The worker would not give the same bits; the message says what differs."""


def fingerprint() -> dict[str, Any]:
    """Return what must be the same here and on a worker for the same bits."""
    here = environment("any")  # compiled or not gives the same
    del here["kernel"]
    return here | {"code_version": code_version(), "libc": "-".join(platform.libc_ver())}


@functools.cache
def _lost() -> tuple[type[BaseException], ...]:
    """Return what comes up where workers or scheduler are no longer there."""
    import asyncio  # noqa: PLC0415  # as in ClusterMapper

    from distributed import client, scheduler  # noqa: PLC0415

    cancelled = (asyncio.CancelledError, CancelledError, client.FutureCancelledError)
    return (OSError, scheduler.KilledWorker, *cancelled)


class Preparation(Protocol):
    """What a worker needs before it can take a task apart; it can be pickled."""

    def __call__(self) -> None:
        """Make the worker ready, such as by loading plugins."""

    def explain(self, fault: BaseException) -> str | None:
        """Return what a user should read of an error in a plugin, None for any other."""


class _Worker:
    """What a worker process is ready for: one preparation at a time, however many threads."""

    def __init__(self) -> None:
        self._ready_for: bytes | None = None
        self._busy = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def ready(self, pickled: bytes) -> Iterator[Preparation | None]:
        """Make the process ready and keep it so; wait while it is busy with other plugins."""
        # What comes from the client that a worker serves is trusted: it may run anything here.
        first: Preparation | None = pickle.loads(pickled)  # noqa: S301
        with self._changed:
            self._changed.wait_for(lambda: not self._busy or self._ready_for == pickled)
            if first is not None and self._ready_for != pickled:
                first()
            self._ready_for = pickled
            self._busy += 1
        try:
            yield first
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


_worker = _Worker()


@functools.lru_cache(maxsize=2)
def _task(pickled: bytes) -> Task:
    task: Task = pickle.loads(pickled)  # noqa: S301  # as above
    return task


def _run_portion(
    pickled: tuple[bytes, bytes], start: int, stop: int, expected: dict[str, Any]
) -> "Floats":
    """Return the rows of replicates ``start`` … ``stop`` - 1; runs on a worker."""
    differing = {name: x for name, x in fingerprint().items() if expected.get(name) != x}
    if differing:
        named = ", ".join(f"{name} {differing[name]}" for name in sorted(differing))
        raise _OtherMachineError(named)
    preparation, task = pickled
    with _worker.ready(preparation) as first:
        try:
            return _task(task).run(range(start, stop), never_cancelled)
        except StudioError:
            raise
        except (Exception, SystemExit) as fault:
            # Told here, where its traceback is: elsewhere an OSError would look like the cluster's.
            message = first.explain(fault) if first is not None else None
            if message is None:
                raise
            raise PluginError(message) from None


def _distributed() -> Any:
    """Return the library; where it is imported, the loggers of others stay as they are.

    Raises
        ClusterError where it is not installed.
    """
    others = [logging.getLogger(name) for name in ("tornado", "tornado.application")]
    kept = [(other.level, other.propagate, list(other.handlers)) for other in others]
    try:
        import distributed  # noqa: PLC0415  # a second, and only for those who name a scheduler
    except ImportError:
        message = "a scheduler is named, but the extra 'cluster' is not installed"
        raise ClusterError(message) from None
    for other, (level, propagate, handlers) in zip(others, kept, strict=True):
        other.setLevel(level)
        other.propagate, other.handlers = propagate, handlers
    return distributed


class ClusterMapper:
    """Maps on the workers of a scheduler; an ``engine.validation.Mapper``."""

    def __init__(self, address: str, first: Preparation | None = None) -> None:
        """Take a scheduler's address, and what each worker calls first, such as loading plugins."""
        self._address = address
        self._first = first

    @functools.cached_property
    def _client(self) -> Any:
        """Connect when it is first needed; a run without tests needs no cluster."""
        distributed = _distributed()
        for name in ("distributed", "distributed.client", "distributed.core"):
            # What it logs of lost connections is said in one sentence by us.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            # A client for an address that means nothing would fail once more when it is deleted.
            distributed.comm.get_address_host(self._address)
            return distributed.Client(
                self._address, timeout=CONNECT_S, set_as_default=False, name="studio"
            )
        except (OSError, ValueError, TypeError) as fault:  # TimeoutError is an OSError
            raise ClusterError(f"no scheduler answers at {self._address}") from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            with contextlib.suppress(Exception):  # it may be gone already
                client.close(timeout=1)

    def map(self, task: Task, n: int, check_cancelled: CancelCheck, report: Report) -> "Floats":
        """Return the rows of replicates 0 … n - 1, (n, n_columns).

        Replicates of a worker that dies are computed again on another one.

        Raises
            ClusterError where the cluster is gone or a worker is not like this machine; what
            ``check_cancelled`` or the task raises.
        """
        submitted: list[Any] = []
        client = self._client
        try:
            size, finished = self._portion(n), queue.SimpleQueue[Any]()
            pickled = (pickle.dumps(self._first), pickle.dumps(task))
            # In a list: scatter takes a tuple for several things.
            (shared,) = client.scatter([pickled], broadcast=True, hash=False, timeout=CONNECT_S)
            for part in portions(n, size):
                future = client.submit(
                    _run_portion, shared, part.start, part.stop, fingerprint(), pure=False
                )
                future.add_done_callback(finished.put)
                submitted.append(future)
            count = len(submitted)
            self._wait(finished, count, check_cancelled, lambda done: report(min(done * size, n)))
            rows = [future.result(timeout=CONNECT_S) for future in submitted]
            return assembled(rows, portions(n, size))
        except StudioError:
            raise
        except _OtherMachineError as fault:
            message = f"a worker of {self._address} is not like this machine: it has {fault}"
            raise ClusterError(message) from fault
        except ImportError as fault:
            message = f"a worker of {self._address} has no engine like this one"
            raise ClusterError(message) from fault
        except _lost() as fault:
            message = f"the cluster at {self._address} was lost: its workers or scheduler went away"
            raise ClusterError(message) from fault
        finally:
            with contextlib.suppress(Exception):  # as in close
                client.cancel(submitted, force=True)

    def _portion(self, n: int) -> int:
        threads = sum(self._n_threads().values())
        if not threads:
            raise ClusterError(f"the cluster at {self._address} has no workers")
        return max(1, min(MAX_PORTION, n // (PORTIONS_PER_THREAD * threads)))

    def _n_threads(self) -> dict[str, int]:
        threads: dict[str, int] = self._client.sync(
            self._client.scheduler.ncores, callback_timeout=PATIENCE_S
        )
        return threads

    def _wait(
        self,
        finished: "queue.SimpleQueue[Any]",
        n: int,
        check_cancelled: CancelCheck,
        report: Report,
    ) -> None:
        """Wait for all futures, or for the first that failed."""
        done, looked = 0, time.monotonic()
        while done < n:
            check_cancelled()
            with contextlib.suppress(queue.Empty):
                future = finished.get(timeout=POLL_S)
                if future.status != "finished":
                    future.result(timeout=CONNECT_S)  # raises what went wrong
                done += 1
                report(done)
            if time.monotonic() - looked > PATIENCE_S:
                looked = time.monotonic()
                self._portion(1)
