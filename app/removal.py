"""Runs that go: on request, by retention, and what a crash or a cancel left in their place.

Nothing torn is ever listed: the row is hidden, the directory renamed into ``tmp/``, the row
removed, then the files. A start finishes what was begun.
"""

import contextlib
import logging
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from app import transitions
from app.data_dir import DataDir
from app.fault_points import FaultPoints
from app.transitions import TERMINAL
from app.writer import Writer
from engine.durable import move, sync_folder
from engine.errors import StorageError

log = logging.getLogger("studio.retention")


def set_aside(path: Path, data_dir: DataDir) -> Path:
    """Move something found in ``runs/`` into ``orphans/``, under a name that is free there.

    Raises
        StorageError where it cannot be moved.
    """
    return _move(path, data_dir.orphans)


def throw_away(path: Path, data_dir: DataDir) -> None:
    """Take a run's directory out of ``runs/`` in one step, then remove it; none is fine.

    Raises
        StorageError where it cannot be moved.
    """
    with contextlib.suppress(FileNotFoundError):
        _remove(_move(path, data_dir.tmp))


def _move(path: Path, folder: Path) -> Path:
    target = folder / path.name
    if target.exists() or target.is_symlink():
        target = folder / f"{path.name}.{secrets.token_hex(4)}"
    try:
        move(path, target)
        sync_folder(path.parent)
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise StorageError.from_os_error("the run's directory", fault) from None
    return target


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)  # what stays goes at the next start
    else:
        path.unlink(missing_ok=True)


class Remover:
    """Removes runs; its methods wait for the disk, so they are called off the event loop."""

    def __init__(
        self, writer: Writer, data_dir: DataDir, retention: int, faults: FaultPoints
    ) -> None:
        self._writer = writer
        self._data_dir = data_dir
        self._retention = retention
        self._faults = faults

    def remove(self, run_id: str, finished_ts: int | None = None) -> str | None:
        """Remove a finished run; return the status it had, None where there is none.

        With ``finished_ts`` only the run that ended then.

        Raises
            StorageError where the place does not allow it; what was begun is finished at a start.
        """
        status = self._writer.submit(transitions.begin_delete(run_id, finished_ts)).result()
        if status in TERMINAL:
            self.finish(run_id)
        return status

    def finish(self, run_id: str) -> None:
        """Remove a run that is hidden already; raises as ``remove`` does."""
        moved: Path | None = None
        try:
            self._faults.passing("trimming")
            with contextlib.suppress(FileNotFoundError):
                moved = _move(self._data_dir.runs / run_id, self._data_dir.tmp)
            self._faults.passing("trimming")
        except OSError as fault:
            raise StorageError.from_os_error("the run's directory", fault) from None
        # Not lasting: a stop waits for this thread, and the next trim or start tries it again.
        self._writer.submit(transitions.finish_delete(run_id)).result()
        if moved is not None:
            _remove(moved)

    def trim(self) -> None:
        """Remove what is beyond the newest completed, and the newest failed and cancelled, runs.

        What an earlier removal could not finish is tried again. Raises StorageError where the
        database does not allow it.
        """
        for run_id in self._writer.submit(transitions.hidden).result():
            self._try(self.finish, run_id)
        for run_id, ts in self._writer.submit(transitions.surplus(self._retention)).result():
            self._try(self.remove, run_id, ts)

    def _try(self, remove: Callable[..., object], run_id: str, *arguments: int) -> None:
        try:
            remove(run_id, *arguments)
        except (StorageError, OSError) as fault:
            log.warning("could not be removed: %s", fault, extra={"run_id": run_id})
