"""The picture of a run: equity against the benchmark, drawdown, price with entries and exits."""

import io
import itertools
import logging
import math
import threading
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from engine.records import BacktestResult
from engine.strategy import strategies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from engine.records import Floats, Integers

# matplotlib's settings and caches are shared by all threads.
_LOCK = threading.Lock()
MAX_POINTS = 2_000
MAX_MARKERS = 300
MAX_STRETCHES = 500
MS_PER_DAY = 86_400_000
LOG_FROM_RATIO = 4.0
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
STRATEGY, BENCHMARK = "#1f6feb", "#9aa5b1"
LONG, SHORT = "#1a7f4b", "#c0362c"
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
        figure = Figure(figsize=(12.0, 8.4), dpi=100, facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            4, 1, height_ratios=(3.2, 1.3, 3.2, 0.42), left=0.07, right=0.985,
            top=0.87, bottom=0.055, hspace=0.12,
        )  # fmt: skip
        top = figure.add_subplot(grid[0])
        others = [figure.add_subplot(grid[row], sharex=top) for row in (1, 2, 3)]
        _draw_equity(top, result)
        _draw_drawdown(others[0], result)
        _draw_price(others[1], result)
        _draw_position(others[2], result)
        _draw_time_axis([top, *others])
        _draw_header(figure, result)
        figure.savefig(picture, format="png", metadata={"Software": None})
    file.write(picture.getvalue())


def sample_bars(values: "Floats") -> "Integers":
    """Return the bars to draw, ascending: all of a short series, else those that show its shape.

    Of each of about 500 stretches the first and last bar, the lowest and the highest, so that no
    extreme is lost however many bars there are.
    """
    n = len(values)
    if n <= MAX_POINTS:
        return np.arange(n)
    edges = np.linspace(0, n, MAX_POINTS // 4 + 1).astype(np.int64)
    picks = []
    for start, stop in itertools.pairwise(edges):
        part = values[start:stop]
        picks += [start, start + int(part.argmin()), start + int(part.argmax()), stop - 1]
    return np.unique(np.asarray(picks))


def _days(ts: "Integers") -> "Floats":
    days: Floats = ts / MS_PER_DAY
    return days


def _line(axes: "Axes", result: BacktestResult, values: "Floats", **style: Any) -> None:
    bars = sample_bars(values)
    axes.plot(_days(result.candles.ts[bars]), values[bars], **style)


def _scale(axes: "Axes", *series: "Floats") -> str:
    """Choose a logarithmic scale where values differ by much; return a note for the title."""
    low = min(float(values.min()) for values in series)
    high = max(float(values.max()) for values in series)
    if low > 0 and high / low > LOG_FROM_RATIO:
        from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415  # as in draw

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10.0, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        return " (log scale)"
    digits = decimals(high - low)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.{digits}f}")
    return ""


def decimals(span: float) -> int:
    """Return how many decimals tell the ticks of an axis over ``span`` apart."""
    return 0 if span <= 0 else min(max(0, 1 - math.floor(math.log10(span))), 9)


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9.5, color=INK, pad=4)


def _draw_equity(axes: "Axes", result: BacktestResult) -> None:
    equity, benchmark = result.execution.curve.equity, result.metrics.benchmark_equity
    _line(axes, result, benchmark, color=BENCHMARK, linewidth=1.0, label="buy and hold, no costs")
    _line(axes, result, equity, color=STRATEGY, linewidth=1.4, label="strategy, net of costs")
    axes.axhline(result.config.execution.initial_cash, color=MUTED, linewidth=0.7, dashes=(4, 3))
    _title(axes, "Equity" + _scale(axes, equity, benchmark))
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_drawdown(axes: "Axes", result: BacktestResult) -> None:
    drawdown = result.metrics.drawdown
    bars = sample_bars(drawdown)
    days = _days(result.candles.ts[bars])
    axes.fill_between(days, drawdown[bars], 0.0, color=SHORT, alpha=0.25, linewidth=0)
    axes.plot(days, drawdown[bars], color=SHORT, linewidth=0.8)
    digits = decimals(-100.0 * float(drawdown.min()))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value + 0.0:.{digits}%}")
    _title(axes, "Drawdown")


def _draw_price(axes: "Axes", result: BacktestResult) -> None:
    close, fills = result.candles.close, result.execution.fills
    _line(axes, result, close, color=INK, linewidth=0.9)
    scale = _scale(axes, close)
    if len(fills) > MAX_MARKERS:
        _title(axes, f"Close{scale}; {len(fills):,} fills are too many to mark")
        return
    for side, marker, color, label in ((1, "^", LONG, "buy"), (-1, "v", SHORT, "sell")):
        chosen = fills.side == side
        axes.plot(
            _days(fills.ts[chosen]), fills.price[chosen], marker, color=color, markersize=5.0,
            markeredgecolor="white", markeredgewidth=0.4, label=f"{label} ({int(chosen.sum())})",
        )  # fmt: skip
    _title(axes, f"Close and fills{scale}")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)


def _draw_position(axes: "Axes", result: BacktestResult) -> None:
    """Draw which share of each stretch of bars was spent long (up, green) and short (down, red)."""
    position, ts = result.execution.curve.position, result.candles.ts
    n = len(position)
    edges = np.unique(np.linspace(0, n, min(n, MAX_STRETCHES) + 1).astype(np.int64))
    step = int(ts[-1] - ts[-2]) if n > 1 else MS_PER_DAY
    days = _days(np.append(ts, ts[-1] + step)[edges])
    for held, color, sign in ((position > 0, LONG, 1.0), (position < 0, SHORT, -1.0)):
        share = np.add.reduceat(held.astype(np.float64), edges[:-1]) / np.diff(edges)
        axes.stairs(sign * share, days, fill=True, color=color, linewidth=0)
    axes.set_ylim(-1.0, 1.0)
    axes.set_yticks([0.6, -0.6], labels=["long", "short"])
    axes.grid(visible=False)


def _draw_time_axis(panels: "list[Axes]") -> None:
    import matplotlib.dates  # noqa: PLC0415  # as in draw

    dates: Any = matplotlib.dates
    locator = dates.AutoDateLocator(minticks=5, maxticks=12)
    # Numbers only: the names of months depend on the locale.
    formats = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S.%f"]
    panels[0].xaxis.set_major_locator(locator)
    panels[0].xaxis.set_major_formatter(
        dates.ConciseDateFormatter(
            locator,
            formats=formats,
            zero_formats=formats,
            show_offset=False,  # the title tells the dates
        )
    )
    panels[0].margins(x=0.01)
    for panel in panels:
        for spine in ("top", "right"):
            panel.spines[spine].set_visible(False)
        panel.tick_params(length=0, labelbottom=panel is panels[-1])


def _draw_header(figure: Any, result: BacktestResult) -> None:
    config = result.config
    span = " to ".join(
        str(np.datetime64(int(ts), "ms").astype("M8[D]")) for ts in result.candles.ts[[0, -1]]
    )
    strategy = strategies.describe(config.strategy.name, config.strategy.params)
    title = f"{config.symbol} {config.timeframe}, {span}"
    figure.text(0.07, 0.967, title, fontsize=13, weight="bold", va="center")
    figure.text(0.985, 0.967, strategy, color=MUTED, ha="right", va="center")
    columns = np.linspace(0.07, 0.985, len(FIGURES) + 1)[:-1]
    for x, (label, name, form) in zip(columns, FIGURES, strict=True):
        value = result.metrics.values[name]
        figure.text(x, 0.937, label, fontsize=8, color=MUTED, va="center")
        shown = "–" if value is None else form.format(value)
        figure.text(x, 0.915, shown, fontsize=11.5, weight="bold", va="center")


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
