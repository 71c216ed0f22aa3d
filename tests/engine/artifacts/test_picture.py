"""The plot of a run, drawn from its files as well, whole or in parts."""

import contextlib
import dataclasses
import gc
import io
import json
import weakref
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.lines import Line2D

from engine.artifacts.picture import Picture
from engine.artifacts.plot import draw_png, draw_svgs
from engine.artifacts.tables import read_parquet
from engine.errors import VerificationError
from engine.pipeline import run
from engine.records import BacktestResult

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG: dict[str, Any] = {
    "symbol": "SPX", "provider": "sample", "start": "2001-01-01", "end": "2005-12-31",
    "execution": {"slippage_bps": 2},
}  # fmt: skip
TESTS = {"permutation": {"n": 19}, "block_bootstrap": {"n": 49}, "walk_forward": {"folds": 3}}
SVG = "{http://www.w3.org/2000/svg}"
TABLES = ("equity.parquet", "fills.parquet", "drawdown.parquet")


def both(folder: Path, **changes: Any) -> tuple[BacktestResult, Picture]:
    """Return a run, and its picture as its files give it."""
    result = run(CONFIG | changes, out=folder)
    names = ("config.json", "metrics.json", "validation_summary.json")
    documents = [
        json.loads((folder / name).read_bytes()) if (folder / name).exists() else {}
        for name in names
    ]
    tables = {name: io.BytesIO((folder / name).read_bytes()) for name in TABLES}
    return result, Picture.read(documents[0], documents[1], documents[2], tables)


def test_the_picture_of_the_files(tmp_path: Path) -> None:
    """The files of a run hold all that its picture shows, but for the way between the folds' ends."""
    result, read = both(tmp_path / "run", validation=TESTS)
    made = Picture.of(result)
    assert (made.heading, made.initial_cash) == (read.heading, read.initial_cash)
    for entry in dataclasses.fields(Picture):
        if isinstance(value := getattr(made, entry.name), np.ndarray):
            np.testing.assert_array_equal(getattr(read, entry.name), value, strict=True)
    assert made.validation == read.validation
    assert made.stitched is not None
    assert read.stitched is not None
    (ts, equity), (end_ts, end_equity) = made.stitched, read.stitched
    assert len(end_ts) == 4
    assert end_equity[0] == made.initial_cash
    at_ends = equity[np.searchsorted(ts, end_ts[1:])]
    np.testing.assert_allclose(end_equity[1:], at_ends, rtol=1e-12)


def test_the_same_plot_from_the_files(tmp_path: Path) -> None:
    """A plot drawn from the files has the bytes of the one that the run made."""
    result, read = both(tmp_path / "run")
    again = io.BytesIO()
    draw_png(dataclasses.replace(read, strategy=Picture.of(result).strategy), again)
    assert again.getvalue() == (tmp_path / "run/plot.png").read_bytes()


def test_nothing_waits_to_be_collected(tmp_path: Path) -> None:
    """What was drawn goes at once: no curve of a run waits for the collector."""

    def curves() -> int:
        lines = [each for each in gc.get_objects() if isinstance(each, Line2D)]
        return sum(np.size(line.get_xdata()) > 100 for line in lines)  # others are ticks

    _, read = both(tmp_path / "run", validation=TESTS, plot=False)
    gc.collect()
    before = curves()
    gc.disable()
    try:
        draw_png(read, io.BytesIO())
        draw_svgs(read)
        assert curves() == before
    finally:
        gc.enable()


def test_pixels_go_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plot was drawn on, five megabytes, does not wait for the collector either."""
    drawn: list[weakref.ref[RendererAgg]] = []
    made: Callable[..., None] = RendererAgg.__init__

    def seen(self: RendererAgg, *args: float) -> None:
        made(self, *args)
        drawn.append(weakref.ref(self))

    monkeypatch.setattr(RendererAgg, "__init__", seen)
    _, read = both(tmp_path / "run", validation=TESTS, plot=False)
    gc.collect()
    gc.disable()
    try:
        draw_png(read, io.BytesIO())
        assert [each() for each in drawn] == [None] * max(1, len(drawn))
    finally:
        gc.enable()


def test_fonts_are_opened_once(tmp_path: Path) -> None:
    """However many threads want pictures, the files of fonts that are open do not grow in number.

    matplotlib opens them anew for each thread that draws, and keeps them.
    """
    _, picture = both(tmp_path)
    draw_png(picture, io.BytesIO())
    expected = draw_svgs(picture)
    before = fonts()
    for _ in range(3):
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(draw_svgs, [picture] * 4)) == [expected] * 4
    assert fonts() == before > 0


def fonts() -> int:
    """Return how many files of fonts are open."""
    n = 0
    for place in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one of this listing has gone
            n += place.readlink().suffix == ".ttf"
    return n


def test_the_parts_as_svg(tmp_path: Path) -> None:
    """There is one part for the run and one for each test that is drawn; the same bytes each time."""
    result, read = both(tmp_path / "run", validation=TESTS, plot=False)
    parts = draw_svgs(read)
    assert len(parts) == 4
    assert parts == draw_svgs(read)
    assert draw_svgs(Picture.of(result))[:3] == parts[:3]
    assert b"Equity" in parts[0]
    assert all(b"<text" in part and b"<dc:date>" not in part for part in parts)


def test_tests_with_nothing_to_draw(tmp_path: Path) -> None:
    """A panel without a figure says why, in lines that fit it, and has no axes."""
    idle = {"strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 5000}}, "plot": False}
    _, read = both(tmp_path / "run", validation=TESTS, **idle)
    said = []
    for part in draw_svgs(read)[1:]:
        root = ET.fromstring(part)  # noqa: S314  # what was made a moment ago
        lines = [line.strip() for text in root.iter(f"{SVG}text") for line in text.itertext()]
        said.append([line for line in lines if line])
    assert said == [
        ["No verdict on luck: the target weight never", "changes, so there is no timing to test"],
        ["No Sharpe interval: zero volatility"],
        ["Later stretches: too few bars"],
    ]


def test_a_table_without_the_column(tmp_path: Path) -> None:
    """A table that has not what is looked for, or is none, does not verify."""
    run(CONFIG | {"plot": False}, out=tmp_path / "run")
    with (tmp_path / "run/fills.parquet").open("rb") as file:
        assert read_parquet(file, ["side"])["side"][0] in {"buy", "sell"}
        with pytest.raises(VerificationError, match="damaged"):
            read_parquet(file, ["nothing"])
    with pytest.raises(VerificationError, match="damaged"):
        read_parquet(io.BytesIO(b"PAR1"), ["side"])
