"""The chart of a run: how it is thinned out, zoomed, moved, saved and given up."""

import gc
import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import ttk
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from engine.artifacts.plot import STYLE
from gui.panel import Panel
from gui.panels.chart import ChartPane
from gui.panels.chart_data import Chart, said_at
from gui.panels.picture import MAX_POINTS, thin
from gui.panels.results import ResultsPart
from gui.theme import PALETTES
from scripts.panel_layout import contrast

Until = Callable[[Callable[[], object]], None]
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}


def made_up(n: int = 40_000) -> Chart:
    """Return a chart of a wave with one high spike, and a fill at every fifth of the bars."""
    days = np.arange(n, dtype=np.float64)
    equity = 100_000 + 1_000 * np.sin(days / 500)
    equity[n // 3] = 150_000.0
    peak = np.maximum.accumulate(equity)
    places = np.arange(0, n, n // 5)
    return Chart(
        "MADE 1d", 100_000.0, days, equity, equity * 0.9, equity / peak - 1, equity / 100,
        days[places], equity[places] / 100, np.arange(len(places)) % 2 == 0,
    )  # fmt: skip


@pytest.fixture
def pane(root: tk.Tk, panel: Panel, until: Until) -> ChartPane:
    made = ChartPane(root, panel)
    made.pack(fill="both", expand=True)
    root.update()
    made.show(made_up())
    made.reveal()
    until(lambda: made.picture is not None and made.picture.widget.winfo_width() > 300)
    until(lambda: made.picture is not None and made.picture.figure.axes)
    return made


def pixels(pane: ChartPane) -> Any:
    canvas: Any = pane.picture
    return np.asarray(canvas.buffer_rgba())


def drawn(pane: ChartPane) -> list[Any]:
    """Return what of each line's values is drawn, the strategy's equity second."""
    assert pane._parts is not None
    return [np.asarray(line.get_ydata()) for line, _ in pane._parts._lines]


def marked(pane: ChartPane) -> list[int]:
    """Return how many buys and sells are marked."""
    assert pane._parts is not None
    marks: Any = pane._parts._marks
    return [len(mark.get_xdata()) for mark in marks]


def test_few_points_are_all_drawn() -> None:
    """A short series is not thinned."""
    assert thin(np.arange(MAX_POINTS, dtype=float)).tolist() == list(range(MAX_POINTS))


def test_no_extreme_is_lost() -> None:
    """Of a long series a few thousand points stay, among them both ends and every extreme."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=1_000_003).cumsum()
    values[777_777], values[55_555] = 1e6, -1e6
    places = thin(values)
    assert len(places) <= MAX_POINTS
    assert (np.diff(places) > 0).all()
    assert {0, 55_555, 777_777, len(values) - 1} <= set(places.tolist())


def test_the_whole_run_is_shown(pane: ChartPane) -> None:
    """At first all of the run is seen, with its spike, though not every bar is drawn."""
    equity = drawn(pane)[1]
    assert len(equity) <= MAX_POINTS
    assert equity.max() == 150_000.0
    assert pane.view == (0.0, 39_999.0)


def test_closer_shows_every_bar(pane: ChartPane) -> None:
    """A short stretch is drawn bar by bar, and the height fits what is seen."""
    pane.look_at(20_000, 20_500)
    equity = drawn(pane)[1]
    assert len(equity) == 503
    low, high = pane._parts._equity.get_ylim()  # type: ignore[union-attr]  # it was shown
    assert low < equity.min()
    assert equity.max() < high < 110_000


def test_the_view_stays_within_the_run(pane: ChartPane) -> None:
    """One can neither leave the run nor come closer than a few bars."""
    pane.zoom(10.0)
    assert pane.view == (0.0, 39_999.0)
    pane.look_at(39_000, 39_999)
    pane.move(0.25)
    assert pane.view == (39_000.0, 39_999.0)
    for _ in range(40):
        pane.zoom(0.5)
    assert 3 < pane.view[1] - pane.view[0] < 5


def test_the_picture_takes_no_focus(root: tk.Tk, panel: Panel) -> None:
    """Who goes through the runs with keys is not thrown out by the first picture."""
    before = ttk.Entry(root)
    before.pack()
    before.focus_force()
    root.update()
    made = ChartPane(root, panel)
    made.pack(fill="both", expand=True)
    made.show(made_up())
    made.reveal()
    root.update()
    assert root.focus_get() is before


def test_buttons(pane: ChartPane) -> None:
    """Closer, farther, aside and home."""
    pane.buttons["closer"].invoke()
    assert pane.view == pytest.approx((0.2 * 39_999, 0.8 * 39_999))
    pane.buttons["later"].invoke()
    assert pane.view == pytest.approx((0.35 * 39_999, 0.95 * 39_999))
    pane.buttons["earlier"].invoke()
    pane.buttons["farther"].invoke()
    assert pane.view == pytest.approx((0.0, 39_999.0))
    pane.buttons["closer"].invoke()
    pane.buttons["whole"].invoke()
    assert pane.view == (0.0, 39_999.0)


def test_dragging_over_a_stretch_zooms_into_it(root: tk.Tk, pane: ChartPane) -> None:
    """Press, move, release: what lay between is seen; a click changes nothing."""
    assert pane.picture is not None
    widget = pane.picture.widget
    left, right = 200, 400
    wanted = (pane._day(left), pane._day(right))
    widget.event_generate("<ButtonPress-1>", x=right, y=80)
    widget.event_generate("<B1-Motion>", x=left, y=90)
    assert widget.find_withtag("drag")
    widget.event_generate("<ButtonRelease-1>", x=left, y=90)
    root.update()
    assert not widget.find_withtag("drag")
    assert pane.view == pytest.approx(wanted)
    widget.event_generate("<ButtonPress-1>", x=300, y=150)
    widget.event_generate("<ButtonRelease-1>", x=300, y=150)
    assert pane.view == pytest.approx(wanted)


def test_dragging_with_shift_moves(root: tk.Tk, pane: ChartPane) -> None:
    """The time that was grasped stays under the pointer."""
    assert pane.picture is not None
    widget = pane.picture.widget
    pane.look_at(10_000, 20_000)
    grasped = pane._day(300)
    widget.event_generate("<ButtonPress-1>", x=300, y=80, state=1)
    widget.event_generate("<B1-Motion>", x=250, y=80, state=0x101)
    widget.event_generate("<ButtonRelease-1>", x=250, y=80, state=0x101)
    root.update()
    assert pane._day(250) == pytest.approx(grasped)
    assert pane.view[1] - pane.view[0] == pytest.approx(10_000)


def test_wheel_and_keys(root: tk.Tk, pane: ChartPane) -> None:
    """The wheel zooms around the pointer; plus, minus, arrows and Home do what buttons do."""
    assert pane.picture is not None
    widget = pane.picture.widget
    there = pane._day(300)
    widget.event_generate("<Button-4>", x=300, y=80)
    assert pane._day(300) == pytest.approx(there)
    assert pane.view[1] - pane.view[0] == pytest.approx(0.6 * 39_999)
    widget.focus_force()
    root.update()
    for key in ("<plus>", "<Right>", "<Left>", "<minus>", "<Home>"):
        before = pane.view
        widget.event_generate(key)
        root.update()
        assert pane.view != before
    assert pane.view == (0.0, 39_999.0)


def test_what_stands_under_the_pointer(root: tk.Tk, pane: ChartPane) -> None:
    """The nearest bar's figures are said."""
    assert pane.picture is not None
    assert pane.chart is not None
    pane.picture.widget.event_generate("<Motion>", x=300, y=80)
    root.update()
    assert pane.pointed["text"] == said_at(pane.chart, pane._day(300))
    assert said_at(pane.chart, 13_332.6) == (
        "2006-07-04: 150,000, hold 135,000, drawdown 0.0%, close 1,500.00"
    )


def test_what_is_seen_is_said_in_utc(pane: ChartPane) -> None:
    """The title names the first and the last bar in sight."""
    assert pane.picture is not None
    assert pane.chart is not None
    for _ in range(2):
        words = [text.get_text() for text in pane.picture.figure.findobj(Text)]
        span = pane.chart.span(*pane.view)
        assert span.endswith(" UTC")
        assert any(span in each for each in words)
        pane.zoom(0.1)
    assert pane.chart.span(0.0, 1.2) == "1970-01-01 to 1970-01-02 UTC"


def test_marks_of_fills(pane: ChartPane) -> None:
    """Buys and sells are marked where they were filled; too many are counted instead."""
    assert pane._parts is not None
    assert marked(pane) == [3, 2]
    chart = made_up()
    days = chart.days[::10]
    many = Chart(**{**vars(chart), "fill_days": days, "fill_price": days, "buys": days > 0})
    pane.show(many)
    assert marked(pane) == [0, 0]
    assert "4,000 fills, zoom in" in pane._parts._close.get_title(loc="left")
    pane.look_at(100, 1_100)
    assert sum(marked(pane)) == 101


@pytest.mark.parametrize("suffix", [".png", ".SVG", ".pdf"])
def test_save(pane: ChartPane, panel: Panel, until: Until, tmp_path: Path, suffix: str) -> None:
    """What is seen goes into a file of the kind that its name says."""
    file = tmp_path / f"chart{suffix}"
    pane.save(file)
    until(lambda: panel.notice.get() == f"The picture is in chart{suffix}.")
    begins = {".png": b"\x89PNG\r", ".SVG": b"<?xml", ".pdf": b"%PDF-"}
    assert file.read_bytes()[:5] == begins[suffix]
    assert list(tmp_path.glob("chart*")) == [file]


@pytest.mark.parametrize("name", ["chart", "chart.pgf", "chart.xyz", "chart.png.txt"])
def test_no_picture_is_of_that_kind(
    pane: ChartPane, panel: Panel, tmp_path: Path, name: str
) -> None:
    """A name that says no kind of picture is refused in words, and nothing is written."""
    pane.save(tmp_path / name)
    assert panel.is_complaint
    assert panel.notice.get() == "A picture can be PNG, SVG, PDF: end its name so."
    assert not list(tmp_path.glob("chart*"))


def test_a_picture_that_cannot_be_written(
    pane: ChartPane, panel: Panel, until: Until, tmp_path: Path
) -> None:
    """Where there is no such folder, one is told, and nothing is left behind."""
    pane.save(tmp_path / "none" / "chart.png")
    until(lambda: "No such file" in panel.notice.get() or "no such file" in panel.notice.get())
    assert panel.is_complaint


def test_nobodys_settings_have_a_say(pane: ChartPane) -> None:
    """The server draws with its own settings at the same time: the chart is the same beside them."""
    assert pane.picture is not None
    before = dict(mpl.rcParams)
    pane.picture._draw_now()
    plain = pixels(pane).copy()
    others: Any = {**STYLE, "axes.facecolor": "red", "lines.linewidth": 9.0}
    with mpl.rc_context(others):
        pane.show(made_up())
        pane.picture._draw_now()
        other = pixels(pane).copy()
    assert (plain == other).all()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["light", "dark"])
def test_both_themes(root: tk.Tk, pane: ChartPane, name: str) -> None:
    """The picture stands on the theme's surface, every line apart from it."""
    palette = PALETTES["dark" if name == "dark" else "light"]
    pane.panel.palette = palette
    pane.event_generate("<<ThemeChanged>>")
    root.update()
    assert pane.picture is not None
    assert pane._parts is not None
    pane.picture._draw_now()
    corner = "#" + "".join(f"{part:02x}" for part in pixels(pane)[2, 2, :3])
    assert corner == palette.surface
    for line, _ in pane._parts._lines:
        assert contrast(str(line.get_color()), palette.surface) >= 3


def test_a_size_is_taken_once_it_has_settled(root: tk.Tk, pane: ChartPane, until: Until) -> None:
    """While the window is pulled the last drawing stays; then one of the new size is made."""
    assert pane.picture is not None
    draws: list[int] = []
    pane.picture.mpl_connect("draw_event", lambda _: draws.append(1))
    for width in range(1010, 900, -10):
        root.geometry(f"{width}x640")
        root.update()
    until(lambda: pixels(pane).shape[1] == pane.picture.widget.winfo_width())  # type: ignore[union-attr]  # it was made
    assert pane.picture.widget.winfo_width() <= 910
    assert len(draws) < 11


def test_one_bar(root: tk.Tk, pane: ChartPane) -> None:
    """A run of one bar has a chart too."""
    one = np.array([100_000.0])
    none = np.empty(0)
    pane.show(
        Chart(
            "ONE 1d", 100_000.0, np.array([9_000.0]), one, one, one * 0, one, none, none, none > 0
        )
    )
    root.update()
    assert pane.view == (8_999.5, 9_000.5)


def test_nothing_is_left_behind(
    root: tk.Tk, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After fifty selections there is one canvas with three parts, and after the end none."""
    monkeypatch.setattr("gui.panels.picture.SETTLED_MS", 1)
    results = ResultsPart(root, panel)
    results.pack(fill="both", expand=True)
    ids = []
    for symbol in ("SPX", "IXIC"):
        ids.append(str(panel.client.post("/runs", FAST | {"symbol": symbol})["run_id"]))
        until(lambda: (panel.state.run(ids[-1]) or {}).get("status") == "completed")
    widgets, before = 0, parts_alive()
    for i in range(50):
        panel.state["selected"] = ids[i % 2]
        until(results.chart.body.winfo_ismapped)
        widgets = widgets or len(everything(root))
    assert len(everything(root)) == widgets
    assert parts_alive() == before + 3
    results.destroy()
    assert parts_alive() == before


def parts_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Axes) for each in gc.get_objects())


def everything(widget: tk.Misc) -> list[tk.Misc]:
    return [widget, *(each for child in widget.winfo_children() for each in everything(child))]
