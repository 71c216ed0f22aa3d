"""Give the import files that were good once, and bytes that never were, for half an hour.

    python -m scripts.fuzz_import --minutes 30 --seed 0

Whatever a file holds, it is either a data set that can be believed, or refused in a plain sentence.
"""

import dataclasses
import gzip
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from app.datasets import ImportFile, read_candles
from engine.config import MAX_TIME_MS, MIN_TIME_MS, TIMEFRAME_MS
from engine.data import Dataset, LocalProvider, NoParams, ReadOptions, import_dataset
from engine.errors import ConfigError, DataError
from engine.identity import candle_digest
from engine.limits import FileLimits
from scripts.fuzz_at_length import command

LIMITS = FileLimits(max_rows=200, max_unpacked_bytes=1 << 20)
PRICES = ("open", "high", "low", "close")
# What a sentence for a person does not hold: places in the code, and names of classes.
LEAKS = re.compile(
    r'Traceback|File "|line \d+, in |0x[0-9a-f]{6,}|<[\w. ]+ object|\b[A-Z]\w+(Error|Exception)\b'
    r"|Arrow(Invalid|TypeError|NotImpl\w+)|pyarrow|numpy|pandas|site-packages|\.py\b"
)
DAY_MS = 86_400_000
NASTY = (
    b"", b"nan", b"NaN", b"inf", b"-inf", b"1e999", b"-0", b"-1", b"0", b"1e-400", b"1_000",
    b"0x10", b"1,5", b"1.5.5", b"1'000", b"1 000", b"9" * 400, b'"', b'""', b'"5', b"\x00",
    b"\xff\xfe", b"\r", b"\n", b",", b";", b"\t", "１２".encode(), "\u2028".encode(), b"None",
    b"true", b"=1+1", b"0.1e1", b"2024-02-30", b"1970-01-01", b"9999-12-31", b"0001-01-01",
    b"24:00", b"1e18", b"-62135596800",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A file and what is said about it."""

    content: bytes
    timeframe: str | None
    options: ReadOptions
    calendar: str | None


@st.composite
def _bars(draw: st.DrawFn) -> dict[str, list[Any]]:
    timeframe = draw(st.sampled_from(list(TIMEFRAME_MS)))
    n = draw(st.integers(1, 12))
    start = draw(st.integers(-9_000, 25_000)) * DAY_MS
    step = st.sampled_from([1] * 40 + [2, 2, 0, -1])
    steps = draw(st.lists(step, min_size=n, max_size=n))
    ms = start + np.cumsum(steps) * TIMEFRAME_MS[timeframe]
    price = st.integers(1, 10**7).map(lambda cents: cents / 100)
    rows = []
    for _ in range(n):
        low, first, last, high = sorted(draw(st.tuples(*[price] * 4)))
        rows.append((first, high, low, last, float(draw(st.integers(0, 10**6)))))
    columns: dict[str, list[Any]] = {"time": [int(each) for each in ms]}
    names = (*PRICES, "volume") if draw(st.booleans()) else PRICES
    return columns | {name: [row[i] for row in rows] for i, name in enumerate(names)}


TIMES: tuple[Callable[[int], str], ...] = (
    lambda ms: _at(ms).strftime("%Y-%m-%d %H:%M:%S"),
    lambda ms: _at(ms).strftime("%Y-%m-%dT%H:%M:%SZ"),
    lambda ms: _at(ms).strftime("%Y-%m-%dT%H:%M:%S+0530"),
    lambda ms: _at(ms).strftime("%Y-%m-%d"),
    lambda ms: _at(ms).strftime("%d.%m.%Y %H:%M"),
    lambda ms: _at(ms).strftime("%m/%d/%Y"),
    lambda ms: _at(ms).strftime("%Y%m%d %H%M%S"),
    str,
    lambda ms: str(ms // 1000),
    lambda ms: f"{ms}000",
)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@st.composite
def _csv(draw: st.DrawFn) -> bytes:
    columns = draw(_bars())
    time = draw(st.sampled_from(TIMES))
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    decimal = "," if separator == ";" else "."
    titles = draw(st.sampled_from([str.lower, str.title, str.upper, lambda name: f"<{name}>"]))
    lines = [separator.join(map(titles, columns))] if draw(st.integers(0, 9)) else []
    for moment, *numbers in zip(*columns.values(), strict=True):
        cells = [str(number).replace(".", decimal) for number in numbers]
        lines.append(separator.join([time(moment), *cells]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    return (end.join(lines) + draw(st.sampled_from(["", end]))).encode(encoding)


@st.composite
def _parquet(draw: st.DrawFn) -> bytes:
    columns = draw(_bars())
    kinds = (pa.int64(), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns"))
    kind = draw(st.sampled_from(kinds))
    scale = {"us": 1000, "ns": 1_000_000}.get(getattr(kind, "unit", ""), 1)
    table: dict[str, Any] = {"time": pa.array([ms * scale for ms in columns["time"]], kind)}
    number = draw(st.sampled_from([pa.float64(), pa.float64(), pa.float32(), pa.string()]))
    for name in list(columns)[1:]:
        values = [None if draw(st.integers(0, 40)) == 0 else each for each in columns[name]]
        table[name] = pa.array(values, pa.float64()).cast(number)
    sink = io.BytesIO()
    options: dict[str, Any] = {
        "compression": draw(st.sampled_from(["none", "snappy", "zstd", "gzip"])),
        "use_dictionary": draw(st.booleans()),
        "row_group_size": draw(st.integers(1, 20)),
        "version": draw(st.sampled_from(["1.0", "2.6"])),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
    }
    pq.write_table(pa.table(table), sink, **options)
    return sink.getvalue()


@st.composite
def _mutated(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    content = draw(good)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2, 4]))):
        content = draw(st.sampled_from(MUTATIONS))(draw, content)
    if draw(st.integers(0, 4)) == 0:
        content = gzip.compress(content, mtime=0)
        if draw(st.booleans()):
            content = draw(st.sampled_from(MUTATIONS))(draw, content)
    return content


def _place(draw: st.DrawFn, content: bytes) -> int:
    return draw(st.integers(0, len(content)))


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    i = _place(draw, content)
    return content[:i] + bytes([draw(st.integers(0, 255))]) + content[i + 1 :]


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    i = _place(draw, content)
    return content[:i] + content[i + draw(st.integers(1, 40)) :]


def _truncate(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: _place(draw, content)]


def _insert(draw: st.DrawFn, content: bytes) -> bytes:
    i = _place(draw, content)
    return content[:i] + draw(st.sampled_from(NASTY) | st.binary(max_size=8)) + content[i:]


def _repeat(draw: st.DrawFn, content: bytes) -> bytes:
    i = _place(draw, content)
    piece = content[i : i + draw(st.integers(1, 80))]
    return content[:i] + piece * draw(st.integers(2, 4)) + content[i:]


def _cell(draw: st.DrawFn, content: bytes) -> bytes:
    """Put something nasty in the place of one cell."""
    cells = list(re.finditer(rb"[^,;\t|\r\n]+", content))
    if not cells:
        return content
    cell = draw(st.sampled_from(cells))
    return content[: cell.start()] + draw(st.sampled_from(NASTY)) + content[cell.end() :]


def _shuffle(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join(draw(st.permutations(lines))) if len(lines) < 40 else content


def _footer(draw: st.DrawFn, content: bytes) -> bytes:
    """Let a Parquet file claim another length of its footer."""
    return content[:-8] + draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little") + content[-4:]


MUTATIONS = (_flip, _cut, _truncate, _insert, _repeat, _cell, _cell, _shuffle, _footer)
MAGIC = (b"", b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"Date,Open,High,Low,Close\n", b"\xef\xbb\xbf")
RAW = st.builds(lambda start, rest: start + rest, st.sampled_from(MAGIC), st.binary(max_size=300))
FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%m/%d/%Y", "%Y%m%d %H%M%S", "%s", "%", "%Q")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Nowhere/Land", "../x", *["UTC"] * 10)
OPTIONS = st.builds(
    ReadOptions,
    timezone=st.sampled_from(ZONES),
    date_format=st.sampled_from([None] * 24 + list(FORMATS)) | st.none() | st.text(max_size=8),
    on_bad_rows=st.sampled_from(["refuse", "drop"]),
    decimal=st.sampled_from([None] * 8 + [".", ","]),
    limits=st.just(LIMITS),
)


def cases() -> st.SearchStrategy[Case]:
    """Return files of every kind with whatever may be said about them."""
    content = st.one_of(_mutated(_csv()), _mutated(_csv()), _mutated(_parquet()), RAW)
    timeframes = st.sampled_from([None] * 20 + [*TIMEFRAME_MS, "7d"])
    calendars = st.sampled_from(["NOPE", "XNYS", "24/7", *[None] * 12])
    return st.builds(Case, content, timeframes, OPTIONS, calendars)


def check(case: Case, folder: Path) -> str:
    """Read a file twice, and check what came of it."""
    first, second = (_outcome(case, folder) for _ in range(2))
    assert _told(first) == _told(second), "the same bytes give another outcome"
    if isinstance(first, str):
        check_sentence(first, folder)
        return "refused"
    check_dataset(first)
    check_kept(first, folder)
    return "taken"


def _outcome(case: Case, folder: Path) -> Dataset | str:
    """Return the data set, or the sentence with which it was refused."""
    path = folder / "upload"
    path.write_bytes(case.content)
    file = ImportFile(path, "FUZZ", case.timeframe, case.options, case.calendar)
    try:
        return read_candles(file)
    except (DataError, ConfigError) as refused:
        return str(refused)


def _told(outcome: Dataset | str) -> Any:
    if isinstance(outcome, str):
        return outcome
    return candle_digest(outcome.candles), dataclasses.asdict(outcome.report), outcome.calendar


def check_sentence(sentence: str, folder: Path) -> None:
    """Check that a refusal is for a person."""
    assert 10 <= len(sentence) <= 1000, f"{len(sentence)} characters: {sentence[:200]!r}"
    assert " " in sentence.strip(), sentence
    # What is quoted stems from the file itself.
    quoted = r"'[^']*'|\"[^\"]*\"|its header is: .*"
    own = re.sub(quoted, "", sentence, flags=re.DOTALL)
    assert LEAKS.search(own) is None, sentence
    assert str(folder) not in sentence, sentence


def check_dataset(dataset: Dataset) -> None:
    """Check that candles are what everything after them takes for granted."""
    candles, report = dataset.candles, dataset.report
    n = len(candles.ts)
    assert 1 <= n == report.rows_out <= report.rows_in <= LIMITS.max_rows
    assert candles.timeframe in TIMEFRAME_MS
    assert candles.ts.dtype == np.int64
    assert (np.diff(candles.ts) > 0).all(), "times are not sorted, or not unique"
    assert MIN_TIME_MS <= candles.ts[0] <= candles.ts[-1] <= MAX_TIME_MS, "a time of no such year"
    for name in PRICES:
        values = getattr(candles, name)
        assert len(values) == n
        assert (np.isfinite(values) & (values > 0)).all(), f"a bad {name}"
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    if candles.volume is not None:
        assert (np.isfinite(candles.volume) & (candles.volume >= 0)).all(), "a bad volume"
    for values in (candles.vwap, dataset.adj_close):
        assert values is None or (np.isfinite(values) & (values > 0)).all()
    assert all(count > 0 for count in report.counts.values())


def check_kept(dataset: Dataset, folder: Path) -> None:
    """Check that what is stored, and what is written out and imported, are the same candles."""
    candles = dataset.candles
    wanted = candle_digest(candles)
    import_dataset(folder, dataset, "upload")
    stored = LocalProvider(NoParams(), folder).stored("FUZZ", candles.timeframe)
    assert stored is not None
    assert candle_digest(stored.candles) == wanted, "other candles were stored"
    columns: dict[str, Any] = {"time": pa.array(candles.ts, pa.timestamp("ms", "UTC"))}
    for name in (*PRICES, "volume", "vwap"):
        if getattr(candles, name) is not None:
            columns[name] = getattr(candles, name)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    options = ReadOptions(timezone=candles.timezone, limits=LIMITS)
    for content in (sink.getvalue(), _as_csv(columns)):
        again = _outcome(Case(content, candles.timeframe, options, dataset.calendar), folder)
        assert isinstance(again, Dataset), f"what was written out is refused: {again}"
        assert candle_digest(again.candles) == wanted, "other candles come back"


def _as_csv(columns: dict[str, Any]) -> bytes:
    times = [each.isoformat(timespec="milliseconds") for each in columns["time"].to_pylist()]
    numbers = [[repr(float(x)) for x in values] for values in list(columns.values())[1:]]
    lines = [",".join(columns), *(",".join(row) for row in zip(times, *numbers, strict=True))]
    return "\n".join(lines).encode()


if __name__ == "__main__":
    sys.exit(command(__doc__, cases, check, examples=500))
