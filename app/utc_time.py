"""Times of bars as a person reads them."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_ms(ts_ms: float) -> datetime:
    """Return the UTC time of epoch milliseconds, on Windows too where they are before 1970.

    Raises
        OverflowError outside the years 1 to 9999.
    """
    return EPOCH + timedelta(milliseconds=int(ts_ms))


def day(ts_ms: float) -> str:
    """Return the UTC date of epoch milliseconds, as 2024-01-31; raises as ``from_ms``."""
    return from_ms(ts_ms).strftime("%Y-%m-%d")
