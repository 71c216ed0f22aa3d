"""Metrics as a person reads them."""

from app.belief import reason_in_words
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
        return f"– ({reason_in_words(reason)})"
    known = METRICS.get(name)
    form = FORMS.get(name.rpartition(".")[2]) or (BY_UNIT[known.unit] if known else "{:.6g}")
    return (form if abs(value) < HUGE else "{:.6g}").format(value)
