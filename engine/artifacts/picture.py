"""What the picture of a run shows, as one plain record: made from a result, or from its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from engine.artifacts.tables import read_parquet
from engine.records import ArrayRecord, BacktestResult
from engine.strategy import strategies

if TYPE_CHECKING:
    from engine.records import Floats, Integers

Document = Mapping[str, Any]
Tables = Mapping[str, IO[bytes]]
Curve = tuple["Integers", "Floats"]
EQUITY = ("ts", "close", "position", "equity", "benchmark")


@dataclass(frozen=True, eq=False)
class Picture(ArrayRecord):
    """Curves (n_bars,), fills (n_fills,) and what the validation tests found.

    ``heading`` and ``strategy`` stand above the picture, and ``figures`` are metrics by name.
    ``fill_side`` is +1 for buys and −1 for sells. ``stitched`` is the out-of-sample equity of the
    walk-forward folds, as times (m,) and currency (m,), where there is one.
    """

    heading: str
    strategy: str
    figures: Document
    initial_cash: float
    ts: "Integers"
    close: "Floats"
    position: "Floats"
    equity: "Floats"
    benchmark: "Floats"
    drawdown: "Floats"
    fill_ts: "Integers"
    fill_side: "Integers"
    fill_price: "Floats"
    validation: Mapping[str, Document]
    stitched: Curve | None

    @classmethod
    def of(cls, result: BacktestResult) -> Self:
        """Return the picture of a run that has just been made."""
        config, fills = result.config, result.execution.fills
        return cls(
            heading=f"{config.symbol} {config.timeframe}",
            strategy=strategies.describe(config.strategy.name, config.strategy.params),
            figures=result.metrics.values,
            initial_cash=config.execution.initial_cash,
            ts=result.candles.ts,
            close=result.candles.close,
            position=result.execution.curve.position,
            equity=result.execution.curve.equity,
            benchmark=result.metrics.benchmark_equity,
            drawdown=result.metrics.drawdown,
            fill_ts=fills.ts,
            fill_side=fills.side,
            fill_price=fills.price,
            validation={name: report.document for name, report in result.validation.items()},
            stitched=_stitched(result),
        )

    @classmethod
    def read(
        cls, config: Document, metrics: Document, validation: Document, tables: Tables
    ) -> Self:
        """Return the picture that a run's files give; ``tables`` are open Parquet files.

        The out-of-sample equity is kept at the ends of its folds only.
        """
        equity = read_parquet(tables["equity.parquet"], EQUITY)
        fills = read_parquet(tables["fills.parquet"], ("ts", "side", "price"))
        return cls(
            heading=f"{config['symbol']} {config['timeframe']}",
            strategy=config["strategy"]["name"],
            figures=metrics["metrics"],
            initial_cash=config["execution"]["initial_cash"],
            **equity,
            drawdown=read_parquet(tables["drawdown.parquet"], ("drawdown",))["drawdown"],
            fill_ts=fills["ts"],
            fill_side=np.where(fills["side"] == "buy", 1, -1),
            fill_price=fills["price"],
            validation=validation,
            stitched=_fold_ends(validation, config["execution"]["initial_cash"]),
        )


def _stitched(result: BacktestResult) -> Curve | None:
    report = result.validation.get("walk_forward")
    if report is None or report.curve is None:
        return None
    bars, equity = report.curve
    return result.candles.ts[bars], equity


def _fold_ends(validation: Document, initial_cash: float) -> Curve | None:
    found = validation.get("walk_forward", {})
    folds = [fold["out_of_sample"] for fold in found.get("folds", [])]
    if not folds or found["stitched"]["total_return"] is None:
        return None
    ts, equity = [folds[0]["first_ts"]], [initial_cash]
    for fold in folds:
        ts.append(fold["last_ts"])
        equity.append(equity[-1] * (1.0 + fold["total_return"]))
    return np.array(ts, dtype=np.int64), np.array(equity, dtype=np.float64)
