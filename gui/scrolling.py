"""A frame that scrolls: by its bar, the wheel over anything in it, and the keyboard's focus."""

import tkinter as tk
from tkinter import ttk

from gui.window_system import name_of, wheel_notches

WHEEL_EVENTS = ("<MouseWheel>", "<Button-4>", "<Button-5>")
STEP = 3  # units of scrolling for a notch of the wheel


class Scroller(ttk.Frame):
    """Shows as much of ``inside`` as there is room for; ``adopt`` after adding widgets to it."""

    def __init__(self, parent: tk.Misc, background: str) -> None:
        super().__init__(parent)
        self.canvas = tk.Canvas(
            self, width=1, height=1, highlightthickness=0, borderwidth=0, background=background
        )
        bar = ttk.Scrollbar(self, orient="vertical", command=self.canvas.yview)
        self.canvas.configure(yscrollcommand=bar.set, yscrollincrement=8)
        bar.pack(side="right", fill="y")
        self.canvas.pack(side="left", fill="both", expand=True)
        self.inside = ttk.Frame(self.canvas, padding=(0, 0, 8, 0))
        self._window = self.canvas.create_window(0, 0, anchor="nw", window=self.inside)
        self.inside.bind("<Configure>", lambda _: self._measure())
        self.canvas.bind("<Configure>", self._widen)
        self._tag = f"Scroller{self}"
        for event in WHEEL_EVENTS:
            self.bind_class(self._tag, event, self._wheel)
        self.bind_class(self._tag, "<FocusIn>", lambda event: self.show(event.widget))
        self.adopt()

    def adopt(self) -> None:
        """Let every widget inside scroll; before its own ways, so that a wheel changes no value."""
        waiting: list[tk.Misc] = [self.canvas]
        while waiting:
            widget = waiting.pop()
            waiting += widget.winfo_children()
            tags = widget.bindtags()
            if self._tag not in tags:
                widget.bindtags((self._tag, *tags))

    def show(self, widget: tk.Misc) -> None:
        """Scroll just so far that a widget is seen."""
        self.update_idletasks()
        top = widget.winfo_rooty() - self.inside.winfo_rooty()
        bottom = top + widget.winfo_height()
        seen = self.canvas.canvasy(0)
        height, whole = self.canvas.winfo_height(), max(self.inside.winfo_height(), 1)
        if top < seen:
            self.canvas.yview_moveto(top / whole)
        elif bottom > seen + height:
            self.canvas.yview_moveto((bottom - height) / whole)

    def _measure(self) -> None:
        self.canvas.configure(scrollregion=self.canvas.bbox("all"))

    def _widen(self, event: "tk.Event[tk.Canvas]") -> None:
        self.canvas.itemconfigure(self._window, width=event.width)

    def _wheel(self, event: "tk.Event[tk.Misc]") -> str:
        turned = -STEP * wheel_notches(name_of(self), event.num, event.delta)
        if self.inside.winfo_height() > self.canvas.winfo_height():
            self.canvas.yview_scroll(round(turned) or (turned > 0) - (turned < 0), "units")
        return "break"
