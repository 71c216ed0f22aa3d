"""What the stages hand to one another: frozen records of read-only arrays."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.config import RunConfig

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Booleans = NDArray[np.bool_]

STAGES = (
    "data_loading",
    "feature_compute",
    "strategy",
    "risk_sizing",
    "execution",
    "metrics",
    "validation",
    "artifacts",
)


def freeze(*arrays: "NDArray[Any] | None") -> None:
    """Make arrays read-only, so that no stage can change what another one reads."""
    for array in arrays:
        if array is not None:
            array.flags.writeable = False


def as_series(values: object, n_bars: int) -> "NDArray[Any] | None":
    """Return what a component gave as an array (n_bars,) of real numbers, None where it is none."""
    try:
        series = np.asarray(values)
    except (TypeError, ValueError):  # such as lists of different lengths
        return None
    return series if series.shape == (n_bars,) and series.dtype.kind in "fiub" else None


class ArrayRecord:
    """A record whose array fields are read-only from its creation on."""

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                freeze(value)


@dataclass(frozen=True, eq=False)
class Candles(ArrayRecord):
    """Bars of one symbol, oldest first.

    ``ts`` (n,) int64, UTC epoch ms at which each bar opens, strictly increasing; prices (n,)
    float64 > 0; ``volume`` (n,) float64 ≥ 0 or None where unknown; ``vwap`` (n,) or None;
    ``gap_flag`` (n,) bool, true on the first bar after a gap; ``timezone`` the IANA name of the
    zone whose days the bars belong to.
    """

    symbol: str
    timeframe: str
    ts: "Integers"
    open: "Floats"
    high: "Floats"
    low: "Floats"
    close: "Floats"
    volume: "Floats | None" = None
    vwap: "Floats | None" = None
    gap_flag: "Booleans | None" = None
    timezone: str = "UTC"

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.ts)

    def part(self, bars: slice) -> "Candles":
        """Return the candles of consecutive bars, as views."""
        columns = {name: getattr(self, name) for name in CANDLE_COLUMNS}
        return self.having({name: x[bars] for name, x in columns.items() if x is not None})

    def copied(self) -> "Candles":
        """Return the same candles in memory of their own."""
        columns = {name: getattr(self, name) for name in CANDLE_COLUMNS}
        return self.having({name: x.copy() for name, x in columns.items() if x is not None})

    def having(self, columns: Mapping[str, Any]) -> "Candles":
        """Return the candles with other columns in place of those named."""
        return dataclasses.replace(self, **columns)


SERIES = ("open", "high", "low", "close", "volume", "vwap")
CANDLE_COLUMNS = ("ts", *SERIES, "gap_flag")


@dataclass(frozen=True)
class DataQuality:
    """What a run's slice looks like: counts over its normalised bars."""

    bars: int
    gaps: int
    zero_volume_bars: int
    volume_known: bool


@dataclass(frozen=True)
class PeriodsPerYear:
    """How many bars make a year, and where that number comes from."""

    value: float
    origin: str


@dataclass(frozen=True)
class RunWarning:
    """Something the user should know about a run: a stable code, a sentence, how often."""

    code: str
    message: str
    count: int | None = None


@dataclass(frozen=True, eq=False)
class Fills(ArrayRecord):
    """Executions in order; one row each, all arrays (n_fills,).

    ``side`` +1 buys and −1 sells; ``qty`` > 0; ``entry_after`` the average entry price once the
    fill is booked (0 when flat); ``at_close`` marks a fill at the bar's close (ruin, flattening).
    """

    bar: "Integers"
    ts: "Integers"
    side: "Integers"
    qty: "Floats"
    base_price: "Floats"
    price: "Floats"
    commission: "Floats"
    slippage: "Floats"
    realized_pnl: "Floats"
    position_after: "Floats"
    entry_after: "Floats"
    at_close: "Booleans"

    def __len__(self) -> int:
        """Return the number of fills."""
        return len(self.bar)


@dataclass(frozen=True, eq=False)
class Trades(ArrayRecord):
    """Round trips in order of entry; all arrays (n_trades,). ``return_`` NaN where undefined."""

    entry_bar: "Integers"
    exit_bar: "Integers"
    entry_ts: "Integers"
    exit_ts: "Integers"
    side: "Integers"
    qty: "Floats"
    entry_price: "Floats"
    exit_price: "Floats"
    pnl: "Floats"
    return_: "Floats"
    commission: "Floats"
    slippage: "Floats"
    borrow: "Floats"
    bars_held: "Integers"
    mae: "Floats"
    mfe: "Floats"
    open: "Booleans"

    def __len__(self) -> int:
        """Return the number of round trips."""
        return len(self.entry_bar)


@dataclass(frozen=True, eq=False)
class EquityCurve(ArrayRecord):
    """The account after each bar, arrays (n_bars,): position in units, money in currency."""

    position: "Floats"
    cash: "Floats"
    equity: "Floats"


@dataclass(frozen=True, eq=False)
class Execution:
    """What the simulator returns; ``kernel`` is ``compiled`` or ``interpreted``."""

    curve: EquityCurve
    fills: Fills
    trades: Trades
    warnings: tuple[RunWarning, ...]
    kernel: str


@dataclass(frozen=True, eq=False)
class Metrics(ArrayRecord):
    """Every metric by name, null ones with their reason; tables of calendar returns.

    ``values`` holds numbers, None, and the objects ``long`` and ``short``; ``drawdown`` (n_bars,)
    is ≤ 0; ``benchmark_equity`` (n_bars,) currency, empty before the benchmark is measured.
    """

    values: Mapping[str, Any]
    reasons: Mapping[str, str]
    monthly_returns: Mapping[str, float | None]
    yearly_returns: Mapping[str, float | None]
    drawdown: "Floats"
    benchmark: Mapping[str, float | None] = field(default_factory=dict)
    benchmark_equity: "Floats" = field(default_factory=lambda: np.empty(0))
    warnings: tuple[RunWarning, ...] = ()


@dataclass(frozen=True)
class Causality:
    """How many other futures were tried, and that none changed anything before it."""

    cuts: int
    passed: bool


@dataclass(frozen=True, eq=False)
class ValidationReport:
    """What a validation test found.

    ``document`` stands in validation_summary.json under the test's name; ``headline`` are the
    figures of summary.json, by name. ``curve`` is an equity curve to draw, as bars (m,) and
    currency (m,), where the test has one.
    """

    document: Mapping[str, Any]
    headline: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[RunWarning, ...] = ()
    curve: "tuple[Integers, Floats] | None" = None


@dataclass(frozen=True)
class Identity:
    """The hashes that a run is known by; ``run_id`` is the first 20 digits of ``run_hash``."""

    run_hash: str
    config_hash: str
    candle_digest: str
    code_version: str
    plugins: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """Return the run's short name."""
        return self.run_hash[:20]


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Everything a run produced; ``manifest`` is None where no artifacts were asked for."""

    config: "RunConfig"
    identity: Identity
    candles: Candles
    data_quality: DataQuality
    periods_per_year: PeriodsPerYear
    features: Mapping[str, "Floats"]
    signals: "Integers"
    weights: "Floats"
    execution: Execution
    metrics: Metrics
    causality: Causality
    validation: Mapping[str, ValidationReport]
    warnings: Sequence[RunWarning]
    manifest: Mapping[str, Any] | None = None


CancelCheck = Callable[[], None]
"""Raises ``RunCancelled`` where the run was asked to stop; long stages call it often."""


def never_cancelled() -> None:
    """Is the check of work that nobody can cancel."""
