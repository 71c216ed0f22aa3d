"""How a run comes to be asked for: found or queued, bound to a key, in one transaction.

So 40 requests for the same run at once make one, whatever the order in which they arrive.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.api_errors import ApiError
from app.strict_json import compact
from app.transitions import DELETING, NewRun
from app.writer import Transaction, now_ms
from engine.wording import counted

KEY_LIFE_MS = 24 * 3_600_000


@dataclass(frozen=True)
class Key:
    """An idempotency key and the SHA-256 of the body that came with it."""

    key: str
    body_hash: str


@dataclass(frozen=True)
class Created:
    """The run that a request made or found."""

    run_id: str
    run_hash: str
    status: str
    attempt: int
    reused: bool


class BeingDeletedError(Exception):
    """The run is on its way out; it can be made anew in a moment."""


def create(
    new: NewRun, key: Key | None, *, queue_limit: int, is_there: Callable[[str], bool]
) -> Callable[[Transaction], Created]:
    """Queue a run, or find it where it is queued, running or completed already.

    ``is_there`` tells whether a completed run's directory still exists. Raises ``ApiError`` where
    the queue is full or the run is being cancelled, ``BeingDeletedError`` while it goes.
    """

    def work(transaction: Transaction) -> Created:
        if key is not None and (bound := bound_to(transaction.row, key)) is not None:
            return bound
        row = transaction.row("SELECT * FROM runs WHERE run_id = ?", (new.run_id,))
        if row is not None and row["status"] == DELETING:
            raise BeingDeletedError
        if row is not None and row["status"] == "cancelling":
            message = "this run is being cancelled; try again in a moment"
            raise ApiError("RUN_CANCELLING", message)
        status = None if row is None else row["status"]
        reused = status in {"queued", "running"} or (status == "completed" and is_there(new.run_id))
        if not reused:
            _check_queue(transaction, queue_limit)
            _queue(transaction, new, known=row is not None)
        if key is not None:
            forget_old_keys(transaction)
            transaction.execute(
                "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?)",
                (key.key, key.body_hash, new.run_id, now_ms()),
            )
        return _created(transaction.row, new.run_id, reused=reused)

    return work


Row = Callable[[str, tuple[Any, ...]], sqlite3.Row | None]


def bound_to(row: Row, key: Key) -> Created | None:
    """Return the run that a key is bound to; None where it is free, or about to be.

    Raises
        ApiError where it came with another body.
    """
    found = row(
        "SELECT body_hash, run_id FROM idempotency_keys JOIN runs USING (run_id)"
        " WHERE key = ? AND idempotency_keys.created_ts >= ? AND status != ?",
        (key.key, now_ms() - KEY_LIFE_MS, DELETING),
    )
    if found is None:
        return None
    if found["body_hash"] != key.body_hash:
        message = "this Idempotency-Key came with another body before"
        raise ApiError("IDEMPOTENCY_KEY_REUSED", message)
    return _created(row, found["run_id"], reused=True)


def _created(row: Row, run_id: str, *, reused: bool) -> Created:
    found = row("SELECT hash, status, attempt FROM runs WHERE run_id = ?", (run_id,))
    assert found is not None, "removing a run removes its keys"
    return Created(run_id, found["hash"], found["status"], found["attempt"], reused)


def _check_queue(transaction: Transaction, queue_limit: int) -> None:
    found = transaction.row("SELECT count(*) FROM runs WHERE status = 'queued' AND requested = 1")
    assert found is not None
    if found[0] >= queue_limit:
        message = f"at most {counted(queue_limit, 'run')} may wait; try again when some are done"
        raise ApiError("QUEUE_FULL", message, headers={"Retry-After": "1"})


def _queue(transaction: Transaction, new: NewRun, *, known: bool) -> None:
    now = now_ms()
    last = transaction.row("SELECT coalesce(max(place), 0) FROM runs")
    assert last is not None
    if known:
        transaction.execute(
            "UPDATE runs SET status = 'queued', stage = NULL, progress = 0, attempt = attempt + 1,"
            " crashes = 0, place = ?, requested = 1, queued_ts = ?, started_ts = NULL,"
            " finished_ts = NULL, error = NULL, metrics = NULL, validation = NULL,"
            " manifest_hash = NULL WHERE run_id = ?",
            (last[0] + 1, now, new.run_id),
        )
    else:
        transaction.execute(
            "INSERT INTO runs (run_id, hash, status, progress, attempt, crashes, place, requested,"
            " symbol, created_ts, queued_ts, config, candle_digest, code_version, last_seq)"
            " VALUES (?, ?, 'queued', 0, 1, 0, ?, 1, ?, ?, ?, ?, ?, ?, 0)",
            (
                new.run_id, new.run_hash, last[0] + 1, new.symbol, now, now,
                compact(new.config), new.candle_digest, new.code_version,
            ),
        )  # fmt: skip
    transaction.add_event(new.run_id, "queued")


def forget_old_keys(transaction: Transaction) -> None:
    """Free the keys that have had their day."""
    transaction.execute(
        "DELETE FROM idempotency_keys WHERE created_ts < ?", (now_ms() - KEY_LIFE_MS,)
    )
