"""Numbers as a person reads them, and why there is none."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

NOTHING = "–"
HUGE = 1e15
DAY_MS = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reason_in_words(reasons: Mapping[str, str], reason: str | None) -> str:
    """Return why a number is not defined; ``reasons`` are those of ``/catalog``."""
    return reasons.get(reason or "", (reason or "undefined").replace("_", " "))


def metric(known: Mapping[str, Any] | None, value: float | None, why: str = "undefined") -> str:
    """Return the value of a metric, or a dash and why there is none.

    ``known`` is what ``/catalog`` says of it, None where it says nothing.
    """
    if value is None:
        return f"{NOTHING} ({why})"
    is_fraction = known is not None and known["unit"] == "fraction"
    if abs(value) >= HUGE and is_fraction:
        return f"{100 * Decimal(value):.6g}%"  # a float might not hold it
    if abs(value) >= HUGE or known is None:
        return f"{value:.6g}"
    sign = "+" if known["signed"] else ""
    kind = "%" if is_fraction else "f"
    return f"{value:{sign},.{known['digits']}{kind}}"


def run_name(run: Mapping[str, Any]) -> str:
    """Return what a run is of: its symbol and, where that is known, its timeframe."""
    return f"{run['symbol']} {run['timeframe'] or ''}".strip()


def moment(ts_ms: float) -> str:
    """Return a time as a day, with hours and minutes where it is not midnight, in UTC."""
    form = "%Y-%m-%d %H:%M" if int(ts_ms) % DAY_MS else "%Y-%m-%d"
    return (EPOCH + timedelta(milliseconds=int(ts_ms))).strftime(form)


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
