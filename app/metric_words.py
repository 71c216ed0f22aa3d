"""Metrics as a person reads them: in which order, with how many digits, or why there is none."""

from decimal import Decimal

from engine.metrics import REASONS
from engine.metrics.definitions import METRICS, Unit

# By what they are about; what a run has beside them comes last.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What it earned", ("total_return", "cagr")),
    (
        "At what risk",
        (
            "volatility", "max_drawdown", "avg_drawdown", "max_drawdown_duration_bars",
            "avg_drawdown_duration_bars", "skewness", "kurtosis",
        ),
    ),
    ("For that risk", ("sharpe", "sortino", "calmar", "psr", "min_track_record_bars")),
    (
        "Trades",
        (
            "trade_count", "open_trades", "win_rate", "payoff_ratio", "profit_factor", "expectancy",
            "best_trade", "worst_trade", "avg_bars_held",
            "longest_win_streak", "longest_loss_streak",
            "long.trade_count", "long.win_rate", "long.pnl",
            "short.trade_count", "short.win_rate", "short.pnl",
        ),
    ),
    ("Activity", ("exposure", "avg_gross_exposure", "max_gross_exposure", "turnover")),
    ("Costs", ("total_commission", "total_slippage", "total_borrow")),
)  # fmt: skip
# Behind the point; of a fraction behind the point of its percentage.
DIGITS: dict[Unit, int] = {"fraction": 2, "ratio": 3, "currency": 2, "bars": 0, "count": 0}
OWN_DIGITS = {
    "psr": 1,
    "win_rate": 1,
    "exposure": 1,
    "payoff_ratio": 2,
    "profit_factor": 2,
    "turnover": 1,
    "avg_bars_held": 1,
    "avg_drawdown_duration_bars": 1,
}
SIGNED = {"total_return", "cagr"}
HUGE = 1e15


def digits_of(name: str) -> int:
    """Return how many digits behind the point a metric of that dotted name is told with."""
    short = name.rpartition(".")[2]
    return OWN_DIGITS[short] if short in OWN_DIGITS else DIGITS[METRICS[name].unit]


def is_signed(name: str) -> bool:
    """Tell whether a metric of that dotted name is told with a plus where it is positive."""
    return name.rpartition(".")[2] in SIGNED


def in_words(name: str, value: float | None, reason: str | None = None) -> str:
    """Return the value of a metric of that dotted name with its unit, or why there is none."""
    if value is None:
        return f"– ({why_undefined(reason)})"
    known = METRICS.get(name)
    is_fraction = known is not None and known.unit == "fraction"
    if abs(value) >= HUGE and is_fraction:
        return f"{100 * Decimal(value):.6g}%"  # a float might not hold it
    if abs(value) >= HUGE or known is None:
        return f"{value:.6g}"
    sign = "+" if is_signed(name) else ""
    if is_fraction:
        return f"{value:{sign},.{digits_of(name)}%}"
    return f"{value:{sign},.{digits_of(name)}f}" + " × equity" * (name == "turnover")


def why_undefined(reason: str | None) -> str:
    """Return why a metric has no value."""
    return REASONS.get(reason or "", "undefined")
