"""Files of candles as bytes, to be damaged."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PRICES = {title: [2.0] * 4 for title in ("open", "high", "low", "close")}
DAYS = [1_704_153_600 + 86_400 * i for i in range(4)]


def parquet_of(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


GOOD_PARQUET = parquet_of({"time": DAYS, **PRICES})
Refused = Callable[..., str]
