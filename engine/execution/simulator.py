"""The simulator: runs the bar loop and makes records of what it wrote."""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import ExecutionConfig
from engine.errors import DataError
from engine.execution.loop import BarLoop
from engine.execution.slippage import SlippageModel
from engine.execution.trades import round_trips
from engine.records import CancelCheck, Candles, EquityCurve, Execution, Fills, RunWarning

if TYPE_CHECKING:
    from engine.records import Floats


def simulate(
    candles: Candles,
    weights: "Floats",
    config: ExecutionConfig,
    slippage_model: SlippageModel | None,
    *,
    check_cancelled: CancelCheck,
    report_progress: Callable[[float], None],
    kernel: ModuleType | None = None,
) -> Execution:
    """Return fills, trades and the equity curve of holding ``weights`` (n_bars,).

    Raises
        ConfigError where the slippage model needs a volume that is not known; DataError where
        equity, position or a trade leave the range of finite numbers; ValueError for weights that
        are not one finite number a bar.
    """
    n = len(candles)
    loop = BarLoop(config, slippage_model, kernel)
    # One block: of a long run it is so large that glibc keeps the memory for the next one.
    written = dict(zip(("position", "cash", "equity"), np.empty((3, n)), strict=True))
    borrow = np.zeros(n if config.borrow_bps else 0)
    taken = []

    def after_chunk(stop: int) -> None:
        taken.append(loop.tape.take())
        report_progress(stop / n)
        check_cancelled()

    account = loop.run(candles, weights, (*written.values(), borrow), after_chunk)  # type: ignore[arg-type]  # three names
    if not np.isfinite(written["equity"]).all():  # which it is only where the others are
        _refuse_overflow("bar", written)
    fills = _fills(taken, candles)
    trades = round_trips(fills, candles, borrow, loop.choice)
    told = {name: getattr(trades, name) for name in ("pnl", "return_", "mae", "mfe")}
    _refuse_overflow("trade", told)
    return Execution(
        curve=EquityCurve(**written),
        fills=fills,
        trades=trades,
        warnings=tuple(_warnings(account)),
        kernel="compiled" if loop.compiled else "interpreted",
    )


def _fills(taken: list[dict[str, Any]], candles: Candles) -> Fills:
    columns = {name: _joined([part[name] for part in taken]) for name in taken[0]}
    quantity = columns.pop("quantity")
    at_close = columns.pop("at_close").astype(np.bool_)
    return Fills(
        ts=candles.ts[columns["bar"]],
        side=np.sign(quantity).astype(np.int64),
        qty=np.abs(quantity),
        at_close=at_close,
        **columns,
    )


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _refuse_overflow(what: str, written: "dict[str, Floats]") -> None:
    """Refuse infinities, and NaN where it is not a trade's undefined return.

    ``what`` has a value each, a bar or a trade.
    """
    for name, values in written.items():
        good = ~np.isinf(values) if name == "return_" else np.isfinite(values)
        if not good.all():
            message = (
                f"the {name.rstrip('_')} is no longer a finite number at {what} "
                f"{int(np.argmin(good))}: the prices move too far for this size"
            )
            raise DataError(message)


def _warnings(account: Any) -> Iterable[RunWarning]:
    if account.ruin_bar >= 0:
        message = f"equity fell to zero or below at bar {account.ruin_bar}; trading ended there"
        yield RunWarning("ruin", message)
    if account.n_negative_cash:
        message = (
            "cash was below zero although the weight was at most 1: a gap or costs after sizing"
        )
        yield RunWarning("negative_cash", message, int(account.n_negative_cash))
    if account.n_exceeding_volume:
        message = "orders were larger than the volume of the bar that filled them"
        yield RunWarning("order_exceeds_volume", message, int(account.n_exceeding_volume))
    if account.n_skipped:
        message = "orders were dropped on bars without volume (zero_volume 'skip')"
        yield RunWarning("order_skipped", message, int(account.n_skipped))
    if account.unfilled:
        yield RunWarning("order_unfilled", "an order still waiting at the last bar was dropped")
