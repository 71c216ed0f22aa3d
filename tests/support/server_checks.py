"""What tests of a start look at: a data directory, its database, and the events of a run."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asked_runs import FAST, WAIT_S

from app.database import open_for_reading

Start = Callable[..., Any]
SLOW = FAST | {"validation": {"permutation": {"n": 10_000}}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(data_dir: Path, sql: str) -> list[Any]:
    with contextlib.closing(open_for_reading(data_dir / "studio.db")) as connection:
        return [tuple(row) for row in connection.execute(sql)]


def change(data_dir: Path, sql: str, *parameters: Any) -> None:
    """Change the database of a server that does not run."""
    with contextlib.closing(sqlite3.connect(data_dir / "studio.db", isolation_level=None)) as db:
        db.execute(sql, parameters)


def assert_gapless(server: Any, run_id: str) -> list[str]:
    """Return the types of a run's events, which must be numbered without a gap."""
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.data["seq"] for event in events] == [event.id for event in events]
    return [event.type for event in events]


def stages(server: Any, run_id: str, attempt: int) -> list[str]:
    return [
        event.data["stage"]
        for event in server.events(run_id)
        if event.type == "stage" and event.data["attempt"] == attempt
    ]


def crash(server: Any) -> None:
    server.process.kill()
    server.process.wait(WAIT_S)
