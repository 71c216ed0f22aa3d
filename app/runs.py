"""The run service: create, get, list, cancel, delete, verify; what the handlers call, on the loop.

Nothing here waits for the disk or the engine on the loop's thread, but for short reads of SQLite.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor as Threads, Future
from pathlib import Path
from typing import Any

from app import transitions
from app.api_errors import ApiError
from app.creation import BeingDeletedError, Created, Key, bound_to, create
from app.data_dir import RUN_ID, DataDir
from app.engine_calls import EngineCalls
from app.executor import Executor
from app.fault_points import DISK_FAULTS, KILL, FaultPoints
from app.presets import PresetService
from app.removal import Remover
from app.run_records import Selection, list_runs, live_configs, read_run
from app.transitions import LIVE
from app.writer import Transaction, Writer
from engine.errors import ConfigError, StorageError

DELETE_TRIES, DELETE_WAIT_S = 500, 0.02
# What is said of a run, by its status.
SAID = {
    "queued": "is queued",
    "running": "is running",
    "cancelling": "is being cancelled",
    "completed": "has completed",
    "failed": "has failed",
    "cancelled": "was cancelled",
}


class RunService:
    """The only way in which a request changes or reads runs."""

    def __init__(
        self,
        *,
        reader: sqlite3.Connection,
        writer: Writer,
        executor: Executor,
        remover: Remover,
        data_dir: DataDir,
        engine: EngineCalls,
        presets: PresetService,
        housekeeping: Threads,
        queue_limit: int,
        faults: FaultPoints,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._executor = executor
        self._remover = remover
        self._data_dir = data_dir
        self._engine = engine
        self._presets = presets
        self._housekeeping = housekeeping
        self._queue_limit = queue_limit
        self._faults = faults
        self.closing = False

    async def create(self, config: Any, key: Key | None) -> Created:
        """Queue the run of a configuration, as it was sent, or find it.

        Raises
            ApiError for a key that came with another body, a full queue, a run being cancelled;
            ConfigError, LimitError, DataError for what cannot be run; StorageError.
        """
        if key is not None and (bound := bound_to(self._row, key)) is not None:
            return bound
        self._check_open()
        if not isinstance(config, dict):
            raise ConfigError.of("", "should be an object")
        whole = await self._presets.resolved(config)
        new = await self._engine.ask(lambda backtests: backtests.identify(whole))
        self._check_open()
        work = create(new, key, queue_limit=self._queue_limit, is_there=self._is_there)
        created = await self._created(lambda transaction: self._queued(work(transaction)))
        self._faults.passing("queued", KILL)
        if not created.reused:
            self._executor.notify()
        return created

    def _queued(self, created: Created) -> Created:
        """Return a run that has been written and can still be taken back."""
        if not created.reused:
            try:
                self._faults.passing("queued", *DISK_FAULTS)
            except OSError as fault:
                raise StorageError.from_os_error("the run", fault) from None
        return created

    async def _created(self, work: Callable[[Transaction], Created]) -> Created:
        """Return what the writer says, once an earlier run of the same id has gone."""
        for n in range(DELETE_TRIES):
            with contextlib.suppress(BeingDeletedError):
                created: Created = await self._stored(self._writer.submit(work))
                return created
            if n == 0:  # it may have failed half-way
                self.tidy_up()
            await asyncio.sleep(DELETE_WAIT_S)
        message = "an earlier run of this configuration is being removed; try again in a moment"
        raise ApiError("RUN_CANCELLING", message)

    def _check_open(self) -> None:
        if self.closing:
            message = "Studio is stopping; what is queued goes on at its next start"
            raise ApiError("SHUTTING_DOWN", message)

    def _row(self, sql: str, parameters: tuple[Any, ...]) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._reader.execute(sql, parameters).fetchone()
        return found

    def _is_there(self, run_id: str) -> bool:
        folder = self._data_dir.runs / run_id
        return folder.is_dir() and not folder.is_symlink()

    async def _stored(self, future: "Future[Any]") -> Any:
        return await asyncio.wrap_future(future)

    def get(self, run_id: str) -> dict[str, Any]:
        """Return a run with its configuration.

        Raises
            ApiError where there is none.
        """
        run = read_run(self._reader, run_id) if RUN_ID.fullmatch(run_id) else None
        if run is None:
            raise no_such_run()
        return run

    def live_configs_now(self, symbol: str) -> "list[dict[str, Any]]":
        """Return the configurations of a symbol's runs that have not finished; for other threads.

        They are as they stand once everything that was asked for before is written.
        """
        return self._writer.submit(lambda transaction: live_configs(transaction, symbol)).result()

    def list(self, selection: Selection) -> dict[str, Any]:
        """Return a page of runs, newest first."""
        return list_runs(self._reader, selection)

    async def cancel(self, run_id: str) -> tuple[str, str]:
        """Cancel a run, or ask it to stop; return its status before and after.

        Raises
            ApiError where there is none, or where it has finished; StorageError.
        """
        self.get(run_id)
        found = await self._stored(self._writer.submit(transitions.ask_to_cancel(run_id)))
        if found is None:
            raise no_such_run()
        before: str
        after: str
        before, after, attempt = found
        if before in {"completed", "failed"}:
            message = f"the run {SAID[before]} already"
            raise ApiError("RUN_ALREADY_FINISHED", message)
        if after == "cancelling":
            self._executor.cancel(run_id, attempt)
        elif before == "queued":
            self.tidy_up()
        return before, after

    async def delete(self, run_id: str) -> None:
        """Remove a finished run.

        Raises
            ApiError where there is none, or where it has not finished; StorageError.
        """
        self.get(run_id)
        work = asyncio.get_running_loop().run_in_executor(
            self._housekeeping, self._remover.remove, run_id
        )
        status = await work
        if status is None:
            raise no_such_run()
        if status in LIVE:
            message = f"the run {SAID[status]}; it can be removed once it has ended"
            raise ApiError("RUN_NOT_FINISHED", message)

    def tidy_up(self) -> None:
        """Let retention remove what is beyond it; may be called from any thread."""
        if not self.closing:
            self._housekeeping.submit(self._remover.trim)

    def directory(self, run_id: str) -> tuple[Path, dict[str, Any]]:
        """Return where a completed run's artifacts are, and the run.

        Raises
            ApiError while the run is live, and where it has none.
        """
        run = self.get(run_id)
        said = f"the run {SAID[run['status']]}"
        if run["status"] in LIVE:
            message = f"{said}; there are artifacts once a run has completed"
            raise ApiError("ARTIFACT_NOT_READY", message)
        if run["status"] != "completed":
            raise ApiError("ARTIFACT_NOT_FOUND", f"{said}; it has no artifacts")
        return self._data_dir.runs / run_id, run

    async def verify(self, run_id: str) -> dict[str, Any]:
        """Return ``{ok, manifest_ok, files}``: how a run's files compare with its manifest.

        Raises
            ApiError as ``directory`` does.
        """
        folder, run = self.directory(run_id)
        manifest_hash = run["manifest_hash"]
        return await self._engine.ask(lambda backtests: backtests.verified(folder, manifest_hash))


def no_such_run() -> ApiError:
    """Return the error for an id that is nobody's."""
    return ApiError("RUN_NOT_FOUND", "there is no such run")
