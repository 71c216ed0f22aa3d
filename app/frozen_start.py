"""How the bundle's program for double-clicking starts."""

import contextlib
import io
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

from app.cli import main

MAX_SAID = 2_000


def start_desktop(arguments: Sequence[str]) -> int:
    """Open the panel, or run the command that the arguments name, and return the exit code.

    Who has double-clicked it has no terminal, and Windows gives such a program no streams at all:
    what it would have said of a failed start is then shown in a window.
    """
    beside = sys.stderr
    if beside is not None and (arguments or beside.isatty()):
        return main(arguments or ["desktop"])
    said = sys.stderr = Said(beside)
    code = main(arguments or ["desktop"])
    if code and said.getvalue():
        show(said.getvalue())
    return code


class Said(io.StringIO):
    """A stream that keeps the last of what was written, and passes it on where there is another."""

    def __init__(self, beside: TextIO | None) -> None:
        super().__init__()
        self._beside = beside

    def write(self, text: str) -> int:
        """Add a text, and forget what is too long ago."""
        kept = (self.getvalue() + text)[-MAX_SAID:]
        self.seek(0)
        self.truncate()
        super().write(kept)
        if self._beside is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody reads there; it is shown
                self._beside.write(text)
                self._beside.flush()
        return len(text)


def show(message: str) -> None:
    """Show a message in a window of its own, where there can be one."""
    try:
        import tkinter as tk  # noqa: PLC0415  # only here, and only after a failure
        from tkinter import messagebox  # noqa: PLC0415  # as above
    except ImportError:
        return
    try:
        root = tk.Tk()
    except tk.TclError:
        return
    # While it is shown Python is not asked: what ends the program must end it at once.
    with contextlib.suppress(ValueError):  # outside of the main thread there is nothing to set
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
    root.withdraw()
    messagebox.showerror("Studio", message.strip().removeprefix("studio: "), parent=root)
    root.destroy()
