"""Files that are damaged, too large, hostile or no files: a sentence each, and nothing else."""

import gzip
import os
import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from candle_bytes import DAYS, GOOD_PARQUET, PRICES, Refused, parquet_of
from hypothesis import given, settings, strategies as st

from engine.data import Dataset, FileProvider, ReadOptions
from engine.data.read_file import read_file
from engine.errors import ConfigError, DataError
from engine.limits import FileLimits

HEADER = b"Date,Open,High,Low,Close,Volume\n"
ROW = b"2024-01-02,2,4,1,3,10\n"


def _csv(n: int) -> bytes:
    rows = [b"2024-01-%02d,2.5,4.25,1.5,3.125,10\n" % (i + 1) for i in range(n)]
    return HEADER + b"".join(rows)


def _packed(pieces: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join([packer.compress(piece) for piece in pieces]) + packer.flush()


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
            parquet_of({"time": pa.array([], pa.int64()), **dict.fromkeys(PRICES, pa.nulls(0))}),
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
    parquet_of({"time": [f"2024-01-0{i}" for i in range(1, 5)], **PRICES}, compression="zstd"),
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
