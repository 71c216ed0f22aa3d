"""Keeps the panel's state up to date: one thread asks for the list, one follows a run.

The list is asked for more often while something is at work; a run's events come over its stream
and go to Tk together, at most once a tick.
"""

import threading
from typing import Any

from gui.client import Client, GoneError, RefusedError
from gui.inbox import Inbox
from gui.state import State

LIVE = {"queued", "running", "cancelling"}
BUSY_S, IDLE_S = 0.4, 2.0
LISTED = 200
KEPT_EVENTS = 10_000
JOIN_S = 2.5  # the server speaks every two seconds, and closes its streams when it stops


class Watcher:
    """Two threads that only read; ``start`` and ``close`` belong to Tk's."""

    def __init__(self, client: Client, inbox: Inbox, state: State) -> None:
        self._client = client
        self._inbox = inbox
        self._state = state
        self._closed = threading.Event()
        self._look = threading.Event()
        self._lister = threading.Thread(target=self._list, name="panel-list", daemon=True)
        self._follower: _Follower | None = None
        state.on("selected", self._follow)

    def start(self) -> None:
        """Begin to watch."""
        self._lister.start()

    def close(self) -> None:
        """Stop watching; the threads end with the next word from the server, or at once."""
        self._closed.set()
        self._look.set()
        if self._follower is not None:
            self._follower.close()
            self._follower.join()
        if self._lister.ident is not None:
            self._lister.join()

    def look(self) -> None:
        """Ask for the list now: something has been changed by us."""
        self._look.set()

    def _list(self) -> None:
        while not self._closed.is_set():
            try:
                runs = self._client.get("/runs", {"limit": LISTED})["runs"]
                online = True
            except (GoneError, RefusedError):
                runs, online = None, False
            self._inbox.put(lambda runs=runs, online=online: self._learn(runs, online))  # type: ignore[misc]
            busy = any(run["status"] in LIVE for run in runs or ())
            self._look.wait(BUSY_S if busy else IDLE_S)
            self._look.clear()

    def _learn(self, runs: list[dict[str, Any]] | None, online: bool) -> None:  # noqa: FBT001  # what was found
        self._state["online"] = online
        if runs is not None:
            self._state["runs"] = runs

    def _follow(self, run_id: str | None) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        self._state["events"] = []
        if run_id is not None and not self._closed.is_set():
            self._follower = _Follower(self._client, self._inbox, self._state, run_id)


class _Follower:
    """Follows one run; its events arrive together."""

    def __init__(self, client: Client, inbox: Inbox, state: State, run_id: str) -> None:
        self._client, self._inbox, self._state, self._run_id = client, inbox, state, run_id
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._work, name="panel-follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the thread, which may have to wait for the server's next word."""
        self._thread.join(JOIN_S)

    def _work(self) -> None:
        for event in self._client.follow(self._run_id, 0, self._stop):
            if event["type"] == "heartbeat":
                continue
            with self._lock:
                self._waiting.append(event)
                is_first = len(self._waiting) == 1
            if is_first:
                self._inbox.put(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            arrived, self._waiting = self._waiting, []
        if not self._stop.is_set():
            self._state["events"] = [*self._state["events"], *arrived][-KEPT_EVENTS:]
