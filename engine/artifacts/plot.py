"""The picture of a run: equity against the benchmark, drawdown, price with entries and exits."""

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from engine.artifacts.drawing import (
    BENCHMARK,
    GRID,
    INK,
    LONG,
    MUTED,
    SHORT,
    STRATEGY,
    date_axis,
    days_of,
    decimals,
    sample_bars,
    scale,
    title,
)
from engine.artifacts.picture import Picture
from engine.artifacts.validation_panels import validation_panels
from engine.config import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from engine.records import Floats

# One thread draws: matplotlib's settings are shared by all threads, and its fonts, with their open
# files, are kept for each that ever drew.
_DRAWING = ThreadPoolExecutor(1, thread_name_prefix="drawing")
HEIGHT, PANELS_HEIGHT = 8.4, 2.7  # inches
MAX_MARKERS = 300
MAX_STRETCHES = 500
STYLE = {
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.axisbelow": True,
    "text.parse_math": False,  # a name may hold a dollar
    "text.color": INK,
}


def draw_png(picture: Picture, file: IO[bytes]) -> None:
    """Write the whole picture as PNG; the same run gives the same bytes."""
    file.write(_DRAWING.submit(_as_png, picture).result())


def draw_svgs(picture: Picture) -> list[bytes]:
    """Return the parts of the picture as SVG, the run's own first and then a test each.

    Text is text; the header is left out. The same run gives the same bytes.
    """
    return _DRAWING.submit(_as_svgs, picture).result()


def _as_png(picture: Picture) -> bytes:
    with _matplotlib() as new_figure:
        panels = list(validation_panels(picture))
        below = PANELS_HEIGHT if panels else 0.0
        height = HEIGHT + below
        figure = new_figure(12.0, height)
        _draw_run(
            figure, picture, left=0.07, right=0.985,
            top=1 - 1.092 / height, bottom=(0.462 + below) / height,
        )  # fmt: skip
        _draw_header(figure, picture, height)
        if panels:
            places = figure.add_gridspec(
                1, len(panels), left=0.07, right=0.985, wspace=0.2,
                top=(below - 0.15) / height, bottom=0.45 / height,
            )  # fmt: skip
            for column, draw_panel in enumerate(panels):
                draw_panel(figure.add_subplot(places[column]))
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _as_svgs(picture: Picture) -> list[bytes]:
    with _matplotlib() as new_figure:
        figure = new_figure(10.0, 7.4)
        _draw_run(figure, picture, left=0.075, right=0.975, top=0.965, bottom=0.045)
        figures = [figure]
        for draw_panel in validation_panels(picture):
            figure = new_figure(4.6, 2.9)
            draw_panel(figure.add_axes((0.15, 0.17, 0.83, 0.73)))
            figures.append(figure)
        return [_as_svg(figure, number) for number, figure in enumerate(figures)]


def _as_svg(figure: "Figure", number: int) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415  # 0.4 s, and a run without a plot needs none of it

    content = io.BytesIO()
    # The salt makes the names inside repeatable, and other ones in each part.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"studio-{number}"}):
        figure.savefig(content, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    return content.getvalue()


@contextmanager
def _matplotlib() -> "Iterator[Callable[[float, float], Figure]]":
    """Yield what makes a figure of a width and height in inches.

    The user's matplotlib settings have no say, and no backend with a window is touched.
    """
    # Before the import: it says when it builds its font cache, which is nobody's concern here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl  # noqa: PLC0415  # 0.4 s, and a run without a plot needs none of it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.text import Text  # noqa: PLC0415

    figures: list[Figure] = []

    def new_figure(width: float, height: float) -> Figure:
        figures.append(Figure(figsize=(width, height), dpi=100, facecolor="white"))
        FigureCanvasAgg(figures[-1])
        return figures[-1]

    settings: Any = {**mpl.rcParamsDefault, **STYLE}
    del settings["backend"]  # to set it would import one with a window
    with mpl.rc_context(settings):
        try:
            yield new_figure
        finally:
            # Figure, axes and canvas hold each other, and each text the pixels it was drawn on:
            # left alone, ten megabytes would wait for a collection of everything.
            for figure in figures:
                for text in figure.findobj(Text):
                    text._renderer = None  # type: ignore[attr-defined]  # noqa: SLF001
                figure.clear()
                figure.canvas = None  # type: ignore[assignment]  # nothing draws on it again


def _draw_run(figure: "Figure", picture: Picture, **edges: float) -> None:
    """Draw equity, drawdown, price and position one below the other between ``edges``."""
    grid = figure.add_gridspec(4, 1, height_ratios=(3.2, 1.3, 3.2, 0.42), hspace=0.12, **edges)
    top = figure.add_subplot(grid[0])
    others = [figure.add_subplot(grid[row], sharex=top) for row in (1, 2, 3)]
    _draw_equity(top, picture)
    _draw_drawdown(others[0], picture)
    _draw_price(others[1], picture)
    _draw_position(others[2], picture)
    _draw_time_axis([top, *others])


def _line(axes: "Axes", picture: Picture, values: "Floats", **style: Any) -> None:
    bars = sample_bars(values)
    axes.plot(days_of(picture.ts[bars]), values[bars], **style)


def _draw_equity(axes: "Axes", picture: Picture) -> None:
    equity, benchmark = picture.equity, picture.benchmark
    _line(axes, picture, benchmark, color=BENCHMARK, linewidth=1.0, label="buy and hold, no costs")
    _line(axes, picture, equity, color=STRATEGY, linewidth=1.4, label="strategy, net of costs")
    axes.axhline(picture.initial_cash, color=MUTED, linewidth=0.7, dashes=(4, 3))
    title(axes, "Equity" + scale(axes, equity, benchmark))
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_drawdown(axes: "Axes", picture: Picture) -> None:
    drawdown = picture.drawdown
    bars = sample_bars(drawdown)
    days = days_of(picture.ts[bars])
    axes.fill_between(days, drawdown[bars], 0.0, color=SHORT, alpha=0.25, linewidth=0)
    axes.plot(days, drawdown[bars], color=SHORT, linewidth=0.8)
    digits = decimals(-100.0 * float(drawdown.min()))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value + 0.0:.{digits}%}")
    title(axes, "Drawdown")


def _draw_price(axes: "Axes", picture: Picture) -> None:
    close = picture.close
    _line(axes, picture, close, color=INK, linewidth=0.9)
    note = scale(axes, close)
    if len(picture.fill_ts) > MAX_MARKERS:
        title(axes, f"Close{note}; {len(picture.fill_ts):,} fills are too many to mark")
        return
    for side, marker, color, label in ((1, "^", LONG, "buy"), (-1, "v", SHORT, "sell")):
        chosen = picture.fill_side == side
        axes.plot(
            days_of(picture.fill_ts[chosen]), picture.fill_price[chosen], marker, color=color,
            markersize=5.0, markeredgecolor="white", markeredgewidth=0.4,
            label=f"{label} ({int(chosen.sum())})",
        )  # fmt: skip
    title(axes, f"Close and fills{note}")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_position(axes: "Axes", picture: Picture) -> None:
    """Draw which share of each stretch of bars was spent long (up, green) and short (down, red)."""
    position, ts = picture.position, picture.ts
    n = len(position)
    edges = np.unique(np.linspace(0, n, min(n, MAX_STRETCHES) + 1).astype(np.int64))
    step = int(ts[-1] - ts[-2]) if n > 1 else DAY_MS
    days = days_of(np.append(ts, ts[-1] + step)[edges])
    for held, color, sign in ((position > 0, LONG, 1.0), (position < 0, SHORT, -1.0)):
        share = np.add.reduceat(held.astype(np.float64), edges[:-1]) / np.diff(edges)
        axes.stairs(sign * share, days, fill=True, color=color, linewidth=0)
    axes.set_ylim(-1.0, 1.0)
    axes.set_yticks([0.6, -0.6], labels=["long", "short"])
    axes.grid(visible=False)


def _draw_time_axis(panels: "list[Axes]") -> None:
    date_axis(panels[0], 5, 12)  # the title tells the dates
    panels[0].margins(x=0.01)
    for panel in panels:
        for spine in ("top", "right"):
            panel.spines[spine].set_visible(False)
        panel.tick_params(length=0, labelbottom=panel is panels[-1])


def _draw_header(figure: Any, picture: Picture, height: float) -> None:
    first, second, third = (1 - inches / height for inches in (0.277, 0.529, 0.714))
    span = " to ".join(
        str(np.datetime64(int(ts), "ms").astype("M8[D]")) for ts in picture.ts[[0, -1]]
    )
    heading = f"{picture.heading}, {span}"
    figure.text(0.07, first, heading, fontsize=13, weight="bold", va="center")
    figure.text(0.985, first, picture.strategy, color=MUTED, ha="right", va="center")
    columns = np.linspace(0.07, 0.985, len(FIGURES) + 1)[:-1]
    for x, (label, name, form) in zip(columns, FIGURES, strict=True):
        value = picture.figures[name]
        figure.text(x, second, label, fontsize=8, color=MUTED, va="center")
        shown = "–" if value is None else form.format(value)
        figure.text(x, third, shown, fontsize=11.5, weight="bold", va="center")


FIGURES = (
    ("total return", "total_return", "{:+.1%}"),
    ("return a year", "cagr", "{:+.2%}"),
    ("volatility", "volatility", "{:.1%}"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("P(Sharpe > 0)", "psr", "{:.1%}"),
    ("max drawdown", "max_drawdown", "{:.1%}"),
    ("trades", "trade_count", "{:,}"),
    ("exposure", "exposure", "{:.0%}"),
)
