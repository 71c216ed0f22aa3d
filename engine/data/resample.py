"""Coarser bars from finer ones."""

from typing import TYPE_CHECKING

import numpy as np

from engine.config import DAY_MS, MONDAY_MS, TIMEFRAME_MS
from engine.data.calendars import WEEK_MS, local_days
from engine.data.normalize import Dataset
from engine.data.sessions import Sessions, sessions_for
from engine.errors import DataError
from engine.records import Candles

if TYPE_CHECKING:
    from engine.records import Booleans, Floats, Integers


def resample(dataset: Dataset, timeframe: str, calendar: str | None) -> Dataset:
    """Return the data set in a coarser timeframe.

    First open, highest high, lowest low, last close, summed volume, vwap weighted by volume. A
    bucket is labelled by its opening time and starts at the session's open where a calendar is
    named (a day at the session's date), else at UTC midnight; weeks start on Monday 00:00 UTC, and
    days belong to them by their dates. A last bucket whose end the candles do not reach is left
    out, as it may not be complete.

    Raises
        DataError where not one bucket is complete, or the volumes of one are beyond all numbers.
    """
    fine = dataset.candles
    length = TIMEFRAME_MS[timeframe]
    sessions = sessions_for(calendar, fine.ts) if calendar and length < WEEK_MS else None
    opens = _opens(fine)
    label, end, known = _buckets(opens, length, sessions)
    bars = np.flatnonzero(known)
    label, end = label[bars], end[bars]
    starts = np.flatnonzero(
        np.concatenate([[True], label[1:] != label[:-1]]) if len(bars) else bars
    )
    last_end = opens[bars[-1]] + TIMEFRAME_MS[fine.timeframe] if len(bars) else 0
    if len(bars) and last_end < end[-1]:
        bars, starts = bars[: starts[-1]], starts[:-1]
    if not len(starts):
        message = f"{fine.symbol} {fine.timeframe} does not hold one complete bar of {timeframe}"
        raise DataError(message)
    ends = np.append(starts[1:], len(bars)) - 1
    volume, vwap = _volume(fine, bars, starts)
    for what, values in (("volume", volume), ("vwap", vwap)):
        if values is not None and not np.isfinite(values).all():
            message = (
                f"{fine.symbol} {fine.timeframe}: the {what} of a bar of {timeframe} overflows"
            )
            raise DataError(message)
    candles = Candles(
        symbol=fine.symbol,
        timeframe=timeframe,
        ts=label[starts],
        open=fine.open[bars][starts],
        high=np.maximum.reduceat(fine.high[bars], starts),
        low=np.minimum.reduceat(fine.low[bars], starts),
        close=fine.close[bars][ends],
        volume=volume,
        vwap=vwap,
        # Days and weeks are labelled by dates at midnight UTC, whatever zone the finer bars had.
        timezone="UTC" if length >= DAY_MS else fine.timezone,
    )
    adjusted = None if dataset.adj_close is None else dataset.adj_close[bars][ends]
    return Dataset(candles, adjusted, dataset.report, dataset.calendar)


def _opens(fine: Candles) -> "Integers":
    """Return when each bar opens (n,); a day, at midnight UTC of the date that its zone gives it.

    A Monday of Tokyo opens on Sunday, and is a Monday all the same.
    """
    if TIMEFRAME_MS[fine.timeframe] < DAY_MS:
        return fine.ts
    return local_days(fine.ts, fine.timezone) * DAY_MS


def _buckets(
    opens: "Integers", length: int, sessions: Sessions | None
) -> "tuple[Integers, Integers, Booleans]":
    """Return opening and closing time (n,) of the bucket of each bar, and whether it has one."""
    always = np.ones(len(opens), dtype=np.bool_)
    if length == WEEK_MS:
        label = (opens - MONDAY_MS) // WEEK_MS * WEEK_MS + MONDAY_MS
        return label, label + WEEK_MS, always
    if sessions is None:
        label = opens // length * length
        return label, label + length, always
    session, inside = sessions.of_instants(opens)
    at = np.maximum(session, 0)
    if length == DAY_MS:
        label, end = sessions.days[at] * DAY_MS, sessions.closes[at]
    else:
        opening = sessions.opens[at]
        label = opening + (opens - opening) // length * length
        end = np.minimum(label + length, sessions.closes[at])
    return label, end, inside


@np.errstate(over="ignore", invalid="ignore")  # what overflows is refused
def _volume(
    fine: Candles, bars: "Integers", starts: "Integers"
) -> "tuple[Floats | None, Floats | None]":
    """Return volume and vwap (n_buckets,), None for what is not known."""
    if fine.volume is None:
        return None, None
    volume = np.add.reduceat(fine.volume[bars], starts)
    if fine.vwap is None:
        return volume, None
    value = np.add.reduceat(fine.vwap[bars] * fine.volume[bars], starts)
    close = fine.close[bars][np.append(starts[1:], len(bars)) - 1]
    return volume, np.where(volume > 0, value / np.where(volume > 0, volume, 1.0), close)
