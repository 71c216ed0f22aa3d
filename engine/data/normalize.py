"""Normalisation: raw rows to candles that can be believed, every step counted."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from engine.config import DAY_MS, TIMEFRAME_MS
from engine.data.cells import RANGE_TOLERANCE, bad_cell
from engine.data.raw import PRICES, RawTable
from engine.data.timestamps import ParsedTimes, median_step, parse_times
from engine.errors import DataError
from engine.limits import FileLimits
from engine.records import ArrayRecord, Candles
from engine.wording import counted, noun

if TYPE_CHECKING:
    from engine.records import Booleans, Floats, Integers

SHOWN_ROWS = 5
KNOWN = f"{', '.join(list(TIMEFRAME_MS)[:-1])} or {list(TIMEFRAME_MS)[-1]}"
NOTHING_LEFT = "no row is left after the bad ones are dropped"
RULES = {
    "ragged_row": "a wrong number of cells",
    "unreadable_time": "a time that is missing or cannot be read",
    "impossible_time": "a local time that does not exist or could be either of two",
    "conflicting_duplicate": "different values at the same time",
    "bad_price": "a price that is missing, not a number, or not above zero",
    "inverted_range": "a high below, or a low above, the open or close",
    "bad_volume": "a volume that is missing, not a number, or below zero",
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file does not say about itself, and how much of it is read.

    ``date_format`` is for times that are text; ``decimal`` is ``.`` or ``,`` for numbers that are.
    """

    timezone: str = "UTC"
    date_format: str | None = None
    on_bad_rows: str = "refuse"
    decimal: str | None = None
    limits: FileLimits = field(default_factory=FileLimits)


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

    def note_count(self, rule: str, count: int) -> None:
        """Count bars that are reported and kept."""
        if count:
            self.counts[rule] = count


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
    report = QualityReport(rows_in=len(raw.row) + len(raw.ragged))
    report.note("ragged_row", np.asarray(raw.ragged, dtype=np.int64))
    if not len(raw.row):
        _refuse(raw, report, options)
        raise DataError(f"{raw.name}: {NOTHING_LEFT}")
    try:
        times = parse_times(raw.times, timezone=options.timezone, date_format=options.date_format)
    except DataError as fault:
        raise DataError(f"{raw.name}: {fault}") from None
    columns = {title: raw.columns[title] for title in raw.columns if not _is_empty(raw, title)}
    order = _timed_rows(raw, times, report)
    exact, conflicting = _duplicates(
        times.ts[order], [column[order] for column in columns.values()]
    )
    report.note("exact_duplicate", raw.row[order[exact]])
    report.note("conflicting_duplicate", raw.row[order[conflicting]])
    order = order[~(exact | conflicting)]
    bad = np.zeros(len(order), dtype=np.bool_)
    for rule, mask in _row_faults({title: column[order] for title, column in columns.items()}):
        report.note(rule, raw.row[order[mask & ~bad]])
        bad |= mask
    _refuse(raw, report, options)
    order = order[~bad]
    if not len(order):
        raise DataError(f"{raw.name}: {NOTHING_LEFT}")
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
        volume=columns["volume"] + 0.0 if "volume" in columns else None,  # never -0: other bytes
        vwap=columns.get("vwap"),
        timezone=options.timezone,
    )
    return Dataset(candles, columns.get("adj_close"), report)


def _is_empty(raw: RawTable, title: str) -> bool:
    """Tell whether an optional column is there in name only, so not known at all."""
    return title not in PRICES and bool(np.isnan(raw.columns[title]).all())


def _timed_rows(raw: RawTable, times: ParsedTimes, report: QualityReport) -> "Integers":
    """Return the rows whose time can be used, oldest first, those of one time in file order."""
    report.note("unreadable_time", raw.row[times.unreadable])
    report.note("impossible_time", raw.row[times.impossible & ~times.unreadable])
    kept = np.flatnonzero(~(times.unreadable | times.impossible))
    ts = times.ts[kept]
    report.note("unsorted", raw.row[kept[1:][np.diff(ts) < 0]])
    order: Integers = kept[np.argsort(ts, kind="stable")]
    return order


def _row_faults(columns: "dict[str, Floats]") -> "list[tuple[str, Booleans]]":
    """Return, rule by rule, which rows break it."""
    price = np.zeros(len(columns["open"]), dtype=np.bool_)
    for title in (*PRICES, "adj_close", "vwap"):
        if title in columns:
            price |= ~((columns[title] > 0) & np.isfinite(columns[title]))
    body_high = np.maximum(columns["open"], columns["close"])
    body_low = np.minimum(columns["open"], columns["close"])
    with np.errstate(over="ignore"):  # beyond the largest number nothing is above it
        inverted = columns["high"] < body_high * (1 - RANGE_TOLERANCE)
        inverted |= columns["low"] > body_low * (1 + RANGE_TOLERANCE)
    faults = [("bad_price", price), ("inverted_range", inverted)]
    if "volume" in columns:
        volume = columns["volume"]
        faults.append(("bad_volume", ~((volume >= 0) & np.isfinite(volume))))
    return faults


def _duplicates(ts: "Integers", columns: "list[Floats]") -> "tuple[Booleans, Booleans]":
    """Return which sorted rows repeat an equal row, and which share a time with another one."""
    same_time = np.zeros(len(ts), dtype=np.bool_)
    same_time[1:] = ts[1:] == ts[:-1]
    if not same_time.any():
        return same_time, same_time
    equal = same_time.copy()
    for column in columns:
        now, before = column[1:], column[:-1]
        equal[1:] &= (now == before) | (np.isnan(now) & np.isnan(before))
    differs = same_time & ~equal  # from the row before it
    group = np.cumsum(~same_time) - 1
    conflict = np.bincount(group, weights=differs)[group] > 0
    return same_time & ~conflict, conflict


def _refuse(raw: RawTable, report: QualityReport, options: ReadOptions) -> None:
    if options.on_bad_rows == "drop":
        return
    found = [
        f"{what} ({counted(report.counts[rule], 'row')}, first {_listed(report.first_rows[rule])})"
        f"{bad_cell(raw, rule, report.first_rows[rule][0])}"
        for rule, what in RULES.items()
        if rule in report.counts
    ]
    if found:
        hint = "Rows count from 1 under the header; on_bad_rows 'drop' leaves such rows out."
        raise DataError(f"{raw.name}: {'; '.join(found)}. {hint}")


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
            raise DataError(f"{name}: one bar does not tell its timeframe; give it: {KNOWN}")
        return asked
    step = median_step(ts)
    told = next((title for title, length in TIMEFRAME_MS.items() if length == step), None)
    if asked is None and told is not None:
        return told
    if asked is None:
        raise DataError(f"{name}: bars are {_span(step)} apart, which is none of {KNOWN}")
    if told != asked:
        raise DataError(f"{name}: bars are {_span(step)} apart, which does not fit {asked}")
    return asked


def _span(ms: int) -> str:
    units = ((DAY_MS, "day"), (3_600_000, "hour"), (60_000, "minute"))
    length, unit = next(((ms_, name) for ms_, name in units if ms >= ms_), (1000, "second"))
    return f"{ms / length:g} {noun(ms / length, unit)}"
