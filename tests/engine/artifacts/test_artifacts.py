"""The files of a run: tables, documents, manifest and plot, and how they get to their place."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.artifacts import (
    Place,
    inspect_place,
    metrics_document,
    publish,
    summary_document,
    verify,
)
from engine.artifacts.drawing import decimals, sample_bars
from engine.artifacts.tables import write_parquet
from engine.errors import OutputError, RunCancelled
from engine.metrics import HEADLINE
from engine.pipeline import run
from engine.records import BacktestResult

CONFIG: dict[str, Any] = {
    "symbol": "IXIC",
    "provider": "sample",
    "end": "2003-12-31",
    "indicators": [{"name": "rsi"}, {"name": "cdldoji"}],
    "execution": {"commission_bps": 5, "slippage_bps": 2, "borrow_bps": 100},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "r"


@pytest.fixture(scope="module")
def result(place: Path) -> BacktestResult:
    return run(CONFIG, out=place)


def read(path: Path) -> dict[str, list[Any]]:
    table: dict[str, list[Any]] = pq.ParquetFile(path).read().to_pydict()
    return table


def document(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_tables_hold_the_result(result: BacktestResult, place: Path) -> None:
    """Every table has the agreed columns, in order, and the values of the result to the bit."""
    equity, drawdown = read(place / "equity.parquet"), read(place / "drawdown.parquet")
    assert list(equity) == [
        "ts",
        "close",
        "target_weight",
        "position",
        "cash",
        "equity",
        "benchmark",
    ]
    assert equity["equity"] == result.execution.curve.equity.tolist()
    assert equity["target_weight"] == result.weights.tolist()
    assert equity["benchmark"] == result.metrics.benchmark_equity.tolist()
    assert drawdown == {
        "ts": result.candles.ts.tolist(),
        "drawdown": result.metrics.drawdown.tolist(),
    }
    fills = read(place / "fills.parquet")
    assert list(fills) == [
        "ts", "bar", "side", "qty", "base_price", "price", "commission", "slippage",
        "realized_pnl", "position_after",
    ]  # fmt: skip
    assert fills["side"] == ["buy" if side > 0 else "sell" for side in result.execution.fills.side]
    assert min(fills["qty"]) > 0
    trades = read(place / "trades.parquet")
    assert list(trades) == [
        "entry_ts", "exit_ts", "entry_bar", "exit_bar", "side", "qty", "entry_price", "exit_price",
        "pnl", "return", "commission", "slippage", "borrow", "bars_held", "mae", "mfe", "open",
    ]  # fmt: skip
    assert set(trades["side"]) == {"long", "short"}
    assert trades["open"] == [False] * (len(trades["open"]) - 1) + [True]
    assert trades["pnl"] == result.execution.trades.pnl.tolist()


def test_features_are_null_where_undefined(result: BacktestResult, place: Path) -> None:
    """The shifted series stand in the table, null until they are defined, never NaN."""
    features = read(place / "features.parquet")
    assert list(features) == ["ts", "rsi", "cdldoji"]
    assert features["rsi"][:15] == [None] * 15  # 14 changes, and the shift
    assert features["rsi"][15:] == result.features["rsi"][15:].tolist()
    assert not any(value != value for value in features["rsi"][15:])  # noqa: PLR0124  # NaN


def test_parquet_options(place: Path, result: BacktestResult) -> None:
    """Tables carry no pandas metadata and no trace of the machine, compressed with zstd."""
    assert result.manifest is not None
    metadata = pq.ParquetFile(place / "equity.parquet").metadata
    assert metadata.metadata is None
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert metadata.num_row_groups == 1


def test_null_bits_and_words_survive(tmp_path: Path) -> None:
    """Integers, booleans and numbers with holes come back as they were, also where empty."""
    columns = {
        "i": np.asarray([1, -(2**62)]),
        "f": np.asarray([np.nan, -0.5]),
        "b": np.asarray([True, False]),
    }
    for part in (slice(0, 2), slice(0, 0)):
        with (tmp_path / "t").open("wb") as file:
            write_parquet({name: values[part] for name, values in columns.items()}, file)
        expected: dict[str, list[Any]] = {"i": [1, -(2**62)], "f": [None, -0.5], "b": [True, False]}
        assert read(tmp_path / "t") == {name: v[part] for name, v in expected.items()}


def test_documents(result: BacktestResult, place: Path) -> None:
    """The JSON documents are those of the result, with every documented key."""
    assert result.manifest is not None
    assert document(place / "config.json") == result.config.to_json()
    summary = document(place / "summary.json")
    assert summary == summary_document(result)
    assert set(summary) == {
        "run_id", "run_hash", "config_hash", "candle_digest", "code_version", "symbol", "timeframe",
        "provider", "first_ts", "last_ts", "n_bars", "periods_per_year", "data_quality",
        "warnings", "metrics", "validation", "causality",
    }  # fmt: skip
    assert summary["metrics"] == {name: result.metrics.values[name] for name in HEADLINE}
    metrics = document(place / "metrics.json")
    assert metrics == metrics_document(result)
    assert set(metrics) == {"metrics", "reasons", "benchmark", "monthly_returns", "yearly_returns"}
    undefined = {name for name, value in metrics["metrics"].items() if value is None}
    assert undefined == {name for name in metrics["reasons"] if "." not in name}


def test_every_metric_of_the_agreement_is_there(result: BacktestResult) -> None:
    """No metric of the agreement is missing and none stands there beside them."""
    assert set(result.metrics.values) == {
        "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar",
        "avg_drawdown", "avg_drawdown_duration_bars", "max_drawdown_duration_bars", "turnover",
        "exposure", "avg_gross_exposure", "max_gross_exposure", "trade_count", "open_trades",
        "win_rate", "payoff_ratio", "profit_factor", "expectancy", "best_trade", "worst_trade",
        "avg_bars_held", "longest_win_streak", "longest_loss_streak", "long", "short",
        "total_commission", "total_slippage", "total_borrow", "skewness", "kurtosis", "psr",
        "min_track_record_bars",
    }  # fmt: skip
    assert set(result.metrics.benchmark) == {"total_return", "cagr", "sharpe", "max_drawdown"}


def test_manifest_pins_every_file(result: BacktestResult, place: Path) -> None:
    """The manifest lists each file by name, hash, size and type, and is what was returned."""
    manifest = document(place / "manifest.json")
    assert manifest == result.manifest
    assert [entry["name"] for entry in manifest["files"]] == sorted(
        path.name for path in place.iterdir() if path.name != "manifest.json"
    )
    for entry in manifest["files"]:
        assert entry["size"] == (place / entry["name"]).stat().st_size
    assert {entry["mime"] for entry in manifest["files"]} == {
        "application/json",
        "application/vnd.apache.parquet",
        "image/png",
    }
    assert verify(place).ok
    assert set(manifest["environment"]) == {
        "python", "implementation", "system", "machine", "fma", "kernel", "libraries",
    }  # fmt: skip


def test_no_clock_no_place_in_any_file(result: BacktestResult, place: Path, tmp_path: Path) -> None:
    """Published again elsewhere, the same result gives the same manifest hash."""
    again = publish(result, tmp_path / "deep/er/place", lambda: None)
    assert result.manifest is not None
    assert again["manifest_hash"] == result.manifest["manifest_hash"]
    assert inspect_place(place, result.identity) is Place.THIS_RUN
    assert inspect_place(tmp_path / "free", result.identity) is Place.FREE


def test_cancelled_while_publishing(result: BacktestResult, tmp_path: Path) -> None:
    """A run that is cancelled between two files leaves neither files nor directories."""
    calls = iter([None, None, RunCancelled("stop")])

    def check() -> None:
        fault = next(calls)
        if fault is not None:
            raise fault

    with pytest.raises(RunCancelled):
        publish(result, tmp_path / "a/b/r", check)
    assert list(tmp_path.iterdir()) == []


def test_a_place_taken_meanwhile(result: BacktestResult, tmp_path: Path) -> None:
    """A directory that someone filled during the run is not overwritten."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r/notes").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="something else"):
        publish(result, tmp_path / "r", lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    with pytest.raises(OutputError, match="something else"):
        inspect_place(tmp_path / "r", result.identity)


@pytest.mark.parametrize("n", [1, 2, 1999, 2000, 2001, 54_321])
def test_drawn_bars_keep_every_extreme(n: int) -> None:
    """Of a long series at most 2,000 bars are drawn, both ends, highest and lowest among them."""
    values = np.random.default_rng(n).standard_normal(n)
    bars = sample_bars(values)
    assert len(bars) <= 2000
    assert (np.diff(bars) > 0).all()
    assert {0, n - 1, int(values.argmin()), int(values.argmax())} <= set(bars.tolist())


@pytest.mark.parametrize(
    ("span", "digits"), [(0, 0), (1e-30, 9), (0.4, 2), (4, 1), (40, 0), (4e6, 0)]
)
def test_ticks_are_told_apart(span: float, digits: int) -> None:
    """An axis over a small span shows enough decimals."""
    assert decimals(span) == digits


@pytest.mark.parametrize("bars", [1, 2, 60])
def test_short_runs_are_drawn(tmp_path: Path, bars: int) -> None:
    """A run of a single bar is drawn as well."""
    last = ("1999-01-04", "1999-01-05", "1999-04-01")[(1, 2, 60).index(bars)]
    run(CONFIG | {"end": last}, out=tmp_path / "r")
    assert (tmp_path / "r/plot.png").read_bytes().startswith(b"\x89PNG")


def png_size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


@pytest.mark.parametrize(
    "raw",
    [
        {"validation": {"permutation": {"n": 9}}},
        {"validation": {"permutation": {"n": 9, "method": "shift"}, "block_bootstrap": {"n": 9}}},
        {"validation": {"block_bootstrap": {"n": 9}, "walk_forward": {}}, "seed": 3},
        {"strategy": {"name": "buy_and_hold"}, "validation": {"permutation": {}, "walk_forward": {}}},
        {"end": "1999-01-20", "validation": {"permutation": {}, "block_bootstrap": {}, "walk_forward": {}}},
    ],
    ids=["one", "two", "others", "no timing", "nothing to say"],
)  # fmt: skip
def test_validation_is_drawn_below(tmp_path: Path, raw: dict[str, Any]) -> None:
    """Each test with a picture has its place below the rest, a null one with its reason."""
    run(CONFIG | raw, out=tmp_path / "r")
    assert png_size(tmp_path / "r/plot.png") == (1200, 1110)
    assert verify(tmp_path / "r").ok


def test_this_very_run_published_meanwhile(result: BacktestResult, tmp_path: Path) -> None:
    """Of identical runs into one place the first stays, and the others find it there."""
    first = publish(result, tmp_path / "r", lambda: None)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()}
    assert publish(result, tmp_path / "r", lambda: None) == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_only_what_is_ours_is_tidied(result: BacktestResult, tmp_path: Path) -> None:
    """An old directory of somebody else stays, whatever its name ends with."""
    mine, named = tmp_path / ".precious.partial", tmp_path / ".other.0123abcd.partial"
    ours = tmp_path / ".run.89abcdef.partial"
    for folder, name in ((mine, "f"), (named, "letters.txt"), (ours, "config.json")):
        folder.mkdir()
        (folder / name).write_text("x", encoding="utf-8")
        os.utime(folder, (0, 0))
    publish(result, tmp_path / "r", lambda: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [named.name, mine.name, "r"]
