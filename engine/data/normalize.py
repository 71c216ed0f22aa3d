"""Normalisation: raw rows to candles that can be believed, every step counted."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from engine.config import TIMEFRAME_MS
from engine.data.read_csv import PRICES, RawTable
from engine.data.timestamps import parse_times
from engine.errors import DataError
from engine.records import ArrayRecord, Candles

if TYPE_CHECKING:
    from engine.records import Booleans, Floats, Integers

RANGE_TOLERANCE = 1e-9
SHOWN_ROWS = 5
RULES = {
    "ragged_row": "a wrong number of cells",
    "unreadable_time": "a time that is missing or cannot be read",
    "bad_price": "a price that is missing, not a number, or not above zero",
    "bad_volume": "a volume that is missing, not a number, or below zero",
    "inverted_range": "a high below, or a low above, the open or close",
    "conflicting_duplicate": "different values at the same time",
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file does not say about itself."""

    timezone: str = "UTC"
    date_format: str | None = None
    on_bad_rows: str = "refuse"


@dataclass
class QualityReport:
    """What normalisation found: counts by rule, and the first rows of each."""

    rows_in: int
    rows_out: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first_rows: dict[str, list[int]] = field(default_factory=dict)

    def note(self, rule: str, rows: "Integers") -> None:
        """Count ``rows`` under ``rule``; row numbers start at 1 under the header."""
        if len(rows):
            self.counts[rule] = self.counts.get(rule, 0) + len(rows)
            self.first_rows[rule] = [int(row) for row in np.sort(rows)[:SHOWN_ROWS]]


@dataclass(frozen=True, eq=False)
class Dataset(ArrayRecord):
    """Normalised candles as they are stored: not adjusted, not sliced.

    ``calendar`` names the exchange calendar that belongs to them, if any.
    """

    candles: Candles
    adj_close: "Floats | None"
    report: QualityReport
    calendar: str | None = None


def normalize(
    raw: RawTable, *, symbol: str, timeframe: str | None, options: ReadOptions
) -> Dataset:
    """Return the candles of ``raw``, oldest first, or say what is wrong with which rows.

    ``timeframe`` None takes the one that the median step between bars tells.

    Raises
        DataError naming the file, the rule, the count and the first rows.
    """
    try:
        times = parse_times(
            raw.time_text, timezone=options.timezone, date_format=options.date_format
        )
    except DataError as fault:
        raise DataError(f"{raw.name}: {fault}") from None
    report = QualityReport(rows_in=len(raw.row) + len(raw.ragged))
    columns = dict(raw.columns)
    if "volume" in columns and np.isnan(columns["volume"]).all():
        del columns["volume"]
    report.note("ragged_row", np.asarray(raw.ragged, dtype=np.int64))
    bad = np.zeros(len(raw.row), dtype=np.bool_)
    for rule, mask in _row_faults(columns, times.unreadable):
        report.note(rule, raw.row[mask & ~bad])
        bad |= mask
    kept = np.flatnonzero(~bad)
    ts = times.ts[kept]
    report.note("unsorted", raw.row[kept][1:][np.diff(ts) < 0] if len(kept) > 1 else raw.row[:0])
    order = kept[np.argsort(ts, kind="stable")]
    exact, conflicting = _duplicates(
        times.ts[order], [column[order] for column in columns.values()]
    )
    report.note("exact_duplicate", raw.row[order[exact]])
    report.note("conflicting_duplicate", raw.row[order[conflicting]])
    _refuse(raw.name, report, options)
    order = order[~(exact | conflicting)]
    if not len(order):
        raise DataError(f"{raw.name}: no row is left after the bad ones are dropped")
    ts = times.ts[order]
    columns = {title: column[order] for title, column in columns.items()}
    report.note("widened_range", raw.row[order[_widen(columns)]])
    report.rows_out = len(order)
    candles = Candles(
        symbol=symbol,
        timeframe=_timeframe(raw.name, ts, timeframe),
        ts=ts,
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        volume=columns.get("volume"),
        vwap=columns.get("vwap"),
        timezone=options.timezone,
    )
    return Dataset(candles, columns.get("adj_close"), report)


def _row_faults(
    columns: "dict[str, Floats]", unreadable: "Booleans"
) -> "list[tuple[str, Booleans]]":
    """Return, rule by rule, which rows break it."""
    price = np.zeros(len(unreadable), dtype=np.bool_)
    for title in (*PRICES, "adj_close", "vwap"):
        if title in columns:
            price |= ~((columns[title] > 0) & np.isfinite(columns[title]))
    body_high = np.maximum(columns["open"], columns["close"])
    body_low = np.minimum(columns["open"], columns["close"])
    inverted = columns["high"] < body_high * (1 - RANGE_TOLERANCE)
    inverted |= columns["low"] > body_low * (1 + RANGE_TOLERANCE)
    faults = [("unreadable_time", unreadable), ("bad_price", price)]
    if "volume" in columns:
        volume = columns["volume"]
        faults.append(("bad_volume", ~((volume >= 0) & np.isfinite(volume))))
    return [*faults, ("inverted_range", inverted)]


def _duplicates(ts: "Integers", columns: "list[Floats]") -> "tuple[Booleans, Booleans]":
    """Return which sorted rows repeat an equal row, and which share a time with another one."""
    same_time = np.concatenate([[False], ts[1:] == ts[:-1]])
    if not same_time.any():
        return same_time, same_time
    exact = np.zeros_like(same_time)
    conflicting = np.zeros_like(same_time)
    starts = np.flatnonzero(~same_time)
    ends = np.append(starts[1:], len(ts))
    for start, end in zip(starts, ends, strict=True):
        if end - start > 1:
            equal = all((column[start:end] == column[start]).all() for column in columns)
            (exact if equal else conflicting)[start + equal : end] = True
    return exact, conflicting


def _refuse(name: str, report: QualityReport, options: ReadOptions) -> None:
    if options.on_bad_rows == "drop":
        return
    found = [
        f"{what} ({_rows(report.counts[rule])}, first {_listed(report.first_rows[rule])})"
        for rule, what in RULES.items()
        if rule in report.counts
    ]
    if found:
        raise DataError(f"{name}: {'; '.join(found)}. Rows count from 1 under the header.")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _listed(rows: list[int]) -> str:
    return ", ".join(str(row) for row in rows)


def _widen(columns: "dict[str, Floats]") -> "Booleans":
    """Widen high and low to hold open and close; return where that was needed."""
    high = np.maximum(columns["high"], np.maximum(columns["open"], columns["close"]))
    low = np.minimum(columns["low"], np.minimum(columns["open"], columns["close"]))
    widened: Booleans = (high != columns["high"]) | (low != columns["low"])
    columns["high"], columns["low"] = high, low
    return widened


def _timeframe(name: str, ts: "Integers", asked: str | None) -> str:
    """Return the timeframe, which the (lower) median step between bars has to equal."""
    if len(ts) < 2:
        if asked is None:
            raise DataError(f"{name}: one bar does not tell its timeframe; give it")
        return asked
    steps = np.sort(np.diff(ts))
    step = int(steps[(len(steps) - 1) // 2])
    told = next((title for title, length in TIMEFRAME_MS.items() if length == step), None)
    if asked is None and told is not None:
        return told
    if asked is None:
        raise DataError(f"{name}: bars are {_span(step)} apart, which is no known timeframe")
    if told != asked:
        raise DataError(f"{name}: bars are {_span(step)} apart, which does not fit {asked}")
    return asked


def _span(ms: int) -> str:
    for length, unit in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= length:
            return f"{ms / length:g} {unit}"
    return f"{ms / 1000:g} seconds"
