"""Exchange calendars: when an exchange is open, as arrays."""

import zoneinfo
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import DAY_MS
from engine.errors import ConfigError, DataError
from engine.records import freeze
from engine.registry import unknown

if TYPE_CHECKING:
    from engine.records import Booleans, Integers

REFERENCE_YEARS = ("2010-01-01", "2019-12-31")


@dataclass(frozen=True, eq=False)
class Sessions:
    """The sessions of an exchange over some years, oldest first.

    ``days`` (n,) the sessions' dates as days since 1970-01-01; ``opens``, ``closes`` (n,) UTC epoch
    ms; ``break_ms`` (n,) the length of the midday break, 0 where there is none, which begins at
    ``break_starts``.
    """

    name: str
    days: "Integers"
    opens: "Integers"
    closes: "Integers"
    break_starts: "Integers"
    break_ms: "Integers"

    def of_instants(self, ts: "Integers") -> "tuple[Integers, Booleans]":
        """Return which session (n,) each instant belongs to or follows, and whether it is open."""
        session = np.searchsorted(self.opens, ts, side="right") - 1
        inside = (session >= 0) & (ts < self.closes[np.maximum(session, 0)])
        return session, inside

    def of_days(self, days: "Integers") -> "tuple[Integers, Booleans]":
        """Return which session (n,) each day is or follows, and whether it is one."""
        session = np.searchsorted(self.days, days, side="right") - 1
        inside = (session >= 0) & (self.days[np.maximum(session, 0)] == days)
        return session, inside


def check_calendar(name: str) -> Any:
    """Return the library of exchange calendars, which knows ``name``.

    Raises
        ConfigError where it does not.
    """
    import exchange_calendars  # noqa: PLC0415  # 0.6 s with pandas, and few runs name a calendar

    # It asks for zones by name; the system's database may be of another version than ours.
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    names = exchange_calendars.get_calendar_names()
    if name not in names:
        raise ConfigError.of("calendar", unknown("calendar", name, names))
    return exchange_calendars


@lru_cache(maxsize=16)
def sessions(name: str, first_day: str, last_day: str) -> Sessions:
    """Return the sessions of the exchange calendar ``name`` between two ISO dates.

    Raises
        ConfigError for an unknown name; DataError for years it does not cover.
    """
    library = check_calendar(name)
    try:
        # Both ends given: left alone, it begins 20 years before today.
        calendar = library.get_calendar(name, start=first_day, end=last_day)
    except (ValueError, NotImplementedError, library.errors.CalendarError) as fault:
        reason = str(fault).partition("\n")[0][:160]
        message = f"the calendar {name} does not cover {first_day} to {last_day}: {reason}"
        raise DataError(message) from None
    opens, closes = _epoch_ms(calendar.opens), _epoch_ms(calendar.closes)
    starts, ends = _epoch_ms(calendar.break_starts), _epoch_ms(calendar.break_ends)
    has_break = calendar.break_starts.notna().to_numpy()
    days = calendar.sessions.to_numpy().astype("M8[D]").astype(np.int64)
    break_ms = np.where(has_break, ends - starts, 0)
    freeze(days, opens, closes, starts, break_ms)
    return Sessions(name, days, opens, closes, starts, break_ms)


def sessions_for(name: str, ts: "Integers") -> Sessions:
    """Return the sessions around instants, whole years."""
    first, last = (int(t) for t in (ts[0], ts[-1]))
    years = np.asarray([first, last + 7 * DAY_MS], dtype="M8[ms]").astype("M8[Y]")
    return sessions(name, f"{years[0]}-01-01", f"{years[1]}-12-31")


def sessions_per_year(name: str) -> int:
    """Return round(sessions from 2010 to 2019 / 10)."""
    return round(len(sessions(name, *REFERENCE_YEARS).days) / 10)


def _epoch_ms(instants: Any) -> "Integers":
    naive = instants.dt.tz_convert(None).to_numpy().astype("M8[ms]")
    ms: Integers = naive.astype(np.int64)
    return ms
