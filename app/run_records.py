"""Runs as they are read: one, or a page of them; on whichever thread owns the connection."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.api_errors import ApiError
from app.data_dir import RUN_ID
from app.transitions import DELETING, LIVE

# One damaged configuration must not keep the others from being listed.
READABLE = "CASE WHEN json_valid(config) THEN config END"
LISTED = (
    "run_id, hash, status, stage, progress, attempt, symbol,"
    f" json_extract({READABLE}, '$.timeframe') AS timeframe,"
    f" json_extract({READABLE}, '$.strategy.name') AS strategy,"
    " queued_ts, started_ts, finished_ts, error, metrics, validation, candle_digest,"
    " code_version, manifest_hash"
)
JSON_COLUMNS = ("error", "metrics", "validation", "config")
Cursor = tuple[int, str]


class Connection(Protocol):
    """What reads: a connection, or a transaction of the writer's."""

    def execute(self, sql: str, parameters: tuple[Any, ...] = ..., /) -> sqlite3.Cursor:
        """Execute one statement."""


@dataclass(frozen=True)
class Selection:
    """Which runs to list, newest first."""

    limit: int = 50
    status: str | None = None
    symbol: str | None = None
    after: Cursor | None = None


def read_run(connection: sqlite3.Connection, run_id: str) -> dict[str, Any] | None:
    """Return a run as the API shows it, None where there is none."""
    row = connection.execute(
        f"SELECT {LISTED}, config FROM runs WHERE run_id = ? AND status != ?",  # noqa: S608  # a constant
        (run_id, DELETING),
    ).fetchone()
    return None if row is None else _shown(row)


def list_runs(connection: sqlite3.Connection, selection: Selection) -> dict[str, Any]:
    """Return ``{runs, next_cursor}``, newest first; the configurations are left out."""
    conditions: list[str] = ["status != ?"]
    values: list[Any] = [DELETING]
    if selection.status is not None:
        conditions.append("status = ?")
        values.append(selection.status)
    if selection.symbol is not None:
        conditions.append("symbol = ?")
        values.append(selection.symbol)
    if selection.after is not None:
        conditions.append("(queued_ts, run_id) < (?, ?)")
        values += selection.after
    rows = connection.execute(
        f"SELECT {LISTED} FROM runs WHERE {' AND '.join(conditions)}"  # noqa: S608  # constants
        " ORDER BY queued_ts DESC, run_id DESC LIMIT ?",
        (*values, selection.limit + 1),
    ).fetchall()
    shown = rows[: selection.limit]
    more = len(rows) > selection.limit
    cursor = to_cursor((shown[-1]["queued_ts"], shown[-1]["run_id"])) if more else None
    return {"runs": [_shown(row) for row in shown], "next_cursor": cursor}


def live_configs(connection: Connection, symbol: str) -> list[dict[str, Any]]:
    """Return the configurations of the runs of a symbol that have not finished."""
    rows = connection.execute(
        f"SELECT config FROM runs WHERE symbol = ? AND status IN ({', '.join('?' * len(LIVE))})",  # noqa: S608  # marks
        (symbol, *LIVE),
    )
    return [json.loads(row["config"]) for row in rows]


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    run = dict(row)
    for name in JSON_COLUMNS:
        if run.get(name) is not None:
            run[name] = json.loads(run[name])
    return run


def to_cursor(place: Cursor) -> str:
    """Return a place in the list as opaque text."""
    text = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def from_cursor(text: str) -> Cursor:
    """Return the place that ``to_cursor`` wrote.

    Raises
        ApiError where it did not.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        place: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        place = None
    match place:
        case [int(queued_ts), str(run_id)] if (
            not isinstance(queued_ts, bool)
            and 0 <= queued_ts < 1 << 53
            and RUN_ID.fullmatch(run_id)
            and to_cursor((queued_ts, run_id)) == text
        ):
            return queued_ts, run_id
    message = "cursor is not one that this server gave out"
    raise ApiError("INVALID_CURSOR", message)


def figures(summary: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return a run's headline metrics and what its tests found, from its ``summary.json``.

    The figures of a plugin's test stand beside the metrics and replace none of them.
    """
    metrics, found = dict(summary["metrics"]), dict(summary["validation"])
    besides = {name: figure for name, figure in found.items() if name not in metrics}
    return {**metrics, **besides}, found or None
