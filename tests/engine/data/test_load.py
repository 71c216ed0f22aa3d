"""The slice that a run sees: adjusted, cut at both ends, counted and checked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.config import RunConfig
from engine.data import FileProvider, LoadedSlice, data_warnings, guess_name, load, providers
from engine.data.sample import SampleProvider
from engine.errors import DataError, DatasetNotFound, LimitError
from engine.limits import Limits

DAY_MS = 86_400_000
MONDAY_MS = 1_578_268_800_000
Load = Callable[..., LoadedSlice]


@pytest.fixture(name="load_file")
def load_file_fixture(tmp_path: Path) -> Load:
    def call(text: str, limits: Limits | None = None, **config: Any) -> LoadedSlice:
        path = tmp_path / "X.csv"
        path.write_text(text, encoding="utf-8")
        checked = RunConfig.model_validate({"symbol": "X", **config})
        return load(checked, FileProvider(path), limits or Limits())

    return call


def _file(n: int, cells: str = "2,3,1,2,10", header: str = "Volume") -> str:
    rows = [f"2020-01-{6 + i:02},{cells}" for i in range(n)]
    return "\n".join([f"Date,Open,High,Low,Close,{header}", *rows])


@pytest.mark.parametrize(
    ("span", "kept"),
    [
        ({}, range(10)),
        ({"start": "2020-01-08"}, range(2, 10)),
        ({"end": "2020-01-08"}, range(3)),
        ({"start": "2020-01-07", "end": "2020-01-09"}, range(1, 4)),
        ({"start": "2020-01-07T00:00:00Z", "end": "2020-01-09T00:00:00Z"}, range(1, 4)),
        ({"start": "2020-01-07T00:00:00.001Z"}, range(2, 10)),
        ({"end": "2020-01-08T23:59:59.999Z"}, range(3)),
        ({"start": "2020-01-07T02:00+02:00"}, range(1, 10)),
        ({"start": MONDAY_MS + DAY_MS, "end": MONDAY_MS + 2 * DAY_MS}, range(1, 3)),
        ({"start": "1990-01-01", "end": "2030-01-01"}, range(10)),
        ({"start": "2020-01-15", "end": "2020-01-15"}, range(9, 10)),
        ({"start": MONDAY_MS + DAY_MS, "end": MONDAY_MS + DAY_MS}, range(1, 2)),
    ],
)
def test_slice(span: dict[str, Any], kept: range, load_file: Load) -> None:
    """Start and end belong to the slice, and a day alone is the whole day."""
    candles = load_file(_file(10), **span).candles
    assert candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in kept]
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    assert all(column is not None and len(column) == len(kept) for column in columns)
    assert candles.gap_flag is not None
    assert len(candles.gap_flag) == len(kept)


@pytest.mark.parametrize(
    "span",
    [
        {"start": "2021-01-01"},
        {"end": "2019-01-01"},
        {"start": "2020-01-06T01:00Z", "end": "2020-01-06T23:00Z"},
    ],
)
def test_empty_slice(span: dict[str, Any], load_file: Load) -> None:
    """A range without bars is refused with the range there is."""
    with pytest.raises(DataError, match="2020-01-06 to 2020-01-15") as caught:
        load_file(_file(10), **span)
    assert "X 1d" in str(caught.value)


def test_adjustment(load_file: Load) -> None:
    """Prices and vwap are multiplied by adjusted close over close, and volume is not."""
    text = _file(3, "4,8,2,5,10,2.5,6", "Volume,Adj Close,VWAP")
    text = text.replace("2020-01-08,4,8,2,5,10,2.5", "2020-01-08,4,8,2,5,10,5")
    candles = load_file(text, adjust="split_dividend").candles
    assert candles.open.tolist() == [2.0, 2.0, 4.0]
    assert candles.high.tolist() == [4.0, 4.0, 8.0]
    assert candles.low.tolist() == [1.0, 1.0, 2.0]
    assert candles.close.tolist() == [2.5, 2.5, 5.0]
    assert candles.vwap is not None
    assert candles.vwap.tolist() == [3.0, 3.0, 6.0]
    assert candles.volume is not None
    assert candles.volume.tolist() == [10.0] * 3


def test_no_adjustment(load_file: Load) -> None:
    """Without being asked, an adjusted close changes nothing."""
    candles = load_file(_file(3, "4,8,2,5,10,2.5", "Volume,Adj Close")).candles
    assert candles.close.tolist() == [5.0] * 3


def test_adjustment_of_a_slice(load_file: Load) -> None:
    """A slice is adjusted by its own bars' factors."""
    rows = [f"2020-01-{6 + i:02},4,8,2,4,10,{1 + i}" for i in range(4)]
    text = "\n".join(["Date,Open,High,Low,Close,Volume,Adj Close", *rows])
    candles = load_file(text, adjust="split_dividend", start="2020-01-08").candles
    assert candles.close.tolist() == [3.0, 4.0]
    assert candles.high.tolist() == [6.0, 8.0]


def test_adjustment_without_column(load_file: Load) -> None:
    """Adjustment without an adjusted close is refused."""
    with pytest.raises(DataError, match=r"split_dividend needs an adjusted close.*X 1d"):
        load_file(_file(3), adjust="split_dividend")


@pytest.mark.parametrize(("max_bars", "refused"), [(9, True), (10, False)])
def test_limit(max_bars: int, load_file: Load, *, refused: bool) -> None:
    """More bars than the limit are refused; as many are not."""
    limits = Limits(max_bars=max_bars)
    if refused:
        with pytest.raises(LimitError, match="10 bars are more than the limit of 9"):
            load_file(_file(10), limits)
    else:
        assert len(load_file(_file(10), limits).candles) == 10


def test_limit_counts_the_slice(load_file: Load) -> None:
    """Only the bars of the slice count towards the limit."""
    assert len(load_file(_file(10), Limits(max_bars=3), end="2020-01-08").candles) == 3


def test_quality(load_file: Load) -> None:
    """The counts are those of the slice, not of the file."""
    rows = [f"2020-01-{day:02},2,3,1,2,{day % 3}" for day in (6, 7, 8, 9, 10, 15, 16, 17, 22)]
    text = "\n".join(["Date,Open,High,Low,Close,Volume", *rows])
    whole, part = load_file(text).quality, load_file(text, start="2020-01-15").quality
    assert (whole.bars, whole.gaps, whole.zero_volume_bars, whole.volume_known) == (9, 2, 3, True)
    assert (part.bars, part.gaps, part.zero_volume_bars, part.volume_known) == (4, 1, 1, True)


def test_unknown_volume(load_file: Load) -> None:
    """A volume that is unknown has no zero bars."""
    loaded = load_file(_file(3, "2,3,1,2,2", "Adj Close"))
    assert (loaded.quality.zero_volume_bars, loaded.quality.volume_known) == (0, False)
    config = RunConfig.model_validate({"symbol": "X"})
    assert list(data_warnings(config, loaded)) == []


@pytest.mark.parametrize(
    ("cells", "zero_volume", "warned"),
    [
        ("2,3,1,2,0", "carry", True),
        ("2,3,1,2,0", "skip", True),
        ("2,3,1,2,0", "fill", False),
        ("2,3,1,2,1", "carry", False),
    ],
)
def test_volume_all_zero(cells: str, zero_volume: str, load_file: Load, *, warned: bool) -> None:
    """Data without any volume warns that nothing can fill, unless it is told to fill anyway."""
    raw = {"symbol": "X", "execution": {"zero_volume": zero_volume}}
    warnings = data_warnings(RunConfig.model_validate(raw), load_file(_file(3, cells)))
    assert [warning.code for warning in warnings] == ["volume_all_zero"] * warned


def test_volume_beside_adjusted_prices(load_file: Load) -> None:
    """Shares of the volume of adjusted prices are warned of, with that slippage model alone."""
    loaded = load_file(_file(3))
    for name, expected in (("participation_rate", ["volume_not_adjusted"]), ("spread_pct", [])):
        raw = {
            "symbol": "X",
            "adjust": "split_dividend",
            "execution": {"slippage_model": {"name": name}},
        }
        warnings = data_warnings(RunConfig.model_validate(raw), loaded)
        assert [warning.code for warning in warnings] == expected


def _adjusted_file(adj_closes: Sequence[object]) -> str:
    rows = [f"2020-01-{6 + i:02},2,3,1,2,{cell}" for i, cell in enumerate(adj_closes)]
    return "\n".join(["Date,Open,High,Low,Close,Adj Close", *rows])


@pytest.mark.parametrize(
    ("adj_closes", "config", "said"),
    [
        ([0.5, 0.5, 2, 2], {}, "at 2020-01-08, which"),
        ([20, 2, 2, 1.8, 1.6], {}, "at 2020-01-07 (and 2 more), which"),
        ([1.9, 2, 2, 1.85], {}, None),
        ([2, 2, 2], {}, None),
        (["", "", ""], {}, None),
        ([0.5, 0.5, 2, 2], {"adjust": "split_dividend"}, None),
        ([0.5, 0.5, 2, 2], {"start": "2020-01-08"}, None),
        ([0.5, 0.5, 2, 2], {"start": "2020-01-07"}, "at 2020-01-08, which"),
        ([0.5, 0.5, 2, 2], {"end": "2020-01-07"}, None),
        ([0.5, "", 2, 2, 1], {"on_bad_rows": "drop"}, "at 2020-01-08 (and 1 more), which"),
    ],
)
def test_unadjusted_split(
    adj_closes: Sequence[object], config: dict[str, Any], said: str | None, load_file: Load
) -> None:
    """A split that only the adjusted close knows is warned of, in the slice and unadjusted."""
    loaded = load_file(_adjusted_file(adj_closes), **config)
    checked = RunConfig.model_validate({"symbol": "X", **config})
    warnings = list(data_warnings(checked, loaded))
    assert [warning.code for warning in warnings] == ["unadjusted_split"] * (said is not None)
    assert all(said in warning.message for warning in warnings if said)


def test_a_warning_of_a_split_changes_nothing_else(load_file: Load) -> None:
    """The candles of a run, and so its identity, do not know the adjusted close."""
    plain, split = (load_file(_adjusted_file(cells)) for cells in ([2, 2, 2], [0.5, 2, 2]))
    assert plain.digest == split.digest
    assert (plain.splits, split.splits) == ((), (MONDAY_MS + DAY_MS,))


def test_periods(load_file: Load) -> None:
    """The slice says how many of its bars make a year, or what the configuration says."""
    assert load_file(_file(5)).periods_per_year.value == 252
    configured = load_file(_file(5), execution={"periods_per_year": 300.0}).periods_per_year
    assert (configured.value, configured.origin) == (300.0, "configured")


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe"),
    [
        ("SPX_1d.csv", "SPX", "1d"),
        ("SPX.csv", "SPX", None),
        ("BTC-USD_5m.csv", "BTC-USD", "5m"),
        ("BRK.B_1w.csv", "BRK.B", "1w"),
        ("my_data_4h.csv", "my_data", "4h"),
        ("my_data.csv", "my_data", None),
        ("SPX_2d.csv", "SPX_2d", None),
        ("SPX_1h.parquet", "SPX", "1h"),
    ],
)
def test_guess_name(name: str, symbol: str, timeframe: str | None) -> None:
    """A file's name tells its symbol, and its timeframe where it ends in one."""
    assert guess_name(Path("/somewhere") / name) == (symbol, timeframe)


@pytest.mark.parametrize("name", [".csv", "_1d.csv", "my data.csv", "-x_1d.csv", "x" * 65 + ".csv"])
def test_unguessable_name(name: str) -> None:
    """A name that holds no symbol asks for one."""
    with pytest.raises(DataError, match="--symbol"):
        guess_name(Path(name))


@pytest.mark.parametrize(("symbol", "first_close"), [("SPX", 1228.099976), ("IXIC", 2208.050049)])
def test_sample(symbol: str, first_close: float) -> None:
    """The sample has twenty years of two indices."""
    provider = providers.build("sample", providers.check("sample", {}, "provider"))
    assert isinstance(provider, SampleProvider)
    loaded = load(RunConfig(symbol=symbol, provider="sample"), provider, Limits())
    assert (len(loaded.candles), loaded.candles.close[0]) == (5031, first_close)
    assert loaded.report.counts == {}
    assert loaded.periods_per_year.value == 252


@pytest.mark.parametrize("wanted", [{"symbol": "DAX"}, {"symbol": "SPX", "timeframe": "1h"}])
def test_missing_sample(wanted: dict[str, str]) -> None:
    """What the sample does not have is said, with what it has."""
    provider = providers.build("sample", providers.check("sample", {}, "provider"))
    with pytest.raises(DatasetNotFound, match="SPX 1d and IXIC 1d"):
        load(RunConfig.model_validate({**wanted, "provider": "sample"}), provider, Limits())
