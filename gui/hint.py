"""What may stand in the field in use, in a place that never changes its height."""

import tkinter as tk
from tkinter import font, ttk

from gui.theme import pixels

LINES = 3


class Hint(ttk.Frame):
    """A few lines of words, so wide in points; nothing jumps when they change."""

    def __init__(self, parent: tk.Misc, points: float) -> None:
        line = font.nametofont("TkDefaultFont", parent).metrics("linespace")
        wide = pixels(parent, points)
        super().__init__(parent, height=LINES * line, width=wide)
        self.pack_propagate(False)  # noqa: FBT003  # Tk's way
        self._words = ttk.Label(
            self, style="Muted.TLabel", wraplength=wide, justify="left", anchor="nw"
        )
        self._words.pack(fill="both")

    def say(self, text: str) -> None:
        """Show a hint."""
        self._words.configure(text=text)
