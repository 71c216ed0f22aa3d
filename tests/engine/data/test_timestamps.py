"""Times in every layout that is read, and those that are refused rather than guessed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from engine.data import Dataset, timestamps
from engine.errors import ConfigError, DataError

Read = Callable[..., Dataset]
Text = Callable[..., str]
START = datetime(2020, 1, 6, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


DAILY = [START + timedelta(days=i) for i in range(10)]
HOURLY = [START + timedelta(hours=i) for i in range(30)]


@pytest.mark.parametrize(
    "layout",
    [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y%m%d",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%m-%d-%Y",
        "%d.%m.%Y",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.000Z",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y-%m-%d %H:%M:%S+0000",
        "%m/%d/%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
    ],
)
def test_layouts_of_days(layout: str, read: Read, csv_text: Text) -> None:
    """Days in any usual layout are read, month and day told apart by a day after the 12th."""
    texts = [day.strftime(layout) for day in DAILY]
    assert read(csv_text(texts)).candles.ts.tolist() == [_ms(day) for day in DAILY]


@pytest.mark.parametrize(
    "layout", ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y%m%d %H:%M"]
)
def test_layouts_of_hours(layout: str, read: Read, csv_text: Text) -> None:
    """Hours in any usual layout are read as UTC where nothing else is said."""
    texts = [hour.strftime(layout) for hour in HOURLY]
    dataset = read(csv_text(texts), timeframe="1h")
    assert dataset.candles.ts.tolist() == [_ms(hour) for hour in HOURLY]


def test_single_digits(read: Read, csv_text: Text) -> None:
    """Months, days and hours need no leading zero."""
    texts = ["2020-1-6 9:00", "2020-1-6 10:00", "2020-1-6 11:00"]
    want = [_ms(START + timedelta(hours=9 + i)) for i in range(3)]
    assert read(csv_text(texts), timeframe="1h").candles.ts.tolist() == want


@pytest.mark.parametrize(
    ("factor", "divisor"),
    [(1, 1000), (1, 1), (1000, 1), (1_000_000, 1)],
    ids=["s", "ms", "us", "ns"],
)
@pytest.mark.parametrize("tail", ["", ".0"])
@pytest.mark.parametrize("year", [1980, 2020, 2035])
def test_epochs(
    factor: int, divisor: int, tail: str, year: int, read: Read, csv_text: Text
) -> None:
    """An epoch is told by its size to be in s, ms, µs or ns."""
    want = [_ms(datetime(year, 1, 1 + i, tzinfo=UTC)) for i in range(4)]
    texts = [f"{ms * factor // divisor}{tail}" for ms in want]
    assert read(csv_text(texts)).candles.ts.tolist() == want


def test_epochs_before_1970(read: Read, csv_text: Text) -> None:
    """Epochs before 1970 are negative."""
    want = [_ms(datetime(1950, 1, 1 + i, tzinfo=UTC)) for i in range(4)]
    assert read(csv_text([str(ms // 1000) for ms in want])).candles.ts.tolist() == want


@pytest.mark.parametrize(
    ("texts", "first", "step", "timeframe"),
    [
        # 99_964_800 s is 1973-03-03, and 100_051_200 s the day after.
        (["99964800", "100051200", "100137600"], datetime(1973, 3, 3, tzinfo=UTC), 86_400, "1d"),
        (["-100051200", "-99964800.0", "-99878400"], datetime(1966, 10, 31, tzinfo=UTC), 86_400, "1d"),
        (["99997200", "100000800", "100004400"], datetime(1973, 3, 3, 9, tzinfo=UTC), 3_600, "1h"),
        (["-172800000", "-86400000", "0", "86400000", "172800000"], datetime(1969, 12, 30, tzinfo=UTC), 86_400, "1d"),
        (["-604800000", "0", "604800000"], datetime(1969, 12, 25, tzinfo=UTC), 604_800, "1w"),
        (["-86400000000", "0", "86400000000"], datetime(1969, 12, 31, tzinfo=UTC), 86_400, "1d"),
        (["-3600000000000", "0", "3600000000000"], datetime(1969, 12, 31, 23, tzinfo=UTC), 3_600, "1h"),
        # 1970-01-01, 1971-01-01 (as a date it would be of the month 53), 1972-12-31.
        (["0", "86400", "172800"], EPOCH, 86_400, "1d"),
        (["31536000", "31622400", "31708800"], datetime(1971, 1, 1, tzinfo=UTC), 86_400, "1d"),
        (["94608000", "95212800"], datetime(1972, 12, 31, tzinfo=UTC), 604_800, "1w"),
    ],
)  # fmt: skip
def test_epochs_near_1970(
    texts: list[str], first: datetime, step: int, timeframe: str, read: Read, csv_text: Text
) -> None:
    """Epochs near 1970 have few digits, and are read beside longer ones or as daily seconds."""
    want = [_ms(first) + step * 1000 * i for i in range(len(texts))]
    assert read(csv_text(texts), timeframe=timeframe).candles.ts.tolist() == want


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000], ids=["ms", "us", "ns"])
@pytest.mark.parametrize(("year", "month"), [(1966, 12), (1970, 1), (1970, 2), (1973, 2)])
@pytest.mark.parametrize("timeframe", ["1h", "1d"])
def test_the_unit_near_1970(
    factor: int, year: int, month: int, timeframe: str, read: Read, csv_text: Text
) -> None:
    """Where ms, µs and ns are no larger than a coarser unit, the step between bars tells them."""
    step = {"1h": 3_600_000, "1d": 86_400_000}[timeframe]
    want = [_ms(datetime(year, month, 10, tzinfo=UTC)) + step * i for i in range(4)]
    texts = [str(ms * factor) for ms in want]
    assert read(csv_text(texts), timeframe=timeframe).candles.ts.tolist() == want


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000, 1_000_000_000], ids=["s", "ms", "us", "ns"])
@pytest.mark.parametrize("cell", ["0", "-1", "20200108", "9" * 19])
def test_no_time_among_epochs(cell: str, factor: int, read: Read, csv_text: Text) -> None:
    """A short number among today's epochs is no bar of 1970 but a fault of its row."""
    texts = [str(_ms(day) // 1000 * factor) for day in DAILY]
    texts[2] = cell
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 3\): time '"):
        read(csv_text(texts))


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2", "3", "4"],
        ["0", "3600", "7200", "10800"],  # seconds of a session as well as hours of 1970
        ["43836", "43837", "43838", "43839"],  # days as a spreadsheet counts them
        ["20203110", "20203111", "20203112"],
        ["93000", "93100", "93200", "93300"],
        ["86400"],
    ],
)
def test_small_numbers(texts: list[str], read: Read, csv_text: Text) -> None:
    """Numbers that may well be no epochs are refused in words that say which ones are read."""
    with pytest.raises(DataError) as caught:
        read(csv_text(texts), timeframe="1h")
    assert str(caught.value) == (
        f"X.csv: the time column is in no known layout (such as '{texts[0]}': numbers below nine "
        "digits are epochs only as seconds a day or a week apart); give date_format"
    )


@pytest.mark.parametrize("cell", ["2020", "0", "20201301", "9" * 19])
def test_no_time_among_days(cell: str, read: Read, csv_text: Text) -> None:
    """A number among days without separators is a fault of its row, the days no epochs."""
    texts = [f"{day:%Y%m%d}" for day in DAILY]
    texts[4] = cell
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 5\)"):
        read(csv_text(texts))


@pytest.mark.parametrize(
    ("offset", "hours"),
    [("Z", 0), ("+00:00", 0), ("+02:00", 2), ("-05:00", -5), ("+0530", 5.5), ("-03", -3)],
)
@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo"])
def test_offsets(offset: str, hours: float, timezone: str, read: Read, csv_text: Text) -> None:
    """An offset settles the time whatever zone is declared."""
    texts = [f"{hour:%Y-%m-%d %H:%M}{offset}" for hour in HOURLY]
    dataset = read(csv_text(texts), timeframe="1h", timezone=timezone)
    want = [_ms(hour - timedelta(hours=hours)) for hour in HOURLY]
    assert dataset.candles.ts.tolist() == want


def test_milliseconds(read: Read, csv_text: Text) -> None:
    """Fractions of a second are kept to the millisecond."""
    texts = [
        f"{day:%Y-%m-%dT%H:%M:%S}.{part}Z"
        for day, part in zip(DAILY[:3], ["5", "500", "500999"], strict=True)
    ]
    want = [_ms(day) + 500 for day in DAILY[:3]]
    assert read(csv_text(texts)).candles.ts.tolist() == want


@pytest.mark.parametrize("layout", ["%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m.%d.%Y %H:%M"])
def test_ambiguous_order(layout: str, read: Read, csv_text: Text) -> None:
    """Where no day is after the 12th, the order of day and month is asked for, never guessed."""
    days = [datetime(2020, 1, 1 + i, tzinfo=UTC) for i in range(12)]
    text = csv_text([day.strftime(layout) for day in days])
    with pytest.raises(DataError, match="give date_format") as caught:
        read(text)
    assert str(caught.value).startswith("X.csv: ")
    assert read(text, date_format=layout).candles.ts.tolist() == [_ms(day) for day in days]


def test_contradicting_order(read: Read, csv_text: Text) -> None:
    """A column with days after the 12th on both sides asks for date_format too."""
    with pytest.raises(DataError, match="give date_format"):
        read(csv_text(["01/13/2020", "14/01/2020", "01/15/2020"]))


@pytest.mark.parametrize("text", ["Jan 6, 2020", "06-Jan-20", "yesterday", "1/6/20", "2020"])
def test_unknown_layout(text: str, read: Read, csv_text: Text) -> None:
    """A column in no known layout asks for date_format and shows what it found."""
    with pytest.raises(DataError, match="give date_format") as caught:
        read(csv_text([f'"{text}"'] * 3))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "layout",
    ["%d-%b-%y", "%b %d %Y", "%d.%m.%Y %H:%M:%S", "%Y-%d-%m", "%d/%m/%Y %H:%M %z", "%Y%m%d%H%M"],
)
def test_date_format(layout: str, read: Read, csv_text: Text) -> None:
    """A given format reads what no layout does."""
    text = csv_text([f'"{day.strftime(layout)}"' for day in DAILY])
    assert read(text, date_format=layout).candles.ts.tolist() == [_ms(day) for day in DAILY]


def test_date_format_with_offset(read: Read, csv_text: Text) -> None:
    """Offsets that a format reads are applied, and the declared zone is not."""
    texts = [f"{day:%d.%m.%Y %H:%M} +0200" for day in DAILY]
    dataset = read(csv_text(texts), date_format="%d.%m.%Y %H:%M %z", timezone="Asia/Tokyo")
    assert dataset.candles.ts.tolist() == [_ms(day) - 7_200_000 for day in DAILY]


def test_date_format_in_a_zone(read: Read, csv_text: Text) -> None:
    """Times read by a format without offset are in the declared zone."""
    dataset = read(
        csv_text([f"{day:%d.%m.%y}" for day in DAILY]),
        date_format="%d.%m.%y",
        timezone="Asia/Tokyo",
    )
    assert dataset.candles.ts.tolist() == [_ms(day) - 9 * 3_600_000 for day in DAILY]


# Newer Pythons warn of a day without its year, which "%d%d" begins with.
@pytest.mark.filterwarnings("ignore:Parsing dates involving a day of month:DeprecationWarning")
@pytest.mark.parametrize("date_format", ["%Q", "%", "%d%d", "%U"])
def test_bad_date_format(date_format: str, read: Read, csv_text: Text) -> None:
    """A format that means nothing is no fault of the file, and refused by its text."""
    with pytest.raises(ConfigError, match=f"date_format: '{date_format}' cannot be used: "):
        read(csv_text(["2020-01-06"] * 3), date_format=date_format)


def test_a_long_bad_date_format(read: Read, csv_text: Text) -> None:
    """Of a format that is refused no more is shown than tells which it was."""
    with pytest.raises(ConfigError) as caught:
        read(csv_text(["2020-01-06"] * 3), date_format="%Q" + "x" * 500)
    shown = "%Q" + "x" * 28
    assert str(caught.value) == f"date_format: '{shown}' cannot be used: 'Q' is a bad directive"


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("text", ["0000-12-31", "0001-01-01 00:00+14:00", "9999-12-31 23:59-01:00"])
def test_ends_of_the_calendar(text: str, timezone: str, read: Read, csv_text: Text) -> None:
    """A time before the year 1 or after 9999 is a fault of its row in any zone."""
    texts = [text, *(f"{day:%Y-%m-%d}" for day in DAILY[:3])]
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 1\)"):
        read(csv_text(texts), timezone=timezone)


@pytest.mark.parametrize("date_format", [None, "%Y-%m-%d"])
@pytest.mark.parametrize(
    "cell", ["", "soon", "2020-02-30", "2020-13-01", "2020-00-10", "2020-01-00", "01/16/2020"]
)
def test_unreadable_time(cell: str, date_format: str | None, read: Read, csv_text: Text) -> None:
    """A single time that is missing, impossible or in another layout is a fault of its row."""
    texts = [f"{day:%Y-%m-%d}" for day in DAILY]
    texts[6] = cell
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 7\)"):
        read(csv_text(texts), date_format=date_format)
    dataset = read(csv_text(texts), date_format=date_format, on_bad_rows="drop")
    assert dataset.candles.ts.tolist() == [_ms(day) for day in DAILY if day != DAILY[6]]
    assert dataset.report.counts == {"unreadable_time": 1}


@pytest.mark.parametrize("clock", ["24:00", "12:60", "12:00:60"])
def test_impossible_clock(clock: str, read: Read, csv_text: Text) -> None:
    """A time of day that no clock shows is a fault of its row."""
    texts = [f"{day:%Y-%m-%d} 00:00" for day in DAILY[:4]]
    texts[2] = f"2020-01-08 {clock}"
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 3\)"):
        read(csv_text(texts))


@pytest.mark.parametrize("year", [1900, 2000, 2019, 2020])
def test_leap_days(year: int, read: Read, csv_text: Text) -> None:
    """The 29th of February is a day in leap years only."""
    text = csv_text([f"{year}-02-27", f"{year}-02-28", f"{year}-02-29"])
    if year in {2000, 2020}:
        assert len(read(text).candles) == 3
    else:
        with pytest.raises(DataError, match=r"\(1 row, first 3\)"):
            read(text)


def test_number_beyond_every_epoch(read: Read, csv_text: Text) -> None:
    """A number too large to be a time in any unit is refused in words."""
    ns = [str(_ms(day) * 1_000_000) for day in DAILY[:3]]
    with pytest.raises(DataError, match=r"X\.csv"):
        read(csv_text([*ns, "9" * 19]))


@pytest.mark.parametrize("n", [1, 3, 7, 30])
@pytest.mark.parametrize(
    "layout", ["%Y-%m-%d %H:%M", " %m/%d/%Y %H:%M:%S ", "%d.%m.%Y %H:%M", "%Y%m%d %H%M", "%s"]
)
def test_pieces_of_a_column(
    layout: str, n: int, read: Read, csv_text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides how a column is read may lie in any piece of it."""
    monkeypatch.setattr(timestamps, "PIECE_ROWS", n)
    hours = [START + timedelta(hours=i) for i in range(24 * 8)]  # the last day is the 13th
    seconds = [str(_ms(hour) // 1000) for hour in hours]
    texts = seconds if layout == "%s" else [hour.strftime(layout) for hour in hours]
    assert read(csv_text(texts), timeframe="1h").candles.ts.tolist() == [
        _ms(hour) for hour in hours
    ]


def test_the_layout_of_most_rows(
    read: Read, csv_text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the column is that of most rows, though not of the first pieces' rows."""
    monkeypatch.setattr(timestamps, "PIECE_ROWS", 2)
    texts = [day.strftime("%m/%d/%Y" if i < 4 else "%Y-%m-%d") for i, day in enumerate(DAILY)]
    with pytest.raises(DataError, match=r"cannot be read \(4 rows, first 1, 2, 3, 4\)"):
        read(csv_text(texts))


def test_the_unit_of_all_epochs(
    read: Read, csv_text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch's unit is told by the largest of the column, wherever it stands."""
    monkeypatch.setattr(timestamps, "PIECE_ROWS", 2)
    days = [EPOCH + timedelta(days=1153 + i) for i in range(10)]  # 1e11 ms come after the fifth
    texts = [str(_ms(day)) for day in days]
    assert _ms(days[4]) < 10**11 <= _ms(days[5])
    assert read(csv_text(texts)).candles.ts.tolist() == [_ms(day) for day in days]


@pytest.mark.parametrize(
    ("date_format", "error", "words"),
    [
        (
            "DD/MM/YYYY",
            ConfigError,
            "date_format: 'DD/MM/YYYY' has no %; write it such as %d/%m/%Y",
        ),
        (
            "%Y-%m-%d",
            DataError,
            "X.csv: no time fits the format '%Y-%m-%d'; the first is '04/01/1999'",
        ),
    ],
)
@pytest.mark.parametrize("on_bad_rows", ["refuse", "drop"])
def test_a_wrong_date_format(
    date_format: str, error: type[Exception], words: str, on_bad_rows: str, read: Read
) -> None:
    """A format that no time fits is told to be wrong, not the rows."""
    text = "Date,Open,High,Low,Close\n,2,3,1,2\n04/01/1999,2,3,1,2\n05/01/1999,2,3,1,2\n"
    with pytest.raises(error) as caught:
        read(text, date_format=date_format, on_bad_rows=on_bad_rows)
    assert str(caught.value) == words
