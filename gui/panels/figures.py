"""Numbers as a person reads them, and why there is none."""

from datetime import UTC, datetime
from decimal import Decimal

NOTHING = "–"
HUGE = 1e15
DAY_MS = 86_400_000
BY_UNIT = {
    "fraction": "{:.2%}",
    "ratio": "{:.3f}",
    "currency": "{:,.2f}",
    "bars": "{:,.0f}",
    "count": "{:,}",
}
FORMS = {
    "total_return": "{:+.2%}",
    "cagr": "{:+.2%}",
    "psr": "{:.1%}",
    "win_rate": "{:.1%}",
    "exposure": "{:.1%}",
    "payoff_ratio": "{:.2f}",
    "profit_factor": "{:.2f}",
    "turnover": "{:.1f}",
    "avg_bars_held": "{:,.1f}",
    "avg_drawdown_duration_bars": "{:,.1f}",
}
# The codes of ``reasons`` and of every ``reason``.
REASONS = {
    "fewer_than_2_bars": "fewer than 2 bars",
    "fewer_than_3_bars": "fewer than 3 bars",
    "zero_volatility": "zero volatility",
    "no_downside": "no losing bar",
    "no_drawdown": "no drawdown",
    "no_trades": "no closed trade",
    "no_losses": "no losing trade",
    "no_wins": "no winning trade",
    "sharpe_not_positive": "Sharpe not above 0",
    "radicand_not_positive": "moments too extreme",
    "overflow": "too large a number",
    "statistic_invariant": "every replicate gives the same figure",
    "no_timing": "the target weight never changes, so there is no timing to test",
    "statistic_undefined": "the statistic is not defined for this run",
    "too_few_bars": "too few bars",
    "block_longer_than_sample": "the blocks are longer than the sample",
    "replicates_undefined": "more than 5 % of the replicates are undefined",
    "return_of_minus_one": "a bar lost everything",
    "no_slippage": "no slippage is configured, and no noise_bps",
    "loses_without_costs": "it loses even without slippage",
    "above_range": "above 1,000 basis points",
    "in_sample_not_positive": "it earned nothing in sample",
}


def reason_in_words(reason: str | None) -> str:
    """Return why a number is not defined."""
    return REASONS.get(reason or "", (reason or "undefined").replace("_", " "))


def metric(name: str, unit: str, value: float | None, reason: str | None = None) -> str:
    """Return the value of a metric of that dotted name, or a dash and why there is none."""
    if value is None:
        return f"{NOTHING} ({reason_in_words(reason)})"
    form = FORMS.get(name.rpartition(".")[2]) or BY_UNIT.get(unit, "{:.6g}")
    if abs(value) < HUGE:
        return form.format(value)
    if unit == "fraction":
        return f"{100 * Decimal(value):.6g}%"  # a float might not hold it
    return f"{value:.6g}"


def moment(ts_ms: float) -> str:
    """Return a time as a day, with hours and minutes where it is not midnight, in UTC."""
    form = "%Y-%m-%d %H:%M" if int(ts_ms) % DAY_MS else "%Y-%m-%d"
    return datetime.fromtimestamp(int(ts_ms) / 1000, UTC).strftime(form)


def price(value: float) -> str:
    """Return a price with the digits that its size needs."""
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:,.5g}"


def quantity(value: float) -> str:
    """Return a number of units with six digits, and all of those before the point."""
    return f"{value:,.0f}" if 1e5 <= abs(value) < HUGE else f"{value:,.6g}"


def percent(value: float, digits: int = 2) -> str:
    """Return a fraction as a percentage with its sign; nothing has no sign."""
    text = f"{value:+.{digits}%}"
    return text if text.strip("+-0.%") else text[1:]
