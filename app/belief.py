"""What a run assumes and what the validation tests found, in words that a trader understands."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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

NO_COSTS = "No costs are assumed: commission and slippage are 0."
UNLIKELY = 0.05  # a p-value up to it is called unlikely to be luck
# Label and sentence of each test that was not asked for.
UNTESTED = {
    "permutation": ("Luck", "Not tested: no permutation test was asked for"),
    "block_bootstrap": ("Sharpe", "No interval: no block bootstrap was asked for"),
    "monte_carlo": ("Costs", "Not varied: no Monte Carlo test was asked for"),
    "walk_forward": ("Through time", "Not tested: no walk-forward test was asked for"),
}


def costs_in_words(execution: Document) -> str:
    """Return the costs that a run's configuration assumes, as a sentence."""
    commission = [
        f"{execution[name]:,g} {unit}"
        for name, unit in (
            ("commission_bps", "bp"),
            ("commission_per_share", "a unit"),
            ("commission_min", "a fill at least"),
        )
        if execution[name]
    ]
    slippage = [f"{execution['slippage_bps']:,g} bp"] if execution["slippage_bps"] else []
    if execution["slippage_model"] is not None:
        slippage.append(f"the model {execution['slippage_model']['name']}")
    borrow = execution["borrow_bps"]
    fee = f"borrow fee {borrow:,g} bp a year" if borrow else "no borrow fee"
    if not commission and not slippage:
        return f"{NO_COSTS[:-1]}, {fee}." if borrow else NO_COSTS
    said = (
        f"{what} {' and '.join(parts)}" if parts else f"no {what}"
        for what, parts in (("commission", commission), ("slippage", slippage))
    )
    return f"Costs assumed: {', '.join(said)}, {fee}."


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
        return f"No verdict: {reason_in_words(found['reason'])}"
    p, method = found["p_value"], found["method"]
    said = chance_in_words(p, found["n"], method).capitalize()
    note = "; not valid for signals made from the same prices" if method == "shift" else ""
    digits = 3 if p >= 0.001 else 6
    return f"{said} (p {p:.{digits}f} ± {found['p_value_error']:.{digits}f}{note})"


def _interval(found: Document) -> str:
    sharpe = found["sharpe"]
    if sharpe["studentized"] is None:
        return f"No interval: {reason_in_words(sharpe['reason'])}"
    low, high = sharpe["studentized"]
    zero = "0 lies within" if low <= 0 <= high else "0 lies outside"
    return f"{100 * found['confidence']:g}% interval from {low:.2f} to {high:.2f}; {zero}"


def _total_return(found: Document) -> str:
    total = found["total_return"]
    if total["interval"] is None:
        return f"No interval: {reason_in_words(total['reason'])}"
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
        return f"Not tried: {reason_in_words(found['reason'])}"
    low, high = found["total_return"]["p5"], found["total_return"]["p95"]
    return f"Noisy slippage: return {low:+.1%} to {high:+.1%}, a loss in {chance:.0%} of the tries"


def _through_time(found: Document) -> str:
    if not found["folds"]:
        return f"No verdict: {reason_in_words(found['reason'])}"
    won = round(found["positive_folds"] * found["n"])
    sharpe = found["stitched"]["sharpe"]
    stitched = "" if sharpe is None else f"; Sharpe of all of them {sharpe:.2f}"
    return f"{won} of {found['n']} later stretches made money{stitched} (nothing was fitted)"


def verdict(found: Document) -> str:
    """Return what luck and the Sharpe's interval say together, never more than they found.

    A test that was not run, or has no verdict, is named as such.
    """
    luck, by_luck = _luck_in_short(found.get("permutation"))
    zero, by_interval = _interval_in_short(found.get("block_bootstrap"))
    if luck == "unlikely":
        survived = zero == "below" and found["permutation"]["method"] != "shift"
        said = f"{by_luck}, {'and' if zero == 'below' else 'but'} {by_interval}"
        said += ": it survived these two tests, on this stretch of the past" if survived else ""
    elif zero == "below":
        said = f"{by_interval}, but {by_luck}"
    elif luck == "unknown" and zero == "unknown":
        said = f"{by_luck}, and {by_interval}"
    else:
        said = f"nothing here speaks for an edge: {by_luck}, and {by_interval}"
    note = ""
    if luck != "unknown" and found["permutation"]["method"] == "shift":
        note = " A p-value by shifts is not valid for signals made from the same prices."
    return f"{said[0].upper()}{said[1:]}.{note}"


def _luck_in_short(found: Document | None) -> tuple[str, str]:
    """Return whether luck is ``unlikely``, ``enough`` or ``unknown``, and that in words."""
    if found is None:
        return "unknown", "whether this is luck was not tested"
    p = found["p_value"]
    if p is None:
        return "unknown", "whether this is luck has no verdict"
    shown = f"(p {p:.{3 if p >= 0.001 else 6}f})"
    if p <= UNLIKELY:
        return "unlikely", f"luck is unlikely {shown}"
    return "enough", f"luck is enough to explain it {shown}"


def _interval_in_short(found: Document | None) -> tuple[str, str]:
    """Return where 0 is to the Sharpe's interval, or ``unknown``, and that in words."""
    if found is None:
        return "unknown", "how uncertain the Sharpe is was not tested"
    if found["sharpe"]["studentized"] is None:
        return "unknown", "the Sharpe has no interval"
    low, high = found["sharpe"]["studentized"]
    if low > 0:
        return "below", "0 lies outside the Sharpe's interval"
    if high < 0:
        return "above", "the Sharpe's whole interval lies below 0"
    return "within", "0 lies in the Sharpe's interval"


# Label, test, and what is said of its document.
BELIEF: tuple[tuple[str, str, Callable[[Document], str]], ...] = (
    ("Luck", "permutation", _luck),
    ("Sharpe", "block_bootstrap", _interval),
    ("Return", "block_bootstrap", _total_return),
    ("Costs", "monte_carlo", _costs),
    ("", "monte_carlo", _noise),
    ("Through time", "walk_forward", _through_time),
)


class Said(NamedTuple):
    """A sentence about what a test found; ``label`` is empty where it goes on from the last."""

    label: str
    test: str
    text: str


def told(found: Document) -> list[Said]:
    """Return what is said of each of the engine's tests, those that were not run as well."""
    rows: list[Said] = []
    for label, test, sentence in BELIEF:
        words = (label, sentence(found[test])) if test in found else UNTESTED[test]
        said = Said(words[0], test, words[1])
        if said not in rows:
            rows.append(said)
    return rows
