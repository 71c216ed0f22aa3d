"""``studio desktop``: the server and the panel in one process, from the first window to the last.

Tk owns the main thread, the server has a thread of its own. Every way to end goes through ``stop``:
the window closes, what runs goes back to its place in the queue, the server stops, Tk goes.
"""

import contextlib
import logging
import os
import signal
import sys
import time
import tkinter as tk
from collections.abc import Iterator, Mapping
from typing import Any

from app.data_dir import DataDir, HeldError, StartError
from app.fault_points import FaultPoints
from app.runtime_file import read_runtime
from app.server import Server, Started
from app.settings import Settings, read_settings, take_token
from app.token_file import obtain_token
from gui.client import Client, GoneError, RefusedError
from gui.server_thread import ServerThread
from gui.window import Window

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
OTHER_S = 5.0
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
    root = _make_root()
    try:
        desktop = Desktop(root, settings, token)
    except HeldError as held:
        root.destroy()
        _show_other(settings, held, token)
        return
    except BaseException:
        root.destroy()
        raise
    if not desktop.run():
        # A thread that is still at work would keep the process waiting for it.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _make_root() -> tk.Tk:
    try:
        root = tk.Tk(className="Studio")
    except tk.TclError:
        raise StartError("There is no display to show a window on; use studio serve.") from None
    root.withdraw()
    _roots.append(root)
    return root


class Desktop:
    """One window and its server; everything belongs to the main thread."""

    def __init__(self, root: tk.Tk, settings: Settings, token: str | None) -> None:
        self.root = root
        self._ending = False
        self._all_ended = True
        server = Server(settings, token, FaultPoints(os.environ), self._show_soon)
        self._server = ServerThread(server, self._died)
        started = self._server.start()
        self.window = Window(
            root,
            Client(started.url, started.token.token),
            settings=settings,
            quit_program=self.stop,
        )
        root.protocol("WM_DELETE_WINDOW", self.stop)
        with contextlib.suppress(tk.TclError):  # only some window systems have sessions
            root.protocol("WM_SAVE_YOURSELF", self.stop)
        self._say(started)

    def run(self) -> bool:
        """Show the window until it is closed; tell whether nothing was left at work."""
        self.window.start()
        self.root.deiconify()
        with _signals(self._end_soon):
            self.root.mainloop()
        return self._all_ended

    def stop(self) -> None:
        """End everything, once."""
        if self._ending:
            return
        self._ending = True
        self.root.withdraw()
        self.root.update_idletasks()
        self._all_ended = self._server.stop()
        self.window.close()
        self.root.destroy()

    def _say(self, started: Started) -> None:
        for note in started.notes:
            self.window.panel.say(note)
        if sys.stdout is not None:  # a windowed program has none on some systems
            sys.stdout.write(f"Studio's panel is open; it serves at {started.url}\n")
            sys.stdout.flush()

    def _end_soon(self) -> None:
        """End with Tk's next look at its queue: called by a signal, in the main thread."""
        self.window.panel.inbox.put(self.stop)

    def _show_soon(self) -> None:
        """Show the window; called on the server's thread."""
        self.window.panel.inbox.put(self.window.show)

    def _died(self) -> None:
        """Tell that the server has ended by itself; called on its thread as it ends."""
        log.error("the server's thread has ended")
        self.window.panel.inbox.put(
            lambda: self.window.panel.say("The server has ended; studio.log says more.")
        )


def _show_other(settings: Settings, held: HeldError, token: str | None) -> None:
    """Have the panel that holds the data directory show its window, and say where it serves.

    Raises
        HeldError where no server comes up in five seconds.
    """
    until = time.monotonic() + OTHER_S
    while True:
        holder = read_runtime(settings.data_dir) or held.holder
        if holder is not None:
            known = obtain_token(token, settings.token_file, DataDir(settings.data_dir)).token
            try:
                Client(holder.url, known).post("/panel/show")
            except RefusedError:  # a server without a panel
                break
            except GoneError:  # only starting, or about to end
                pass
            else:
                break
        if time.monotonic() > until:
            raise held
        time.sleep(0.1)
    if sys.stdout is not None:
        sys.stdout.write(f"Studio is running already, at {holder.url}\n")


@contextlib.contextmanager
def _signals(end: Any) -> Iterator[None]:
    """Let each of the signals that end a program end this one; Tk's ticks let Python see them."""
    before = {}
    for name in SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and not (
            name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN
        ):
            before[number] = signal.signal(number, lambda *_: end())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
