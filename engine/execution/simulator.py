"""The simulator: prepares what the bar loop reads, runs it, and makes records of what it wrote."""

import importlib.util
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import ExecutionConfig
from engine.errors import ConfigError, DataError, PluginError
from engine.execution import kernel as imported_kernel
from engine.execution.slippage import SlippageCoefficients, SlippageModel, constant
from engine.execution.trades import round_trips
from engine.records import CancelCheck, Candles, EquityCurve, Execution, Fills, RunWarning

if TYPE_CHECKING:
    from engine.records import Floats

# Bars between two looks at the cancel flag: about 0.1 ms compiled, 10 ms interpreted.
CHUNK_BARS = 16_384
TAPE_COLUMNS = (
    "quantity",
    "base_price",
    "price",
    "commission",
    "slippage",
    "realized_pnl",
    "position_after",
    "entry_after",
)


def kernel_is_compiled(kernel: ModuleType) -> bool:
    """Tell whether a loop is the compiled one."""
    return not str(kernel.__file__).endswith(".py")


@cache
def load_kernel(choice: str) -> ModuleType:
    """Return the bar loop: ``auto`` the compiled one where it is, ``interpreted`` the plain one."""
    if choice == "auto" or not kernel_is_compiled(imported_kernel):
        return imported_kernel
    path = Path(imported_kernel.__file__ or "").with_name("kernel.py")
    spec = importlib.util.spec_from_file_location("engine.execution.interpreted_kernel", path)
    assert spec is not None
    assert spec.loader is not None
    kernel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernel)
    return kernel


def kernel_choice() -> str:
    """Return which loop the environment asks for: ``STUDIO_KERNEL``, else ``auto``."""
    return "interpreted" if os.environ.get("STUDIO_KERNEL") == "interpreted" else "auto"


def base_prices(candles: Candles, fill_price: str) -> "Floats":
    """Return B (n_bars,): the open, (H + L) / 2, or the vwap, else (H + L + C) / 3."""
    if fill_price == "open_next":
        return candles.open
    if fill_price == "mid_next":
        return (candles.high + candles.low) / 2
    if candles.vwap is not None:
        return candles.vwap
    return (candles.high + candles.low + candles.close) / 3


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
    if weights.shape != (len(candles),) or not np.isfinite(weights).all():
        message = "target weights must be one finite number for each bar"
        raise ValueError(message)
    loop = load_kernel(kernel_choice()) if kernel is None else kernel
    n = len(candles)
    # Interpreted, a memoryview hands out Python floats; numpy scalars are slower and warn.
    name = config.slippage_model.name if config.slippage_model else ""
    view: Callable[[Any], Any] = (lambda array: array) if kernel_is_compiled(loop) else memoryview
    account, terms = loop.Account(config.initial_cash), _terms(loop, config)
    bars = _bars(loop, view, candles, weights, config, _coefficients(candles, slippage_model, name))
    written = {name: np.empty(n) for name in ("position", "cash", "equity")}
    borrow = np.zeros(n if config.borrow_bps else 0)
    curve = loop.Curve(*map(view, (*written.values(), borrow)))
    tape = _Tape(loop, view, min(CHUNK_BARS, n) + 2)
    taken = []
    for start in range(0, n, CHUNK_BARS):
        check_cancelled()
        stop = min(start + CHUNK_BARS, n)
        loop.simulate(account, tape.writer, terms, bars, curve, start, stop)
        taken.append(tape.take())
        report_progress(stop / n)
    _refuse_overflow(written)
    fills = _fills(taken, candles)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at next
        trades = round_trips(fills, candles, borrow)
    _refuse_overflow({name: getattr(trades, name) for name in ("pnl", "return_", "mae", "mfe")})
    return Execution(
        curve=EquityCurve(**written),
        fills=fills,
        trades=trades,
        warnings=tuple(_warnings(account)),
        kernel="compiled" if kernel_is_compiled(loop) else "interpreted",
    )


def _bars(
    loop: ModuleType,
    view: Callable[[Any], Any],
    candles: Candles,
    weights: "Floats",
    config: ExecutionConfig,
    coefficients: SlippageCoefficients,
) -> Any:
    volume = np.empty(0) if candles.volume is None else candles.volume
    base = base_prices(candles, config.fill_price)
    arrays = (candles.ts, base, candles.close, volume, weights)
    return loop.Bars(*map(view, (*arrays, coefficients.spread, coefficients.impact)))


def _coefficients(candles: Candles, model: SlippageModel | None, name: str) -> SlippageCoefficients:
    if model is None:
        return SlippageCoefficients(constant(0.0, len(candles)), constant(0.0, len(candles)))
    if model.needs_volume and candles.volume is None:
        message = (
            f"needs volume, which {candles.symbol} {candles.timeframe} does not have; "
            "take spread_pct or none"
        )
        raise ConfigError.of("execution.slippage_model", message)
    coefficients = model.coefficients(candles)
    for values in (coefficients.spread, coefficients.impact):
        if values.shape != (len(candles),) or not (values.min() >= 0 and values.max() < np.inf):
            message = f"the slippage model {name} must return finite coefficients ≥ 0 for each bar"
            raise PluginError(message)
    return coefficients


def _terms(loop: ModuleType, config: ExecutionConfig) -> Any:
    return loop.Terms(
        config.commission_per_share,
        config.commission_bps,
        config.commission_min,
        config.slippage_bps,
        config.borrow_bps,
        config.lot_size,
        config.rebalance_band,
        config.zero_volume == "carry",
        config.zero_volume == "skip",
        config.auto_flatten_end,
    )


class _Tape:
    """Room for the fills of one chunk, used again for the next, and the loop's writer into it."""

    def __init__(self, loop: ModuleType, view: Callable[[Any], Any], capacity: int) -> None:
        whole = {name: np.empty(capacity, dtype=np.int64) for name in ("bar", "at_close")}
        self._columns = whole | {name: np.empty(capacity) for name in TAPE_COLUMNS}
        self.writer = loop.Tape(*map(view, self._columns.values()))

    def take(self) -> dict[str, Any]:
        """Return a copy of the fills written since the last call, by column."""
        taken = {name: column[: self.writer.n].copy() for name, column in self._columns.items()}
        self.writer.n = 0
        return taken


def _fills(taken: list[dict[str, Any]], candles: Candles) -> Fills:
    columns = {name: np.concatenate([part[name] for part in taken]) for name in taken[0]}
    quantity = columns.pop("quantity")
    at_close = columns.pop("at_close").astype(np.bool_)
    return Fills(
        ts=candles.ts[columns["bar"]],
        side=np.sign(quantity).astype(np.int64),
        qty=np.abs(quantity),
        at_close=at_close,
        **columns,
    )


def _refuse_overflow(written: "dict[str, Floats]") -> None:
    """Refuse infinities, and NaN where it is not a trade's undefined return."""
    for name, values in written.items():
        bad = np.isinf(values) if name == "return_" else ~np.isfinite(values)
        if bad.any():
            message = (
                f"{name.rstrip('_')} number {int(np.argmax(bad))} is no longer a finite number: "
                "the prices move too far for this size"
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
