"""Keeps the panel's state up to date: one thread asks for the list, one follows a run.

The list is asked for more often while something is at work; a run's events come over its stream
and go to Tk together, at most once a tick.
"""

import threading
import time
from typing import Any

from gui.client import Client, GoneError, RefusedError
from gui.inbox import Inbox
from gui.state import State

LIVE = {"queued", "running", "cancelling"}
BUSY_S, IDLE_S = 0.4, 2.0
LISTED = 200
KEPT_EVENTS = 10_000
SETTLED_S = 0.15
JOIN_S = 1.0  # a server that stops has closed its streams, and answers no more


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
        self._earlier: list[_Follower] = []  # whose threads may still wait for a word
        state.on("selected", self._follow)

    def start(self) -> None:
        """Begin to watch."""
        self._lister.start()

    def close(self) -> bool:
        """Stop watching once the server has stopped; tell whether the threads have ended."""
        self._closed.set()
        self._look.set()
        self._leave()
        threads = [follower.thread for follower in self._earlier]
        if self._lister.ident is not None:
            threads.append(self._lister)
        until = time.monotonic() + JOIN_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def look(self) -> None:
        """Ask for the list now: something has been changed by us."""
        self._look.set()

    def _list(self) -> None:
        while not self._closed.is_set():
            runs, online = None, True
            try:
                runs = self._client.get("/runs", {"limit": LISTED})["runs"]
            except RefusedError as fault:  # it is there, if it is not about to end
                online = fault.code != "SHUTTING_DOWN"
            except GoneError:
                online = False
            except Exception as fault:  # noqa: BLE001  # told on Tk's thread; this one goes on
                self._inbox.fail(fault)
                online = False
            self._inbox.put(lambda runs=runs, online=online: self._learn(runs, online))  # type: ignore[misc]
            busy = any(run["status"] in LIVE for run in runs or ())
            self._look.wait(BUSY_S if busy else IDLE_S)
            self._look.clear()

    def _learn(self, runs: list[dict[str, Any]] | None, online: bool) -> None:  # noqa: FBT001  # what was found
        self._state["online"] = online
        if runs is not None:
            self._state["runs"] = runs
        if self._follower is not None and not self._follower.thread.is_alive():
            followed = self._state.run(self._follower.run_id)
            if followed is not None and followed["status"] in LIVE:  # it was started once more
                self._follow(followed["run_id"])

    def _follow(self, run_id: str | None) -> None:
        self._leave()
        self._state["events"] = []
        if run_id is not None and not self._closed.is_set():
            self._follower = _Follower(self._client, self._inbox, self._state, run_id)

    def _leave(self) -> None:
        """Follow no more, without waiting for that."""
        self._earlier = [each for each in self._earlier if each.thread.is_alive()]
        if self._follower is not None:
            self._follower.close()
            self._earlier.append(self._follower)
            self._follower = None


class _Follower:
    """Follows one run; its events arrive together."""

    def __init__(self, client: Client, inbox: Inbox, state: State, run_id: str) -> None:
        self._client, self._inbox, self._state, self.run_id = client, inbox, state, run_id
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self.thread = threading.Thread(target=self._work, name="panel-follow", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()

    def _work(self) -> None:
        try:
            self._read()
        except Exception as fault:  # noqa: BLE001  # told on Tk's thread
            self._inbox.fail(fault)

    def _read(self) -> None:
        if self._stop.wait(
            SETTLED_S
        ):  # who goes through the runs with the keyboard opens no streams
            return
        for event in self._client.follow(self.run_id, 0, self._stop):
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
