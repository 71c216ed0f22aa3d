"""Metrics as a person reads them."""

from decimal import Decimal

from engine.metrics import REASONS
from engine.metrics.definitions import METRICS, Unit

BY_UNIT: dict[Unit, str] = {
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
    "turnover": "{:.1f} × equity",
    "avg_bars_held": "{:,.1f}",
    "avg_drawdown_duration_bars": "{:,.1f}",
}
HUGE = 1e15


def in_words(name: str, value: float | None, reason: str | None = None) -> str:
    """Return the value of a metric of that dotted name with its unit, or why there is none."""
    if value is None:
        return f"– ({why_undefined(reason)})"
    known = METRICS.get(name)
    form = FORMS.get(name.rpartition(".")[2]) or (BY_UNIT[known.unit] if known else "{:.6g}")
    if abs(value) < HUGE:
        return form.format(value)
    if known and known.unit == "fraction":
        return f"{100 * Decimal(value):.6g}%"  # a float might not hold it
    return f"{value:.6g}"


def why_undefined(reason: str | None) -> str:
    """Return why a metric has no value."""
    return REASONS.get(reason or "", "undefined")
