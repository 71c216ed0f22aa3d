"""Files that stand for far more than they are: refused, or taken for no more than their rows."""

import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Server = Any
ANY = {"Content-Type": "application/octet-stream"}
HEADER = b"Date,Open,High,Low,Close\n"
PRICES = ("open", "high", "low", "close")
MB = 1 << 20
GOOD = HEADER + b"".join(b"2024-01-%02d,1,2,1,2\n" % day for day in range(1, 10))


def many_times(content: bytes, n: int, first: bytes = b"") -> bytes:
    """Return a gzip file of ``n`` members, which unfolds to gigabytes and is made of one."""
    return gzip.compress(first) + gzip.compress(content) * n


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **({"store_schema": False} | options))
    return file.getvalue()


def repeated(value: Any, n: int) -> pa.Array:
    """Return a column that holds one value ``n`` times, which takes a few bytes in a file."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, "int32")), pa.array([value]))


def bars(n: int, time: Any) -> bytes:
    prices = dict.fromkeys(PRICES, repeated(2.0, n))
    return parquet({"time": repeated(time, n), **prices}, row_group_size=n)


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def footed(footer: bytes, claimed: int | None = None) -> bytes:
    """Return a Parquet file of nothing but a footer."""
    n_bytes = len(footer) if claimed is None else claimed
    return b"PAR1" + bytes(64) + footer + n_bytes.to_bytes(4, "little") + b"PAR1"


def row_groups(n_claimed: int, content: bytes) -> bytes:
    """Return a footer whose list of row groups claims a length."""
    return b"\x49\xfc" + varint(n_claimed) + content + b"\0"


def long_times() -> bytes:
    """Return a Parquet file of 64 texts of 8 MB each, half a gigabyte in a few kilobytes."""
    text = pa.array([f"{i}".ljust(8 * MB, "x") for i in range(4)])
    groups = [pa.table({"time": text, **dict.fromkeys(PRICES, [2.0] * 4)})] * 16
    file = io.BytesIO()
    with pq.ParquetWriter(file, groups[0].schema, compression="zstd", store_schema=False) as writer:
        for group in groups:
            writer.write_table(group)
    return file.getvalue()


BOMBS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "4 GB of zeros": lambda: (many_times(bytes(64 * MB), 64), "not a CSV file"),
    "4 GB of lines": lambda: (many_times(b"\n" * 64 * MB, 64, HEADER), "more than 256 MiB"),
    "4 GB in a line": lambda: (many_times(b"1" * 64 * MB, 64, HEADER), "longer than 64 KiB"),
    "4 GB of a packed Parquet": lambda: (many_times(bytes(64 * MB), 64, b"PAR1"), "more than 256 MiB"),
    "packed twice": lambda: (gzip.compress(many_times(bytes(64 * MB), 64)), "gzip twice"),
    "packed ten times": lambda: (packed_often(10), "gzip twice"),
    "a million empty parts": lambda: (gzip.compress(b"", 1) * 1_000_000, "65,536 packed parts"),
    "a row too many": lambda: (bars(5_000_001, "2024-01-02"), "more than 5,000,000 rows"),
    "65 columns": lambda: (parquet({f"c{i}": [1] for i in range(65)}), "more than 64 columns"),
    "a footer of 4 GB": lambda: (footed(b"x" * 100, 2**32 - 1), "does not end as Parquet does"),
    "a footer of 5 MB": lambda: (footed(bytes(5 * MB)), "footer of more than 4 MiB"),
    "4 million row groups": lambda: (footed(row_groups(4_000_000, bytes(4_000_000))), "cannot be read"),
    "2⁶⁰ row groups": lambda: (footed(row_groups(2**60, b"")), "cannot be read"),
    "a deep footer": lambda: (footed(b"\x4c" * 100_000), "cannot be read"),
    "half a GB of texts": lambda: (long_times(), "unpacks to more than 256 MiB"),
    "ragged rows": lambda: (gzip.compress(HEADER + b"1\n" * 300_000), "wrong number of cells"),
}  # fmt: skip


def packed_often(n: int) -> bytes:
    content = bytes(64 * MB)
    for _ in range(n):
        content = gzip.compress(content)
    return content


def resident_kb(server: Server, name: str) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0])


def test_files_that_unfold(spawn: Callable[..., Server]) -> None:
    """A small file that stands for gigabytes is refused by name, and takes next to no memory."""
    server = spawn()
    assert server.call("PUT", "/datasets/TEST/1d", GOOD, ANY).status == 201
    listed = server.get("/datasets").json
    for name, make in BOMBS.items():
        content, words = make()
        assert len(content) < 25 * MB, name
        before = resident_kb(server, "VmHWM")
        answer = server.call("PUT", "/datasets/TEST/1d", content, ANY)
        assert (answer.status, answer.code) == (422, "INVALID_DATA"), name
        assert words in answer.json["error"]["message"], name
        assert resident_kb(server, "VmHWM") - before < 64 << 10, name
    assert server.get("/datasets").json == listed
    assert server.call("PUT", "/datasets/TEST/1d", GOOD, ANY).status == 200


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_a_file_beyond_the_cap(serve: Callable[..., Server], kind: str) -> None:
    """A file that is longer than may be imported is a 413, however its length is told."""
    server = serve(max_import_bytes=MB)
    body: Any = b"x" * (MB + 1)
    headers = dict(ANY)
    if kind == "chunks":
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        headers["Content-Type"] = "application/octet-stream"
    with server.socket() as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if kind == "length":
            lines += f"Content-Length: {len(body)}\r\n"
        head = f"PUT /datasets/X/1d HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{lines}"
        connection.sendall(f"{head}Authorization: Bearer {server.token}\r\n\r\n".encode() + body)
        assert connection.recv(13) == b"HTTP/1.1 413 "
    assert server.get("/datasets").json["datasets"][0]["provider"] == "sample"


def test_as_many_rows_as_there_may_be(spawn: Callable[..., Server]) -> None:
    """A file of a few kilobytes that holds very many rows takes what its rows take, no more."""
    server = spawn(STUDIO_MAX_IMPORT_ROWS="1000000")
    assert server.call("PUT", "/datasets/TEST/1d", GOOD, ANY).status == 201
    content = bars(1_000_000, "2024-01-02 10:11:12.123456789+00:00")
    assert len(content) < 100_000
    before = resident_kb(server, "VmHWM")
    answer = server.call("PUT", "/datasets/BIG/1d", content, ANY)
    assert (answer.status, answer.json["bars"]) == (201, 1)  # the others are the same bar again
    assert answer.json["quality"]["counts"] == {"exact_duplicate": 999_999}
    assert resident_kb(server, "VmHWM") - before < 300 << 10
    assert server.get("/health").status == 200
