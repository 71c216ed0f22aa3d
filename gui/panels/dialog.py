"""A window in front of the main one, which waits for it."""

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from gui.panel import Panel
from gui.theme import pixels

WIDTH = 300  # of its words, in points
FIELDS = {"TEntry", "TCombobox", "TSpinbox"}


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
            self.body, style=style, text=text, wraplength=pixels(self, WIDTH), justify="left"
        )
        label.pack(fill="x", pady=(4, 0))
        return label

    def buttons(self, text: str, command: Callable[[], None]) -> ttk.Button:
        """Add Cancel, and the button that does what the dialog is for; Return in a field does."""
        row = ttk.Frame(self.body)
        row.pack(fill="x", pady=(pixels(self, 8), 0))
        done = ttk.Button(row, text=text, style="Accent.TButton", command=command)
        done.pack(side="right")
        self.cancel_button = ttk.Button(row, text="Cancel", command=self.destroy)
        self.cancel_button.pack(side="right", padx=(0, 8))
        self.cancel_button.lower(done)  # with the keyboard, too, it comes first
        for key in ("<Return>", "<KP_Enter>"):
            self.bind(
                key, lambda event: done.invoke() if event.widget.winfo_class() in FIELDS else None
            )
        return done
