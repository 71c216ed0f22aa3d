"""Random walks as candles: the same for the same number, whatever the timeframe and the range."""

from typing import Any

import numpy as np
import pytest

from engine.data import providers
from engine.data.calendars import periods_per_year
from engine.errors import DataError, DatasetNotFound, LimitError
from engine.pipeline import prepare, run
from engine.streams import generator


def walk(**fields: Any) -> Any:
    return prepare({"symbol": "SEED-7", "provider": "synthetic", **fields}).loaded.candles


def test_a_walk_is_its_seed() -> None:
    """The same number gives the same bytes, another number another walk."""
    again = walk()
    assert walk().close.tobytes() == again.close.tobytes()
    assert walk(symbol="SEED-8").close.tobytes() != again.close.tobytes()
    assert len(again) == 2500
    assert again.close[0] == 100


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"])
def test_any_timeframe_and_range(timeframe: str) -> None:
    """Bars are valid, evenly spaced, within the range, on every day of the week."""
    candles = walk(timeframe=timeframe, start="2020-01-03", end="2020-03-01")
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.low > 0).all()
    assert len(np.unique(np.diff(candles.ts))) == 1
    assert not candles.gap_flag.any()
    if timeframe == "1h":
        assert periods_per_year(candles, None).value == 365 * 24
    if timeframe == "1w":
        assert (candles.ts // 86_400_000 + 3).tolist()[0] % 7 == 0  # a Monday


def test_a_walk_runs() -> None:
    """A run on a walk is a run like any other."""
    result = run({"symbol": "SEED-1", "provider": "synthetic", "timeframe": "4h"})
    assert len(result.execution.trades) > 10


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"symbol": "SPX"}, DatasetNotFound, "SEED-<number>"),
        ({"symbol": "SPX", "timeframe": "1m", "end": "8000-01-01"}, DatasetNotFound, "SEED-<number>"),
        ({"timeframe": "1m", "end": "2018-08-26"}, LimitError, "4,550,400 bars are more than the lim"),
        ({"timeframe": "1m", "end": "8000-01-01"}, LimitError, "bars are more than the limit of 2,0"),
        ({"end": "1990-01-01"}, DataError, "holds no bar of 1d"),
    ],
)  # fmt: skip
def test_walks_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], error: type, words: str
) -> None:
    """Another symbol, and a range too long or empty, are refused before a bar is made."""
    monkeypatch.setattr("engine.data.synthetic.generator", None)
    with pytest.raises(error, match=words):
        walk(**fields)


def test_it_lists_nothing() -> None:
    """There is a walk for every number, so none is listed."""
    assert providers.build("synthetic", providers.check("synthetic", {}, "x")).datasets() == []


def test_streams_are_their_own() -> None:
    """A stream depends on seed, name and replicate, and begins anew each time."""
    draws = {
        generator(*key).integers(0, 2**62)
        for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))
    }
    assert len(draws) == 4
    assert generator(3, "x", 5).random() == generator(3, "x", 5).random()
    # Known once and for all: a change here changes every seeded result.
    assert generator(0, "test", 0).integers(0, 2**32, 3).tolist() == [
        3475640594,
        418133288,
        3611441732,
    ]
