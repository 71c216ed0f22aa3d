"""What a start does about the end before it: runs go on, removals are finished, directories count.

Runs before the server listens, on the main thread; it waits for each of its writes.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import transitions
from app.creation import forget_old_keys
from app.data_dir import DataDir
from app.removal import Remover, set_aside, throw_away
from app.transitions import DELETING, TERMINAL, NewRun
from app.writer import Transaction, Writer

# Returns who the run in a directory is and what to enter for it, None where it does not verify.
Reader = Callable[[Path], tuple[NewRun, dict[str, Any]] | None]
log = logging.getLogger("studio.recovery")


@dataclass(frozen=True)
class Recovered:
    """What was found: runs that wait, and directories that were taken in or set aside."""

    n_queued: int
    taken_in: tuple[str, ...]
    set_aside: tuple[str, ...]


def recover(
    writer: Writer, data_dir: DataDir, remover: Remover, load_reader: Callable[[], Reader]
) -> Recovered:
    """Bring rows and directories into agreement; ``load_reader`` is called only where it is needed.

    Raises
        StorageError where the place does not allow it.
    """
    statuses = writer.submit(_settle_rows).result()
    for run_id, status in list(statuses.items()):
        if status == DELETING:
            remover.finish(run_id)
            del statuses[run_id]
    taken_in, aside = _settle_directories(writer, data_dir, statuses, load_reader)
    remover.trim()
    n_queued = sum(status == "queued" for status in statuses.values())
    return Recovered(n_queued, taken_in, aside)


def _settle_rows(transaction: Transaction) -> dict[str, str]:
    """Put back what was running, forget old keys; return the status of every run."""
    forget_old_keys(transaction)
    interrupted = transaction.execute(
        "SELECT run_id, attempt FROM runs WHERE status IN ('running', 'cancelling')"
    ).fetchall()
    for run_id, attempt in interrupted:
        log.info("was at work when the program ended", extra={"run_id": run_id})
        transitions.requeue(run_id, attempt, crashed=True)(transaction)
    return {row["run_id"]: row["status"] for row in transaction.execute("SELECT * FROM runs")}


def _settle_directories(
    writer: Writer, data_dir: DataDir, statuses: dict[str, str], load_reader: Callable[[], Reader]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    taken_in: list[str] = []
    aside: list[str] = []
    for path in sorted(data_dir.runs.iterdir()):
        status = statuses.get(path.name)
        if status is None:
            found = load_reader()(path) if path.is_dir() and not path.is_symlink() else None
            if found is None:
                aside.append(set_aside(path, data_dir).name)
            else:
                new, arguments = found
                writer.submit(transitions.take_in(new, **arguments)).result()
                taken_in.append(path.name)
        elif status in TERMINAL and status != "completed":
            # It ended otherwise in the moment between publishing and storing.
            throw_away(path, data_dir)
    return tuple(taken_in), tuple(aside)
