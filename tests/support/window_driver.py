"""What a trader does to the window: click, type, run something."""

import tkinter as tk
from collections.abc import Callable
from typing import Any

from gui.forms import Field
from gui.window import Window

Until = Callable[[Callable[[], object]], None]
Press = Callable[[tk.Misc, str], None]
QUICK: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}


def click(widget: tk.Misc, x: int | None = None, y: int | None = None) -> None:
    """Press and release the mouse on a widget, in its middle unless said."""
    widget.update()
    assert widget.winfo_viewable()
    x = widget.winfo_width() // 2 if x is None else x
    y = widget.winfo_height() // 2 if y is None else y
    widget.event_generate("<Enter>", x=x, y=y)
    widget.event_generate("<Motion>", x=x, y=y)
    widget.event_generate("<ButtonPress-1>", x=x, y=y)
    if widget.winfo_exists():
        widget.event_generate("<ButtonRelease-1>", x=x, y=y)


def type_into(widget: tk.Misc, text: str, press: Press) -> None:
    """Replace what stands in a field, key by key."""
    press(widget, "Home")
    press(widget, "Shift-End")
    press(widget, "Delete")
    for letter in text:
        press(widget, {"-": "minus", ".": "period", " ": "space"}.get(letter, letter))


def field(window: Window, path: str) -> Field:
    return window.new_run.form.by_path()[path]


def done(window: Window) -> bool:
    """Tell whether the selected run has completed."""
    run = window.panel.state.run(window.panel.state["selected"])
    return run is not None and run["status"] == "completed"


def run_quick(window: Window, until: Until, **more: Any) -> str:
    """Have a quick run finished and selected, and return its id."""
    run_id = str(window.panel.client.post("/runs", QUICK | more)["run_id"])
    window.panel.state["selected"] = run_id
    window.panel.watcher.look()
    until(lambda: done(window))
    return run_id
