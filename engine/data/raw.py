"""A candle file's rows as they stand, before anything about them is believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from engine.records import Booleans, Floats, Integers

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, eq=False)
class NumericTimes:
    """Times that a file holds as numbers, so that no text has to be parsed.

    ``ms`` (n,) epoch milliseconds, UTC where ``zoned``, else wall times of the declared zone;
    ``missing`` (n,) where there is no usable time.
    """

    ms: "Integers"
    missing: "Booleans"
    zoned: bool


@dataclass(frozen=True, eq=False)
class RawTable:
    """A file's rows: times as text or numbers, the other columns as float64 (n,).

    A cell that is empty or no number is NaN. ``row`` (n,) counts from 1 under the header;
    ``ragged`` lists the rows that were left out for a wrong number of cells; ``unread`` holds the
    text of the first cells of each column that are no number, by their index.
    """

    name: str
    times: pa.Array | NumericTimes
    columns: dict[str, "Floats"]
    row: "Integers"
    ragged: tuple[int, ...]
    unread: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
