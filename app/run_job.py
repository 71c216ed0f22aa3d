"""One attempt at a run, on a worker's thread: what it does becomes events, what ends it a state."""

import contextlib
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
from app.writer import Writer
from engine.artifacts import read_manifest, summary_document, verify
from engine.code import code_version
from engine.errors import RunCancelled, StorageError, StudioError, VerificationError
from engine.pipeline import STAGE_STARTS, PreparedRun
from engine.records import BacktestResult, RunWarning

PROGRESS_EVERY_S = 0.1
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
            result = self._execute()
        except RunCancelled:
            self._give_up()
        except Exception as fault:  # noqa: BLE001  # whatever it is, the run must end
            self._fail(fault)
        else:
            self._complete(result)
        log.info("attempt %d ended", self._claimed.attempt, extra=extra)

    def _execute(self) -> BacktestResult:
        claimed = self._claimed
        if claimed.code_version != code_version():
            message = f"the run was asked of {claimed.code_version}, this is {code_version()}"
            raise ChangedError("CODE_CHANGED", message)
        prepared = self._prepare(claimed.config, observer=self, cancelled=self._cancelled)
        if prepared.identity.candle_digest != claimed.candle_digest:
            message = "the candles are no longer those that the run was asked for with"
            raise ChangedError("DATA_CHANGED", message)
        if prepared.identity.run_hash != claimed.run_hash:
            message = "a plugin of the run is no longer the one that it was asked for with"
            raise ChangedError("CODE_CHANGED", message)
        self._clear_place()
        return prepared.execute(self._place, self._data_dir.tmp)

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

    def _complete(self, result: BacktestResult) -> None:
        self._faults.passing("renamed")
        assert result.manifest is not None
        metrics, validation = figures(summary_document(result))
        work = transitions.complete(
            *self._run,
            metrics=metrics,
            validation=validation,
            manifest_hash=result.manifest["manifest_hash"],
        )
        if not self._writer.submit(work, lasting=True).result():
            self._withdraw()

    def _withdraw(self) -> None:
        """Take back what was published in the moment in which somebody cancelled."""
        is_cancelling = transitions.is_cancelling(*self._run)
        if self._writer.submit(is_cancelling, lasting=True).result():
            with contextlib.suppress(StorageError):  # a start finds it there, and removes it
                throw_away(self._place, self._data_dir)
            self._confirm_cancel()

    def _fail(self, fault: Exception) -> None:
        code, message = self._explain(fault)
        work = transitions.fail(*self._run, code, message)
        if not self._writer.submit(work, lasting=True).result():
            self._confirm_cancel()

    def _explain(self, fault: Exception) -> tuple[str, str]:
        """Return an error's code and the sentence for a person."""
        extra = {"run_id": self._claimed.run_id}
        if isinstance(fault, ChangedError):
            return fault.run_code, str(fault)
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
        else:
            self._confirm_cancel()

    def _confirm_cancel(self) -> None:
        self._writer.submit(transitions.confirm_cancel(*self._run), lasting=True).result()

    def _cancelled(self) -> bool:
        if self._stage == "artifacts":  # asked before each file is written
            self._faults.passing("artifact_write")
        return self._surroundings.cancelled()

    def _write(self, work: Any) -> None:
        self._writer.submit(work, urgent=False, lasting=True)

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
            self._write(transitions.note(*self._run, kind, self._progress, **fields))
