"""The log: what has happened to the run that is looked at, a line each."""

import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from tkinter import ttk
from typing import Any

from gui.panel import Panel, scrolled
from gui.theme import Palette, pixels

Event = Mapping[str, Any]
MOST_LINES = 10_000
STAGE_WIDTH = 18
NOTHING = "No run is selected."
COLOURED = {"warning", "failed", "completed"}
PROGRESS = {"progress", "validation_progress"}


class LogPane(ttk.Frame):
    """The events of the selected run, oldest first; follows the end unless scrolled away from it.

    Progress of one stage is one line, which is rewritten.
    """

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent)
        self._panel = panel
        self._shown: Event | None = None
        head = f"{'Time (UTC)':<23}  {'Stage':<{STAGE_WIDTH}}  Message"
        self._head = ttk.Label(self, text=head, style="Muted.TLabel", font="TkFixedFont")
        self._head.pack(side="top", fill="x", padx=pixels(parent, 6), pady=(pixels(parent, 4), 0))
        self.text: tk.Text = scrolled(self, self._make_text)
        # X11 gives the keyboard to no text that is only read; whoever copies from it needs it.
        self.text.bind("<Button-1>", lambda _: self.text.focus_set(), add="+")
        self._dress(panel.palette)
        self.bind("<<ThemeChanged>>", lambda _: self._dress(panel.palette))
        panel.state.on("events", self._show)
        panel.state.on("selected", lambda _: self._show(panel.state["events"]))
        self._show(panel.state["events"])

    def _make_text(self, parent: tk.Misc) -> tk.Text:
        return tk.Text(
            parent, wrap="none", state="disabled", font="TkFixedFont", relief="flat",
            borderwidth=0, height=4, width=20, padx=pixels(parent, 6), pady=pixels(parent, 4),
            takefocus=True,
        )  # fmt: skip

    def _dress(self, palette: Palette) -> None:
        self.text.configure(
            background=palette.surface, foreground=palette.text,
            selectbackground=palette.selected, selectforeground=palette.text,
            insertbackground=palette.text, highlightthickness=1,
            highlightbackground=palette.line, highlightcolor=palette.accent,
        )  # fmt: skip
        self.text.tag_configure("warning", foreground=palette.warning)
        self.text.tag_configure("failed", foreground=palette.loss)
        self.text.tag_configure("completed", foreground=palette.gain)
        self.text.tag_configure("muted", foreground=palette.muted)

    def _show(self, events: Sequence[Event]) -> None:
        last = self._shown
        follows = last is None or self.text.yview()[1] >= 1.0
        self.text.configure(state="normal")
        if not events or last is None or last["run_id"] != events[-1]["run_id"]:
            self.text.delete("1.0", "end")
            last, follows = None, True
        if not events and self._panel.state["selected"] is None:
            self.text.insert("end", NOTHING, "muted")
        for event in collapsed(events, 0 if last is None else last["seq"]):
            if last is not None and same_progress(last, event):
                self.text.delete("end-1c linestart", "end-1c")
            elif last is not None:
                self.text.insert("end", "\n")
            kind = event["type"] if event["type"] in COLOURED else ""
            self.text.insert("end", line(event), kind)
            last = event
        self._shown = last
        excess = int(self.text.index("end-1c").split(".")[0]) - MOST_LINES
        if excess > 0:
            self.text.delete("1.0", f"{excess + 1}.0")
        self.text.configure(state="disabled")
        if follows:
            self.text.yview_moveto(1.0)


def collapsed(events: Sequence[Event], after: int) -> list[Event]:
    """Return the events after a number, of progress in a row of one thing only the last."""
    kept: list[Event] = []
    for event in events:
        if event["seq"] > after:
            if kept and same_progress(kept[-1], event):
                kept.pop()
            kept.append(event)
    return kept


def same_progress(one: Event, other: Event) -> bool:
    """Tell whether ``other`` says how far the same thing is as ``one``."""
    return bool(
        one["type"] == other["type"]
        and one["type"] in PROGRESS
        and one.get("stage") == other.get("stage")
        and (one.get("data") or {}).get("test") == (other.get("data") or {}).get("test")
    )


def line(event: Event) -> str:
    """Return an event as a line: time (UTC), stage, message."""
    when = datetime.fromtimestamp(event["ts"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    stage = (event.get("stage") or "").replace("_", " ")
    return f"{when}  {stage:<{STAGE_WIDTH}}  {message(event)}".rstrip()


def message(event: Event) -> str:
    """Return what an event says, as a person reads it."""
    return SAID.get(event["type"], _plain)(event)


def _plain(event: Event) -> str:
    return event.get("message") or str(event["type"]).replace("_", " ").capitalize()


def _queued(event: Event) -> str:
    again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
    return f"Waits for its turn{again}"


def _replicates(event: Event) -> str:
    data = event["data"]
    return f"{data['test'].replace('_', ' ')}: {data['completed']:,} of {data['total']:,}"


def _warning(event: Event) -> str:
    count = event["data"].get("count", 0)
    return f"Warning: {event['message']}" + (f" ({count:,} times)" if count > 1 else "")


def _requeued(event: Event) -> str:
    stopped = event["data"]["reason"] == "stop"
    why = "the program was closed" if stopped else "the program ended unexpectedly"
    return f"Begins anew, attempt {event['attempt']}: {why}"


SAID: dict[str, Callable[[Event], str]] = {
    "queued": _queued,
    "stage": lambda _: "Begins",
    "progress": lambda event: f"{event['progress']:.0%} of the run done",
    "validation_progress": _replicates,
    "warning": _warning,
    "completed": lambda event: f"Completed. {event.get('message', '')}".strip(),
    "failed": lambda event: f"Failed: {event['message']}",
    "requeued": _requeued,
}
