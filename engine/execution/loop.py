"""The bar loop with what it reads: one configuration's terms, slippage and room for fills."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import ExecutionConfig
from engine.errors import PluginError
from engine.execution import kernel as imported_kernel
from engine.execution.slippage import SlippageCoefficients, SlippageModel, check_volume, constant
from engine.kernels import View, in_guise, is_compiled, kernel_choice, view_for
from engine.records import SERIES, CancelCheck, Candles, as_series, freeze

if TYPE_CHECKING:
    from engine.records import Floats

# Bars between two looks at the cancel flag: about 0.1 ms compiled, 10 ms interpreted.
CHUNK_BARS = 16_384
# A replay gives the interpreter up for about 1 ms at a time; to ask for it costs as much as 5,000
# bars where another thread has it.
REPLAY_CHUNK_BARS = 262_144
CACHE_LINE = 8  # values that come from memory at once
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
BARS = ("ts", "base", "close", "volume", "weight", "spread", "impact")
CURVE = ("position", "cash", "equity", "borrow")
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


@dataclass(frozen=True, eq=False)
class Markets:
    """Several markets with the same times, whose series stand one after another in memory.

    ``rows`` are the markets; the series of ``joined`` have n_markets n_bars values, its times
    n_bars.
    """

    joined: Candles
    rows: tuple[Candles, ...]

    @classmethod
    def of(cls, candles: Candles) -> "Markets":
        """Return a single market."""
        return cls(candles, (candles,))

    def first(self, n_markets: int) -> "Markets":
        """Return the first of the markets, as views."""
        if n_markets == len(self.rows):
            return self
        n = n_markets * len(self.joined)
        known = {name: getattr(self.joined, name) for name in SERIES}
        cut = {name: series[:n] for name, series in known.items() if series is not None}
        return Markets(self.joined.having(cut), self.rows[:n_markets])


def load_kernel(choice: str) -> ModuleType:
    """Return the bar loop: ``auto`` the compiled one where it is, ``interpreted`` the plain one."""
    return in_guise(imported_kernel, choice)


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
        self.compiled = is_compiled(self.kernel)
        self._config = config
        self._model = slippage_model
        self._view: View = view_for(self.kernel)
        self._terms = _terms(self.kernel, config)
        self.tape = _Tape(self.kernel, self._view)

    @property
    def choice(self) -> str:
        """Return which guise of a kernel goes with this loop."""
        return "auto" if self.compiled else "interpreted"

    def run(
        self,
        candles: Candles,
        weights: "Floats",
        curve: "tuple[Floats, Floats, Floats, Floats]",
        after_chunk: Callable[[int], None],
    ) -> Any:
        """Go through all bars; return the account as it is at the end.

        ``curve`` is position, cash, equity and borrow fees, to be written; ``after_chunk`` is told
        how many bars are done and takes the fills from ``tape``.

        Raises
            ConfigError where the slippage model needs a volume that is not known; ValueError for
            weights (n_bars,) that are not one finite number a bar.
        """
        n = len(candles)
        writer = self.tape.writer(min(CHUNK_BARS, n) + 2)
        bars = self._bars(Markets.of(candles), weights)
        read_at_fills = [np.asarray(bars.base), np.asarray(bars.volume)]

        def next_chunk(stop: int) -> None:
            after_chunk(stop)
            _bring_near(read_at_fills, stop, min(stop + CHUNK_BARS, n))

        return self._go(bars, n, CHUNK_BARS, writer, curve, next_chunk)

    def replay(
        self,
        markets: "Markets",
        weights: "Floats",
        equity: "Floats",
        check_cancelled: CancelCheck,
        shock: Shock | None = None,
    ) -> None:
        """Write the equity of a run on each market with its own target weights.

        ``weights`` and ``equity`` (n_markets, n_bars), C-contiguous; equity is not checked to be
        finite, and nothing else is kept.
        """
        unkept = np.empty(0)
        curve = (unkept, unkept, equity.reshape(-1), unkept)
        bars = self._bars(markets, weights.reshape(-1))
        chunk = REPLAY_CHUNK_BARS if self.compiled else CHUNK_BARS
        writer = self.tape.writer(0)
        self._go(bars, equity.size, chunk, writer, curve, lambda _: check_cancelled(), shock)

    def _go(
        self,
        bars: Any,
        n: int,
        chunk: int,
        writer: Any,
        curve: "tuple[Floats, Floats, Floats, Floats]",
        after_chunk: Callable[[int], None],
        shock: Shock | None = None,
    ) -> Any:
        account = self.kernel.Account()
        account.initial_cash = self._config.initial_cash
        written = self.kernel.Curve()
        for name, series in zip(CURVE, curve, strict=True):
            setattr(written, name, self._view(series))
        self._terms.shock = self._shock(shock)
        for start in range(0, n, chunk):
            stop = min(start + chunk, n)
            self.kernel.simulate(account, writer, self._terms, bars, written, start, stop)
            after_chunk(stop)
            writer.n = 0  # there is room for the fills of one chunk, whether they were taken or not
        return account

    def _bars(self, markets: "Markets", weights: "Floats") -> Any:
        joined = markets.joined
        if weights.shape != joined.close.shape or not np.isfinite(weights).all():
            message = "target weights must be one finite number for each bar"
            raise ValueError(message)
        base = base_prices(joined, self._config.fill_price)
        volume = NOTHING if joined.volume is None else joined.volume
        slippage = self._coefficients(markets)
        arrays = (joined.ts, base, joined.close, volume, weights, slippage.spread, slippage.impact)
        bars = self.kernel.Bars()
        for name, series in zip(BARS, arrays, strict=True):
            setattr(bars, name, self._view(series))
        n = len(joined)
        bars.n, bars.first, bars.has_volume = n, -n, len(volume) > 0
        return bars

    def _coefficients(self, markets: "Markets") -> SlippageCoefficients:
        if self._model is None:
            nothing = constant(0.0, len(markets.joined.close))
            return SlippageCoefficients(nothing, nothing)
        each = [_coefficients(candles, self._model, self._config) for candles in markets.rows]
        if len(each) == 1:
            return each[0]
        return SlippageCoefficients(
            np.concatenate([one.spread for one in each]),
            np.concatenate([one.impact for one in each]),
        )

    def _shock(self, given: Shock | None) -> Any:
        shock = self.kernel.Shock()
        shock.active = given is not None
        for name in ("flat", "multiple", "sigma"):
            setattr(shock, name, 0.0 if given is None else getattr(given, name))
        noise = NOTHING if given is None or given.noise is None else given.noise
        shock.noise = self._view(noise)
        return shock


def _bring_near(columns: "list[Floats]", start: int, stop: int) -> None:
    """Read these bars one after another: at fills, which nobody foresees, each waits for memory."""
    for column in columns:
        if start < len(column):
            column[start:stop:CACHE_LINE].max()


def _coefficients(
    candles: Candles, model: SlippageModel, config: ExecutionConfig
) -> SlippageCoefficients:
    check_volume(model, candles)
    given: object = model.coefficients(candles)
    what = f"the slippage model {config.slippage_model.name if config.slippage_model else ''}"
    if not isinstance(given, SlippageCoefficients):
        message = f"{what} must return SlippageCoefficients"
        raise PluginError(message)
    checked = []
    for values in (given.spread, given.impact):
        series = as_series(values, len(candles))
        if series is None or not (series.min() >= 0 and series.max() < np.inf):
            message = f"{what} must return finite coefficients ≥ 0 for each bar"
            raise PluginError(message)
        checked.append(series.astype(np.float64, copy=False))
    return SlippageCoefficients(*checked)


def _terms(kernel: ModuleType, config: ExecutionConfig) -> Any:
    terms = kernel.Terms()
    for name in TERMS:
        setattr(terms, name, getattr(config, name))
    terms.carry_zero_volume = config.zero_volume == "carry"
    terms.skip_zero_volume = config.zero_volume == "skip"
    return terms


class _Tape:
    """Room for the fills of one chunk, used again for the next, and the kernel's writer into it."""

    def __init__(self, kernel: ModuleType, view: View) -> None:
        self._view = view
        self._columns: dict[str, Any] = {}
        self._writer = kernel.Tape()

    def writer(self, capacity: int) -> Any:
        """Return the empty writer, with room for ``capacity`` fills."""
        self._writer.n = 0
        if not self._columns or len(self._columns["bar"]) != capacity:
            whole = {name: np.empty(capacity, dtype=np.int64) for name in ("bar", "at_close")}
            self._columns = whole | {name: np.empty(capacity) for name in TAPE_COLUMNS}
            for name, column in self._columns.items():
                setattr(self._writer, name, self._view(column))
        return self._writer

    def take(self) -> dict[str, Any]:
        """Return a copy of the fills of the chunk, by column."""
        return {name: column[: self._writer.n].copy() for name, column in self._columns.items()}
