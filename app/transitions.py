"""Every change of a run's state, each a job for the writer: the row and its event in one commit.

    queued → running → completed | failed | cancelled     cancelling in between, deleting at the end

A transition names the state it starts from; where the run is in another one, it changes nothing
and says so. So two that race are decided by the database alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.strict_json import compact
from app.writer import Transaction, now_ms

LIVE = ("queued", "running", "cancelling")
TERMINAL = ("completed", "failed", "cancelled")
STATUSES = (*LIVE, *TERMINAL)
# Retention counts them apart.
COMPLETED, OTHERS = "= 'completed'", "IN ('failed', 'cancelled')"
DELETING = "deleting"
# A run that takes the process down with it is given up after so many times in a row.
MAX_CRASHES = 5
# Beyond this progress is dropped, so that what matters always fits under 10,000.
MAX_PROGRESS_SEQ = 9_900


@dataclass(frozen=True)
class NewRun:
    """A checked configuration and who the run would be."""

    run_id: str
    run_hash: str
    symbol: str
    config: Mapping[str, Any]
    candle_digest: str
    code_version: str


@dataclass(frozen=True)
class Claimed:
    """A run that a worker has taken from the queue."""

    run_id: str
    run_hash: str
    attempt: int
    config_text: str
    candle_digest: str
    code_version: str


def claim(transaction: Transaction) -> Claimed | None:
    """Take the first run of the queue, and begin its first stage; None where there is none."""
    row = transaction.row(
        "UPDATE runs SET status = 'running', stage = 'data_loading', progress = 0, started_ts = ?"
        " WHERE run_id = (SELECT run_id FROM runs WHERE status = 'queued' ORDER BY place LIMIT 1)"
        " RETURNING run_id, hash, attempt, config, candle_digest, code_version",
        (now_ms(),),
    )
    if row is None:
        return None
    transaction.add_event(row["run_id"], "stage", stage="data_loading", progress=0.0)
    return Claimed(
        row["run_id"], row["hash"], row["attempt"], row["config"],
        row["candle_digest"], row["code_version"],
    )  # fmt: skip


def begin_stage(
    run_id: str, attempt: int, stage: str, progress: float
) -> Callable[[Transaction], None]:
    """Note that a running run begins a stage."""

    def work(transaction: Transaction) -> None:
        changed = transaction.execute(
            "UPDATE runs SET stage = ?, progress = ? WHERE run_id = ? AND attempt = ?"
            " AND status IN ('running', 'cancelling')",
            (stage, progress, run_id, attempt),
        )
        if changed.rowcount:
            transaction.add_event(run_id, "stage", stage=stage, progress=progress)

    return work


def note(
    run_id: str, attempt: int, kind: str, progress: float | None = None, **fields: Any
) -> Callable[[Transaction], None]:
    """Log a ``progress``, ``validation_progress`` or ``warning`` of a run that is at work."""

    def work(transaction: Transaction) -> None:
        row = transaction.row(
            "UPDATE runs SET progress = coalesce(?, progress) WHERE run_id = ? AND attempt = ?"
            " AND status IN ('running', 'cancelling') RETURNING stage, last_seq",
            (progress, run_id, attempt),
        )
        if row is not None and (kind == "warning" or row["last_seq"] < MAX_PROGRESS_SEQ):
            transaction.add_event(run_id, kind, stage=row["stage"], progress=progress, **fields)

    return work


def complete(
    run_id: str,
    attempt: int,
    *,
    metrics: Mapping[str, Any],
    validation: Mapping[str, Any] | None,
    manifest_hash: str,
) -> Callable[[Transaction], bool]:
    """End a running run well; False where it is not running any more."""

    def work(transaction: Transaction) -> bool:
        changed = transaction.execute(
            "UPDATE runs SET status = 'completed', progress = 1, finished_ts = ?, error = NULL,"
            " metrics = ?, validation = ?, manifest_hash = ?, crashes = 0"
            " WHERE run_id = ? AND attempt = ? AND status = 'running'",
            (
                _finished_ts(transaction, COMPLETED), compact(metrics),
                None if validation is None else compact(validation),
                manifest_hash, run_id, attempt,
            ),
        )  # fmt: skip
        if changed.rowcount:
            data = {"manifest_hash": manifest_hash}
            transaction.add_event(run_id, "completed", progress=1.0, data=data)
        return bool(changed.rowcount)

    return work


def fail(run_id: str, attempt: int, code: str, message: str) -> Callable[[Transaction], bool]:
    """End a running run with an error; False where it is not running any more."""

    def work(transaction: Transaction) -> bool:
        changed = transaction.execute(
            "UPDATE runs SET status = 'failed', finished_ts = ?, error = ?"
            " WHERE run_id = ? AND attempt = ? AND status = 'running'",
            (
                _finished_ts(transaction, OTHERS),
                compact({"code": code, "message": message}),
                run_id,
                attempt,
            ),
        )
        if changed.rowcount:
            transaction.add_event(run_id, "failed", message=message, data={"code": code})
        return bool(changed.rowcount)

    return work


def ask_to_cancel(run_id: str) -> Callable[[Transaction], tuple[str, str, int] | None]:
    """Cancel a queued run, ask a running one to stop; return status before, after, and attempt."""

    def work(transaction: Transaction) -> tuple[str, str, int] | None:
        row = transaction.row("SELECT status, attempt FROM runs WHERE run_id = ?", (run_id,))
        if row is None or row["status"] == DELETING:
            return None
        before = after = row["status"]
        if before == "queued":
            after = "cancelled"
            _cancel(transaction, run_id)
        elif before == "running":
            after = "cancelling"
            transaction.execute("UPDATE runs SET status = ? WHERE run_id = ?", (after, run_id))
        return before, after, row["attempt"]

    return work


def confirm_cancel(run_id: str, attempt: int) -> Callable[[Transaction], bool]:
    """End a run that was asked to stop; False where nobody asked."""

    def work(transaction: Transaction) -> bool:
        asked = is_cancelling(run_id, attempt)(transaction)
        if asked:
            _cancel(transaction, run_id)
        return asked

    return work


def is_cancelling(run_id: str, attempt: int) -> Callable[[Transaction], bool]:
    """Tell whether a run has been asked to stop."""

    def work(transaction: Transaction) -> bool:
        row = transaction.row(
            "SELECT 1 FROM runs WHERE run_id = ? AND attempt = ? AND status = 'cancelling'",
            (run_id, attempt),
        )
        return row is not None

    return work


def _cancel(transaction: Transaction, run_id: str) -> None:
    transaction.execute(
        "UPDATE runs SET status = 'cancelled', finished_ts = ? WHERE run_id = ?",
        (_finished_ts(transaction, OTHERS), run_id),
    )
    transaction.add_event(run_id, "cancelled")


def _finished_ts(transaction: Transaction, kind: str) -> int:
    """Return the time, or what comes after the last of that kind where the clock went back.

    Retention goes by it, and must never take the run that has just ended for the oldest.
    """
    row = transaction.row(f"SELECT max(finished_ts) FROM runs WHERE status {kind}")  # noqa: S608  # a constant
    assert row is not None
    return max(now_ms(), 1 + (row[0] or 0))


def requeue(run_id: str, attempt: int, *, crashed: bool) -> Callable[[Transaction], None]:
    """Put a running run back into its place, or end it where it has crashed too often.

    One that was asked to stop is cancelled.
    """

    def work(transaction: Transaction) -> None:
        row = transaction.row(
            "SELECT status, crashes FROM runs WHERE run_id = ? AND attempt = ?", (run_id, attempt)
        )
        if row is None or row["status"] not in {"running", "cancelling"}:
            return
        crashes = row["crashes"] + 1 if crashed else 0
        if row["status"] == "cancelling":
            _cancel(transaction, run_id)
        elif crashes >= MAX_CRASHES:
            message = f"the program ended {crashes} times in a row while this run was running"
            fail(run_id, attempt, "INTERRUPTED", message)(transaction)
        else:
            transaction.execute(
                "UPDATE runs SET status = 'queued', stage = NULL, progress = 0, crashes = ?,"
                " attempt = attempt + 1, requested = 0, queued_ts = ?, started_ts = NULL"
                " WHERE run_id = ?",
                (crashes, now_ms(), run_id),
            )
            reason = "crash" if crashed else "stop"
            transaction.add_event(run_id, "requeued", data={"reason": reason})

    return work


def begin_delete(
    run_id: str, finished_ts: int | None = None
) -> Callable[[Transaction], str | None]:
    """Hide a finished run; return the status it had, None where there is none.

    With ``finished_ts`` only the run that ended then: it may have been made anew since.
    """

    def work(transaction: Transaction) -> str | None:
        row = transaction.row("SELECT status, finished_ts FROM runs WHERE run_id = ?", (run_id,))
        if row is None or row["status"] == DELETING:
            return None
        if finished_ts not in {None, row["finished_ts"]}:
            return None
        status: str = row["status"]
        if status in TERMINAL:
            transaction.execute("UPDATE runs SET status = ? WHERE run_id = ?", (DELETING, run_id))
        return status

    return work


def finish_delete(run_id: str) -> Callable[[Transaction], None]:
    """Remove a hidden run's row, events and keys."""

    def work(transaction: Transaction) -> None:
        gone = transaction.execute(
            "DELETE FROM runs WHERE run_id = ? AND status = ?", (run_id, DELETING)
        )
        if gone.rowcount:
            transaction.execute("DELETE FROM events WHERE run_id = ?", (run_id,))
            transaction.execute("DELETE FROM idempotency_keys WHERE run_id = ?", (run_id,))
            transaction.removed.append(run_id)

    return work


def hidden(transaction: Transaction) -> list[str]:
    """Return the runs whose removal has begun."""
    rows = transaction.execute("SELECT run_id FROM runs WHERE status = ?", (DELETING,))
    return [row["run_id"] for row in rows]


def surplus(keep: int) -> Callable[[Transaction], list[tuple[str, int]]]:
    """Return the runs beyond the newest ``keep`` completed and as many failed and cancelled.

    Each by its id and when it ended.
    """

    def work(transaction: Transaction) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for kind in (COMPLETED, OTHERS):
            rows = transaction.execute(
                f"SELECT run_id, finished_ts FROM runs WHERE status {kind}"  # noqa: S608  # constants
                " ORDER BY finished_ts DESC, run_id DESC LIMIT -1 OFFSET ?",
                (keep,),
            )
            found += [(row["run_id"], row["finished_ts"]) for row in rows]
        return found

    return work


def take_in(
    new: NewRun,
    *,
    finished_ts: int,
    metrics: Mapping[str, Any],
    validation: Mapping[str, Any] | None,
    manifest_hash: str,
) -> Callable[[Transaction], None]:
    """Enter a completed run whose directory was found without a row."""

    def work(transaction: Transaction) -> None:
        transaction.execute(
            "INSERT INTO runs (run_id, hash, status, stage, progress, attempt, crashes, place,"
            " requested, symbol, created_ts, queued_ts, started_ts, finished_ts, config, metrics,"
            " validation, candle_digest, code_version, manifest_hash, last_seq)"
            " VALUES (?, ?, 'completed', 'artifacts', 1, 1, 0, 0, 0, ?, ?, ?, NULL, ?, ?, ?, ?, ?,"
            " ?, ?, 0)",
            (
                new.run_id, new.run_hash, new.symbol, now_ms(), finished_ts, finished_ts,
                compact(new.config), compact(metrics),
                None if validation is None else compact(validation),
                new.candle_digest, new.code_version, manifest_hash,
            ),
        )  # fmt: skip
        data = {"manifest_hash": manifest_hash}
        message = "taken back in from its directory"
        transaction.add_event(new.run_id, "completed", progress=1.0, message=message, data=data)

    return work
