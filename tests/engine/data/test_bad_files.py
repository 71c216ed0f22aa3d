"""Files that are damaged, too large, hostile or no files: a sentence each, and nothing else."""

import errno
import functools
import gzip
import io
import os
import random
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from engine.data import Dataset, FileProvider, ReadOptions
from engine.data.read_file import read_file
from engine.errors import ConfigError, DataError, StorageError
from engine.limits import FileLimits

HEADER = b"Date,Open,High,Low,Close,Volume\n"
ROW = b"2024-01-02,2,4,1,3,10\n"
PRICES = {title: [2.0] * 4 for title in ("open", "high", "low", "close")}
DAYS = [1_704_153_600 + 86_400 * i for i in range(4)]


def _csv(n: int) -> bytes:
    rows = [b"2024-01-%02d,2.5,4.25,1.5,3.125,10\n" % (i + 1) for i in range(n)]
    return HEADER + b"".join(rows)


def _parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def _packed(pieces: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join([packer.compress(piece) for piece in pieces]) + packer.flush()


GOOD_PARQUET = _parquet({"time": DAYS, **PRICES})


@pytest.fixture(name="refused")
def refused_fixture(tmp_path: Path) -> Callable[..., str]:
    """Write a file, and return the sentence that refuses it."""

    def call(content: bytes, **limits: int) -> str:
        path = tmp_path / "candles_1d.csv"
        path.write_bytes(content)
        options = ReadOptions(limits=FileLimits(**limits))
        with pytest.raises(DataError) as caught:
            FileProvider(path, options).read("X", None, "refuse")
        sentence = str(caught.value)
        assert sentence.startswith("candles_1d.csv")
        assert str(tmp_path) not in sentence
        assert "\n" not in sentence
        assert caught.value.__cause__ is None
        return sentence

    return call


Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\r\n", "has no header"),
        (HEADER, "has no rows under its header"),
        (HEADER + b"\n\n\n", "has no rows under its header"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(HEADER, mtime=0), "has no rows under its header"),
        (
            _parquet({"time": pa.array([], pa.int64()), **dict.fromkeys(PRICES, pa.nulls(0))}),
            "has no rows",
        ),
    ],
)
def test_nothing_in_it(content: bytes, words: str, refused: Refused) -> None:
    """A file without rows says what it lacks."""
    assert words in refused(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "a ZIP archive or a spreadsheet; unpack it"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "a spreadsheet; save it as CSV"),
        (b"ARROW1\0\0" + bytes(100), "an Arrow file"),
        (b"BZh91AY&SY" + bytes(100), "bzip2"),
        (b"\xfd7zXZ\0" + bytes(100), "xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd"),
        (gzip.compress(gzip.compress(_csv(9), mtime=0), mtime=0), "packed with gzip twice"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not a text file"),
        (random.Random(1).randbytes(5000), "is not a text file"),  # noqa: S311  # rubbish
        (bytes(5000), "is not a CSV file"),
        (b"\xff\xfe\x00", "is not a text file in UTF-16"),
        (b"\xff\xfeD\0a\0\x00\xd8", "is not a text file in UTF-16"),
        ("Date,Öffnung\n".encode("latin-1"), "is not a text file in UTF-8"),
        (b"{}\n", "lacks the columns time, open, high, low, close"),
        (b"<html><body>404</body></html>\n", "lacks the columns"),
    ],
)  # fmt: skip
def test_something_else(content: bytes, words: str, refused: Refused) -> None:
    """What is neither CSV nor Parquet is told to be so, and where possible what it is."""
    assert words in refused(content)


@pytest.mark.parametrize("content", [_csv(200), GOOD_PARQUET], ids=["csv", "parquet"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_gzip(content: bytes, kept: float, refused: Refused) -> None:
    """Packed data that ends too early is cut short, not a shorter file."""
    packed = gzip.compress(content, mtime=0)
    assert "cut short" in refused(packed[: int(len(packed) * kept)])


def test_damaged_gzip(refused: Refused) -> None:
    """Packed data with a wrong byte, a wrong checksum or rubbish behind it is damaged."""
    packed = bytearray(gzip.compress(_csv(20), mtime=0))
    packed[-6] ^= 1
    assert "is damaged: it cannot be unpacked" in refused(bytes(packed))
    assert "is damaged" in refused(b"\x1f\x8b" + bytes(50))
    assert "followed by rubbish" in refused(gzip.compress(_csv(20), mtime=0) + b"rubbish")


@pytest.mark.parametrize("tail", [b"", bytes(700)])
def test_gzip_of_several_parts(tail: bytes, tmp_path: Path) -> None:
    """Packed parts one after the other are one file, and zeros may pad its end."""
    content = _csv(20)
    path = tmp_path / "X.csv"
    path.write_bytes(
        b"".join(gzip.compress(content[i : i + 100], mtime=0) for i in range(0, len(content), 100))
        + tail
    )
    assert len(read_file(path, ReadOptions()).row) == 20


def test_gzip_of_endless_parts(refused: Refused) -> None:
    """A file of nothing but empty packed parts is given up."""
    assert "more than 65,536 packed parts" in refused(gzip.compress(b"", mtime=0) * 70_000)


@pytest.mark.parametrize(
    "pieces",
    [
        [HEADER, *[ROW * 50_000] * 5],
        [HEADER, *[b"\n" * 2**20] * 5],
        [b"PAR1", *[bytes(2**20)] * 5],
    ],
    ids=["rows", "lines", "parquet"],
)
def test_zip_bomb(pieces: list[bytes], refused: Refused) -> None:
    """A packed file that unfolds beyond the bound is refused there."""
    assert "unpacks to more than 4 MiB" in refused(_packed(pieces), max_unpacked_bytes=4 * 2**20)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_too_many_rows(pack: Callable[[bytes], bytes], refused: Refused) -> None:
    """A text file with more rows than the bound is refused while it is read."""
    assert "has more than 19 rows" in refused(pack(_csv(20)), max_rows=19)
    assert "has more than 19 rows" in refused(pack(HEADER + b"1\n" * 20), max_rows=19)


def test_as_many_rows_as_allowed(tmp_path: Path) -> None:
    """As many rows as the bound are not too many."""
    path = tmp_path / "X.csv"
    path.write_bytes(_csv(20))
    assert len(read_file(path, ReadOptions(limits=FileLimits(max_rows=20))).row) == 20


@pytest.mark.parametrize("end", [b"\n", b"\r"])
@pytest.mark.parametrize("n_bytes", [70_000, 3_000_000])
@pytest.mark.parametrize("row", [1, 7, 60_000])
def test_long_line(row: int, n_bytes: int, end: bytes, refused: Refused) -> None:
    """A line beyond the bound is refused by its row, however long it is."""
    content = HEADER + ROW * (row - 1) + ROW[:-1] + b"0" * n_bytes + b"\n" + ROW
    sentence = refused(content.replace(b"\n", end))
    assert sentence.endswith(f"row {row} is longer than 64 KiB")


def test_long_header(refused: Refused) -> None:
    """A first line beyond the bound is no header."""
    assert "is not a CSV file with a header line" in refused(HEADER[:-1] + b"," * 70_000)


def test_row_that_is_no_text(refused: Refused) -> None:
    """A byte that is no text is refused by its row, read column or not, ragged or not."""
    for row in (b"2024-01-02,2,4,1,3,\xff\n", b"2024-01-02\xff\n", b"\xe9,2,4,1,3,10\n"):
        assert refused(_csv(4) + b"\n" + row + ROW).endswith("row 5 is not text in UTF-8")


@pytest.mark.parametrize("opening", [b'"', b'"a, b'])
def test_open_quote(opening: bytes, refused: Refused) -> None:
    """A quote that swallows the following rows is refused by its row."""
    note = HEADER[:-1] + b",Note\n" + b"".join(ROW[:-1] + b',"ok, ""so"""\n' for _ in range(3))
    sentence = refused(note + ROW[:-1] + b"," + opening + b"\n" + ROW * 3)
    assert sentence.endswith("row 4 opens a quote that its line does not close")


def test_long_cells(refused: Refused) -> None:
    """A cell that is too long for a number or a time is none."""
    bad = ROW.replace(b",3,", b"," + b"3" * 65 + b",")
    assert "not above zero (1 row, first 2)" in refused(
        _csv(1) + bad.replace(b"-02", b"-03") + _csv(9)[len(_csv(4)) :]
    )
    long_time = ROW.replace(b"2024-01-02", b"2024-01-02" + b" " * 60)
    assert "cannot be read (1 row, first 2)" in refused(
        _csv(1) + long_time + _csv(9)[len(_csv(4)) :]
    )


@pytest.mark.parametrize("kept", [4, 11, 12, 100, len(GOOD_PARQUET) // 2, len(GOOD_PARQUET) - 1])
def test_truncated_parquet(kept: int, refused: Refused) -> None:
    """A Parquet file without its end is cut short."""
    assert "is damaged or cut short: it does not end as Parquet does" in refused(
        GOOD_PARQUET[:kept]
    )


def test_parquet_with_a_wrong_byte(tmp_path: Path) -> None:
    """Whatever byte is wrong, what is told is for a person, without the library's words."""
    path = tmp_path / "candles_1d.parquet"
    content = _parquet({"time": DAYS, **PRICES}, compression="gzip")
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
    assert "has more than 3 rows: 4" in refused(GOOD_PARQUET, max_rows=3)
    wide = _parquet({"time": DAYS, **PRICES, **{f"c{i}": DAYS for i in range(60)}})
    assert "has more than 64 columns: 65" in refused(wide)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}])
def test_parquet_column_that_unfolds(options: dict[str, Any], refused: Refused) -> None:
    """A column whose pages unfold beyond the bound is not unpacked."""
    text = pa.array([f"{i}" + "x" * 2**18 for i in range(4)])
    content = _parquet({"time": text, **PRICES}, **options)
    sentence = refused(content, max_unpacked_bytes=2**20)
    assert sentence.endswith("the column for time unpacks to more than 1 MiB")


def test_parquet_of_one_long_text(refused: Refused) -> None:
    """A long text that stands once and is meant many times is read once, as no time."""
    n = 20_000
    once = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * 2**20]))
    prices = {title: [2.0] * n for title in PRICES}
    content = _parquet({"time": once, **prices}, store_schema=False)
    assert len(content) < 2**20
    assert "time column is in no known layout" in refused(content)


def test_parquet_of_text_differences(refused: Refused) -> None:
    """Texts stored as differences, which unfold without bound, are refused."""
    content = _parquet(
        {"time": ["2024-01-02"] * 4, **PRICES},
        use_dictionary=False,
        column_encoding={"time": "DELTA_BYTE_ARRAY"},
    )
    assert "the column for time is stored as differences of texts" in refused(content)


def test_no_regular_files(tmp_path: Path) -> None:
    """A folder, a pipe and a device are refused at once, by name."""
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "it is no regular file"),
        (Path("/dev/zero"), "it is no regular file"),
    ):
        with pytest.raises(DataError, match=f"{path.name} cannot be read: {words}"):
            read_file(path, ReadOptions())


@pytest.mark.parametrize("name", ["gone.csv", "a/b.csv", "x" * 300, "a\0b.csv"])
def test_names_of_no_file(name: str, tmp_path: Path) -> None:
    """A name of nothing, or one that nothing can have, is refused."""
    with pytest.raises(DataError):
        read_file(tmp_path / name, ReadOptions())


def test_link(tmp_path: Path) -> None:
    """A link to a file is that file, and a link to nothing or to itself is none."""
    (tmp_path / "X.csv").write_bytes(_csv(5))
    for name, target in (("good", "X.csv"), ("gone", "Y.csv"), ("loop", "loop")):
        (tmp_path / name).symlink_to(tmp_path / target)
    assert len(read_file(tmp_path / "good", ReadOptions()).row) == 5
    for name in ("gone", "loop"):
        with pytest.raises(DataError, match=name):
            read_file(tmp_path / name, ReadOptions())


SEEDS = [
    _csv(9),
    _csv(9).replace(b",", b";").replace(b".", b","),
    _csv(9).decode().encode("utf-16"),
    b"<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>\n%b" % (b"20240102,093000,2,4,1,3\n" * 2),
    b"".join(b"%d,2,4,1,3,10,%d,1,1,1,1,0\n" % (s * 1000, s * 1000) for s in DAYS),
    b'"01/13/2024","1,234.5","2,345.0","1,000.0","1,500.25"\n'.join(
        [b"Date,Open,High,Low,Close\n", b""]
    ),
    GOOD_PARQUET,
    _parquet({"time": [f"2024-01-0{i}" for i in range(1, 5)], **PRICES}, compression="zstd"),
    gzip.compress(_csv(9), mtime=0),
    gzip.compress(GOOD_PARQUET, mtime=0),
]
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b",", b";", b'"', b"\n", b"\r", b".", b"-", b"1,234", b"9" * 20, b"nan",
                     b"1.7976931348623157e308", b"0000-01-01", b"9999-12-31", b"+14:00", b"\0"]),
)  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 9))] = draw(PIECES)
    return bytes(content[: draw(st.sampled_from([None, len(content) // 2]))])


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@settings(max_examples=400, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=400), mutations(), mutations()),
    timezone=st.sampled_from(["UTC", "America/New_York", "Nowhere"]),
    decimal=st.sampled_from([None, ".", ","]),
    on_bad_rows=st.sampled_from(["refuse", "drop"]),
)
def test_any_bytes(
    content: bytes, timezone: str, decimal: str | None, on_bad_rows: str, folder: Path
) -> None:
    """Whatever a file holds, it gives candles or a sentence."""
    path = folder / "any_1d.csv"
    path.write_bytes(content)
    try:
        dataset = FileProvider(path, ReadOptions(timezone=timezone, decimal=decimal)).read(
            "X", None, on_bad_rows
        )
    except (DataError, ConfigError) as fault:
        sentence = str(fault)
        assert sentence.startswith(("any_1d.csv", "tz: "))
        assert str(folder) not in sentence
        assert "\n" not in sentence
    else:
        assert isinstance(dataset, Dataset)
        assert len(dataset.candles) > 0
