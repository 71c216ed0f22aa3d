"""Bad rows refused or dropped, duplicates, order, ranges, volume, and the timeframe."""

from collections.abc import Callable, Sequence

import pytest

from engine.data import Dataset, ReadOptions
from engine.data.normalize import normalize
from engine.data.read_file import read_file
from engine.errors import DataError

Read = Callable[..., Dataset]
HEADER = "Date,Open,High,Low,Close,Volume,Adj Close,VWAP"
GOOD = "2,3,1,2,10,2,2"
DAY_MS = 86_400_000
MONDAY_MS = 1_578_268_800_000


def _day(i: int) -> str:
    return f"2020-01-{6 + i:02}"


def _file(rows: Sequence[str]) -> str:
    return "\n".join([HEADER, *rows])


def _good(n: int) -> list[str]:
    return [f"{_day(i)},{GOOD}" for i in range(n)]


# A row's cells after its time, the rule that they break, and how that rule is worded.
BAD_ROWS = {
    "open_missing": (",3,1,2,10,2,2", "bad_price", "not above zero"),
    "high_zero": ("2,0,1,2,10,2,2", "bad_price", "not above zero"),
    "low_negative": ("2,3,-1,2,10,2,2", "bad_price", "not above zero"),
    "close_text": ("2,3,1,x,10,2,2", "bad_price", "not above zero"),
    "close_infinite": ("2,3,1,inf,10,2,2", "bad_price", "not above zero"),
    "close_nan": ("2,3,1,nan,10,2,2", "bad_price", "not above zero"),
    "adj_close_zero": ("2,3,1,2,10,0,2", "bad_price", "not above zero"),
    "vwap_missing": ("2,3,1,2,10,2,", "bad_price", "not above zero"),
    "volume_missing": ("2,3,1,2,,2,2", "bad_volume", "volume that is missing"),
    "volume_negative": ("2,3,1,2,-1,2,2", "bad_volume", "below zero"),
    "volume_text": ("2,3,1,2,1k,2,2", "bad_volume", "not a number"),
    "high_below_open": ("4,3,1,2,10,2,2", "inverted_range", "a high below"),
    "high_below_close": ("2,3,1,4,10,2,2", "inverted_range", "a high below"),
    "low_above_open": ("1,4,2,3,10,2,2", "inverted_range", "a low above"),
    "low_above_close": ("3,4,2,1,10,2,2", "inverted_range", "a low above"),
    "high_below_low": ("2,1,3,2,10,2,2", "inverted_range", "a high below"),
    "high_just_below": ("2,1.999999996,1,2,10,2,2", "inverted_range", "a high below"),
    "low_just_above": ("2,3,2.000000004,2,10,2,2", "inverted_range", "a low above"),
}


@pytest.mark.parametrize("bad_rows", [[1], [5], [3, 4]])
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_row(case: str, bad_rows: list[int], read: Read) -> None:
    """Each rule refuses a file with the rule's words, its count and its rows, or drops them."""
    cells, rule, words = BAD_ROWS[case]
    rows = _good(9)
    for row in bad_rows:
        rows[row - 1] = f"{_day(row - 1)},{cells}"
    count = "1 row" if len(bad_rows) == 1 else f"{len(bad_rows)} rows"
    with pytest.raises(DataError, match=words) as caught:
        read(_file(rows))
    assert str(caught.value).startswith("X.csv: ")
    assert f"({count}, first {', '.join(map(str, bad_rows))})" in str(caught.value)
    dataset = read(_file(rows), on_bad_rows="drop")
    kept = [i for i in range(9) if i + 1 not in bad_rows]
    assert dataset.candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in kept]
    assert dataset.report.counts == {rule: len(bad_rows)}
    assert dataset.report.first_rows == {rule: bad_rows}
    assert (dataset.report.rows_in, dataset.report.rows_out) == (9, len(kept))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2020-01-08,2,12x4.5,1,2,10,2,2", "(1 row, first 3): high '12x4.5'"),
        ("2020-01-08,2,3,1,2,1k,2,2", "(1 row, first 3): volume '1k'"),
        ("2020-01-08,2,3,1,2,-7,2,2", "(1 row, first 3): volume -7"),
        ("2020-01-08,0,0,0,0,10,2,2", "(1 row, first 3): open 0"),
        ("2020-01-08,2,3,1,2,10,-2.5,2", "(1 row, first 3): adj_close -2.5"),
        ("2020-01-08,2,3,1,,10,2,2", "(1 row, first 3): no number for close"),
        ("2020-01-08,2,3,1,inf,10,2,2", "(1 row, first 3): close 'inf'"),
        ("2020-01-08,4,3,1,2,10,2,2", "(1 row, first 3): high 3 below open 4"),
        ("2020-01-08,3,4,2,1,10,2,2", "(1 row, first 3): low 2 above close 1"),
        ("never,2,3,1,2,10,2,2", "(1 row, first 3): time 'never'"),
        (",2,3,1,2,10,2,2", "(1 row, first 3): no time"),
        ("2020-01-08,2,3,1", "(1 row, first 3). Rows"),
        ("2020-01-08,2,\x1b[31m\u202e" + 30 * "x" + ",1,2,10,2,2", "high '?[31m?xxxxxxxxxxxxxx…'"),
    ],
)
def test_the_first_bad_cell_is_shown(row: str, words: str, read: Read) -> None:
    """The first row's cell is told with its column, in printable characters and short."""
    rows = [*_good(2), row, *_good(6)[3:]]
    with pytest.raises(DataError) as caught:
        read(_file(rows))
    assert words in str(caught.value)
    assert str(caught.value).endswith(
        ". Rows count from 1 under the header; on_bad_rows 'drop' leaves such rows out."
    )


def test_the_first_bad_cell_among_many(read: Read) -> None:
    """The cell belongs to the row that is named first, beyond a block and beside ragged rows."""
    rows = [f"{i // 24 // 28 // 12 + 1990:04}-{i // 24 // 28 % 12 + 1:02}-{i // 24 % 28 + 1:02} {i % 24:02}:00,{GOOD}" for i in range(60_000)]  # fmt: skip
    rows[5] = "too,short"
    rows[50_000] = rows[50_000].replace("2,3,1,2", "2,3,'1,2")
    rows[59_000] = rows[59_000].replace("2,3,1,2", "2,x,1,2")
    with pytest.raises(DataError, match=r"\(2 rows, first 50001, 59001\): low ''1'"):
        read(_file(rows), timeframe="1h")


def test_several_rules(read: Read) -> None:
    """All rules that a file breaks are named at once, each with its own rows."""
    rows = _good(6)
    rows[1] = f"{_day(1)},0,3,1,2,10,2,2"
    rows[3] = f"never,{GOOD}"
    rows[4] = f"{_day(4)},2,3,1,2,-1,2,2"
    with pytest.raises(DataError) as caught:
        read(_file(rows))
    for words in ("above zero (1 row, first 2)", "read (1 row, first 4)", "zero (1 row, first 5)"):
        assert words in str(caught.value)


def test_first_rows_only(read: Read) -> None:
    """Of many bad rows the first five are listed and all are counted."""
    rows = [*_good(2), *(f"{_day(2 + i)},0,3,1,2,10,2,2" for i in range(8))]
    with pytest.raises(DataError, match=r"\(8 rows, first 3, 4, 5, 6, 7\)"):
        read(_file(rows))


def test_row_is_counted_once(read: Read) -> None:
    """A row that breaks several rules counts under the first of them only."""
    rows = _good(6)
    rows[2] = "never,0,3,9,2,-1,2,2"
    dataset = read(_file(rows), on_bad_rows="drop")
    assert dataset.report.counts == {"unreadable_time": 1}


@pytest.mark.parametrize("on_bad_rows", ["refuse", "drop"])
def test_all_rows_bad(on_bad_rows: str, read: Read) -> None:
    """A file without a single good row is refused in words either way."""
    rows = [f"{_day(i)},0,3,1,2,10,2,2" for i in range(3)]
    with pytest.raises(DataError, match=r"X\.csv"):
        read(_file(rows), on_bad_rows=on_bad_rows)


def test_good_file(read: Read) -> None:
    """A file without faults is taken as it is and nothing is counted."""
    report = read(_file(_good(6))).report
    assert (report.counts, report.first_rows, report.rows_in, report.rows_out) == ({}, {}, 6, 6)


@pytest.mark.parametrize(
    ("order", "unsorted"),
    [((0, 1, 2, 3), []), ((3, 2, 1, 0), [2, 3, 4]), ((0, 2, 1, 3), [3]), ((1, 2, 3, 0), [4])],
)
def test_sorting(order: tuple[int, ...], unsorted: list[int], read: Read) -> None:
    """Rows are sorted by time, and those that stood before their time are counted."""
    rows = [f"{_day(i)},2,3,1,2,{10 + i},2,2" for i in order]
    dataset = read(_file(rows))
    assert dataset.candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in range(4)]
    assert dataset.candles.volume is not None
    assert dataset.candles.volume.tolist() == [10, 11, 12, 13]
    assert dataset.report.first_rows.get("unsorted", []) == unsorted


@pytest.mark.parametrize("places", [[2], [0], [2, 2], [0, 3], [6]])
def test_exact_duplicates(places: list[int], read: Read) -> None:
    """A row that says the same again is dropped, wherever it stands, and counted."""
    rows = _good(5)
    for place in places:
        rows.insert(place, f"{_day(2)},{GOOD}")
    dataset = read(_file(rows))
    assert dataset.candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in range(5)]
    assert dataset.report.counts["exact_duplicate"] == len(places)
    assert (dataset.report.rows_in, dataset.report.rows_out) == (5 + len(places), 5)


def test_duplicate_of_another_spelling(read: Read) -> None:
    """Rows are equal by their values, not by their text."""
    rows = [*_good(3), f"{_day(2)} 00:00,2.0,3.00,1e0,+2,10,2,2"]
    assert read(_file(rows)).report.counts["exact_duplicate"] == 1


@pytest.mark.parametrize(
    "cells", ["2.5,3,1,2,10,2,2", "2,3,1,2,11,2,2", "2,3,1,2,10,2.5,2", "2,3,1,2,10,2,2.5"]
)
@pytest.mark.parametrize("adjacent", [False, True])
def test_conflicting_duplicates(cells: str, read: Read, *, adjacent: bool) -> None:
    """Two different rows with one time are refused together, or dropped together."""
    rows = _good(7)
    rows.insert(3 if adjacent else 7, f"{_day(2)},{cells}")
    listed = "3, 4" if adjacent else "3, 8"
    with pytest.raises(DataError, match=rf"at the same time \(2 rows, first {listed}\)"):
        read(_file(rows))
    dataset = read(_file(rows), on_bad_rows="drop")
    assert dataset.candles.ts.tolist() == [MONDAY_MS + i * DAY_MS for i in (0, 1, 3, 4, 5, 6)]
    assert dataset.report.counts["conflicting_duplicate"] == 2


def test_three_rows_at_one_time(read: Read) -> None:
    """Two equal rows and a third that differs are a conflict of all three."""
    rows = [*_good(6), f"{_day(2)},{GOOD}", f"{_day(2)},2,3,1,2,11,2,2"]
    with pytest.raises(DataError, match=r"at the same time \(3 rows, first 3, 7, 8\)"):
        read(_file(rows))


@pytest.mark.parametrize(
    ("cells", "high", "low"),
    [
        ("2,1.9999999995,1,2", 2.0, 1.0),
        ("2,1.9999999995,1,1.5", 2.0, 1.0),
        ("2,3,2.0000000005,2", 3.0, 2.0),
        ("2,3,2.0000000005,2.5", 3.0, 2.0),
        ("2,1.999999999,2.000000001,2", 2.0, 2.0),
    ],
)
def test_widening(cells: str, high: float, low: float, read: Read) -> None:
    """A high or low within rounding of open and close is widened to hold them, and counted."""
    rows = _good(4)
    rows[1] = f"{_day(1)},{cells},10,2,2"
    dataset = read(_file(rows))
    assert (dataset.candles.high[1], dataset.candles.low[1]) == (high, low)
    assert dataset.report.counts == {"widened_range": 1}
    assert dataset.report.first_rows == {"widened_range": [2]}


@pytest.mark.parametrize(
    ("header", "cells", "volume"),
    [
        ("Date,Open,High,Low,Close", "2,3,1,2", None),
        ("Date,Open,High,Low,Close,Volume", "2,3,1,2,", None),
        ("Date,Open,High,Low,Close,Volume", "2,3,1,2,null", None),
        ("Date,Open,High,Low,Close,Volume", "2,3,1,2,0", [0.0, 0.0, 0.0]),
        ("Date,Open,High,Low,Close,Volume", "2,3,1,2,1.5", [1.5, 1.5, 1.5]),
    ],
)
def test_volume(header: str, cells: str, volume: list[float] | None, read: Read) -> None:
    """A volume that is nowhere given is unknown, which is not zero."""
    text = "\n".join([header, *(f"{_day(i)},{cells}" for i in range(3))])
    found = read(text).candles.volume
    assert (None if found is None else found.tolist()) == volume


STEPS_MS = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
    "1w": 604_800_000,
}


def _at(steps_ms: Sequence[int]) -> str:
    times = [1_577_836_800_000]
    for step in steps_ms:
        times.append(times[-1] + step)
    return "\n".join(["Date,Open,High,Low,Close", *(f"{ms},2,3,1,2" for ms in times)])


@pytest.mark.parametrize("timeframe", STEPS_MS)
@pytest.mark.parametrize("other", STEPS_MS)
def test_timeframe(timeframe: str, other: str, read: Read) -> None:
    """Bars are accepted as the timeframe that their median step is, and as no other."""
    step = STEPS_MS[timeframe]
    text = _at([step, step, 3 * step, step])
    if other == timeframe:
        assert read(text, timeframe=other).candles.timeframe == timeframe
    else:
        with pytest.raises(DataError, match=f"does not fit {other}"):
            read(text, timeframe=other)


@pytest.mark.parametrize("timeframe", STEPS_MS)
def test_told_timeframe(timeframe: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where none is asked for, the timeframe is what the median step tells."""
    path = tmp_path_factory.mktemp("told") / "X.csv"
    step = STEPS_MS[timeframe]
    path.write_text(_at([4 * step, step, step]), encoding="utf-8")
    dataset = normalize(
        read_file(path, ReadOptions()), symbol="X", timeframe=None, options=ReadOptions()
    )
    assert dataset.candles.timeframe == timeframe


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([120_000] * 3, "bars are 2 minutes apart"),
        ([1000] * 3, "bars are 1 second apart"),
        ([129_600_000] * 3, "bars are 1.5 days apart"),
        ([], "one bar does not tell"),
    ],
)
def test_untold_timeframe(
    steps: list[int], words: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A step that is no timeframe, or a single bar, has to be told its timeframe."""
    path = tmp_path_factory.mktemp("untold") / "X.csv"
    path.write_text(_at(steps), encoding="utf-8")
    with pytest.raises(DataError, match=words):
        normalize(read_file(path, ReadOptions()), symbol="X", timeframe=None, options=ReadOptions())


def test_single_bar(read: Read) -> None:
    """One bar fits whatever timeframe is asked for."""
    assert read(_at([]), timeframe="4h").candles.timeframe == "4h"


def test_largest_numbers(read: Read) -> None:
    """Prices near the largest number are compared without a warning."""
    rows = [f"{_day(i)},1.7976931348623157e308,1.7976931348623157e308,1,2,1,2,2" for i in range(3)]
    assert read(_file(rows)).candles.open.tolist() == [1.7976931348623157e308] * 3
