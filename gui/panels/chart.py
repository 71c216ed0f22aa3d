"""The chart of a run: equity beside buy and hold, drawdown, and the close with its fills.

What is seen is a stretch of time; all three parts show it and fit their heights to it. Drag to look
closer, turn the wheel, or use the buttons and keys.
"""

import io
import tkinter as tk
from pathlib import Path
from tkinter import filedialog, ttk
from typing import TYPE_CHECKING

from gui.client import Client
from gui.panel import Panel
from gui.panels.chart_data import Chart, read_chart, said_at
from gui.panels.pane import Pane, Run
from gui.saving import write_whole
from gui.scrolling import WHEEL_EVENTS
from gui.theme import pixels
from gui.window_system import name_of, wheel_notches

if TYPE_CHECKING:
    from gui.panels.chart_parts import ChartParts
    from gui.panels.picture import Picture

CLOSER, FARTHER, ASIDE = 0.6, 1 / 0.6, 0.25
LEAST_DRAG_PX = 6
KINDS = ("png", "svg", "pdf")
HINT = "Drag to zoom, Shift-drag to move."


class ChartPane(Pane):
    """The picture, below buttons to move in it and what stands under the pointer."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, panel)
        self.picture: Picture | None = None
        self._parts: ChartParts | None = None
        self.chart: Chart | None = None
        self.view: tuple[float, float] = (0.0, 1.0)
        self._from: tuple[int, tuple[float, float], bool] | None = None
        bar = ttk.Frame(self.body, padding=pixels(self, 3))
        bar.pack(side="top", fill="x")
        self.buttons: dict[str, ttk.Button] = {}
        for name, text, command in (
            ("closer", "+", lambda: self.zoom(CLOSER)),
            ("farther", "−", lambda: self.zoom(FARTHER)),
            ("earlier", "◀", lambda: self.move(-ASIDE)),
            ("later", "▶", lambda: self.move(ASIDE)),
            ("whole", "Whole run", self.show_all),
            ("save", "Save…", self._save),
        ):
            button = ttk.Button(bar, text=text, command=command, width=-1)
            button.pack(side="left", padx=(0, pixels(self, 3)))
            self.buttons[name] = button
        self.pointed = ttk.Label(self.body, text=HINT, style="Muted.TLabel", width=1)
        self.pointed.pack(side="top", fill="x", padx=pixels(self, 6))
        self._place = ttk.Frame(self.body)
        self._place.pack(fill="both", expand=True)
        self._place.pack_propagate(False)  # noqa: FBT003  # Tk's way
        self.bind("<<ThemeChanged>>", lambda _: self._dress())
        self.bind("<Destroy>", lambda _: self._end())

    def read(self, client: Client, run: Run) -> Chart:
        """Return the run's series; also imports what draws them."""
        import gui.panels.chart_parts  # noqa: F401, PLC0415  # half a second, which Tk need not wait for

        return read_chart(client, run["run_id"])

    def show(self, found: Chart) -> None:
        """Draw a run, all of it."""
        from gui.panels.chart_parts import ChartParts  # noqa: PLC0415  # imported by ``read``

        if self.picture is None:
            self.picture = self._make_picture()
        self.chart = found
        self._parts = ChartParts(self.picture, found)
        self.pointed.configure(text=HINT)
        self.show_all()

    def show_all(self) -> None:
        """Show the whole run."""
        if self.chart is not None:
            self.look_at(*self.chart.whole)

    def look_at(self, start: float, stop: float) -> None:
        """Show a stretch of time, in days; never less than a few bars or more than there is."""
        if self.chart is None or self._parts is None:
            return
        first, last = self.chart.whole
        least = min(4 * (last - first) / len(self.chart.days), last - first)
        span = min(max(stop - start, least), last - first)
        start = min(max((start + stop - span) / 2, first), last - span)
        self.view = (start, start + span)
        self._parts.look_at(*self.view)

    def zoom(self, factor: float, around: float | None = None) -> None:
        """Show so many times as much; ``around`` is the time that stays where it is."""
        start, stop = self.view
        centre = (start + stop) / 2 if around is None else around
        self.look_at(centre - factor * (centre - start), centre + factor * (stop - centre))

    def move(self, part: float) -> None:
        """Look earlier or later by a part of what is seen."""
        start, stop = self.view
        aside = part * (stop - start)
        self.look_at(start + aside, stop + aside)

    def save(self, file: Path) -> None:
        """Write what is seen into a file: PNG, SVG or PDF, as its name says."""
        assert self.picture is not None
        kind = file.suffix.lower().removeprefix(".")
        if kind not in KINDS:
            self.panel.complain(
                f"A picture can be {', '.join(map(str.upper, KINDS))}: end its name so."
            )
            return
        drawn = io.BytesIO()  # the drawing belongs to Tk's thread, a slow disk does not
        self.picture.figure.savefig(drawn, format=kind, dpi=2 * self.picture.figure.dpi)
        self.panel.ask(
            lambda: write_whole(file, drawn.getvalue()),
            lambda _: self.panel.say(f"The picture is in {file.name}."),
        )

    def _save(self) -> None:
        chosen = filedialog.asksaveasfilename(
            parent=self, defaultextension=".png", initialfile="chart.png",
            filetypes=[(f"{kind.upper()} picture", f"*.{kind}") for kind in KINDS],
        )  # fmt: skip
        if chosen:
            self.save(Path(chosen))

    def _make_picture(self) -> "Picture":
        from gui.panels.picture import Picture  # noqa: PLC0415  # imported by ``read``

        picture = Picture(self._place, self.panel.palette)
        widget = picture.widget
        widget.pack(fill="both", expand=True)
        for event, call in (
            ("<ButtonPress-1>", self._press),
            ("<B1-Motion>", self._drag),
            ("<ButtonRelease-1>", self._release),
            ("<Double-Button-1>", lambda _: self.show_all()),
            ("<Motion>", self._point),
            ("<Leave>", lambda _: self.pointed.configure(text=HINT)),
            *((event, self._wheel) for event in WHEEL_EVENTS),
            *((f"<{key}>", lambda _: self.zoom(CLOSER)) for key in ("plus", "equal", "KP_Add")),
            *((f"<{key}>", lambda _: self.zoom(FARTHER)) for key in ("minus", "KP_Subtract")),
            ("<Left>", lambda _: self.move(-ASIDE)),
            ("<Right>", lambda _: self.move(ASIDE)),
            ("<Home>", lambda _: self.show_all()),
        ):
            widget.bind(event, call, add="+")
        return picture

    def _dress(self) -> None:
        if self.picture is not None and self.chart is not None:
            from gui.panels.chart_parts import ChartParts  # noqa: PLC0415  # imported by ``read``

            self.picture.dress(self.panel.palette)
            self._parts = ChartParts(self.picture, self.chart)
            self._parts.look_at(*self.view)

    def _end(self) -> None:
        self.picture = self._parts = self.chart = None

    def _day(self, x: int) -> float:
        assert self._parts is not None
        return self._parts.day_at(x)

    def _press(self, event: "tk.Event[tk.Misc]") -> None:
        assert self.picture is not None
        self.picture.widget.focus_set()
        shifted = bool(int(event.state) & 1)
        self._from = (event.x, self.view, shifted)

    def _drag(self, event: "tk.Event[tk.Misc]") -> None:
        if self._from is None or self.picture is None or self._parts is None:
            return
        x, (start, stop), moves = self._from
        if moves:
            aside = self._day(x) - self._day(event.x)
            self.look_at(start + aside, stop + aside)
            return
        widget = self.picture.widget
        widget.delete("drag")
        widget.create_rectangle(
            x, 1, event.x, widget.winfo_height() - 2, tags="drag", width=1,
            outline=self.panel.palette.accent, dash=(4, 3),
        )  # fmt: skip

    def _release(self, event: "tk.Event[tk.Misc]") -> None:
        if self._from is None or self.picture is None:
            return
        (x, _, moves), self._from = self._from, None
        self.picture.widget.delete("drag")
        if not moves and abs(event.x - x) >= LEAST_DRAG_PX:
            self.look_at(*sorted((self._day(x), self._day(event.x))))

    def _wheel(self, event: "tk.Event[tk.Misc]") -> None:
        self.zoom(
            CLOSER ** wheel_notches(name_of(self), event.num, event.delta), self._day(event.x)
        )

    def _point(self, event: "tk.Event[tk.Misc]") -> None:
        if self.chart is not None and self._parts is not None:
            self.pointed.configure(text=said_at(self.chart, self._day(event.x)))
