"""The bar loop with what it reads: one configuration's terms, slippage and room for fills."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import ExecutionConfig
from engine.errors import ConfigError, PluginError
from engine.execution import kernel as imported_kernel
from engine.execution.slippage import SlippageCoefficients, SlippageModel, constant
from engine.records import CancelCheck, Candles, freeze

if TYPE_CHECKING:
    from engine.records import Floats

View = Callable[[Any], Any]
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
TERMS = (
    "commission_per_share",
    "commission_bps",
    "commission_min",
    "slippage_bps",
    "borrow_bps",
    "lot_size",
    "rebalance_band",
    "auto_flatten_end",
)
NOTHING = np.empty(0)
freeze(NOTHING)


@dataclass(frozen=True, eq=False)
class Shock:
    """Another slippage in place of the configured one.

    Fill k (from 0) moves by s = (flat + multiple |X / B - 1|) exp(sigma z_k - sigma² / 2), X / B of
    the configured slippage for its quantity; ``noise`` z (at least n_bars + 2,), or None for no
    exponential.
    """

    flat: float = 0.0
    multiple: float = 0.0
    sigma: float = 0.0
    noise: "Floats | None" = None


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


class BarLoop:
    """The loop with one configuration; for one thread at a time."""

    def __init__(
        self,
        config: ExecutionConfig,
        slippage_model: SlippageModel | None,
        kernel: ModuleType | None = None,
    ) -> None:
        self.kernel = load_kernel(kernel_choice()) if kernel is None else kernel
        self.compiled = kernel_is_compiled(self.kernel)
        self._config = config
        self._model = slippage_model
        # Interpreted, a memoryview hands out Python floats; numpy scalars are slower and warn.
        self._view: View = (lambda array: array) if self.compiled else memoryview
        self._terms = _terms(self.kernel, config)
        self.tape = _Tape(self.kernel, self._view)

    def run(
        self,
        candles: Candles,
        weights: "Floats",
        curve: "tuple[Floats, Floats, Floats, Floats]",
        after_chunk: Callable[[int], None],
        shock: Shock | None = None,
    ) -> Any:
        """Go through all bars; return the account as it is at the end.

        ``curve`` is position, cash, equity and borrow fees, to be written; ``after_chunk`` is told
        how many bars are done and takes the fills from ``tape``.

        Raises
            ConfigError where the slippage model needs a volume that is not known; ValueError for
            weights (n_bars,) that are not one finite number a bar.
        """
        if weights.shape != (len(candles),) or not np.isfinite(weights).all():
            message = "target weights must be one finite number for each bar"
            raise ValueError(message)
        account = self.kernel.Account(self._config.initial_cash)
        self._terms.shock = self._shock(shock)
        bars, written = self._bars(candles, weights), self.kernel.Curve(*map(self._view, curve))
        n = len(candles)
        writer = self.tape.writer(min(CHUNK_BARS, n) + 2)
        for start in range(0, n, CHUNK_BARS):
            stop = min(start + CHUNK_BARS, n)
            self.kernel.simulate(account, writer, self._terms, bars, written, start, stop)
            after_chunk(stop)
        return account

    def _bars(self, candles: Candles, weights: "Floats") -> Any:
        volume = NOTHING if candles.volume is None else candles.volume
        base = base_prices(candles, self._config.fill_price)
        moved = _coefficients(candles, self._model, self._config)
        arrays = (candles.ts, base, candles.close, volume, weights, moved.spread, moved.impact)
        return self.kernel.Bars(*map(self._view, arrays))

    def _shock(self, shock: Shock | None) -> Any:
        active, given = shock is not None, shock or Shock()
        noise = self._view(NOTHING if given.noise is None else given.noise)
        return self.kernel.Shock(active, given.flat, given.multiple, given.sigma, noise)


def _coefficients(
    candles: Candles, model: SlippageModel | None, config: ExecutionConfig
) -> SlippageCoefficients:
    if model is None:
        return SlippageCoefficients(constant(0.0, len(candles)), constant(0.0, len(candles)))
    if model.needs_volume and candles.volume is None:
        message = (
            f"needs volume, which {candles.symbol} {candles.timeframe} does not have; "
            "take spread_pct or none"
        )
        raise ConfigError.of("execution.slippage_model", message)
    coefficients = model.coefficients(candles)
    name = config.slippage_model.name if config.slippage_model else ""
    for values in (coefficients.spread, coefficients.impact):
        if values.shape != (len(candles),) or not (values.min() >= 0 and values.max() < np.inf):
            message = f"the slippage model {name} must return finite coefficients ≥ 0 for each bar"
            raise PluginError(message)
    return coefficients


def _terms(loop: ModuleType, config: ExecutionConfig) -> Any:
    terms = loop.Terms()
    for name in TERMS:
        setattr(terms, name, getattr(config, name))
    terms.carry_zero_volume = config.zero_volume == "carry"
    terms.skip_zero_volume = config.zero_volume == "skip"
    return terms


class _Tape:
    """Room for the fills of one chunk, used again for the next, and the loop's writer into it."""

    def __init__(self, loop: ModuleType, view: View) -> None:
        self._view = view
        self._columns: dict[str, Any] = {}
        self._writer = loop.Tape()

    def writer(self, capacity: int) -> Any:
        """Return the empty writer, with room for at least ``capacity`` fills."""
        self._writer.n = 0
        if not self._columns or len(self._columns["bar"]) < capacity:
            whole = {name: np.empty(capacity, dtype=np.int64) for name in ("bar", "at_close")}
            self._columns = whole | {name: np.empty(capacity) for name in TAPE_COLUMNS}
            for name, column in self._columns.items():
                setattr(self._writer, name, self._view(column))
        return self._writer

    def take(self) -> dict[str, Any]:
        """Return a copy of the fills written since the last call, by column."""
        taken = {name: column[: self._writer.n].copy() for name, column in self._columns.items()}
        self._writer.n = 0
        return taken

    def drop(self) -> None:
        """Forget the fills written since the last call."""
        self._writer.n = 0


def replay(
    loop: BarLoop,
    candles: Candles,
    weights: "Floats",
    check_cancelled: CancelCheck,
    shock: Shock | None = None,
) -> "Floats":
    """Return the equity (n_bars,) of holding ``weights``, alone; not checked to be finite."""
    equity, unkept = np.empty(len(candles)), np.empty(0)

    def after_chunk(_: int) -> None:
        loop.tape.drop()
        check_cancelled()

    loop.run(candles, weights, (unkept, unkept, equity, unkept), after_chunk, shock)
    return equity
