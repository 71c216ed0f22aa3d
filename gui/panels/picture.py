"""A drawing inside the window: matplotlib on Tk, in the colours of the theme.

It takes half a second to import, which is done on another thread (by what a pane reads).
matplotlib's settings belong to all of the process, the server's own pictures included: nothing here
changes them or relies on them.
"""

import tkinter as tk
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_tkagg import FigureCanvasTkAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from gui.theme import Palette, pixels
from gui.window_system import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SETTLED_MS = 40
LEAST_PX = 60
LOG_FROM_RATIO = 4.0
POINTS = 8.5
MAX_POINTS = 2_000


class Picture(FigureCanvasTkAgg):
    """A canvas that fills its parent, draws when Tk is idle, and leaves nothing behind.

    While its size changes the last drawing stays; the next is made when the size has settled.
    """

    widget: tk.Canvas

    def __init__(self, parent: tk.Misc, palette: Palette) -> None:
        self._drawing: str | None = None
        self._settling: str | None = None
        self.place: Callable[[], None] = _nowhere  # puts the axes where they belong
        # matplotlib itself scales from 96 to what the screen has, but not on a Mac.
        dpi = parent.winfo_fpixels("1i") if name_of(parent) == "aqua" else 96
        focus = parent.tk.call("focus", "-lastfor", parent)
        super().__init__(Figure(dpi=dpi), parent)  # type: ignore[no-untyped-call]  # as matplotlib has it
        # matplotlib takes it once the canvas is seen, from who goes through the runs with keys too;
        # Tk forgets that wish only for another one.
        force = ("-force",) if parent.tk.call("focus") else ()
        parent.tk.call("focus", *force, focus)
        self.palette = palette
        self.widget = self.get_tk_widget()  # type: ignore[no-untyped-call]  # as matplotlib has it
        self.widget.configure(
            width=1, height=1, borderwidth=0, highlightthickness=1, takefocus=True,
        )  # fmt: skip
        self.dress(palette)
        self.widget.bind("<Destroy>", lambda _: self._end(), add="+")

    def dress(self, palette: Palette) -> None:
        """Take the colours of another theme; what is drawn has to be drawn anew."""
        self.palette = palette
        self.figure.set_facecolor(palette.surface)
        self.widget.configure(
            background=palette.surface, highlightbackground=palette.line,
            highlightcolor=palette.accent,
        )  # fmt: skip

    def resize(self, event: Any) -> None:
        """Take a new size once it has been the same for a moment."""
        if self._settling is not None:
            self.widget.after_cancel(self._settling)
        self._settling = self.widget.after(SETTLED_MS, lambda: self._take_size(event))

    def _take_size(self, event: Any) -> None:
        self._settling = None
        if min(event.width, event.height) >= LEAST_PX:
            super().resize(event)  # type: ignore[no-untyped-call]  # as matplotlib has it
            self.place()
            self._draw_now()

    def draw_idle(self) -> None:
        """Draw when there is nothing else to do."""
        if self._drawing is None:
            self._drawing = self.widget.after_idle(self._draw_now)

    def _draw_now(self) -> None:
        if self._drawing is not None:
            self.widget.after_cancel(self._drawing)
            self._drawing = None
        if self.figure.axes and self.widget.winfo_width() >= LEAST_PX:
            self.draw()  # type: ignore[no-untyped-call]  # as matplotlib has it

    def _end(self) -> None:
        for waiting in (self._drawing, self._settling):
            if waiting is not None:
                self.widget.after_cancel(waiting)
        self._drawing = self._settling = None
        self.place = _nowhere
        self.figure.clear()

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height in points."""
        point = pixels(self.widget, 100.0) / 100.0
        wide, high = self.get_width_height(physical=True)
        return wide / point, high / point

    def frame(self, axes: "Axes", *, left: float, right: float, bottom: float, top: float) -> None:
        """Place axes; all in points, ``bottom`` and ``top`` from the lower end."""
        width, height = self.size
        across = max(width - left - right, 1.0) / width
        axes.set_position((left / width, bottom / height, across, max(top - bottom, 1.0) / height))
        # As many numbers as have room.
        axes.yaxis.set_major_locator(self._locator(axes))

    def _locator(self, axes: "Axes") -> Locator:
        if axes.get_yscale() == "log":
            return LogLocator(10.0, subs=(1.0, 2.0, 5.0))
        room = axes.get_position().height * self.size[1]
        return MaxNLocator(min(max(int(room / 18), 1), 5), steps=[1, 2, 2.5, 5, 10])

    def prepare(self, axes: "Axes") -> None:
        """Dress axes: quiet grid, no box, everything that the settings might say otherwise."""
        p = self.palette
        axes.set_facecolor(p.surface)
        axes.set_axisbelow(True)
        axes.grid(visible=True, color=p.line, linewidth=0.6, linestyle="-", alpha=1.0)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set(color=p.line, linewidth=0.8)
        axes.tick_params(
            which="both", color=p.line, labelcolor=p.muted, labelsize=POINTS, length=3, width=0.6,
            direction="out", left=False, bottom=True, top=False, right=False,
            labelfontfamily="sans-serif",
        )  # fmt: skip
        axes.margins(x=0)

    def fit(self, axes: "Axes", low: float, high: float) -> bool:
        """Fit the height of axes to values; return whether the scale became logarithmic."""
        logarithmic = low > 0 and high / low > LOG_FROM_RATIO
        axes.set_yscale("log" if logarithmic else "linear")
        if logarithmic:
            room = (high / low) ** 0.05
            axes.set_ylim(low / room, high * room)
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
            axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_locator(self._locator(axes))
        number_axis(axes.yaxis)
        return logarithmic

    def title(self, axes: "Axes", text: str) -> None:
        """Write a title above the left end of axes."""
        axes.set_title(
            text, loc="left", fontsize=POINTS + 0.5, fontweight="bold", color=self.palette.text,
            pad=4, parse_math=False,
        )  # fmt: skip

    def legend(self, axes: "Axes", **more: Any) -> None:
        """Put the legend above the right end of axes."""
        settings: dict[str, Any] = {
            "loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 4, "borderaxespad": 0.1,
        }  # fmt: skip
        axes.legend(
            **(settings | more), frameon=False, fontsize=POINTS, labelcolor=self.palette.muted,
            handlelength=1.4, columnspacing=1.2, borderpad=0.2,
        )  # fmt: skip


def _nowhere() -> None:
    pass


def thin(values: "Floats") -> "NDArray[np.intp]":
    """Return the places of values (n,) to draw: all of a few, else those that show their shape.

    Of each of 500 stretches the first, the last, the lowest and the highest: no extreme is lost.
    """
    n = len(values)
    if n <= MAX_POINTS:
        return np.arange(n)
    edges = np.linspace(0, n, MAX_POINTS // 4 + 1).astype(np.intp)
    picks = [
        place
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        for place in (
            start,
            start + int(values[start:stop].argmin()),
            start + int(values[start:stop].argmax()),
            stop - 1,
        )
    ]
    return np.unique(np.asarray(picks))


def percent_axis(axis: Any) -> None:
    """Number an axis in percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value + 0.0:.6g}%"))


def number_axis(axis: Any) -> None:
    """Number an axis plainly."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def month_axis(axis: Any, names: "Sequence[str]", most: int) -> None:
    """Name the places 0, 1, … of an axis, at most so many of them."""
    axis.set_major_locator(MaxNLocator(min(most, 9), integer=True))
    axis.set_major_formatter(
        FuncFormatter(lambda x, _: names[int(x)] if x == int(x) and 0 <= x < len(names) else "")
    )


def date_axis(axes: "Axes") -> None:
    """Number the time axis; numbers only, since the names of months depend on the locale."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]  # as it comes
    formats = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S.%f"]
    begins = ["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"]  # as a year, a month, a day begins
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, formats=formats, zero_formats=begins, show_offset=False)  # type: ignore[no-untyped-call]  # as it comes
    )
