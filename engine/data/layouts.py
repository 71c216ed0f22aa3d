"""What a text file's first line tells: the separator, and which column is what.

==============  ==============================================================================
a header        Date, Open, High, Low, Close, Volume, … in any order, case and decoration; so
                Yahoo, TradingView, Stooq, Nasdaq, MetaTrader, whose date and time are two columns
three lines     yfinance's: titles, the ticker below each, and the title of the times
no header       Binance's twelve columns, the opening time first; nothing else
==============  ==============================================================================
"""

import csv
import re
from dataclasses import dataclass

from engine.data.raw import PRICES
from engine.errors import DataError
from engine.wording import noun

SEPARATORS = (",", ";", "\t", "|")
TIME_TITLES = ("date", "datetime", "time", "timestamp")
# Binance with a header; the index of a data frame; Studio's own artifacts.
LESSER_TIME_TITLES = ("opentime", "indexlevel0", "ts")
COLUMN_TITLES = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "close/last": "close",  # Nasdaq's
    "volume": "volume",
    "vol": "volume",
    "adjclose": "adj_close",
    "adjustedclose": "adj_close",
    "vwap": "vwap",
}
UNDERSTOOD = "date, datetime, time or timestamp; open, high, low, close; volume"
TRADING_VIEW = ["time", "open", "high", "low", "close"]
BINANCE_COLUMNS = 12
BINANCE_PLACES = {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
BINANCE_TIME = r"^(?:\d{13}|\d{16})$"  # milliseconds; microseconds since 2025
DATA_CELL = r"^[\d.,:/+\-TZ ]*\d[\d.,:/+\-TZ ]*$"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a text file holds what.

    ``places`` has the column of each title: ``time``, ``clock`` where the time of day stands apart
    from the date, and those of ``COLUMN_TITLES``. ``decimal`` where the layout itself fixes it.
    """

    separator: str
    n_columns: int
    places: dict[str, int]
    has_header: bool = True
    decimal: str | None = None


def find_layout(name: str, line: str) -> Layout:
    """Return the layout of a text file by its first line.

    Raises
        DataError where that is no header, or one that lacks a column or has one twice.
    """
    split = {separator: _cells(line, separator) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda which: _n_known(split[which]))
    if not _n_known(split[separator]):
        separator = max(SEPARATORS, key=lambda which: len(split[which]))
        if sum(bool(re.match(DATA_CELL, cell)) for cell in split[separator]) >= len(PRICES):
            return _without_header(name, split[separator], separator)
    titles = split[separator]
    places = find_places(name, titles)
    # MetaTrader writes a point on every machine.
    decimal = "." if "tickvol" in map(_key, titles) else None
    return Layout(separator, len(titles), places, decimal=decimal)


def one_header(lines: list[str]) -> str | None:
    """Return the first three lines of a file of yfinance as one header, None for any other.

    Of several tickers nothing tells which one is meant.
    """
    if len(lines) < 3:
        return None
    titles, tickers, times = (_cells(line, ",") for line in lines[:3])
    is_it = (
        len(titles) == len(tickers) == len(times) >= 2
        and (titles[0], tickers[0]) == ("Price", "Ticker")
        and len(set(tickers[1:])) == 1
        and times[0] in {"Date", "Datetime"}
        and not any(times[1:])
    )
    return ",".join([times[0], *titles[1:]]) if is_it else None


def find_places(name: str, titles: list[str]) -> dict[str, int]:
    """Return which column each known title stands in.

    Raises
        DataError where a title is missing or there twice.
    """
    places: dict[str, int] = {}
    times: dict[str, int] = {}
    # TradingView's VWAP is an indicator of the session, not the bar's own.
    skipped = {"VWAP"} if titles[:5] == TRADING_VIEW else set()
    for index, title in enumerate(titles):
        key = _key(title)
        is_time = key in TIME_TITLES
        known = key if is_time else COLUMN_TITLES.get(key)
        if known is None or title.strip() in skipped:
            continue
        if known in places or known in times:
            raise DataError(f"{name} has two columns for {'time' if is_time else known}")
        (times if is_time else places)[known] = index
    places |= _time_places(name, titles, times)
    missing = [title for title in ("time", *PRICES) if title not in places]
    if missing:
        header = ", ".join(titles)[:120]
        shown = "".join(letter if letter.isprintable() else " " for letter in header)
        lacks = f"lacks the {noun(len(missing), 'column')} {', '.join(missing)}"
        raise DataError(f"{name} {lacks}; its header is: {shown}; understood are {UNDERSTOOD}")
    return places


def _time_places(name: str, titles: list[str], times: dict[str, int]) -> dict[str, int]:
    if times.keys() == {"date", "time"}:
        return {"time": times["date"], "clock": times["time"]}
    if len(times) > 1:
        raise DataError(f"{name} has two columns for time")
    if times:
        return {"time": next(iter(times.values()))}
    if titles and not titles[0].strip():
        return {"time": 0}
    keys = [_key(title) for title in titles]
    return next(({"time": keys.index(key)} for key in LESSER_TIME_TITLES if key in keys), {})


def _without_header(name: str, cells: list[str], separator: str) -> Layout:
    times = [cells[index].strip() for index in (0, 6) if len(cells) == BINANCE_COLUMNS]
    if times and separator == "," and all(re.match(BINANCE_TIME, time) for time in times):
        return Layout(separator, len(cells), BINANCE_PLACES, has_header=False, decimal=".")
    raise DataError(
        f"{name} has no header line, so that its columns cannot be told apart; "
        "add one, such as Date,Open,High,Low,Close,Volume"
    )


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _key(title: str) -> str:
    """Return a title without case and decoration: ``<Adj. Close>`` is ``adjclose``."""
    return re.sub(r"[\s_.<>()\[\]*'\"-]", "", title).lower()


def _n_known(titles: list[str]) -> int:
    return sum(_key(title) in {*TIME_TITLES, *COLUMN_TITLES} for title in titles)
