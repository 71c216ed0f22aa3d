"""Each layout of a text file, written by hand from its public description."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from engine.data import Dataset
from engine.errors import DataError

Read = Callable[..., Dataset]


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def _bars(dataset: Dataset) -> list[tuple[float, ...]]:
    candles = dataset.candles
    assert candles.volume is not None
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    return list(zip(*(column.tolist() for column in columns), strict=True))


YAHOO = """\
Date,Open,High,Low,Close,Adj Close,Volume
2018-12-27,2442.500000,2489.100098,2397.939941,2488.830078,2488.830078,4096610000
2018-12-28,2498.770020,2520.270020,2472.889893,2485.739990,2480.500000,3702620000
2018-12-31,2498.939941,2509.239990,2482.820068,2506.850098,2506.850098,3442870000
"""
YAHOO_BARS = [
    (2442.5, 2489.100098, 2397.939941, 2488.830078, 4096610000.0),
    (2498.77002, 2520.27002, 2472.889893, 2485.73999, 3702620000.0),
    (2498.939941, 2509.23999, 2482.820068, 2506.850098, 3442870000.0),
]


def test_yahoo(read: Read) -> None:
    """Yahoo's daily history has an adjusted close beside the close."""
    dataset = read(YAHOO)
    assert dataset.candles.ts.tolist() == [_ms(f"2018-12-{day}") for day in (27, 28, 31)]
    assert _bars(dataset) == YAHOO_BARS
    assert dataset.adj_close is not None
    assert dataset.adj_close.tolist() == [2488.830078, 2480.5, 2506.850098]


def test_yahoo_null_rows(read: Read) -> None:
    """Yahoo's days of nulls are missing prices: refused by their rows, or dropped."""
    text = YAHOO.replace("2018-12-31", "2018-12-29,null,null,null,null,null,null\n2018-12-31")
    with pytest.raises(DataError, match=r"X\.csv: a price that is missing.*\(1 row, first 3\)"):
        read(text)
    assert _bars(read(text, on_bad_rows="drop")) == YAHOO_BARS


STOOQ_HEADER = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"


def test_stooq_hourly(read: Read) -> None:
    """Stooq's ASCII files have date and time as digits in two columns."""
    text = f"""{STOOQ_HEADER}
AAPL.US,60,20240102,160000,187.15,188.44,183.885,184.29,13500000,0
AAPL.US,60,20240102,170000,184.29,185.6,184.1,185.4,7100000,0
AAPL.US,60,20240102,180000,185.4,185.88,184.9,185.64,5100000,0
"""
    dataset = read(text, timeframe="1h", name="aapl.us.txt")
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-02T{hour}:00") for hour in (16, 17, 18)]
    assert _bars(dataset)[0] == (187.15, 188.44, 183.885, 184.29, 13500000.0)


@pytest.mark.parametrize("clock", ["000000", "0"])
def test_stooq_daily(clock: str, read: Read) -> None:
    """Its daily files say midnight, with or without the zeros."""
    rows = [f"AAPL.US,D,202401{day:02},{clock},2,4,1,3,10,0" for day in (2, 3, 4)]
    dataset = read("\n".join([STOOQ_HEADER, *rows]))
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-{day:02}") for day in (2, 3, 4)]


def test_stooq_web(read: Read) -> None:
    """Stooq's web download is a plain daily file."""
    text = "Date,Open,High,Low,Close,Volume\n2024-01-02,187.15,188.44,183.885,185.64,82488682\n"
    text += "2024-01-03,184.22,185.88,183.43,184.25,58414464\n"
    assert _bars(read(text))[1] == (184.22, 185.88, 183.43, 184.25, 58414464.0)


def _binance(start: int, step: int, n: int) -> str:
    rows = [
        f"{start + i * step},42283.58,42554.57,42261.02,42475.23,1271.68,"
        f"{start + (i + 1) * step - 1},53957248.97,47134,682.57,28957416.81,0"
        for i in range(n)
    ]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("factor", [1, 1000], ids=["ms", "us"])
def test_binance(factor: int, read: Read) -> None:
    """Binance's files have no header, twelve columns, and times in ms or, since 2025, in µs."""
    start = _ms("2025-01-01")
    dataset = read(_binance(start * factor, 3_600_000 * factor, 4), timeframe="1h")
    assert dataset.candles.ts.tolist() == [start + i * 3_600_000 for i in range(4)]
    assert _bars(dataset) == [(42283.58, 42554.57, 42261.02, 42475.23, 1271.68)] * 4


def test_binance_of_both_years(read: Read) -> None:
    """Months in ms followed by months in µs are one file as good as another."""
    start = _ms("2024-12-31T22:00")
    text = _binance(start, 3_600_000, 2)
    text += _binance((start + 7_200_000) * 1000, 3_600_000_000, 2)
    dataset = read(text, timeframe="1h")
    assert dataset.candles.ts.tolist() == [start + i * 3_600_000 for i in range(4)]


def test_binance_bad_time(read: Read) -> None:
    """A row whose time is none is refused by its number, which starts at the first line."""
    lines = _binance(_ms("2025-01-01"), 3_600_000, 4).splitlines()
    lines[2] = "x" + lines[2]
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 3\)"):
        read("\n".join(lines), timeframe="1h")


def test_binance_with_header(read: Read) -> None:
    """The futures' files have a header, of which the opening time is the time."""
    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    header += "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    start = _ms("2025-01-01")
    dataset = read(header + _binance(start, 3_600_000, 3), timeframe="1h")
    assert dataset.candles.ts.tolist() == [start + i * 3_600_000 for i in range(3)]


@pytest.mark.parametrize(
    "line",
    [
        "2020-01-06,2,4,1,3,10",
        "20200106 000000;2;4;1;3;0",
        "EURUSD,20200106,000000,2,4,1,3,10",
        "1577836800000,2,4,1,3,10",
        "1577836800,2,4,1,3,10,1577836859,1,1,1,1,0",
    ],
)
def test_other_files_without_header(line: str, read: Read) -> None:
    """No other file without a header is guessed at."""
    with pytest.raises(DataError, match=r"X\.csv has no header line.*add one, such as Date,Open"):
        read(f"{line}\n{line}\n")


@pytest.mark.parametrize("iso", [False, True])
def test_tradingview(iso: bool, read: Read) -> None:  # noqa: FBT001  # a case of two
    """TradingView has epoch seconds or times with offset, and any indicators behind the prices."""
    times = ["2024-01-02T14:30:00-05:00", "2024-01-02T15:30:00-05:00", "2024-01-02T16:30:00-05:00"]
    if not iso:
        times = [str(int(datetime.fromisoformat(time).timestamp())) for time in times]
    text = "time,open,high,low,close,Volume,Volume MA,MA,MA,Plot,VWAP\n"
    text += "".join(f"{time},2.5,4.25,1.5,3,{10 + i},,,7,NaN,\n" for i, time in enumerate(times))
    dataset = read(text, timeframe="1h", timezone="Asia/Tokyo")
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-02T{19 + i}:30") for i in range(3)]
    assert _bars(dataset) == [(2.5, 4.25, 1.5, 3.0, 10.0 + i) for i in range(3)]
    assert dataset.candles.vwap is None


def test_metatrader(read: Read) -> None:
    """MetaTrader separates by tabs, dots its dates and writes points, three decimals or not."""
    text = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    text += "".join(
        f"2024.01.02\t{hour:02}:00:00\t141.125\t141.250\t140.875\t141.000\t1234\t5\t12\r\n"
        for hour in range(3)
    )
    dataset = read(text.encode("utf-16"), timeframe="1h")
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-02T0{hour}:00") for hour in range(3)]
    assert _bars(dataset) == [(141.125, 141.25, 140.875, 141.0, 5.0)] * 3


@pytest.mark.parametrize(
    "clocks",
    [
        ["09:30", "10:30", "11:30"],
        ["9:30:00", "10:30:00", "11:30:00"],
        ["0930", "1030", "1130"],
        ["930", "1030", "1130"],
        ["093000", "103000", "113000"],
        ["93000", "103000", "113000"],
        ["09:30:00.000", "10:30:00.000", "11:30:00.000"],
    ],
)
@pytest.mark.parametrize("date", ["2024-01-02", "20240102", "01/13/2024", "13.01.2024"])
def test_date_and_time_apart(date: str, clocks: list[str], read: Read) -> None:
    """A date column and a time column are one time, in any of their spellings."""
    text = "Time,Date,Open,High,Low,Close\n"
    text += "".join(f"{clock},{date},2,4,1,3\n" for clock in clocks)
    day = "2024-01-02" if date.startswith("20") else "2024-01-13"
    want = [_ms(f"{day}T{hour}:30") for hour in ("09", "10", "11")]
    assert read(text, timeframe="1h").candles.ts.tolist() == want


def test_date_and_time_with_format(read: Read) -> None:
    """A date format reads the two as they are, a blank between them."""
    text = "Date,Time,Open,High,Low,Close\n"
    text += "".join(f"02-Jan-24,{hour}h30,2,4,1,3\n" for hour in ("09", "10", "11"))
    dataset = read(text, timeframe="1h", date_format="%d-%b-%y %Hh%M")
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-02T{h}:30") for h in ("09", "10", "11")]


@pytest.mark.parametrize("clock", ["", "soon", "2500", "09:60"])
def test_time_of_day_that_is_none(clock: str, read: Read) -> None:
    """A time of day that is missing or impossible is a fault of its row."""
    text = "Date,Time,Open,High,Low,Close\n"
    text += "".join(f"2024-01-02,{hour},2,4,1,3\n" for hour in ("0930", clock, "1130"))
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 2\)"):
        read(text, timeframe="1h")


@pytest.mark.parametrize(
    "header",
    [
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<ADJ_CLOSE>",
        "date, open, high, low, close, vol., adj. close",
        "Date,Open,High,Low,Close*,Volume,Adj Close**",
        "[Date],[Open],[High],[Low],[Close],[Vol],[Adjusted_Close]",
    ],
)
def test_decorated_titles(header: str, read: Read) -> None:
    """Blanks, underscores, brackets, dots and stars around a title mean nothing."""
    dataset = read(
        header + "\n" + "".join(f"2024-01-{2 + i:02},2,4,1,3,10,1.5\n" for i in range(3))
    )
    assert _bars(dataset) == [(2.0, 4.0, 1.0, 3.0, 10.0)] * 3
    assert dataset.adj_close is not None
    assert dataset.adj_close.tolist() == [1.5] * 3


def test_price_is_no_close(read: Read) -> None:
    """A column titled price might be anything, so it is not taken for the close."""
    with pytest.raises(DataError, match="lacks the column close; its header is: Date, Price"):
        read("Date,Price,Open,High,Low,Vol.\n2024-01-02,3,2,4,1,10\n")


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\n', "\n\n", ""])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_encodings(
    first: str, separator: str, encoding: str, end: str, read: Read
) -> None:
    """Separator, encoding, line end and a spreadsheet's hint are told by the content."""
    rows = [f"2024-01-{2 + i:02},2.5,4,1,3,10" for i in range(3)]
    text = "\n".join(["Date,Open,High,Low,Close,Volume", *rows]).replace(",", separator)
    dataset = read((first + text).replace("\n", end).encode(encoding))
    assert _bars(dataset) == [(2.5, 4.0, 1.0, 3.0, 10.0)] * 3


def test_compact_time_with_blank(read: Read) -> None:
    """Digits of a date and digits of a time may stand in one cell, a blank between."""
    text = "Date;Open;High;Low;Close\n"
    text += "".join(f"20240102 {hour:02}0000;2.5;4;1;3\n" for hour in range(3))
    dataset = read(text, timeframe="1h")
    assert dataset.candles.ts.tolist() == [_ms(f"2024-01-02T0{hour}:00") for hour in range(3)]


YFINANCE = """\
Price,Close,High,Low,Open,Volume
Ticker,SPY,SPY,SPY,SPY,SPY
Date,,,,,
2018-12-27,2488.830078,2489.100098,2397.939941,2442.500000,4096610000
2018-12-28,2485.739990,2520.270020,2472.889893,2498.770020,3702620000
2018-12-31,2506.850098,2509.239990,2482.820068,2498.939941,3442870000
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_yfinance(end: str, read: Read) -> None:
    """The header of yfinance has three lines: titles, tickers, the title of the times."""
    assert _bars(read(YFINANCE.replace("\n", end))) == YAHOO_BARS
    assert _bars(read(b"\xef\xbb\xbf" + YFINANCE.encode())) == YAHOO_BARS
    hourly = YFINANCE.replace("Date,", "Datetime,")
    assert _bars(read(hourly)) == YAHOO_BARS


def test_a_long_file_of_yfinance(read: Read) -> None:
    """All rows are read, beyond the first block as well."""
    days = [f"{1000 + i // 336:04}-{i // 28 % 12 + 1:02}-{i % 28 + 1:02}" for i in range(40_000)]
    rows = [f"{day},2.{'0' * 15},3,1,2,7" for day in days]
    header = "Price,Close,High,Low,Open,Volume\nTicker,X,X,X,X,X\nDate,,,,,"
    assert len(read("\n".join([header, *rows])).candles) == 40_000


def test_rows_of_yfinance_count_under_its_header(read: Read) -> None:
    """The first row of data is row 1."""
    with pytest.raises(DataError, match=r"\(1 row, first 1\): close 'x'"):
        read(YFINANCE.replace("2488.830078", "x"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ticker,SPY,", "Ticker,QQQ,"),
        ("Date,,,,,\n", ""),
        ("Date,,,,,", "Date,1,,,,"),
        ("Ticker,SPY,SPY,SPY,SPY,SPY\n", ""),
        ("Date,,,,,\n" + YFINANCE.partition("Date,,,,,\n")[2], ""),
    ],
)
def test_what_is_nearly_yfinance(old: str, new: str, read: Read) -> None:
    """Two tickers in one file, or a header that lacks a line, are refused and not guessed."""
    assert old in YFINANCE
    with pytest.raises(DataError, match=r"lacks the column time; .* understood are date, datetime"):
        read(YFINANCE.replace(old, new))


def test_nasdaq(read: Read) -> None:
    """Nasdaq's download names the close Close/Last and writes a dollar before each price."""
    dataset = read("""\
Date,Close/Last,Volume,Open,High,Low
12/31/2018,$2506.850098,3442870000,$2498.939941,$2509.239990,$2482.820068
12/28/2018,$2485.739990,3702620000,$2498.770020,$2520.270020,$2472.889893
12/27/2018,"$2,488.830078",4096610000,$2442.500000,$2489.100098,$ 2397.939941
""")
    assert _bars(dataset) == YAHOO_BARS


@pytest.mark.parametrize("cell", ["$", "$$3", "3$", "-$3", "$-3"])
def test_what_is_no_price_in_dollars(cell: str, read: Read) -> None:
    """A dollar anywhere else makes a cell no price; a volume has none at all."""
    with pytest.raises(DataError, match=r"a price that is missing.*\(1 row, first 2\)"):
        read(f"Date,Open,High,Low,Close\n2018-12-27,$2,$3,$1,$2\n2018-12-28,2,{cell},1,2\n")
    with pytest.raises(DataError, match=r"volume '\$5'"):
        read("Date,Open,High,Low,Close,Volume\n2018-12-27,2,3,1,2,5\n2018-12-28,2,3,1,2,$5\n")
