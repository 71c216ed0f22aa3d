"""What the validation tests found, in words that a trader understands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gui.panels.figures import reason_in_words

Document = Mapping[str, Any]
Reasons = Mapping[str, str]  # of validation, from ``/catalog``
Verdict = tuple[str, str]  # what to know, and what else there is


def luck(found: Document, reasons: Reasons) -> Verdict:
    """Return how many random markets did as well."""
    if found["p_value"] is None:
        return f"No verdict: {reason_in_words(reasons, found['reason'])}.", ""
    p, error = found["p_value"], found["p_value_error"]
    digits = 3 if p >= 0.001 else 6
    said = chance(p, found["n"], found["method"])
    text = f"{said[:1].upper()}{said[1:]} (p {p:.{digits}f} ± {error:.{digits}f})."
    shifted = found["method"] == "shift"
    return text, "Not valid for signals made from the same prices." if shifted else ""


def chance(p: float, n: int, method: str) -> str:
    """Return what a p-value from ``n`` replicates says to a person."""
    many = "random markets" if method == "bars" else "shifts of the position"
    if p * (n + 1) < 1.5:
        return f"none of {n:,} {many} did as well"
    if p <= 0.25:
        return f"1 in {1.0 / p:.0f} {many} did as well"
    if p < 0.95:
        return f"{10.0 * p:.0f} in 10 {many} did as well"
    return f"nearly all {many} did as well"


def uncertainty(found: Document, reasons: Reasons) -> Verdict:
    """Return the intervals of Sharpe and return."""
    sharpe, total = found["sharpe"], found["total_return"]
    confidence = f"{100 * found['confidence']:g}%"
    if sharpe["studentized"] is None:
        said = f"No interval for the Sharpe: {reason_in_words(reasons, sharpe['reason'])}."
    else:
        low, high = sharpe["studentized"]
        zero = "within, so it may be nothing" if low <= 0 <= high else "outside"
        said = f"Sharpe from {low:.2f} to {high:.2f} with {confidence} confidence; 0 lies {zero}."
    if total["interval"] is None:
        return said, f"No interval for the return: {reason_in_words(reasons, total['reason'])}."
    low, high = total["interval"]
    return said, f"Return from {low:+.0%} to {high:+.0%} with {confidence} confidence."


def costs(found: Document, reasons: Reasons) -> Verdict:
    """Return at what slippage nothing is left, and what noisy slippage does."""
    breakeven, base = found["breakeven_slippage_bps"], found["base_slippage_bps"]
    if breakeven is None:
        said = f"No break-even: {reason_in_words(reasons, found['breakeven_reason'])}."
    else:
        beside = "" if base is None else f"; {base:.1f} are assumed"
        said = f"Breaks even at {breakeven:.1f} basis points of slippage a fill{beside}."
    if found["probability_of_loss"] is None:
        return said, f"Noise was not tried: {reason_in_words(reasons, found['reason'])}."
    low, high = found["total_return"]["p5"], found["total_return"]["p95"]
    lost = f"a loss in {found['probability_of_loss']:.0%} of the tries"
    return said, f"With noisy slippage the return is {low:+.1%} to {high:+.1%}, {lost}."


def through_time(found: Document, reasons: Reasons) -> Verdict:
    """Return how many later stretches made money."""
    if not found["folds"]:
        return f"No verdict: {reason_in_words(reasons, found['reason'])}.", ""
    won = round(found["positive_folds"] * found["n"])
    sharpe = (found["stitched"] or {}).get("sharpe")
    stitched = "" if sharpe is None else f"; Sharpe of all of them {sharpe:.2f}"
    return f"{won} of {found['n']} later stretches made money{stitched}.", "Nothing was fitted."


@dataclass(frozen=True)
class Test:
    """A validation test as the panel speaks of it."""

    title: str
    question: str
    verdict: Callable[[Document, Reasons], Verdict]


TESTS: dict[str, Test] = {
    "permutation": Test(
        "Luck",
        "The strategy on markets with the same moves in random order: is it better than on those?",
        luck,
    ),
    "block_bootstrap": Test(
        "Uncertainty",
        "The same returns drawn again in blocks: how far could the figures be off?",
        uncertainty,
    ),
    "monte_carlo": Test(
        "Costs",
        "The same trades at other slippage: what is left of the result?",
        costs,
    ),
    "walk_forward": Test(
        "Through time",
        "Later stretches, each beside what came before it: does the result hold?",
        through_time,
    ),
}
