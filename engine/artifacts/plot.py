"""The picture of a run: equity against the benchmark, drawdown, price with entries and exits."""

import io
import logging
import threading
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from engine.artifacts.drawing import (
    BENCHMARK,
    GRID,
    INK,
    LONG,
    MS_PER_DAY,
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
from engine.artifacts.validation_panels import validation_panels
from engine.records import BacktestResult
from engine.strategy import strategies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from engine.records import Floats

# matplotlib's settings and caches are shared by all threads.
_LOCK = threading.Lock()
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


def draw(result: BacktestResult, file: IO[bytes]) -> None:
    """Write the plot as PNG; the same run gives the same bytes.

    The user's matplotlib settings have no say, and no backend with a window is touched.
    """
    # Before the import: it says when it builds its font cache, which is nobody's concern here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl  # noqa: PLC0415  # 0.4 s, and a run without a plot needs none of it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    settings: Any = {**mpl.rcParamsDefault, **STYLE}
    del settings["backend"]  # to set it would import one with a window
    picture = io.BytesIO()
    with _LOCK, mpl.rc_context(settings):
        panels = list(validation_panels(result))
        below = PANELS_HEIGHT if panels else 0.0
        height = HEIGHT + below
        figure = Figure(figsize=(12.0, height), dpi=100, facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            4, 1, height_ratios=(3.2, 1.3, 3.2, 0.42), left=0.07, right=0.985, hspace=0.12,
            top=1 - 1.092 / height, bottom=(0.462 + below) / height,
        )  # fmt: skip
        top = figure.add_subplot(grid[0])
        others = [figure.add_subplot(grid[row], sharex=top) for row in (1, 2, 3)]
        _draw_equity(top, result)
        _draw_drawdown(others[0], result)
        _draw_price(others[1], result)
        _draw_position(others[2], result)
        _draw_time_axis([top, *others])
        _draw_header(figure, result, height)
        if panels:
            places = figure.add_gridspec(
                1, len(panels), left=0.07, right=0.985, wspace=0.2,
                top=(below - 0.15) / height, bottom=0.45 / height,
            )  # fmt: skip
            for column, draw_panel in enumerate(panels):
                draw_panel(figure.add_subplot(places[column]))
        figure.savefig(picture, format="png", metadata={"Software": None})
    file.write(picture.getvalue())


def _line(axes: "Axes", result: BacktestResult, values: "Floats", **style: Any) -> None:
    bars = sample_bars(values)
    axes.plot(days_of(result.candles.ts[bars]), values[bars], **style)


def _draw_equity(axes: "Axes", result: BacktestResult) -> None:
    equity, benchmark = result.execution.curve.equity, result.metrics.benchmark_equity
    _line(axes, result, benchmark, color=BENCHMARK, linewidth=1.0, label="buy and hold, no costs")
    _line(axes, result, equity, color=STRATEGY, linewidth=1.4, label="strategy, net of costs")
    axes.axhline(result.config.execution.initial_cash, color=MUTED, linewidth=0.7, dashes=(4, 3))
    title(axes, "Equity" + scale(axes, equity, benchmark))
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_drawdown(axes: "Axes", result: BacktestResult) -> None:
    drawdown = result.metrics.drawdown
    bars = sample_bars(drawdown)
    days = days_of(result.candles.ts[bars])
    axes.fill_between(days, drawdown[bars], 0.0, color=SHORT, alpha=0.25, linewidth=0)
    axes.plot(days, drawdown[bars], color=SHORT, linewidth=0.8)
    digits = decimals(-100.0 * float(drawdown.min()))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value + 0.0:.{digits}%}")
    title(axes, "Drawdown")


def _draw_price(axes: "Axes", result: BacktestResult) -> None:
    close, fills = result.candles.close, result.execution.fills
    _line(axes, result, close, color=INK, linewidth=0.9)
    note = scale(axes, close)
    if len(fills) > MAX_MARKERS:
        title(axes, f"Close{note}; {len(fills):,} fills are too many to mark")
        return
    for side, marker, color, label in ((1, "^", LONG, "buy"), (-1, "v", SHORT, "sell")):
        chosen = fills.side == side
        axes.plot(
            days_of(fills.ts[chosen]), fills.price[chosen], marker, color=color, markersize=5.0,
            markeredgecolor="white", markeredgewidth=0.4, label=f"{label} ({int(chosen.sum())})",
        )  # fmt: skip
    title(axes, f"Close and fills{note}")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_position(axes: "Axes", result: BacktestResult) -> None:
    """Draw which share of each stretch of bars was spent long (up, green) and short (down, red)."""
    position, ts = result.execution.curve.position, result.candles.ts
    n = len(position)
    edges = np.unique(np.linspace(0, n, min(n, MAX_STRETCHES) + 1).astype(np.int64))
    step = int(ts[-1] - ts[-2]) if n > 1 else MS_PER_DAY
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


def _draw_header(figure: Any, result: BacktestResult, height: float) -> None:
    first, second, third = (1 - inches / height for inches in (0.277, 0.529, 0.714))
    config = result.config
    span = " to ".join(
        str(np.datetime64(int(ts), "ms").astype("M8[D]")) for ts in result.candles.ts[[0, -1]]
    )
    strategy = strategies.describe(config.strategy.name, config.strategy.params)
    heading = f"{config.symbol} {config.timeframe}, {span}"
    figure.text(0.07, first, heading, fontsize=13, weight="bold", va="center")
    figure.text(0.985, first, strategy, color=MUTED, ha="right", va="center")
    columns = np.linspace(0.07, 0.985, len(FIGURES) + 1)[:-1]
    for x, (label, name, form) in zip(columns, FIGURES, strict=True):
        value = result.metrics.values[name]
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
