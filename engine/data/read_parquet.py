"""Parquet files of candles to columns, checked by their footer before anything is unpacked."""

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config import DAY_MS
from engine.data.columns import as_floats, as_numpy, is_null, is_number, joined
from engine.data.layouts import find_places
from engine.data.parquet_pages import DELTA_BYTE_ARRAY, Pages
from engine.data.raw import NumericTimes, RawTable
from engine.data.timestamps import join_clock
from engine.errors import DataError
from engine.limits import FileLimits
from engine.wording import counted, size_in_words

if TYPE_CHECKING:
    from engine.records import Floats

BATCH_ROWS = 65_536
TIMES = ("time", "clock")
TEXT = r"(?s)^.{0,64}$"  # longer ones are no times
MS_PER_UNIT = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError)


def read_parquet(
    file: IO[bytes], name: str, *, date_format: str | None = None, limits: FileLimits
) -> RawTable:
    """Return the candle columns of a Parquet file, and nothing else of it.

    Parameters
        file: seekable
        name: the file's, for messages
        date_format: where given, dates and times of two columns are joined as they are
    Raises
        DataError where the file is damaged, lacks a column, holds one of the wrong type, or goes
        beyond ``limits``.
    """
    pages = Pages(file, name)
    try:
        footer = pq.ParquetFile(file)
        paths = _checked_paths(footer, pages, name, limits)
        times: dict[str, list[pa.Array]] = {title: [] for title in TIMES if title in paths}
        numbers: dict[str, list[Floats]] = {title: [] for title in paths if title not in TIMES}
        n_rows = 0
        for batch in _batches(file, footer, paths):
            n_rows += batch.num_rows
            if n_rows > limits.max_rows:
                most = counted(limits.max_rows, "row")
                raise DataError(f"{name} has more than {most} (max_import_rows)")
            for title, path in paths.items():
                cells = batch.column(batch.schema.get_field_index(path))
                if title in numbers:
                    numbers[title].append(as_floats(cells))
                else:
                    is_text = "clock" in paths or not _is_moment(cells.type)
                    times[title].append(_text(cells) if is_text else cells)
        if not n_rows:
            raise DataError(f"{name} has no rows")
        # Each is given up as soon as it is joined: together they would be there twice.
        columns = {title: np.concatenate(numbers.pop(title)) for title in list(numbers)}
        time = joined(times.pop("time"))
        if "clock" in times:
            clock = joined(times.pop("clock"))
            time = join_clock(time, clock, as_they_are=date_format is not None)
        return RawTable(
            name=name,
            times=_moments(time) if _is_moment(time.type) else time,
            columns=columns,
            row=np.arange(1, n_rows + 1),
            ragged=(),
        )
    except FAULTS as fault:
        raise DataError(f"{name} cannot be read as Parquet: {_in_words(fault)}") from None


def _in_words(fault: Exception) -> str:
    """Return why pyarrow gave up, without its words for it."""
    if isinstance(fault, MemoryError):
        return "there is not enough memory to unpack it"
    if isinstance(fault, NotImplementedError):
        return "it uses a part of the format that is not supported"
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.strerror or "the file cannot be read"
    return "its contents are damaged, or encrypted"


def _checked_paths(
    footer: pq.ParquetFile, pages: Pages, name: str, limits: FileLimits
) -> dict[str, str]:
    """Return the name of each title's column, once what the file claims is within bounds."""
    metadata, schema = footer.metadata, footer.schema_arrow
    if metadata.num_rows > limits.max_rows:
        most = counted(limits.max_rows, "row")
        raise DataError(f"{name} has {metadata.num_rows:,}, more than {most} (max_import_rows)")
    if metadata.num_columns > limits.max_columns:
        raise DataError(
            f"{name} has more than {limits.max_columns} columns: {metadata.num_columns:,}"
        )
    paths = {title: schema.names[at] for title, at in find_places(name, schema.names).items()}
    leaves = [footer.schema.column(index).path for index in range(metadata.num_columns)]
    for title, path in paths.items():
        kind = schema.field(schema.get_field_index(path)).type
        if not (_is_time(kind) if title in TIMES else is_number(kind)):
            wanted = "times" if title in TIMES else "numbers"
            raise DataError(f"{name}: the column for {title} holds {kind}, not {wanted}")
        if leaves.count(path) != 1 or any(leaf.startswith(f"{path}.") for leaf in leaves):
            raise DataError(f"{name} has two columns for {title}")
        column = pages.column(leaves.index(path))
        if column.unpacked_bytes > limits.max_unpacked_bytes:
            size = size_in_words(limits.max_unpacked_bytes)
            raise DataError(f"{name}: the column for {title} unpacks to more than {size}")
        # There each text is told by the one before it: a few bytes can stand for gigabytes.
        if DELTA_BYTE_ARRAY in column.encodings:
            raise DataError(
                f"{name}: the column for {title} is stored as differences of texts; "
                "save it with another encoding"
            )
    return paths


def _batches(
    file: IO[bytes], footer: pq.ParquetFile, paths: dict[str, str]
) -> Iterator[pa.RecordBatch]:
    parquet = pq.ParquetFile(
        file,
        metadata=footer.metadata,
        # Texts stay numbers into a list of the different ones until their length is known.
        read_dictionary=[path for title, path in paths.items() if title in TIMES],
        coerce_int96_timestamp_unit="ms",
        pre_buffer=False,
    )
    yield from parquet.iter_batches(BATCH_ROWS, columns=list(paths.values()), use_threads=False)


def _is_time(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_epoch = types.is_integer(kind) or types.is_floating(kind)
    return bool(is_text or is_epoch or _is_moment(kind) or types.is_time(kind))


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _moments(cells: pa.Array) -> NumericTimes:
    kind = cells.type
    factor, divisor = 1, 1
    if pa.types.is_date32(kind):
        cells, factor = cells.cast(pa.int32()), DAY_MS
    elif pa.types.is_timestamp(kind):
        factor, divisor = MS_PER_UNIT[kind.unit]
    values = as_numpy(cells.cast(pa.int64()))
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    return NumericTimes(values * factor // divisor, is_null(cells), zoned)


def _text(cells: pa.Array) -> pa.Array:
    """Return times as text, which the rules for text are then for; null where too long."""
    if pa.types.is_dictionary(cells.type):
        return _text(cells.dictionary).take(cells.indices)
    if pa.types.is_floating(cells.type):
        cells = cells.cast(pa.float64())
        whole = pc.and_(pc.is_finite(cells), pc.equal(cells, pc.floor(cells)))
        cells = pc.if_else(whole, cells, pa.nulls(len(cells), pa.float64())).cast(pa.int64())
    if pa.types.is_timestamp(cells.type):
        # A date that is stored as its midnight.
        return pc.replace_substring_regex(cells.cast(pa.string()), r" 00:00:00(\.0*)?$", "")
    text = cells.cast(pa.string())
    fits = pc.match_substring_regex(text, TEXT)
    return pc.if_else(fits, text, pa.nulls(len(text), pa.string()))
