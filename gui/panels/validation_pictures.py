"""The drawings of the validation tests; imports matplotlib."""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gui.panels.figures import moment
from gui.panels.picture import POINTS, Picture, month_axis, number_axis, percent_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Document = Mapping[str, Any]
LEFT, RIGHT, BOTTOM, TOP = 46.0, 12.0, 32.0, 18.0  # points
FARTHEST = 30  # times the largest slippage tried, for break-even to be drawn
MONTH_WIDTH = 50.0  # points


def draw(picture: Picture, test: str, found: Document) -> None:
    """Draw what a test found in the place of what was there."""
    picture.figure.clear()
    axes = picture.figure.add_subplot()
    picture.prepare(axes)
    picture.place = lambda: _place(picture, axes)
    picture.place()
    DRAWINGS[test](picture, axes, found)
    picture.draw_idle()


def _place(picture: Picture, axes: "Axes") -> None:
    picture.frame(axes, left=LEFT, right=RIGHT, bottom=BOTTOM, top=picture.size[1] - TOP)


def _histogram(
    picture: Picture, axes: "Axes", found: Document, label: str, marked: float | None
) -> None:
    """Draw the replicates as bars; those at least as good as ``marked`` stand out."""
    p = picture.palette
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    good = [
        marked is not None and (start + stop) / 2 >= marked
        for start, stop in itertools.pairwise(edges)
    ]
    for is_good, color, alpha in ((False, p.muted, 0.6), (True, p.accent, 0.9)):
        shown = [count * (each is is_good) for count, each in zip(counts, good, strict=True)]
        axes.stairs(shown, edges, fill=True, color=color, alpha=alpha, linewidth=0)
    axes.set_ylim(0, 1.12 * max(counts, default=1))
    number_axis(axes.xaxis)
    _label(picture, axes, label, "replicates")


def _label(picture: Picture, axes: "Axes", below: str, beside: str) -> None:
    color = picture.palette.muted
    axes.set_xlabel(below, fontsize=POINTS, color=color, labelpad=3, parse_math=False)
    axes.set_ylabel(beside, fontsize=POINTS, color=color, labelpad=3, parse_math=False)


def _line(axes: "Axes", at: float, color: str, label: str, **style: Any) -> None:
    axes.axvline(at, color=color, label=label, **({"linewidth": 1.6} | style))
    # A line at the end must not be cut off.
    low, high = axes.get_xlim()
    room = 0.02 * (high - low)
    axes.set_xlim(min(low, at - room), max(high, at + room))


def _permutation(picture: Picture, axes: "Axes", found: Document) -> None:
    p, observed = picture.palette, found["observed"]
    what, form = _statistic(found)
    where = "random markets" if found["method"] == "bars" else "shifted positions"
    _histogram(picture, axes, found, f"{what} on {where}", observed)
    if found["statistic"] == "total_return":
        percent_axis(axes.xaxis)
    if observed is not None:
        _line(axes, observed, p.text, f"this run, {form(observed)}")
        picture.legend(axes)


def _statistic(found: Document) -> tuple[str, Callable[[float], str]]:
    if found["statistic"] == "total_return":
        return "Total return", "{:+.1%}".format
    return "Sharpe", "{:.2f}".format


def _bootstrap(picture: Picture, axes: "Axes", found: Document) -> None:
    p, sharpe = picture.palette, found["sharpe"]
    _histogram(picture, axes, found, "Sharpe of the resampled run", None)
    if sharpe["studentized"] is not None:
        low, high = sharpe["studentized"]
        confidence = f"{100 * found['confidence']:g}% interval"
        axes.axvspan(low, high, color=p.accent, alpha=0.16, linewidth=0, label=confidence)
        for end in (low, high):
            _line(axes, end, p.accent, "_nolegend_", linewidth=0.9)
    if sharpe["estimate"] is not None:
        _line(axes, sharpe["estimate"], p.text, f"this run, {sharpe['estimate']:.2f}")
    _line(axes, 0.0, p.loss, "0", linewidth=1.0, dashes=(4, 3))
    picture.legend(axes)


def _costs(picture: Picture, axes: "Axes", found: Document) -> None:
    p, base, breakeven = (
        picture.palette,
        found["base_slippage_bps"],
        found["breakeven_slippage_bps"],
    )
    grid = [each for each in found["cost_grid"] or () if each["total_return"] is not None]
    if not grid:
        _histogram(picture, axes, found, "Total return with noisy slippage", None)
        percent_axis(axes.xaxis)
        return
    places = [each["multiple"] * (1.0 if base is None else base) for each in grid]
    returns = [each["total_return"] for each in grid]
    axes.plot(
        places, returns, "-o", color=p.accent, linewidth=1.6, markersize=5, markeredgewidth=0,
        label="total return",
    )  # fmt: skip
    _zero(picture, axes)
    if breakeven is not None and breakeven <= FARTHEST * places[-1]:
        between = sorted([*zip(places, returns, strict=True), (breakeven, 0.0)])
        axes.plot(*zip(*between, strict=True), color=p.accent, linewidth=1.0, dashes=(4, 3))
        _line(axes, breakeven, p.loss, f"break-even, {breakeven:.1f}", dashes=(4, 3))
    if base is not None:
        _line(axes, base, p.text, f"this run, {base:.1f}", linewidth=1.0)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.02 * (high - low), high)
    _fit(picture, axes, [*returns, 0.0])
    number_axis(axes.xaxis)
    unit = "times the slippage" if base is None else "slippage, basis points a fill"
    _label(picture, axes, unit, "total return")
    picture.legend(axes)


def _zero(picture: Picture, axes: "Axes") -> None:
    axes.axhline(0.0, color=picture.palette.muted, linewidth=0.8)


def _fit(picture: Picture, axes: "Axes", values: list[float]) -> None:
    picture.fit(axes, min(*values, -1e-9), max(values))
    percent_axis(axes.yaxis)


def _folds(picture: Picture, axes: "Axes", found: Document) -> None:
    p, folds = picture.palette, found["folds"]
    before = [fold["in_sample"]["total_return"] for fold in folds]
    after = [fold["out_of_sample"]["total_return"] for fold in folds]
    places = range(len(folds))
    axes.bar(
        [x - 0.2 for x in places], before, 0.36, color=p.muted, alpha=0.55, linewidth=0,
        label="before it",
    )  # fmt: skip
    for label, color, sign in (("later, a gain", p.gain, 1), ("later, a loss", p.loss, -1)):
        shown = [(x + 0.2, value) for x, value in zip(places, after, strict=True)]
        chosen = [each for each in shown if sign * each[1] > 0]
        if chosen:
            x, height = zip(*chosen, strict=True)
            axes.bar(x, height, 0.36, linewidth=0, label=label, color=color)
    _zero(picture, axes)
    _fit(picture, axes, [*before, *after, 0.0])
    axes.set_xlim(-0.6, len(folds) - 0.4)
    axes.grid(visible=False, axis="x")
    months = [moment(fold["out_of_sample"]["first_ts"])[:7] for fold in folds]
    room = int(picture.size[0] / MONTH_WIDTH)
    month_axis(axes.xaxis, months, max(room - 2, 1))
    _label(picture, axes, "later stretches, by the month in which each begins", "total return")
    picture.legend(axes)


DRAWINGS: dict[str, Callable[[Picture, "Axes", Document], None]] = {
    "permutation": _permutation,
    "block_bootstrap": _bootstrap,
    "monte_carlo": _costs,
    "walk_forward": _folds,
}
