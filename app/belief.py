"""What the validation tests found, in words that a trader understands."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.validation import REASONS, chance_in_words

Document = Mapping[str, Any]
DOUBLE_LAG = (
    "Double lag: what is known at the close of one bar is traded, at the earliest, "
    "at the open of the bar after the next."
)
NOT_MODELLED = (
    "Not modelled: interest on cash or debt, margin calls, a cash check at the fill, "
    "borrow for the last bar."
)


def reason_in_words(reason: str | None) -> str:
    """Return why a number of a validation test is not defined."""
    return REASONS.get(reason or "", "undefined")


def warning_in_words(warning: Document) -> str:
    """Return a warning of a run, and how often it was met."""
    times = f" ({warning['count']:,} times)" if warning.get("count", 1) > 1 else ""
    return f"Warning: {warning['message']}{times}."


def causality_in_words(found: Document) -> str:
    """Return what the check for look-ahead has looked at."""
    if not found["cuts"]:
        return "Too few bars to look for look-ahead."
    return f"No look-ahead: {found['cuts']} other futures changed nothing before them."


def _luck(found: Document) -> str:
    if found["p_value"] is None:
        return f"no verdict: {reason_in_words(found['reason'])}"
    p, method = found["p_value"], found["method"]
    said = chance_in_words(p, found["n"], method).capitalize()
    note = "; not valid for signals made from the same prices" if method == "shift" else ""
    digits = 3 if p >= 0.001 else 6
    return f"{said} (p {p:.{digits}f} ± {found['p_value_error']:.{digits}f}{note})"


def _interval(found: Document) -> str:
    sharpe = found["sharpe"]
    if sharpe["studentized"] is None:
        return f"no interval: {reason_in_words(sharpe['reason'])}"
    low, high = sharpe["studentized"]
    zero = "0 lies within" if low <= 0 <= high else "0 lies outside"
    return f"{100 * found['confidence']:g}% interval from {low:.2f} to {high:.2f}; {zero}"


def _total_return(found: Document) -> str:
    total = found["total_return"]
    if total["interval"] is None:
        return f"no interval: {reason_in_words(total['reason'])}"
    low, high = total["interval"]
    return f"{100 * found['confidence']:g}% interval from {low:+.0%} to {high:+.0%}"


def _costs(found: Document) -> str:
    breakeven = found["breakeven_slippage_bps"]
    if breakeven is None:
        return f"No break-even: {reason_in_words(found['breakeven_reason'])}"
    base = found["base_slippage_bps"]
    beside = "" if base is None else f"; {base:.1f} are assumed"
    return f"Breaks even at {breakeven:.1f} basis points of slippage a fill{beside}"


def _noise(found: Document) -> str:
    chance = found["probability_of_loss"]
    if chance is None:
        return f"not tried: {reason_in_words(found['reason'])}"
    low, high = found["total_return"]["p5"], found["total_return"]["p95"]
    return f"Noisy slippage: return {low:+.1%} to {high:+.1%}, a loss in {chance:.0%} of the tries"


def _through_time(found: Document) -> str:
    if not found["folds"]:
        return f"no verdict: {reason_in_words(found['reason'])}"
    won = round(found["positive_folds"] * found["n"])
    sharpe = found["stitched"]["sharpe"]
    stitched = "" if sharpe is None else f"; Sharpe of all of them {sharpe:.2f}"
    return f"{won} of {found['n']} later stretches made money{stitched} (nothing was fitted)"


# Label, test, and what is said of its document.
BELIEF: tuple[tuple[str, str, Callable[[Document], str]], ...] = (
    ("Luck", "permutation", _luck),
    ("Sharpe", "block_bootstrap", _interval),
    ("Return", "block_bootstrap", _total_return),
    ("Costs", "monte_carlo", _costs),
    ("", "monte_carlo", _noise),
    ("Through time", "walk_forward", _through_time),
)
