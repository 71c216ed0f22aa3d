"""Local times to UTC, through the hours that do not exist and those that come twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.data import Dataset
from engine.errors import StudioError

Read = Callable[..., Dataset]
NEW_YORK = "America/New_York"
HEADER = "Date,Open,High,Low,Close,Volume\n"


def _file(times: list[str]) -> str:
    """Return a file whose volumes count the rows, so that each can be told from the others."""
    return HEADER + "".join(f"{time},2,3,1,2,{i}\n" for i, time in enumerate(times, start=1))


def _utc_hours(dataset: Dataset) -> list[str]:
    return [
        f"{datetime.fromtimestamp(ms / 1000, ZoneInfo('UTC')):%dT%H:%M}"
        for ms in dataset.candles.ts.tolist()
    ]


@pytest.mark.parametrize(
    ("timezone", "year"), [(NEW_YORK, 2021), ("Europe/Berlin", 2020), ("Australia/Sydney", 2019)]
)
def test_year_of_hours(timezone: str, year: int, read: Read) -> None:
    """A year of local hours, both changes of the clock in it, is a year of hours in UTC."""
    start = datetime(year, 1, 1, tzinfo=ZoneInfo("UTC"))
    hours = [start + timedelta(hours=i) for i in range(365 * 24)]
    local = [f"{hour.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}" for hour in hours]
    dataset = read(_file(local), timeframe="1h", timezone=timezone)
    assert dataset.candles.ts.tolist() == [int(hour.timestamp()) * 1000 for hour in hours]
    assert dataset.candles.volume is not None
    assert dataset.candles.volume.tolist() == list(range(1, len(hours) + 1))
    assert dataset.candles.timezone == timezone


def test_days_start_at_local_midnight(read: Read) -> None:
    """Daily bars open at the local midnight, which moves in UTC with the clock."""
    dataset = read(
        _file(["2021-03-12", "2021-03-13", "2021-03-14", "2021-03-15"]), timezone=NEW_YORK
    )
    assert _utc_hours(dataset) == ["12T05:00", "13T05:00", "14T05:00", "15T04:00"]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("timeframe", "times", "want"),
    [
        (
            "1h",
            ["2021-11-07 00:00", "2021-11-07 01:00", "2021-11-07 01:00", "2021-11-07 02:00"],
            ["07T04:00", "07T05:00", "07T06:00", "07T07:00"],
        ),
        (
            "30m",
            ["2021-11-07 01:00", "2021-11-07 01:30", "2021-11-07 01:00", "2021-11-07 01:30"],
            ["07T05:00", "07T05:30", "07T06:00", "07T06:30"],
        ),
    ],
)
def test_repeated_hour(
    timeframe: str, times: list[str], want: list[str], read: Read, *, newest_first: bool
) -> None:
    """A repeated hour of which both passes are there is resolved by the order of the rows."""
    n = len(times)
    given = times[::-1] if newest_first else times
    dataset = read(
        _file([*given, "2021-11-06 23:00"] if newest_first else ["2021-11-06 23:00", *given]),
        timeframe=timeframe,
        timezone=NEW_YORK,
    )
    assert _utc_hours(dataset) == ["07T03:00", *want]
    assert dataset.candles.volume is not None
    rows = list(range(n + 1, 0, -1)) if newest_first else list(range(1, n + 2))
    assert dataset.candles.volume.tolist() == rows


@pytest.mark.parametrize("newest_first", [False, True])
def test_repeated_hours_of_joined_files(read: Read, *, newest_first: bool) -> None:
    """Each repeated hour is resolved by the rows around it, in whatever order the files stand."""

    def hours(year: int) -> list[datetime]:
        start = datetime(year, 10, 30, tzinfo=ZoneInfo("UTC"))
        made = [start + timedelta(hours=i) for i in range(240)]
        return made[::-1] if newest_first else made

    for joined in (hours(2020) + hours(2021), hours(2021) + hours(2020)):
        local = [f"{hour.astimezone(ZoneInfo(NEW_YORK)):%Y-%m-%d %H:%M}" for hour in joined]
        candles = read(_file(local), timeframe="1h", timezone=NEW_YORK).candles
        assert candles.volume is not None
        rows = {
            row: ts for ts, row in zip(candles.ts.tolist(), candles.volume.tolist(), strict=True)
        }
        want = [int(hour.timestamp()) * 1000 for hour in joined]
        assert [rows[row] for row in range(1, len(joined) + 1)] == want


def test_repeated_hour_where_files_meet(read: Read) -> None:
    """Where the rows before and after do not agree on an order, nothing tells which pass it was."""
    times = ["2022-01-03 00:00", "2022-01-03 01:00"]
    times += ["2021-11-07 01:00", "2021-11-07 01:00", "2021-11-07 02:00"]
    with pytest.raises(StudioError, match=r"could be .* \(2 rows, first 3 and 4\)|2 rows"):
        read(_file(times), timeframe="1h", timezone=NEW_YORK)


def test_file_of_a_repeated_hour(read: Read) -> None:
    """A file of nothing but that hour is in the order of its first and last row."""
    times = ["2021-11-07 01:00", "2021-11-07 01:30", "2021-11-07 01:00", "2021-11-07 01:30"]
    for given, rows in ((times, [1, 2, 3, 4]), (times[::-1], [4, 3, 2, 1])):
        dataset = read(_file(given), timeframe="30m", timezone=NEW_YORK)
        assert _utc_hours(dataset) == ["07T05:00", "07T05:30", "07T06:00", "07T06:30"]
        assert dataset.candles.volume is not None
        assert dataset.candles.volume.tolist() == rows


@pytest.mark.parametrize(
    "times",
    [
        ["2021-11-07 00:00", "2021-11-07 01:00", "2021-11-07 02:00"],
        ["2021-03-14 01:00", "2021-03-14 02:30", "2021-03-14 03:00"],
        ["2021-03-14 01:00", "2021-03-14 02:00", "2021-03-14 03:00"],
    ],
)
def test_refused_local_time(times: list[str], read: Read) -> None:
    """A time that does not exist, or half of a repeated hour, is refused with its row."""
    words = r"X.csv: a local time that does not exist or could be .* \(1 row, first 2\)"
    with pytest.raises(StudioError, match=words):
        read(_file(times), timeframe="1h", timezone=NEW_YORK)


def test_nonexistent_hour_in_utc(read: Read) -> None:
    """The same times are ordinary ones in UTC, and in a zone whose clocks do not change."""
    times = ["2021-03-14 01:00", "2021-03-14 02:00", "2021-03-14 03:00"]
    for timezone in ("UTC", "Asia/Tokyo"):
        assert len(read(_file(times), timeframe="1h", timezone=timezone).candles) == 3


def test_dropped_local_time(read: Read) -> None:
    """Dropping bad rows leaves out a local time that does not exist."""
    times = ["2021-03-14 01:00", "2021-03-14 02:30", "2021-03-14 03:00", "2021-03-14 04:00"]
    dataset = read(_file(times), timeframe="1h", timezone=NEW_YORK, on_bad_rows="drop")
    assert _utc_hours(dataset) == ["14T06:00", "14T07:00", "14T08:00"]


def test_unknown_zone(read: Read) -> None:
    """A time zone that does not exist is an error in words."""
    with pytest.raises(StudioError, match="Nowhere/Land"):
        read(_file(["2021-01-04", "2021-01-05", "2021-01-06"]), timezone="Nowhere/Land")


def test_mixed_offsets(read: Read) -> None:
    """Rows with an offset and rows without one may stand in the same column."""
    times = ["2021-01-04 00:00", "2021-01-05 00:00-05:00", "2021-01-06 05:00Z"]
    assert _utc_hours(read(_file(times), timezone=NEW_YORK)) == ["04T05:00", "05T05:00", "06T05:00"]
