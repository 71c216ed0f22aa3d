"""A tab of results: what it shows of a run, or a sentence in its place."""

import tkinter as tk
from collections.abc import Callable, Mapping
from tkinter import ttk
from typing import Any

from gui.client import Client
from gui.panel import Panel
from gui.theme import pixels

Run = Mapping[str, Any]
Key = tuple[str, str]


class Pane(ttk.Frame):
    """One tab. ``read`` is called on another thread, everything else on Tk's.

    ``key`` is the run, and its manifest's hash, that is shown or being read.
    """

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent)
        self.panel = panel
        self.key: Key | None = None
        self.body = ttk.Frame(self)
        self._note = ttk.Frame(self, padding=pixels(parent, 14))
        self.sentence = ttk.Label(self._note, style="Muted.TLabel", anchor="nw", justify="left")
        self.sentence.pack(side="top", fill="x")
        self.again = ttk.Button(self._note, text="Try again")
        self._note.bind("<Configure>", self._wrap)
        self.say("")

    def read(self, client: Client, run: Run) -> Any:
        """Return what the pane shows of a completed run; raises as ``client.get``."""
        raise NotImplementedError

    def show(self, found: Any) -> None:
        """Show what ``read`` has returned."""
        raise NotImplementedError

    def say(self, text: str, again: Callable[[], None] | None = None) -> None:
        """Show a sentence, and where a failure can be tried again, a button for that."""
        if self.sentence["text"] != text:
            self.sentence.configure(text=text)
        if again is None:
            self.again.pack_forget()
        else:
            self.again.configure(command=again)
            self.again.pack(side="top", anchor="w", pady=(pixels(self, 8), 0))
        self.body.pack_forget()
        self._note.pack(fill="both", expand=True)

    def reveal(self) -> None:
        """Put the content where a sentence was."""
        self._note.pack_forget()
        self.body.pack(fill="both", expand=True)

    def _wrap(self, event: "tk.Event[tk.Misc]") -> None:
        self.sentence.configure(wraplength=max(event.width - pixels(self, 30), 80))


def label_that_wraps(parent: tk.Misc, **options: Any) -> ttk.Label:
    """Return a label whose text breaks at its own width."""
    label = ttk.Label(parent, anchor="nw", justify="left", **options)
    label.bind("<Configure>", lambda event: label.configure(wraplength=max(event.width - 4, 80)))
    return label
