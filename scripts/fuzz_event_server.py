"""The server of ``fuzz_events``, which runs nothing, and how it is told and asked."""

import asyncio
import contextlib
import functools
import http.client
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import transitions
from app.creation import create
from app.data_dir import DataDir
from app.executor import Job, Surroundings
from app.fault_points import FaultPoints
from app.removal import Remover
from app.server import Once, Server
from app.settings import read_settings
from app.transitions import Claimed, NewRun
from app.writer import Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future

RETENTION, HEARTBEAT_MS = 2, 250
Work = Callable[[Transaction], Any]
PATIENCE = 40  # heartbeats in a row


class Idle:
    """A job that is at work for ever, without doing anything."""

    def work(self) -> None:
        """Leave the run as it is."""


class Scripted(Server):
    """A server that runs nothing by itself."""

    def __init__(self, data_dir: Path) -> None:
        flags = {"data_dir": data_dir, "port": 0, "workers": 1, "retention": RETENTION}
        more = {"heartbeat_ms": HEARTBEAT_MS, "log_level": "error"}
        super().__init__(read_settings(flags | more, {}), None, FaultPoints({}))
        nothing: Any = Once(lambda: None)
        self._backtests = nothing  # no engine is needed, nor warmed up

    def _job(self, claimed: Claimed, surroundings: Surroundings) -> Job:
        del claimed, surroundings
        return Idle()

    def _ended(self) -> None:
        """Let retention wait until it is told."""

    def submit(self, work: Work) -> "Future[Any]":
        """Let the writer do something."""
        return self._writer.submit(work, urgent=False)

    def trim(self) -> None:
        """Let retention remove what is beyond it."""
        place = DataDir(self.settings.data_dir)
        Remover(self._writer, place, RETENTION, FaultPoints({})).trim()


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of this process's servers, in a thread of its own."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="loop", daemon=True).start()
    return made


def run_id(number: int) -> str:
    """Return the id of one of few runs."""
    return f"{number:020x}"


def resume(seen: int, way: str) -> tuple[str, dict[str, str]]:
    """Return query and headers that ask for what comes after ``seen``."""
    if way == "query":
        return f"?after_id={seen}", {}
    if way == "both":  # the header wins
        return "?after_id=999999", {"Last-Event-ID": str(seen)}
    if way == "padded":
        return "?after_id=0", {"Last-Event-ID": f"000{seen}"}
    return "", {"Last-Event-ID": str(seen)}


def next_event(answer: http.client.HTTPResponse) -> tuple[int, str] | None:
    """Return a stream's next event and its body; None at the end."""
    number: int | None = None
    silent = 0
    while line := answer.readline():
        if line.startswith(b"id: "):
            number = int(line[4:])
        elif line.startswith(b"data: "):
            if number is not None:
                return number, line[6:].rstrip(b"\n").decode()
            silent += 1
            assert silent < PATIENCE, "what is stored does not come"
    return None


def changes(name: str, number: int, attempt: int, amount: int) -> list[Work]:
    """Return the writer's work for a change of a run."""
    which = (run_id(number), attempt)
    new = NewRun(which[0], f"{number:064x}", "FUZZ", {"symbol": "FUZZ"}, "0" * 64, "1")
    is_there = amount % 2 == 0
    said: dict[str, Any] = {"message": "ünïcode\n\u2028", "data": {"code": "x"}}
    work: dict[str, Work] = {
        "create": _allowed(create(new, None, queue_limit=99, is_there=lambda _: is_there)),
        "claim": transitions.claim,
        "stage": transitions.begin_stage(*which, "feature_compute", 0.1),
        "progress": transitions.note(*which, "progress", 0.5),
        "warning": transitions.note(*which, "warning", **said),
        "complete": transitions.complete(
            *which, metrics={}, validation=None, manifest_hash="0" * 64
        ),
        "fail": transitions.fail(*which, "INTERNAL_ERROR", "No."),
        "cancel": transitions.ask_to_cancel(which[0]),
        "confirm": transitions.confirm_cancel(*which),
        "requeue": transitions.requeue(*which, crashed=is_there),
    }
    return [work[name]] * (amount if name == "progress" else 1)


def _allowed(work: Work) -> Work:
    """Return work that may be refused, as one that is being cancelled is."""

    def tried(transaction: Transaction) -> Any:
        with contextlib.suppress(Exception):
            return work(transaction)
        return None

    return tried
