"""The tables of a run as Parquet, written from arrays with fixed options."""

from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.arrow import column
from engine.data.columns import as_numpy, joined
from engine.errors import VerificationError
from engine.records import BacktestResult

if TYPE_CHECKING:
    from engine.records import Integers

ROW_GROUP = 1_048_576


def equity_table(result: BacktestResult) -> dict[str, Any]:
    """Return the columns of ``equity.parquet``, all (n_bars,)."""
    curve = result.execution.curve
    return {
        "ts": result.candles.ts,
        "close": result.candles.close,
        "target_weight": result.weights,
        "position": curve.position,
        "cash": curve.cash,
        "equity": curve.equity,
        "benchmark": result.metrics.benchmark_equity,
    }


def drawdown_table(result: BacktestResult) -> dict[str, Any]:
    """Return the columns of ``drawdown.parquet``, all (n_bars,)."""
    return {"ts": result.candles.ts, "drawdown": result.metrics.drawdown}


def fills_table(result: BacktestResult) -> dict[str, Any]:
    """Return the columns of ``fills.parquet``, all (n_fills,)."""
    fills = result.execution.fills
    return {
        "ts": fills.ts,
        "bar": fills.bar,
        "side": words(fills.side, "buy", "sell"),
        "qty": fills.qty,
        "base_price": fills.base_price,
        "price": fills.price,
        "commission": fills.commission,
        "slippage": fills.slippage,
        "realized_pnl": fills.realized_pnl,
        "position_after": fills.position_after,
    }


def trades_table(result: BacktestResult) -> dict[str, Any]:
    """Return the columns of ``trades.parquet``, all (n_trades,)."""
    trades = result.execution.trades
    return {
        "entry_ts": trades.entry_ts,
        "exit_ts": trades.exit_ts,
        "entry_bar": trades.entry_bar,
        "exit_bar": trades.exit_bar,
        "side": words(trades.side, "long", "short"),
        "qty": trades.qty,
        "entry_price": trades.entry_price,
        "exit_price": trades.exit_price,
        "pnl": trades.pnl,
        "return": trades.return_,
        "commission": trades.commission,
        "slippage": trades.slippage,
        "borrow": trades.borrow,
        "bars_held": trades.bars_held,
        "mae": trades.mae,
        "mfe": trades.mfe,
        "open": trades.open,
    }


def features_table(result: BacktestResult) -> dict[str, Any]:
    """Return the columns of ``features.parquet``: the shifted series, null where undefined."""
    return {"ts": result.candles.ts, **result.features}


def words(side: "Integers", positive: str, negative: str) -> pa.Array:
    """Return a text column that says ``positive`` where ``side`` > 0, else ``negative``."""
    lengths = np.where(side > 0, len(positive), len(negative))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    text = "".join(positive if value > 0 else negative for value in side)
    buffers = (pa.py_buffer(offsets), pa.py_buffer(text.encode()))
    return pa.StringArray.from_buffers(len(side), *buffers)


def write_parquet(columns: Mapping[str, Any], file: IO[bytes]) -> None:
    """Write columns of equal length to an open file: zstd, no pandas metadata."""
    arrays = [column(values) for values in columns.values()]
    pq.write_table(
        pa.Table.from_arrays(arrays, names=list(columns)),
        file,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=False,
        store_schema=False,
    )


def read_parquet(file: IO[bytes], names: Iterable[str]) -> dict[str, Any]:
    """Return columns of an open table as arrays: null as NaN, text as an array of objects.

    Raises
        VerificationError where the table cannot be read or has no such column.
    """
    try:
        with pq.ParquetFile(file) as source:
            table = source.read(columns=list(names), use_threads=False)
            return {name: _as_array(table.column(name)) for name in names}
    except (pa.ArrowException, KeyError):
        message = "a table of the run cannot be read: it is damaged"
        raise VerificationError(message) from None


def _as_array(values: pa.ChunkedArray) -> Any:
    if values.type == pa.string():
        return np.array(values.to_pylist(), dtype=object)
    return as_numpy(joined(values.chunks) if values.num_chunks else pa.array([], values.type))
