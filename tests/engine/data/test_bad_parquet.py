"""Parquet files that are damaged, too large or hostile: a sentence each, and nothing else."""

import errno
import functools
import gzip
import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candle_bytes import DAYS, GOOD_PARQUET, PRICES, Refused, parquet_of

from engine.data import ReadOptions
from engine.data.read_file import read_file
from engine.errors import DataError, StorageError


@pytest.mark.parametrize("kept", [4, 11, 12, 100, len(GOOD_PARQUET) // 2, len(GOOD_PARQUET) - 1])
def test_truncated_parquet(kept: int, refused: Refused) -> None:
    """A Parquet file without its end is cut short."""
    assert "is damaged or cut short: it does not end as Parquet does" in refused(
        GOOD_PARQUET[:kept]
    )


def test_parquet_with_a_wrong_byte(tmp_path: Path) -> None:
    """Whatever byte is wrong, what is told is for a person, without the library's words."""
    path = tmp_path / "candles_1d.parquet"
    content = parquet_of({"time": DAYS, **PRICES}, compression="gzip")
    sentences = set()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            read_file(path, ReadOptions())
        except DataError as fault:
            sentences.add(str(fault))
    damaged = "candles_1d.parquet cannot be read as Parquet: its contents are damaged, or encrypted"
    assert damaged in sentences
    for sentence in sentences:
        assert re.search("(?i)exception|codec|thrift|arrow|deserial|snappy|gzip", sentence) is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            pa.ArrowNotImplementedError("No codec"),
            "it uses a part of the format that is not supported",
        ),
        (pa.ArrowMemoryError("malloc of size 9"), "there is not enough memory to unpack it"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_why_parquet_cannot_be_read(
    fault: Exception, words: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the format, memory and a disk that fails are told apart from damage."""

    def failing(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(pq, "ParquetFile", failing)
    assert refused(GOOD_PARQUET).endswith(f"cannot be read as Parquet: {words}")


def test_no_room_to_unpack_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no fault of the file."""
    path = tmp_path / "candles_1d.parquet"
    path.write_bytes(gzip.compress(GOOD_PARQUET, mtime=0))
    monkeypatch.setattr(tempfile, "TemporaryFile", functools.partial(open, "/dev/full", "w+b"))
    with pytest.raises(StorageError, match="No space is left to write the unpacked file"):
        read_file(path, ReadOptions())
    monkeypatch.undo()
    assert len(read_file(path, ReadOptions()).row) == len(DAYS)


def test_parquet_without_footer(refused: Refused) -> None:
    """A footer of rubbish, of nothing, or longer than the file is damage."""
    for footer in (b"", b"\xff" * 40, bytes(40), b"\x19\xfc\xff\xff\xff\x0f" * 9):
        for claimed in (len(footer), 2**31, 2**32 - 1):
            content = b"PAR1" + bytes(50) + footer + claimed.to_bytes(4, "little") + b"PAR1"
            assert "candles_1d.csv" in refused(content)


def test_parquet_with_huge_footer(refused: Refused) -> None:
    """A footer larger than any candles need is not read."""
    content = b"PAR1" + bytes(5 * 2**20) + (5 * 2**20).to_bytes(4, "little") + b"PAR1"
    assert "has a footer of more than 4 MiB" in refused(content)


def test_parquet_with_countless_structures(refused: Refused) -> None:
    """A footer of nothing but empty structures is given up before they take the memory."""
    n = 300_000
    footer = b"\x49\xfc" + bytes([n & 127 | 128, n >> 7 & 127 | 128, n >> 14]) + bytes(n) + b"\0"
    content = b"PAR1" + bytes(50) + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert "its footer or a page cannot be read" in refused(content)


def test_parquet_beyond_the_bounds(refused: Refused) -> None:
    """Rows and columns are counted in the footer, before any of them is read."""
    assert "has 4, more than 3 rows (max_import_rows)" in refused(GOOD_PARQUET, max_rows=3)
    wide = parquet_of({"time": DAYS, **PRICES, **{f"c{i}": DAYS for i in range(60)}})
    assert "has more than 64 columns: 65" in refused(wide)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}])
def test_parquet_column_that_unfolds(options: dict[str, Any], refused: Refused) -> None:
    """A column whose pages unfold beyond the bound is not unpacked."""
    text = pa.array([f"{i}" + "x" * 2**18 for i in range(4)])
    content = parquet_of({"time": text, **PRICES}, **options)
    sentence = refused(content, max_unpacked_bytes=2**20)
    assert sentence.endswith("the column for time unpacks to more than 1 MiB")


def test_parquet_of_one_long_text(refused: Refused) -> None:
    """A long text that stands once and is meant many times is read once, as no time."""
    n = 20_000
    once = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * 2**20]))
    prices = {title: [2.0] * n for title in PRICES}
    content = parquet_of({"time": once, **prices}, store_schema=False)
    assert len(content) < 2**20
    assert "time column is in no known layout" in refused(content)


def test_parquet_of_text_differences(refused: Refused) -> None:
    """Texts stored as differences, which unfold without bound, are refused."""
    content = parquet_of(
        {"time": ["2024-01-02"] * 4, **PRICES},
        use_dictionary=False,
        column_encoding={"time": "DELTA_BYTE_ARRAY"},
    )
    assert "the column for time is stored as differences of texts" in refused(content)
