"""The three parts of a chart, drawn; imports matplotlib."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gui.panels.picture import Picture, date_axis, percent_axis, thin

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from gui.panels.chart_data import Chart

LEFT, RIGHT = 48.0, 16.0  # points
TITLE, BOTTOM = 16.0, 17.0
SHARES = (0.46, 0.16, 0.38)  # of the height that titles leave
MOST_MARKS = 300


class ChartParts:
    """Equity, drawdown and close of one run; which bars are drawn depends on what is looked at."""

    def __init__(self, picture: Picture, chart: "Chart") -> None:
        self._picture, self._chart = picture, chart
        figure, p = picture.figure, picture.palette
        figure.clear()
        self._equity = figure.add_subplot(3, 1, 1)
        self._drawdown = figure.add_subplot(3, 1, 2, sharex=self._equity)
        self._close = figure.add_subplot(3, 1, 3, sharex=self._equity)
        for axes in (self._equity, self._drawdown, self._close):
            picture.prepare(axes)
            axes.tick_params(which="both", labelbottom=axes is self._close)
        date_axis(self._close)
        self._place()
        self._equity.axhline(chart.initial_cash, color=p.muted, linewidth=0.7, dashes=(4, 3))
        self._lines: list[tuple[Line2D, Any]] = [
            self._line(self._equity, chart.benchmark, p.muted, 1.0, "buy and hold, no costs"),
            self._line(self._equity, chart.equity, p.accent, 1.5, "strategy, net of costs"),
            self._line(self._drawdown, chart.drawdown, p.loss, 0.9, ""),
            self._line(self._close, chart.close, p.text, 1.0, ""),
        ]
        picture.legend(self._equity)
        self._fill: Any = None
        self._marks = [
            self._close.plot(
                [], [], marker, color=color, markersize=5.5, markeredgecolor=p.surface,
                markeredgewidth=0.5, linestyle="none", label=label,
            )[0]
            for marker, color, label in (("^", p.gain, "buy"), ("v", p.loss, "sell"))
        ]  # fmt: skip
        picture.legend(self._close)
        picture.place = self._place

    def _line(self, axes: Any, values: Any, color: str, width: float, label: str) -> Any:
        line = axes.plot([], [], "-", color=color, linewidth=width, label=label, marker="None")[0]
        return line, values

    def _place(self) -> None:
        _, top = self._picture.size
        room = top - 3 * TITLE - BOTTOM
        for axes, share in zip((self._equity, self._drawdown, self._close), SHARES, strict=True):
            top -= TITLE
            bottom = top - share * room
            self._picture.frame(axes, left=LEFT, right=RIGHT, bottom=bottom, top=top)
            top = bottom

    def day_at(self, x: float) -> float:
        """Return the time at a pixel of the canvas."""
        return float(self._equity.transData.inverted().transform((x, 0))[0])

    def look_at(self, start: float, stop: float) -> None:
        """Draw the bars of a stretch of time, and those just outside of it."""
        chart = self._chart
        first = max(int(chart.days.searchsorted(start)) - 1, 0)
        last = min(int(chart.days.searchsorted(stop, "right")) + 1, len(chart.days))
        for line, values in self._lines:
            picked = first + thin(values[first:last])
            line.set_data(chart.days[picked], values[picked])
        if self._fill is not None:
            self._fill.remove()
        days, depth = self._lines[2][0].get_data()
        self._fill = self._drawdown.fill_between(
            np.asarray(days), np.asarray(depth), 0.0, color=self._picture.palette.loss, alpha=0.22,
            linewidth=0,
        )  # fmt: skip
        self._equity.set_xlim(start, stop)
        both = (chart.equity[first:last], chart.benchmark[first:last])
        low, high = min(each.min() for each in both), max(each.max() for each in both)
        logarithmic = self._picture.fit(self._equity, float(low), float(high))
        self._picture.title(self._equity, f"{chart.title}, equity{_note(logarithmic)}")
        deepest = float(chart.drawdown[first:last].min())
        self._picture.fit(self._drawdown, deepest or -0.01, 0.0)
        self._drawdown.set_ylim(top=0.0)
        percent_axis(self._drawdown.yaxis)
        # Beside the other titles stands a legend.
        self._picture.title(self._drawdown, f"Drawdown, {chart.span(start, stop)}")
        self._show_fills(start, stop, first, last)
        self._picture.draw_idle()

    def _show_fills(self, start: float, stop: float, first: int, last: int) -> None:
        chart = self._chart
        seen = (chart.fill_days >= start) & (chart.fill_days <= stop)
        n = int(seen.sum())
        for mark, chosen in zip(self._marks, (seen & chart.buys, seen & ~chart.buys), strict=True):
            drawn = chosen if n <= MOST_MARKS else np.zeros_like(chosen)
            mark.set_data(chart.fill_days[drawn], chart.fill_price[drawn])
        close = chart.close[first:last]
        prices = chart.fill_price[seen] if 0 < n <= MOST_MARKS else close
        low, high = min(close.min(), prices.min()), max(close.max(), prices.max())
        note = _note(self._picture.fit(self._close, float(low), float(high)))
        many = f": {n:,} fills, zoom in to see them" if n > MOST_MARKS else ""
        self._picture.title(self._close, f"Close and fills{note}{many}")


def _note(logarithmic: bool) -> str:  # noqa: FBT001  # what is noted
    return " (log scale)" if logarithmic else ""
