"""``studio runs``: what the service has run, read from its database without a lock."""

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.data_dir import DataDir
from app.database import SCHEMA_VERSION, open_for_reading
from app.local_runs import RUNS, runs_here
from app.run_records import Selection, list_runs
from app.settings import read_settings
from app.terminal import Output
from app.transitions import STATUSES
from app.utc_time import from_ms
from engine.errors import ConfigError, DataError
from engine.wording import counted

WORDS = ("run", "symbol", "timeframe", "strategy", "status")
FIGURES = (
    ("return", "total_return", "{:+.1%}"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("max drawdown", "max_drawdown", "{:.1%}"),
    ("p", "permutation_p_value", "{:.3f}"),
)


def runs_command(data_dir: Path | None, status: str | None, limit: int, *, as_json: bool) -> None:
    """Print the newest runs.

    Raises
        ConfigError for a status that there is not; DataError where the database cannot be read.
    """
    if status is not None and status not in STATUSES:
        raise ConfigError.of("--status", f"should be one of {', '.join(STATUSES)}")
    settings = read_settings({"data_dir": data_dir})
    page = _read(DataDir(settings.data_dir).db, Selection(limit=limit, status=status))
    if as_json:
        sys.stdout.write(json.dumps(page, indent=2, sort_keys=True) + "\n")
        return
    if not page["runs"]:
        kind = "" if status is None else f" that are {status}"
        output = Output()
        output.print(Text(f"There are no runs{kind}: 'studio serve' takes them, over HTTP."))
        if n := runs_here():
            lie, them = ("is", "it by its id") if n == 1 else ("are", "them by their ids")
            output.print(
                Text(
                    f"{counted(n, 'run')} of 'studio run' {lie} in ./{RUNS}; "
                    f"verify, report and export find {them}."
                )
            )
        return
    table = Table(box=box.SIMPLE_HEAD)
    for title in WORDS:
        # An id stays on one line, so that it can be copied.
        table.add_column(title, overflow="fold", min_width=20 if title == "run" else None)
    for title in ("progress", *(title for title, _, _ in FIGURES)):
        table.add_column(title, justify="right")
    table.add_column("queued (UTC)")
    for run in page["runs"]:
        table.add_row(*_cells(run))
    Output().print(table)


def _read(db: Path, selection: Selection) -> dict[str, Any]:
    if not db.exists():
        return {"runs": [], "next_cursor": None}
    try:
        with closing(open_for_reading(db)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                age = "a newer" if version > SCHEMA_VERSION else "an older"
                message = f"the database was written by {age} Studio"
                raise DataError(message)
            return list_runs(connection, selection)
    except sqlite3.Error:
        message = "the database of runs cannot be read; 'studio serve' sets a damaged one aside"
        raise DataError(message) from None


def _cells(run: Mapping[str, Any]) -> list[str]:
    found = run["metrics"] or {}
    figures = [
        "" if found.get(name) is None else form.format(found[name]) for _, name, form in FIGURES
    ]
    status = run["status"] if run["error"] is None else f"failed: {run['error']['code']}"
    queued = from_ms(run["queued_ts"]).strftime("%Y-%m-%d %H:%M:%S")
    named = [run[name] or "" for name in ("run_id", "symbol", "timeframe", "strategy")]
    return [*named, status, f"{run['progress']:.0%}", *figures, queued]
