"""Parquet: columns by name, times of every type, numbers of every width."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import Dataset
from engine.errors import DataError

Read = Callable[..., Dataset]
START = datetime(2024, 1, 2, tzinfo=UTC)
DAYS = [START + timedelta(days=i) for i in range(4)]
DAYS_MS = [int(day.timestamp()) * 1000 for day in DAYS]
WALLS = [day.replace(tzinfo=None) for day in DAYS]
PRICES = {"Open": [2.5] * 4, "High": [4.25] * 4, "Low": [1.5] * 4, "Close": [3.0] * 4}


def packed(columns: dict[str, Any], **options: Any) -> bytes:
    """Return a Parquet file of these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


TIMES: dict[str, Any] = {
    "s": pa.array(WALLS, pa.timestamp("s")),
    "ms": pa.array(WALLS, pa.timestamp("ms")),
    "us": pa.array(WALLS, pa.timestamp("us")),
    "ns": pa.array(WALLS, pa.timestamp("ns")),
    "utc": pa.array(DAYS, pa.timestamp("us", "UTC")),
    "zoned": pa.array(DAYS, pa.timestamp("ns", "America/New_York")),
    "date32": pa.array([day.date() for day in DAYS], pa.date32()),
    "date64": pa.array([day.date() for day in DAYS], pa.date64()),
    "epoch_s": pa.array([ms // 1000 for ms in DAYS_MS], pa.int64()),
    "epoch_s_32": pa.array([ms // 1000 for ms in DAYS_MS], pa.uint32()),
    "epoch_ms": pa.array(DAYS_MS, pa.int64()),
    "epoch_us": pa.array([ms * 1000 for ms in DAYS_MS], pa.uint64()),
    "epoch_ns": pa.array([ms * 1_000_000 for ms in DAYS_MS], pa.int64()),
    "epoch_float": pa.array([ms / 1000 for ms in DAYS_MS], pa.float64()),
    "compact": pa.array([20240102 + i for i in range(4)], pa.int32()),
    "text": pa.array([f"{day:%Y-%m-%d}" for day in DAYS]),
    "large_text": pa.array([f"{day:%Y-%m-%d %H:%M}" for day in DAYS], pa.large_string()),
    "offset_text": pa.array([f"{day:%Y-%m-%dT%H:%M:%S}Z" for day in DAYS]),
    "dictionary": pa.array([f"{day:%Y-%m-%d}" for day in DAYS]).dictionary_encode(),
}


@pytest.mark.parametrize("name", TIMES)
def test_times(name: str, read: Read) -> None:
    """A time may be a timestamp, a date, an epoch or text."""
    dataset = read(packed({"Date": TIMES[name], **PRICES}))
    assert dataset.candles.ts.tolist() == DAYS_MS
    assert dataset.candles.close.tolist() == [3.0] * 4
    assert dataset.candles.volume is None


@pytest.mark.parametrize("name", TIMES)
def test_times_in_a_zone(name: str, read: Read) -> None:
    """A declared zone is for wall times and dates, not for epochs and times with a zone."""
    settled = name.startswith(("epoch", "utc", "zoned", "offset"))
    dataset = read(packed({"Date": TIMES[name], **PRICES}), timezone="Asia/Tokyo")
    shift = 0 if settled else 9 * 3_600_000
    assert dataset.candles.ts.tolist() == [ms - shift for ms in DAYS_MS]


def test_old_timestamps(read: Read) -> None:
    """The 96 bits of older programs are times as well."""
    content = packed({"Date": TIMES["ns"], **PRICES}, use_deprecated_int96_timestamps=True)
    assert read(content).candles.ts.tolist() == DAYS_MS


@pytest.mark.parametrize(
    ("dates", "clocks"),
    [
        (["2024-01-02"] * 4, ["09:30", "10:30", "11:30", "12:30"]),
        (pa.array([20240102] * 4, pa.int32()), pa.array([93000, 103000, 113000, 123000])),
        (pa.array([date(2024, 1, 2)] * 4), pa.array([time(9 + i, 30) for i in range(4)])),
        (pa.array([WALLS[0]] * 4), ["0930", "1030", "1130", "1230"]),
    ],
    ids=["text", "numbers", "types", "midnight"],
)
def test_date_and_time_apart(dates: Any, clocks: Any, read: Read) -> None:
    """A date column and a time column are one time, as in text files."""
    dataset = read(packed({"Date": dates, "Time": clocks, **PRICES}), timeframe="1h")
    want = [DAYS_MS[0] + (9 + i) * 3_600_000 + 1_800_000 for i in range(4)]
    assert dataset.candles.ts.tolist() == want


NUMBERS = [
    pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64(),
    pa.float16(), pa.float32(), pa.float64(), pa.decimal128(12, 4), pa.decimal256(50, 4),
]  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_numbers(kind: pa.DataType, read: Read) -> None:
    """Prices and volumes may be numbers of any width, decimal ones included."""
    numbers = pa.array([2.0] * 4).cast(kind)
    titles = ("open", "high", "low", "close", "volume", "vwap", "adj_close")
    dataset = read(packed({"time": TIMES["us"], **dict.fromkeys(titles, numbers)}))
    candles = dataset.candles
    assert candles.volume is not None
    assert candles.vwap is not None
    assert dataset.adj_close is not None
    columns = (candles.open, candles.high, candles.low, candles.volume, candles.vwap)
    assert all(column.tolist() == [2.0] * 4 for column in (*columns, dataset.adj_close))


def test_decimals_are_nearest(read: Read) -> None:
    """A decimal number becomes the same double as its text does."""
    texts = ["1228.099976", "0.1", "99999999.123457", "3.3"]
    column = pa.array([Decimal(text) for text in texts], pa.decimal128(20, 9))
    prices = dict.fromkeys(("open", "high", "low", "close"), column)
    dataset = read(packed({"time": TIMES["us"], **prices}))
    assert dataset.candles.close.tolist() == [float(text) for text in texts]


def test_other_columns_are_not_read(read: Read) -> None:
    """Columns that mean nothing here may be of any type, and titles as in text files."""
    columns = {
        "note": ["x"] * 4,
        "<CLOSE>": pa.array([3] * 4),
        "nested": pa.array([{"close": 1}] * 4),
        "Vol.": pa.array([10] * 4),
        "list": pa.array([[1]] * 4),
        "low ": [1.5] * 4,
        "HIGH": [4.25] * 4,
        "open": [2.5] * 4,
        "DateTime": TIMES["utc"],
    }
    candles = read(packed(columns)).candles
    assert candles.ts.tolist() == DAYS_MS
    assert candles.volume is not None
    assert (candles.open[0], candles.close[0], candles.volume[0]) == (2.5, 3.0, 10.0)


def test_index_of_a_data_frame(read: Read) -> None:
    """The unnamed index of a data frame is the time where nothing else is."""
    assert read(packed({**PRICES, "__index_level_0__": TIMES["ns"]})).candles.ts.tolist() == DAYS_MS


def test_own_artifacts(read: Read) -> None:
    """What Studio itself writes, with the time as ``ts``, comes in again."""
    assert read(packed({"ts": TIMES["epoch_ms"], **PRICES})).candles.ts.tolist() == DAYS_MS


def test_nulls(read: Read) -> None:
    """A null price, volume or time is a fault of its row, and a column of nulls is unknown."""
    table = {"time": TIMES["us"], **PRICES, "volume": [1.0, 2.0, 3.0, 4.0], "vwap": pa.nulls(4)}
    table["Close"] = [3.0, None, 3.0, 3.0]
    table["volume"] = pa.array([1, 2, None, 4])
    table["time"] = pa.array([*WALLS[:3], None])
    words = r"time that is missing.*first 4\).*price that is missing.*first 2\).*volume.*first 3\)"
    with pytest.raises(DataError, match=words):
        read(packed(table))
    candles = read(packed(table), on_bad_rows="drop", timeframe="1d").candles
    assert candles.ts.tolist() == DAYS_MS[:1]
    assert candles.vwap is None


@pytest.mark.parametrize("options", [
    {"row_group_size": 2}, {"compression": "zstd"}, {"compression": "none"}, {"use_dictionary": False},
    {"data_page_version": "2.0"}, {"store_schema": False}, {"data_page_size": 16},
    {"use_dictionary": False, "use_byte_stream_split": ["Open", "Close"]},
], ids=str)  # fmt: skip
def test_encodings(options: dict[str, Any], read: Read) -> None:
    """How the file is packed makes no difference."""
    content = packed({"Date": TIMES["text"], **PRICES}, **options)
    assert read(content).candles.ts.tolist() == DAYS_MS


def test_batches(read: Read) -> None:
    """A file of several batches and row groups is read whole and in order."""
    n = 150_000
    minutes = np.arange(n) * 60_000 + DAYS_MS[0]
    close = 100 + np.arange(n) / 1024
    columns = {
        "time": [str(ms) for ms in minutes.tolist()],
        **dict.fromkeys(("open", "high", "low", "close"), close),
    }
    dataset = read(packed(columns, row_group_size=40_000), timeframe="1m")
    assert np.array_equal(dataset.candles.ts, minutes)
    assert np.array_equal(dataset.candles.close, close)


def test_empty_row_groups(read: Read) -> None:
    """Row groups without rows, as pieces of a data set leave them, are no damage."""
    table = pa.table({"Date": TIMES["text"], **PRICES})
    for options in ({}, {"use_dictionary": False}):
        file = io.BytesIO()
        with pq.ParquetWriter(file, table.schema, **options) as writer:
            for part in (table[:0], table[:2], table[:0], table[2:]):
                writer.write_table(part)
        assert read(file.getvalue()).candles.ts.tolist() == DAYS_MS


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"Open": ["2.5"] * 4}, "the column for open holds string, not numbers"),
        ({"Open": [True] * 4}, "the column for open holds bool, not numbers"),
        ({"Open": [[1.0]] * 4}, "the column for open holds list.*, not numbers"),
        ({"Date": [b"2024"] * 4}, "the column for time holds binary, not times"),
        ({"Date": [True] * 4}, "the column for time holds bool, not times"),
        ({"Date": ["soon"] * 4}, "no known layout .such as 'soon'"),
        ({"OPEN": [2.5] * 4}, "two columns for open"),
        ({"Close.x": [2.5] * 4}, "two columns for close"),
    ],
)
def test_unusable_column(replaced: dict[str, Any], words: str, read: Read) -> None:
    """A column of another type, or one there twice, is refused by its title."""
    with pytest.raises(DataError, match=words) as caught:
        read(packed({"Date": TIMES["us"], **PRICES} | replaced))
    assert "X.csv" in str(caught.value)


def test_missing_column(read: Read) -> None:
    """A column that is not there is named, with those that are."""
    with pytest.raises(DataError, match="lacks the column time; its header is: Open, High, Low"):
        read(packed(PRICES))


def test_times_out_of_range(read: Read) -> None:
    """A time that no calendar shows is a fault of its row, whatever its number overflows."""
    times = pa.array([*DAYS_MS[:3], 2**62], pa.timestamp("ms"))
    with pytest.raises(DataError, match=r"cannot be read \(1 row, first 4\)"):
        read(packed({"Date": times, **PRICES}))


def test_name_does_not_matter(read: Read) -> None:
    """A Parquet file is told by its content under any name."""
    for name in ("X.csv", "X.parquet", "X", "X.txt.gz"):
        assert len(read(packed({"Date": TIMES["us"], **PRICES}), name=name).candles) == 4
