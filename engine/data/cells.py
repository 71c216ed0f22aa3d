"""The cell of a bad row that a message shows: which column, and what stands there."""

from collections.abc import Iterator

import numpy as np

from engine.data.raw import PRICES, NumericTimes, RawTable

RANGE_TOLERANCE = 1e-9
SHOWN = 20  # characters


def bad_cell(raw: RawTable, rule: str, row: int) -> str:
    """Return ``: high '12x4.5'`` for the row's first cell that breaks a rule, "" where none does.

    Parameters
        row: one of ``raw.row``, or of those that were left out
    """
    at = int(np.searchsorted(raw.row, row))
    if at == len(raw.row) or raw.row[at] != row:
        return ""
    said = next(_RULES[rule](raw, at), "") if rule in _RULES else ""
    return f": {said}" if said else ""


def shown(text: str) -> str:
    """Return a text of a file in quotes: some printable characters of it."""
    start = "".join(letter if letter.isprintable() else "?" for letter in text[:SHOWN])
    return f"'{start}{'…' if len(text) > SHOWN else ''}'"


def _times(raw: RawTable, at: int) -> Iterator[str]:
    if not isinstance(raw.times, NumericTimes):
        text = raw.times[at].as_py()
        yield "no time" if text is None else f"time {shown(text)}"


def _prices(raw: RawTable, at: int) -> Iterator[str]:
    for title in (*PRICES, "adj_close", "vwap"):
        column = raw.columns.get(title)
        if column is None or (title not in PRICES and np.isnan(column).all()):
            continue
        if not (column[at] > 0 and np.isfinite(column[at])):
            yield _cell(raw, title, at)


def _ranges(raw: RawTable, at: int) -> Iterator[str]:
    prices = {title: float(raw.columns[title][at]) for title in PRICES}
    top = max(("open", "close"), key=prices.__getitem__)
    bottom = min(("open", "close"), key=prices.__getitem__)
    if prices["high"] < prices[top] * (1 - RANGE_TOLERANCE):
        yield f"high {prices['high']:.12g} below {top} {prices[top]:.12g}"
    if prices["low"] > prices[bottom] * (1 + RANGE_TOLERANCE):
        yield f"low {prices['low']:.12g} above {bottom} {prices[bottom]:.12g}"


def _volumes(raw: RawTable, at: int) -> Iterator[str]:
    yield _cell(raw, "volume", at)


def _cell(raw: RawTable, title: str, at: int) -> str:
    if at in raw.unread.get(title, {}):
        return f"{title} {shown(raw.unread[title][at])}"
    value = float(raw.columns[title][at])
    return f"no number for {title}" if np.isnan(value) else f"{title} {value:.12g}"


_RULES = {
    "unreadable_time": _times,
    "impossible_time": _times,
    "bad_price": _prices,
    "inverted_range": _ranges,
    "bad_volume": _volumes,
}
