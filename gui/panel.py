"""What every part of the window works with."""

import tkinter as tk
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tkinter import ttk
from typing import Any, TypeVar

from gui.client import Client, GoneError, RefusedError
from gui.inbox import Inbox
from gui.outside import show_outside
from gui.state import State
from gui.theme import Palette
from gui.watcher import Watcher

T = TypeVar("T")


@dataclass
class Panel:
    """The window's means: what is known, the way to the server, colours, and a place for words."""

    root: tk.Tk
    client: Client
    inbox: Inbox
    state: State
    watcher: Watcher
    palette: Palette
    data_dir: Path
    notice: tk.StringVar = field(init=False)
    is_complaint: bool = field(init=False, default=False)
    dress_notice: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        self.notice = tk.StringVar(self.root)
        self.dress_notice = lambda: None

    def say(self, text: str, *, is_complaint: bool = False) -> None:
        """Show a sentence at the bottom of the window."""
        self.is_complaint = is_complaint
        self.dress_notice()
        self.notice.set(text)

    def complain(self, text: str) -> None:
        """Show there what has gone wrong."""
        self.say(text, is_complaint=True)

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Do ``work`` on another thread, then ``then`` with what it gave; a failure is said."""
        self.inbox.ask(work, then, failed or (lambda fault: self.complain(in_words(fault))))

    def load(self, topic: Any, path: str, key: str | None = None) -> None:
        """Ask the server for a topic anew."""

        def learn(answer: Any) -> None:
            self.state[topic] = answer if key is None else answer[key]

        self.ask(lambda: self.client.get(path), learn)

    def show_folder(self, folder: Path) -> None:
        """Show a folder in the system's file manager."""
        failed = f"No file manager could be started. The folder is {folder}."
        self.ask(lambda: show_outside(str(folder)), lambda _: None, lambda _: self.complain(failed))

    def show_page(self, address: str) -> None:
        """Show a page in the system's browser."""
        failed = f"No browser could be started. The address is {address}."
        self.ask(lambda: show_outside(address), lambda _: None, lambda _: self.complain(failed))

    def load_catalog(self) -> None:
        """Ask the server for the catalog, once."""

        def learn(answer: Any) -> None:
            self.state["catalog"] = answer

        self.ask(self.client.catalog, learn)


def in_words(fault: Exception) -> str:
    """Return what a person should read about a failure."""
    if isinstance(fault, GoneError):
        return "The server does not answer."
    if isinstance(fault, RefusedError) and len(fault.faults) > 1:
        return "; ".join(f"{each.field}: {each.message}" for each in fault.faults) + "."
    if isinstance(fault, OSError):
        return f"The file cannot be used: {(fault.strerror or 'unreadable').lower()}."
    text = str(fault)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def fill_width(table: ttk.Treeview, name: str, least: int) -> None:
    """Let one column of a table have what the others leave of its width; Tk only widens them."""

    def fit(_: object) -> None:
        shown = table["displaycolumns"]
        names = table["columns"] if tuple(shown) == ("#all",) else shown
        others = sum(int(table.column(each, "width")) for each in names if each != name)
        table.column(name, width=max(table.winfo_width() - others - 4, least))

    table.bind("<Configure>", fit, add=True)


def scrolled(parent: tk.Misc, make: Callable[[tk.Misc], Any]) -> Any:
    """Return what ``make`` makes of a frame, beside a scroll bar; the frame fills its parent."""
    frame = ttk.Frame(parent)
    frame.pack(fill="both", expand=True)
    inner = make(frame)
    bar = ttk.Scrollbar(frame, orient="vertical", command=inner.yview)
    inner.configure(yscrollcommand=bar.set)
    bar.pack(side="right", fill="y")
    inner.pack(side="left", fill="both", expand=True)
    return inner
