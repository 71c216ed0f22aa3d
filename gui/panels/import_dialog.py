"""The dialog that asks what a file of candles is."""

import re
import tkinter as tk
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tkinter import ttk
from typing import Any

from gui.client import RefusedError
from gui.forms import Fields, Look, show_faults
from gui.panel import Panel, in_words
from gui.panels.run_fields import importing
from gui.theme import pixels

ENDINGS = re.compile(r"(\.(csv|tsv|txt|parquet|pq))?(\.gz)?$", re.IGNORECASE)


def guess_name(name: str, timeframes: Collection[str]) -> tuple[str, str]:
    """Return symbol and timeframe as a file's name tells them: ``SPX_1d.csv``; the latter or ""."""
    stem = ENDINGS.sub("", name)
    symbol, _, tail = stem.rpartition("_")
    if symbol and tail.lower() in timeframes:
        return symbol, tail.lower()
    return stem, ""


class Dialog(tk.Toplevel):
    """A window in front of the main one, which waits for it; Escape closes it."""

    def __init__(self, panel: Panel, title: str) -> None:
        super().__init__(panel.root, background=panel.palette.window)
        self._panel = panel
        self.withdraw()
        self.title(title)
        self.transient(panel.root)
        self.resizable(width=False, height=False)
        self.body = ttk.Frame(self, padding=pixels(self, 10))
        self.body.pack(fill="both", expand=True)
        self.bind("<Escape>", lambda _: self.destroy())

    def show(self, first: tk.Misc) -> None:
        """Bring it up over the middle of the main window, the keyboard in ``first``."""
        self.update_idletasks()
        root = self._panel.root
        left = root.winfo_rootx() + (root.winfo_width() - self.winfo_reqwidth()) // 2
        top = root.winfo_rooty() + (root.winfo_height() - self.winfo_reqheight()) // 3
        self.geometry(f"+{max(left, 0)}+{max(top, 0)}")
        self.deiconify()
        self.wait_visibility()
        self.grab_set()
        first.focus_set()

    def line(self, style: str, text: str = "") -> ttk.Label:
        """Add a line of words."""
        label = ttk.Label(
            self.body, style=style, text=text, wraplength=pixels(self, 300), justify="left"
        )
        label.pack(fill="x", pady=(4, 0))
        return label

    def buttons(self, text: str, command: Callable[[], None]) -> ttk.Button:
        """Add Cancel, and the button that does what the dialog is for."""
        row = ttk.Frame(self.body)
        row.pack(fill="x", pady=(pixels(self, 8), 0))
        done = ttk.Button(row, text=text, style="Accent.TButton", command=command)
        done.pack(side="right")
        ttk.Button(row, text="Cancel", command=self.destroy).pack(side="right", padx=(0, 8))
        return done


class ImportDialog(Dialog):
    """Asks what a file is; ``send`` is called with symbol, timeframe and what else was said."""

    def __init__(
        self,
        panel: Panel,
        path: Path,
        send: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        super().__init__(panel, "Import candles")
        self._send = send
        schema = importing(panel.state["catalog"]["config"])
        symbol, timeframe = guess_name(path.name, schema["properties"]["timeframe"]["enum"])
        heading = ttk.Label(self.body, text=path.name, style="Heading.TLabel")
        heading.pack(anchor="w", pady=(0, 6))
        self._hint = ttk.Label(
            self.body, style="Muted.TLabel", wraplength=pixels(self, 300), justify="left"
        )
        self.form = Fields(self.body, schema, Look(panel.palette, self._hint_text), "")
        self.form.fill({"symbol": symbol, "timeframe": timeframe})
        self.form.pack(fill="x")
        self._hint.pack(fill="x", pady=(4, 0))
        self._hint_text("")
        self.problem = self.line("Error.TLabel")
        self.import_button = self.buttons("Import", self.confirm)
        self.show(self.form.fields["symbol"].widget)

    def _hint_text(self, text: str) -> None:
        self._hint.configure(text=text + "\n" * (len(text) < 45))

    def confirm(self) -> None:
        """Import the file as the fields say."""
        self._tell(None)
        said = self.form.values()
        symbol, timeframe = said.pop("symbol"), said.pop("timeframe")
        if not timeframe:
            self.problem.configure(text="Say how long a bar of this file is.")
            return
        if not symbol:
            self.problem.configure(text="Say what the data set should be called.")
            return
        self.import_button.state(["disabled"])
        self._send(symbol, timeframe, said)

    def refuse(self, fault: Exception) -> None:
        """Show what the server says against the file; it can be sent again, said otherwise."""
        if self.winfo_exists():
            self.import_button.state(["!disabled"])
            self._tell(fault)

    def _tell(self, fault: Exception | None) -> None:
        faults = fault.faults if isinstance(fault, RefusedError) else []
        _, others = show_faults(self.form.by_path(), faults)
        in_general = fault is not None and (others or not faults)
        self.problem.configure(text=in_words(fault) if fault and in_general else "")
