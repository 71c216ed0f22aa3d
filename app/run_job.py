"""One attempt at a run, on a worker's thread: what it does becomes events, what ends it a state."""

import contextlib
import errno
import json
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from app import transitions
from app.api_errors import IN_A_RUN, code_of
from app.data_dir import DataDir
from app.executor import Surroundings
from app.fault_points import FaultPoints
from app.removal import set_aside, throw_away
from app.run_records import figures
from app.transitions import Claimed
from app.writer import Transaction, Writer
from engine.artifacts import read_manifest, summary_document, verify
from engine.code import code_version
from engine.errors import RunCancelled, StorageError, StudioError, VerificationError
from engine.pipeline import STAGE_STARTS, PreparedRun
from engine.records import BacktestResult, RunWarning

PROGRESS_EVERY_S = 0.1
OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
log = logging.getLogger("studio.runs")


class ChangedError(StudioError):
    """The candles or the code are not those that the run was asked for with."""

    def __init__(self, run_code: str, message: str) -> None:
        super().__init__(message)
        self.run_code = run_code


class RunJob:
    """Observes the run that it is, and writes what it sees."""

    def __init__(
        self,
        prepare: Callable[..., PreparedRun],
        claimed: Claimed,
        surroundings: Surroundings,
        data_dir: DataDir,
        writer: Writer,
        faults: FaultPoints,
        shorten: Callable[[str], str],
    ) -> None:
        self._prepare = prepare
        self._claimed = claimed
        self._run = (claimed.run_id, claimed.attempt)
        self._surroundings = surroundings
        self._data_dir = data_dir
        self._writer = writer
        self._faults = faults
        self._shorten = shorten  # makes the paths in a message relative
        self._place = data_dir.runs / claimed.run_id
        self._stage = ""
        self._progress = 0.0
        self._told = time.monotonic()

    def work(self) -> None:
        """Bring the run to an end, and store that.

        Raises
            StorageError where the database is closed before it could be stored.
        """
        extra = {"run_id": self._claimed.run_id}
        log.info("attempt %d begins", self._claimed.attempt, extra=extra)
        try:
            end = self._execute()
        except RunCancelled:
            self._give_up()
        except Exception as fault:  # noqa: BLE001  # whatever it is, the run must end
            self._fail(fault)
        else:
            if not self._writer.submit(end, lasting=True).result():
                self._withdraw()
        log.info("attempt %d ended", self._claimed.attempt, extra=extra)

    def _execute(self) -> Callable[[Transaction], bool]:
        """Run to artifacts; return what stores that the run has completed."""
        claimed = self._claimed
        if claimed.code_version != code_version():
            message = (
                f"the program has changed: asked of {claimed.code_version}, now {code_version()}"
            )
            raise ChangedError("CODE_CHANGED", message)
        config = json.loads(claimed.config_text)
        prepared = self._prepare(config, observer=self, cancelled=self._cancelled)
        if prepared.identity.candle_digest != claimed.candle_digest:
            message = "the candles are no longer those that the run was asked for with"
            raise ChangedError("DATA_CHANGED", message)
        if prepared.identity.run_hash != claimed.run_hash:
            message = "a plugin of the run is no longer the one that it was asked for with"
            raise ChangedError("CODE_CHANGED", message)
        self._clear_place()
        result = prepared.execute(self._place, self._data_dir.tmp)
        self._faults.passing("renamed")
        return self._completed(result)

    def _clear_place(self) -> None:
        """Move away what is in the run's place, unless a crash left this very run there."""
        try:
            if not self._place.exists() or (
                read_manifest(self._place)["run_hash"] == self._claimed.run_hash
                and verify(self._place).ok
            ):
                return
        except VerificationError:
            pass
        set_aside(self._place, self._data_dir)

    def _completed(self, result: BacktestResult) -> Callable[[Transaction], bool]:
        assert result.manifest is not None
        metrics, validation = figures(summary_document(result))
        return transitions.complete(
            *self._run,
            metrics=metrics,
            validation=validation,
            manifest_hash=result.manifest["manifest_hash"],
        )

    def _withdraw(self) -> None:
        """Take back what was published in the moment in which somebody cancelled."""
        is_cancelling = transitions.is_cancelling(*self._run)
        if self._writer.submit(is_cancelling, lasting=True).result():
            self._unpublish()
            self._confirm_cancel()

    def _unpublish(self) -> None:
        with contextlib.suppress(StorageError):  # a start finds it there, and removes it
            throw_away(self._place, self._data_dir)

    def _fail(self, fault: Exception) -> None:
        self._unpublish()  # it may have come after the artifacts
        code, message = self._explain(fault)
        work = transitions.fail(*self._run, code, message)
        if not self._writer.submit(work, lasting=True).result():
            self._confirm_cancel()

    def _explain(self, fault: Exception) -> tuple[str, str]:
        """Return an error's code and the sentence for a person."""
        extra = {"run_id": self._claimed.run_id}
        if isinstance(fault, ChangedError):
            return fault.run_code, str(fault)
        if isinstance(fault, OSError) and fault.errno in OF_THE_DISK:
            fault = StorageError.from_os_error("the run's directory", fault)
        if isinstance(fault, StudioError):
            log.info("the run failed: %s", fault, extra=extra)
            return code_of(fault, IN_A_RUN), self._shorten(str(fault))
        if isinstance(fault, MemoryError):
            return "INTERNAL_ERROR", "There is not enough memory for this run."
        incident = secrets.token_hex(6)
        log.error("the run failed", exc_info=fault, extra=extra | {"incident": incident})
        return "INTERNAL_ERROR", f"An error inside Studio (incident {incident}); its log says more."

    def _give_up(self) -> None:
        if self._surroundings.stopping():
            work = transitions.requeue(*self._run, crashed=False)
            self._writer.submit(work, lasting=True).result()
        elif not self._confirm_cancel():
            message = "a run stopped that nobody asked to"
            raise RuntimeError(message)

    def _confirm_cancel(self) -> bool:
        work = transitions.confirm_cancel(*self._run)
        return self._writer.submit(work, lasting=True).result()

    def _cancelled(self) -> bool:
        if self._stage == "artifacts":  # asked before each file is written
            self._faults.passing("artifact_write")
        return self._surroundings.cancelled()

    def _write(self, work: Any, *, lasting: bool = True) -> None:
        self._writer.submit(work, urgent=False, lasting=lasting)

    def stage(self, name: str) -> None:
        """Store that a stage begins."""
        self._stage, self._progress = name, STAGE_STARTS[name]
        self._told = time.monotonic()
        if name == "execution":
            self._faults.passing("running")
        if name != "data_loading":  # it began when the run was taken from the queue
            self._write(transitions.begin_stage(*self._run, name, self._progress))

    def progress(self, fraction: float) -> None:
        """Store how far the run has come, ten times a second at most."""
        self._progress = fraction
        self._tell("progress")

    def validation(self, test: str, completed: int, total: int) -> None:
        """Store how far a test has come, as often as the run's progress at most."""
        data = {"test": test, "completed": completed, "total": total}
        self._tell("validation_progress", data=data)

    def warning(self, warning: RunWarning) -> None:
        """Store a warning."""
        data: dict[str, Any] = {"code": warning.code}
        if warning.count is not None:
            data["count"] = warning.count
        work = transitions.note(*self._run, "warning", message=warning.message, data=data)
        self._write(work)

    def _tell(self, kind: str, **fields: Any) -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_EVERY_S:
            self._told = now
            # Progress that cannot be stored is not kept for later: there will be more.
            work = transitions.note(*self._run, kind, self._progress, **fields)
            self._write(work, lasting=False)
