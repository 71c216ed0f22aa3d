"""Imported candles on disk: one Parquet file a data set, with everything about it inside.

One rename replaces a data set, so a reader finds the old one or the new one, never a mixture.
"""

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.arrow import column
from engine.code import canonical_hash, sha256_hex
from engine.data.columns import as_numpy
from engine.data.normalize import Dataset, QualityReport
from engine.durable import move, partial_of, sync_folder
from engine.errors import DataError, StorageError
from engine.identity import candle_digest, json_bytes
from engine.records import SERIES, Candles
from engine.wording import file_name

METADATA = b"studio"
VERSION = 1


def write_dataset(path: Path, dataset: Dataset, source: str) -> None:
    """Put ``dataset`` at ``path``, durably and at once; ``source`` names where it came from.

    Raises
        StorageError where the place is full or cannot be written; what was there stays.
    """
    candles = dataset.candles
    columns: dict[str, Any] = {"ts": candles.ts}
    columns |= {name: getattr(candles, name) for name in SERIES}
    columns["adj_close"] = dataset.adj_close
    present = {name: column(values) for name, values in columns.items() if values is not None}
    metadata: dict[str, Any] = {
        "version": VERSION,
        "symbol": candles.symbol,
        "timeframe": candles.timeframe,
        "timezone": candles.timezone,
        "calendar": dataset.calendar,
        "source": file_name(source),
        "digest": candle_digest(candles),
        "quality": asdict(dataset.report),
        "first_ts": int(candles.ts[0]),
        "last_ts": int(candles.ts[-1]),
        "bars": len(candles),
        "volume_known": candles.volume is not None,
    }
    metadata["adj_close_sha256"] = _sha256(dataset.adj_close)
    metadata["seal"] = canonical_hash(metadata)
    table = pa.Table.from_arrays(list(present.values()), names=list(present))
    partial = partial_of(path)
    try:
        with _new_file(partial) as file:
            with pq.ParquetWriter(
                file, table.schema, compression="zstd", use_dictionary=False, store_schema=False
            ) as writer:
                writer.write_table(table)
                writer.add_key_value_metadata({METADATA: json_bytes(metadata)})
            file.flush()
            os.fsync(file.fileno())
        move(partial, path)
        sync_folder(path.parent)
    except OSError as fault:
        raise StorageError.from_os_error(f"the data set {path.stem}", fault) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _new_file(path: Path) -> Any:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(handle, "wb")


def _sha256(values: Any) -> str | None:
    return None if values is None else sha256_hex(np.ascontiguousarray(values, "<f8").tobytes())


def _sealed(metadata: dict[str, Any]) -> bool:
    """Tell whether what a data set says of itself is what was written."""
    rest = {name: value for name, value in metadata.items() if name != "seal"}
    return canonical_hash(rest) == metadata.get("seal")


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a stored data set says of itself, without reading its bars.

    Raises
        DataError where the file is not one of ours or is damaged.
    """
    return _read(path, with_bars=False)[0]


def _read(path: Path, *, with_bars: bool) -> tuple[dict[str, Any], list[Any]]:
    """Return what a data set says of itself, and its bars, from the file as it was when opened."""
    metadata, batches = None, []
    with (
        contextlib.suppress(pa.ArrowException, OSError, ValueError),  # bad bars, the digest tells
        path.open("rb") as file,
        pq.ParquetFile(file) as table,
    ):
        text = (table.metadata.metadata or {}).get(METADATA)
        metadata = json.loads(text) if text is not None else None
        if with_bars:
            batches = list(table.iter_batches(batch_size=1 << 20, use_threads=False))
    if (
        not isinstance(metadata, dict)
        or metadata.get("version") != VERSION
        or not _sealed(metadata)
    ):
        message = f"{path.name} is damaged or was not written by an import; import it again"
        raise DataError(message)
    return metadata, batches


def read_dataset(path: Path) -> Dataset:
    """Return a stored data set, its bars compared with the digest it was stored with.

    Raises
        DataError where the file is damaged.
    """
    metadata, batches = _read(path, with_bars=True)
    try:
        names = batches[0].schema.names
        columns: dict[str, Any] = {
            name: np.concatenate([as_numpy(batch.column(name)) for batch in batches])
            for name in names
        }
        candles = Candles(
            symbol=metadata["symbol"],
            timeframe=metadata["timeframe"],
            ts=columns["ts"],
            timezone=metadata["timezone"],
            **{name: columns.get(name) for name in SERIES},  # type: ignore[arg-type]  # prices are there
        )
        adj_close = columns.get("adj_close")
        intact = (candle_digest(candles), _sha256(adj_close)) == (
            metadata["digest"],
            metadata["adj_close_sha256"],
        )
        report = QualityReport(**metadata["quality"])
    except (pa.ArrowException, OSError, KeyError, IndexError, TypeError, ValueError):
        intact = False
    if not intact:
        message = f"{path.name} is damaged: its bars are not those that were imported"
        raise DataError(message)
    return Dataset(candles, adj_close, report, metadata["calendar"])
