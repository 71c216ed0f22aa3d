"""What the parts of a run's picture share: colours, scales, and which bars of many to draw."""

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import DAY_MS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from engine.records import Floats, Integers

MAX_POINTS = 2_000
LOG_FROM_RATIO = 4.0
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
STRATEGY, BENCHMARK = "#1f6feb", "#9aa5b1"
LONG, SHORT = "#1a7f4b", "#c0362c"


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


def days_of(ts: "Integers") -> "Floats":
    """Return times (n,) in days, as matplotlib counts them."""
    days: Floats = ts / DAY_MS
    return days


def scale(axes: "Axes", *series: "Floats") -> str:
    """Choose a logarithmic scale where values differ by much; return a note for the title."""
    low = min(float(values.min()) for values in series)
    high = max(float(values.max()) for values in series)
    if low > 0 and high / low > LOG_FROM_RATIO:
        from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415  # 0.4 s, and few need it

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


def title(axes: "Axes", text: str) -> None:
    """Write a panel's title above its left end."""
    axes.set_title(text, loc="left", fontsize=9.5, color=INK, pad=4)


def date_axis(axes: "Axes", fewest: int, most: int) -> None:
    """Number the time axis, with between ``fewest`` and ``most`` ticks where it can be."""
    import matplotlib.dates  # noqa: PLC0415  # 0.4 s, and few need it

    dates: Any = matplotlib.dates
    locator = dates.AutoDateLocator(minticks=fewest, maxticks=most)
    # Numbers only: the names of months depend on the locale.
    formats = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S.%f"]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        dates.ConciseDateFormatter(
            locator, formats=formats, zero_formats=formats, show_offset=False
        )
    )
