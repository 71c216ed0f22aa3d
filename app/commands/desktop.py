"""``studio desktop``: the server and the panel in one process, from the first window to the last.

Tk owns the main thread, the server has a thread of its own. Every way to end goes through ``stop``:
the window closes, what runs goes back to its place in the queue, the server stops, Tk goes.
"""

import contextlib
import logging
import os
import signal
import sqlite3
import sys
import time
import tkinter as tk
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from app.commands.holding import say
from app.commands.serve import NETWORK, allow_many_files, ending_signals
from app.data_dir import DataDir, HeldError, StartError
from app.database import open_for_reading
from app.fault_points import FaultPoints
from app.memory import use_one_heap
from app.runtime_file import RuntimeFile, is_alive, read_runtime, remove_runtime
from app.server import PortError, Server, Started
from app.settings import SETTINGS_FILE, Settings, read_settings, take_token
from app.token_file import known_token
from gui.client import Client, GoneError, RefusedError
from gui.garbage import collect_as_ever, collect_here_alone, collect_some
from gui.server_thread import ServerThread
from gui.window import Window
from gui.window_system import (
    ask_for_real_pixels,
    follow_the_system,
    name_of,
    scale_as_elsewhere,
    when_the_screen_is_lost,
)

OTHER_S, PAUSE_S = 5.0, 0.1
FAREWELL_S = 1.0
TICK_MS = 100
log = logging.getLogger("studio.panel")
# Tk aborts the process where a destroyed root is collected in another thread: it is kept here.
_roots: list[tk.Tk] = []


def desktop_command(flags: Mapping[str, Any]) -> None:
    """Show the panel until it is closed; a second start shows the first one's instead.

    Raises
        ConfigError, StartError, StorageError where it cannot start.
    """
    settings = read_settings(flags)
    token = take_token(os.environ)
    os.umask(0o077)  # nothing that is written is for others
    allow_many_files()
    use_one_heap()
    root = make_root()
    told: list[int] = []
    with _signals(told) as keep_ignoring:
        try:
            desktop = _start(root, settings, token, told)
        except BaseException:
            _let_go(root)
            raise
        if desktop is None:
            _let_go(root)
            return
        all_ended = desktop.run()
        keep_ignoring()
    if not all_ended:
        # A thread that is still at work would keep the process waiting for it.
        logging.shutdown()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(0)


def make_root() -> tk.Tk:
    """Return Tk's first window, not shown yet.

    Raises
        StartError where there is nothing to show it on.
    """
    ask_for_real_pixels()
    try:
        root = tk.Tk(className="Studio")
    except tk.TclError as fault:
        if "display" in str(fault):
            message = "There is no display to show a window on; use studio serve."
        else:
            message = "Tk cannot start on this machine; install it anew, or use studio serve."
        raise StartError(message) from None
    root.withdraw()
    scale_as_elsewhere(root, name_of(root))
    _roots.append(root)
    return root


def _let_go(root: tk.Tk) -> None:
    """Destroy a window that was never shown, with nothing left that would look for it."""
    root.update_idletasks()
    root.destroy()


class Desktop:
    """One window and its server; everything belongs to the main thread.

    ``told`` is filled by signals; one of them ends the program.
    """

    def __init__(
        self, root: tk.Tk, settings: Settings, token: str | None, told: Sequence[int] = ()
    ) -> None:
        self.root = root
        self._settings = settings
        self._told = told
        self._is_wanted = self._is_dead = self._ending = self._is_seen = False
        self._ticking: str | None = None
        self._all_ended = True
        server = Server(settings, token, FaultPoints(os.environ), self._show_soon)
        self._instance_id = server.instance_id
        self._server = ServerThread(server, self._died)
        collect_here_alone()
        try:
            started = self._server.start()
            n_left = _n_waiting(settings)
            client = Client(started.url, started.token.token)
            self.window = Window(root, client, settings=settings, quit_program=self.close)
        except BaseException:
            self._server.stop()
            collect_as_ever()
            raise
        root.protocol("WM_DELETE_WINDOW", self.close)
        when_the_screen_is_lost(name_of(root), self._end_unseen)
        follow_the_system(root, name_of(root), self.stop, self.window.show)
        self._say(started, n_left)

    def run(self) -> bool:
        """Show the window until it is closed; tell whether nothing was left at work."""
        try:
            self.window.start()
            self._tick()
            if not self._ending:
                self.root.deiconify()
                self.root.mainloop()
        finally:
            self.stop()  # whatever has ended Tk's loop
        return self._all_ended

    def close(self) -> None:
        """End everything, as a person asks, who is told if a run goes on later."""
        self._is_seen = True
        self.stop()

    def _end_unseen(self) -> NoReturn:
        """End without the window, whose screen is gone; X11 lets nothing go on after that."""
        if not self._server.stop():
            remove_runtime(self._settings.data_dir, self._instance_id)
        logging.shutdown()
        os._exit(0)

    def stop(self) -> None:
        """End everything, once."""
        if self._ending:
            return
        self._ending = True
        try:
            with contextlib.suppress(tk.TclError):  # the window may be gone
                if self._ticking is not None:
                    self.root.after_cancel(self._ticking)
                self.root.withdraw()
                self.root.update_idletasks()
            n_left = _n_waiting(self._settings)
            with contextlib.suppress(tk.TclError):
                if n_left and self._is_seen:
                    self.window.say_farewell(f"{_runs(n_left)} at the next start.")
            seen_until = time.monotonic() + FAREWELL_S * bool(n_left and self._is_seen)
            self._all_ended = self._server.stop()
            if not self._all_ended:  # then the server may not have come that far
                remove_runtime(self._settings.data_dir, self._instance_id)
            with contextlib.suppress(tk.TclError):
                self._all_ended &= self.window.close()
            if n_left:
                _print(f"{_runs(n_left)} at the next start.")
            time.sleep(max(0.0, seen_until - time.monotonic()))
        finally:
            when_the_screen_is_lost("x11" if sys.platform.startswith("linux") else "", None)
            with contextlib.suppress(tk.TclError):
                self.root.destroy()
            collect_as_ever()

    def _tick(self) -> None:
        """Look what others have left to do here; Python sees signals only while it is at work."""
        if self._told:
            self.stop()
            return
        self._ticking = self.root.after(TICK_MS, self._tick)
        collect_some()
        if self._is_wanted:
            self._is_wanted = False
            self.window.show()
        if self._is_dead:
            self._is_dead = False
            self.window.warn_of_the_end()

    def _say(self, started: Started, n_left: int) -> None:
        notes = [*started.notes]
        if not started.local:
            notes.append(NETWORK)
        with contextlib.suppress(OSError):  # nobody has to read it there
            say(notes)
        if n_left:
            notes.append(f"{_runs(n_left)} from the last time.")
        if notes:
            self.window.panel.say(" ".join(notes))
        _print(f"Studio's panel is open; it serves at {started.url}")

    def _show_soon(self) -> None:
        """Show the window; called on the server's thread."""
        self._is_wanted = True

    def _died(self) -> None:
        """Tell that the server has ended by itself; called on its thread as it ends."""
        self._is_dead = True


def _start(
    root: tk.Tk, settings: Settings, token: str | None, told: Sequence[int]
) -> Desktop | None:
    """Return the panel; None where the one that holds the data directory shows its window.

    Raises
        StartError where the holder neither answers nor ends in five seconds.
    """
    until = time.monotonic() + OTHER_S
    while True:
        try:
            return Desktop(root, settings, token, told)
        except PortError as fault:  # who double-clicks gives no flags
            place = settings.data_dir / SETTINGS_FILE
            raise StartError(f"{fault} Or write port = 0 into {place}.") from None
        except HeldError as held:
            holder = read_runtime(settings.data_dir)
            if holder is not None and not is_alive(holder.pid):  # of a process that was killed
                holder = None
            left = until - time.monotonic()
            if holder is not None and left > 0 and _shown(holder, settings, token, left):
                return None
            if told:
                raise KeyboardInterrupt from None
            if time.monotonic() > until:
                raise _silent(held, holder) from None
        time.sleep(PAUSE_S)


def _shown(holder: RuntimeFile, settings: Settings, token: str | None, timeout_s: float) -> bool:
    """Have a server show its panel, and say where it serves; False where it does not answer.

    Raises
        StartError where it has another token.
    """
    other = f"Studio is running already, at {holder.url}, with another token; end it first."
    known = known_token(token, settings.token_file, DataDir(settings.data_dir))
    if known is None:
        raise StartError(other)
    try:
        health = Client(holder.url, "", timeout_s).get("/health")
        if health["instance_id"] != holder.instance_id:  # to whom our token is nothing
            return False
        Client(holder.url, known.token, timeout_s).post("/panel/show")
    except RefusedError as refusal:
        if refusal.status in {401, 403}:
            raise StartError(other) from None
        if refusal.status != 404:  # it is about to end
            return False
        _print(f"Studio is running already, at {holder.url}, but without a panel.")
        return True
    except (GoneError, LookupError, TypeError):  # it is only starting, or about to end
        return False
    _print(f"Studio is running already, at {holder.url}")
    return True


def _silent(held: HeldError, holder: RuntimeFile | None) -> StartError:
    if holder is None:
        return held
    return StartError(
        f"Studio is running already (pid {holder.pid}) but does not answer at {holder.url}; "
        "end it first, or choose another data directory with --data-dir."
    )


def _n_waiting(settings: Settings) -> int:
    """Return how many runs there are that are neither done nor given up."""
    place = DataDir(settings.data_dir).db
    wanted = "SELECT count(*) FROM runs WHERE status IN ('queued', 'running')"
    try:
        with contextlib.closing(open_for_reading(place)) as connection:
            return int(connection.execute(wanted).fetchone()[0])
    except sqlite3.Error:  # it is only for a sentence
        return 0


def _runs(n: int) -> str:
    return "A run goes on" if n == 1 else f"{n} runs go on"


def _print(line: str) -> None:
    """Print a line for whoever still reads."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _signals(told: list[int]) -> Iterator[Any]:
    """Keep in ``told`` each signal that ends a program.

    Yields what has them ignored from the end on: a second one finds the program ended already.
    """
    before: dict[int, Any] = {}
    for number in ending_signals():
        before[number] = signal.signal(number, lambda got, _: told.append(got))

    def keep_ignoring() -> None:
        before.update(dict.fromkeys(before, signal.SIG_IGN))

    try:
        yield keep_ignoring
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
