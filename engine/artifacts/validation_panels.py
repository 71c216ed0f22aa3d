"""The lower part of a run's picture: what the validation tests found."""

import functools
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.artifacts.drawing import (
    BENCHMARK,
    INK,
    LONG,
    MUTED,
    SHORT,
    STRATEGY,
    date_axis,
    days_of,
    sample_bars,
    scale,
    title,
)
from engine.artifacts.picture import Document, Picture
from engine.validation import REASONS, chance_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATISTICS = {"sharpe": "Sharpe", "total_return": "total return"}
LINE = 44  # characters
Panel = Callable[["Axes"], None]


def validation_panels(picture: Picture) -> Iterator[Panel]:
    """Yield what draws each test that has something to show."""
    panels: dict[str, Callable[..., None]] = {
        "permutation": _draw_permutation,
        "block_bootstrap": _draw_bootstrap,
        "walk_forward": functools.partial(_draw_stitched, picture=picture),
    }
    for name, draw in panels.items():
        if name in picture.validation:
            yield functools.partial(draw, found=picture.validation[name])


def _draw_permutation(axes: "Axes", found: Document) -> None:
    """Draw the statistic in permuted markets, and in the real one."""
    name = STATISTICS[found["statistic"]]
    if found["p_value"] is None:
        why = f"No verdict on luck: {REASONS.get(found['reason'], 'undefined')}"
        if not found["histogram"]["counts"]:
            _say(axes, why)
            return
        title(axes, why)
    else:
        said = chance_in_words(found["p_value"], found["n"], found["method"])
        title(axes, said.capitalize())
    _histogram(axes, found["histogram"], BENCHMARK)
    _mark(axes, found["observed"], f"{name} of this run")
    where = "random markets" if found["method"] == "bars" else "shifts, only approximate"
    _finish(axes, f"{name} in {found['n']:,} {where}")


def _draw_bootstrap(axes: "Axes", found: Document) -> None:
    """Draw the Sharpe ratios of the resampled returns, and the honest interval."""
    interval = found["sharpe"]["studentized"]
    if interval is None:
        why = f"No Sharpe interval: {REASONS.get(found['reason'], 'undefined')}"
        if not found["histogram"]["counts"]:
            _say(axes, why)
            return
        title(axes, why)
    else:
        low, high = interval
        percent = f"{100 * found['confidence']:g}%"
        title(axes, f"Sharpe between {low:.2f} and {high:.2f} ({percent} interval)")
        axes.axvspan(low, high, color=STRATEGY, alpha=0.10, linewidth=0)
    _histogram(axes, found["histogram"], BENCHMARK)
    _mark(axes, found["sharpe"]["estimate"], "Sharpe of this run")
    _finish(axes, f"Sharpe in {found['n']:,} resampled histories")


def _draw_stitched(axes: "Axes", picture: Picture, found: Document) -> None:
    """Draw the equity of the later stretches, one after another."""
    if picture.stitched is None:
        why: str = found["reason"] or found["stitched"].get("total_return_reason", "")
        _say(axes, f"Later stretches: {REASONS.get(why, 'undefined')}")
        return
    ts, equity = picture.stitched
    drawn = sample_bars(equity)
    axes.plot(days_of(ts[drawn]), equity[drawn], color=STRATEGY, linewidth=1.2)
    title(axes, "Later stretches, fold by fold" + scale(axes, equity))
    for fold in found["folds"]:
        later = fold["out_of_sample"]
        color = LONG if later["total_return"] > 0 else SHORT
        span = days_of(np.array([later["first_ts"], later["last_ts"]]))
        axes.axvspan(*span, color=color, alpha=0.08, linewidth=0)
        axes.axvline(span[0], color=MUTED, linewidth=0.5)
    axes.axhline(picture.initial_cash, color=MUTED, linewidth=0.7, dashes=(4, 3))
    date_axis(axes, 3, 6)
    won = round(found["positive_folds"] * found["n"])
    _finish(axes, f"{won} of {found['n']} folds made money")


def _say(axes: "Axes", text: str) -> None:
    """Write why there is nothing to draw, in lines that fit a panel."""
    axes.set_axis_off()
    said = textwrap.fill(text, LINE)
    axes.text(0.0, 1.0, said, transform=axes.transAxes, va="top", fontsize=9.5, color=INK)


def _histogram(axes: "Axes", histogram: Any, color: str) -> None:
    if histogram["counts"]:
        edges = np.asarray(histogram["edges"])
        axes.stairs(histogram["counts"], edges, fill=True, color=color, linewidth=0)


def _mark(axes: "Axes", observed: float | None, label: str) -> None:
    if observed is not None:
        axes.axvline(observed, color=SHORT, linewidth=1.4, label=f"{label}: {observed:.2f}")
        axes.legend(
            loc="upper left", fontsize=8.0, handlelength=1.2,
            facecolor="white", edgecolor="none", framealpha=0.85,
        )  # fmt: skip


def _finish(axes: "Axes", label: str) -> None:
    axes.set_xlabel(label, fontsize=8.5, color=INK)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    axes.tick_params(length=0)
    # Room above the bars for the legend.
    axes.margins(x=0.02, y=0.02)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low) if axes.get_yscale() == "linear" else high)
