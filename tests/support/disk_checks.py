"""What tests of a full disk look at: the states, the events and the files of a run."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asked_runs import FAST, WAIT_S

from app.database import open_for_reading
from engine.records import STAGES

# About a second of replicates on this machine, in which a disk can fill up and be freed again.
SLOW = FAST | {"validation": {"permutation": {"n": 15_000}}}


def status(data_dir: Path, run_id: str) -> str:
    with contextlib.closing(open_for_reading(data_dir / "studio.db")) as connection:
        row = connection.execute("SELECT status FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return str(row[0])


def assert_whole(server: Any, run_id: str, attempt: int = 1) -> None:
    """Check that a run's events are numbered without a gap and that every stage came once."""
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    of_last = [event for event in events if event.data.get("attempt") == attempt]
    assert [e.data["stage"] for e in of_last if e.type == "stage"] == list(STAGES)
    times = [event.data["ts"] for event in events]
    assert times == sorted(times)
    assert server.get(f"/runs/{run_id}/verify").json["ok"]


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
