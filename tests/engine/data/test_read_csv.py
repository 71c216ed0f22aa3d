"""Which files are read, which columns are found in them, and what is said about the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.data import Dataset, ReadOptions
from engine.data.read_file import read_file
from engine.errors import DataError

Read = Callable[..., Dataset]
Text = Callable[..., str]
DAYS = ["2020-01-06", "2020-01-07", "2020-01-08"]
DAY_MS = 86_400_000
MONDAY_MS = 1_578_268_800_000


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "date,open,high,low,close,volume",
        "DATETIME,OPEN,HIGH,LOW,CLOSE,VOLUME",
        "time,Open,hIgH,LOW,close,Volume",
        "Timestamp, Open, High, Low, Close, Volume",
        '"Date","Open","High","Low","Close","Volume"',
        ",open,high,low,close,volume",
        '"",open,high,low,close,volume',
    ],
)
def test_headers(header: str, read: Read, csv_text: Text) -> None:
    """Columns are known by their titles in any case, and an unnamed first one is the time."""
    candles = read(csv_text(DAYS, "2,4,1,3,10", header)).candles
    assert candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in range(3)]
    assert candles.volume is not None
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    assert [column.tolist() for column in columns] == [[value] * 3 for value in (2, 4, 1, 3, 10)]


def test_order_and_extra_columns(read: Read) -> None:
    """Columns may stand in any order, beside others that mean nothing here."""
    header = "Close,Ticker,Low,High,Notes,Open,VWAP,Adj Close,Date"
    text = "\n".join([header, *(f"3,ABC,1,4,,2,2.5,1.5,{day}" for day in DAYS)])
    dataset = read(text)
    candles = dataset.candles
    assert (candles.open[0], candles.high[0], candles.low[0], candles.close[0]) == (2, 4, 1, 3)
    assert candles.vwap is not None
    assert candles.vwap.tolist() == [2.5] * 3
    assert dataset.adj_close is not None
    assert dataset.adj_close.tolist() == [1.5] * 3
    assert candles.volume is None


@pytest.mark.parametrize("title", ["Adj Close", "adj_close", "Adjusted Close", "AdjClose"])
def test_adjusted_close_titles(title: str, read: Read, csv_text: Text) -> None:
    """The adjusted close is found under its usual titles."""
    dataset = read(csv_text(DAYS, "2,4,1,3,1.5", f"Date,Open,High,Low,Close,{title}"))
    assert dataset.adj_close is not None
    assert dataset.adj_close.tolist() == [1.5] * 3


def test_unnamed_column_elsewhere(read: Read, csv_text: Text) -> None:
    """Only a first column may go without a title; a later one is ignored."""
    dataset = read(csv_text(DAYS, "2,4,1,3,99", "Date,Open,High,Low,Close,"))
    assert dataset.candles.close.tolist() == [3.0] * 3


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Open,High,Low,Close,Volume,Foo", "lacks the column time;"),
        ("Date,High,Low,Close,Volume,Foo", "lacks the column open;"),
        ("Date,Foo,High,Bar,Close,Volume", "lacks the columns open, low"),
        (
            "Day;Opening;Highest;Lowest;Last;Turnover",
            "lacks the columns time, open, high, low, close",
        ),
        ("Date,Open,OPEN,High,Low,Close", "two columns for open"),
        ("Date,Timestamp,Open,High,Low,Close", "two columns for time"),
    ],
)
def test_unusable_header(header: str, words: str, read: Read, csv_text: Text) -> None:
    """A header that lacks a column, or has one twice, is refused with the column's name."""
    with pytest.raises(DataError, match=words) as caught:
        read(csv_text(DAYS, header=header))
    assert "X.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "has no header"),
        (b"Date,Open,High,Low,Close\n", "has no rows"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe", "not a text file"),
        (b"PAR1\x00\x00\x15\x04\x15", "cut short"),
        (b"Date,Open,High,Low,Close" + b"," * 70_000, "not a CSV file"),
        (b"Date,Open,High,Low,Close\n2020-01-06\xff,2,4,1,3\n", "cannot be read as CSV"),
    ],
)
def test_unusable_file(content: bytes, words: str, read: Read) -> None:
    """An empty or binary file is refused in words, with its name."""
    with pytest.raises(DataError, match=words) as caught:
        read(content)
    assert "X.csv" in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused by its name."""
    with pytest.raises(DataError, match=r"no file gone\.csv"):
        read_file(tmp_path / "gone.csv", ReadOptions())


def test_directory(tmp_path: Path) -> None:
    """A directory is refused by its name."""
    with pytest.raises(DataError, match=rf"{tmp_path.name} cannot be read"):
        read_file(tmp_path, ReadOptions())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(end: str, mark: bytes, read: Read, csv_text: Text) -> None:
    """Either line end and a byte order mark change nothing, nor does a missing last line end."""
    content = mark + csv_text(DAYS, end=end).encode()
    assert read(content).candles.ts.tolist() == read(content.rstrip()).candles.ts.tolist()
    assert read(content).candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in range(3)]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2", 2.0),
        ("2.", 2.0),
        ("+2", 2.0),
        (".25", 0.25),
        ("2e0", 2.0),
        ("25E-2", 0.25),
        (" 2 ", 2.0),
        ('"2"', 2.0),
        ("1228.099976", 1228.099976),
        ("0.1000000000000000055511151231257827", 0.1),
    ],
)
def test_numbers(cell: str, value: float, read: Read, csv_text: Text) -> None:
    """A number is read to the nearest double in any of its usual spellings."""
    assert read(csv_text(DAYS, ",".join([cell] * 4) + ",1")).candles.close.tolist() == [value] * 3


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "null",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "0",
        "-1",
        "0x10",
        "1_000",
        '"1,00,0"',
        "abc",
        "1e400",
    ],
)
def test_no_prices(cell: str, read: Read, csv_text: Text) -> None:
    """A cell that is not a finite number above zero is a bad price of its row."""
    text = csv_text(DAYS) + f"2020-01-09,2,3,1,{cell},10\n"
    with pytest.raises(DataError, match=r"not above zero \(1 row, first 4\)"):
        read(text)


@pytest.mark.parametrize("bad_rows", [[1], [4], [9], [2, 6], [1, 2, 9]])
@pytest.mark.parametrize("cells", ["2,3,1,2", "2,3,1,2,10,9", ""])
def test_ragged_rows(cells: str, bad_rows: list[int], read: Read, csv_text: Text) -> None:
    """A row with a cell too few or too many is refused by its number under the header."""
    lines = csv_text([f"2020-01-{6 + i:02}" for i in range(9)]).splitlines()
    for row in bad_rows:
        lines[row] = f"{lines[row][:10]},{cells}"
    count = "1 row" if len(bad_rows) == 1 else f"{len(bad_rows)} rows"
    listed = ", ".join(map(str, bad_rows))
    with pytest.raises(DataError, match=rf"wrong number of cells \({count}, first {listed}\)"):
        read("\n".join(lines))
    dataset = read("\n".join(lines), on_bad_rows="drop")
    kept = [i for i in range(9) if i + 1 not in bad_rows]
    assert dataset.candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in kept]
    assert dataset.report.counts == {"ragged_row": len(bad_rows)}
    assert dataset.report.first_rows == {"ragged_row": bad_rows}
    assert (dataset.report.rows_in, dataset.report.rows_out) == (9, len(kept))


def test_ragged_rows_of_a_long_file(read: Read, csv_text: Text) -> None:
    """Row numbers stay right beyond the first megabyte, after ragged rows before them."""
    n = 90_000
    lines = csv_text([str(1_577_836_800 + 60 * i) for i in range(n)]).splitlines()
    ragged, bad = [3, 30_001, 61_234, 89_990], [7, 50_000, 89_999]
    for row in ragged:
        lines[row] += ",9"
    for row in bad:
        lines[row] = lines[row].replace(",2,3,1,2,", ",0,3,1,2,")
    dataset = read("\n".join(lines), timeframe="1m", on_bad_rows="drop")
    assert dataset.report.first_rows == {"ragged_row": ragged, "bad_price": bad}
    assert dataset.report.rows_in == n
    left_out = {1_577_836_800 + 60 * (row - 1) for row in ragged + bad}
    kept = [1_577_836_800 + 60 * i for i in range(n)]
    assert dataset.candles.ts.tolist() == [s * 1000 for s in kept if s not in left_out]


def test_blank_lines_are_no_rows(read: Read, csv_text: Text) -> None:
    """Blank lines are neither rows nor counted as such."""
    lines = csv_text([*DAYS, "2020-01-09"]).splitlines()
    lines[4] = lines[4].replace(",2,", ",-2,")
    text = "\n".join([lines[0], lines[1], "", lines[2], "", lines[3], lines[4], ""])
    dataset = read(text, on_bad_rows="drop")
    assert dataset.report.first_rows == {"bad_price": [4]}
    assert dataset.report.rows_in == 4


def test_only_ragged_rows(read: Read, csv_text: Text) -> None:
    """A file whose rows all have a wrong number of cells is told so, with their count."""
    with pytest.raises(DataError, match=r"wrong number of cells \(3 rows, first 1, 2, 3\)"):
        read(csv_text(DAYS, "2,3,1,2,10,9"))


def test_columns_are_own_arrays(read: Read, csv_text: Text) -> None:
    """The columns are read-only arrays of float64, the times of int64."""
    candles = read(csv_text(DAYS)).candles
    assert candles.ts.dtype == np.int64
    assert candles.close.dtype == np.float64
    assert not candles.close.flags.writeable
    assert not candles.ts.flags.writeable
