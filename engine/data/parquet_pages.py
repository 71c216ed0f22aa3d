"""What a Parquet file's pages claim to hold, read before any of them is unpacked.

pyarrow would tell, but a footer that contradicts itself ends the process there, and a page may
unpack to more than the footer says. Both are written in Thrift's compact protocol.
"""

import io
from dataclasses import dataclass
from typing import IO, Any

from engine.errors import DataError
from engine.wording import size_in_words

END = b"PAR1"
MAX_FOOTER_BYTES = 4 * 2**20
MAX_HEADER_BYTES = 65_536
MAX_PAGES = 100_000
MAX_DEPTH = 16
MAX_STRUCTURES = 250_000  # each stands for many times its one byte; 64 columns take six a row group
ROW_GROUPS, COLUMNS, METADATA = 4, 1, 3  # fields of FileMetaData, RowGroup, ColumnChunk
PACKED_SIZE, DATA_AT, DICTIONARY_AT = 7, 9, 11  # fields of ColumnMetaData
PAGE_UNPACKED, PAGE_PACKED = 2, 3  # fields of PageHeader
# Fields of PageHeader for data, dictionary and newer data pages, and their fields of encoding.
ENCODINGS = {5: 2, 7: 2, 8: 4}
DELTA_BYTE_ARRAY = 7
Fields = dict[int, Any]


@dataclass(frozen=True, slots=True)
class ColumnPages:
    """The pages of a column, together: bytes once unpacked, and the encodings in use."""

    unpacked_bytes: int
    encodings: frozenset[int]


class Pages:
    """The pages of a Parquet file, by the number of the column.

    Raises
        DataError where the file does not end as Parquet does, here or where pages are asked for.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._n_pages = 0
        self._size = file.seek(0, io.SEEK_END)
        file.seek(max(self._size - 8, 0))
        tail = file.read(8)
        n_bytes = int.from_bytes(tail[:4], "little")
        if self._size < 12 or tail[4:] != END or n_bytes > self._size - 12:
            raise self._damaged("it does not end as Parquet does")
        if n_bytes > MAX_FOOTER_BYTES:
            most = size_in_words(MAX_FOOTER_BYTES)
            raise DataError(f"{name} has a footer of more than {most}")
        file.seek(self._size - 8 - n_bytes)
        self._row_groups = self._fields(file.read(n_bytes))[0].get(ROW_GROUPS, [])

    def column(self, index: int) -> ColumnPages:
        """Return what the pages of a column claim, over all row groups."""
        n_bytes, encodings = 0, set()
        try:
            for group in self._row_groups:
                metadata = group[COLUMNS][index][METADATA]
                start = metadata[DATA_AT]
                dictionary = metadata.get(DICTIONARY_AT, 0)
                if dictionary > 0 and not 0 < start < dictionary:  # an empty group may have 0
                    start = dictionary
                end = start + metadata[PACKED_SIZE]
                while start < end:
                    header, length = self._header(start)
                    start += length + header[PAGE_PACKED]
                    n_bytes += header[PAGE_UNPACKED]
                    encodings |= {
                        header[field][at] for field, at in ENCODINGS.items() if field in header
                    }
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._damaged("its footer contradicts itself") from None
        return ColumnPages(n_bytes, frozenset(encodings))

    def _header(self, start: int) -> tuple[Fields, int]:
        self._n_pages += 1
        if self._n_pages > MAX_PAGES:
            raise DataError(f"{self._name} has more than {MAX_PAGES:,} pages")
        if not 0 < start < self._size:
            raise self._damaged("it has a page beyond its end")
        self._file.seek(start)
        header, length = self._fields(self._file.read(MAX_HEADER_BYTES))
        if min(header[PAGE_PACKED], header[PAGE_UNPACKED]) < 0:
            raise self._damaged("it has a page of less than nothing")
        return header, length

    def _fields(self, data: bytes) -> tuple[Fields, int]:
        """Return the fields of a structure by number, and the bytes that it takes."""
        reader = _Compact(data)
        try:
            return reader.structure(0), reader.at
        except (IndexError, ValueError):
            raise self._damaged("its footer or a page cannot be read") from None

    def _damaged(self, why: str) -> DataError:
        return DataError(f"{self._name} is damaged or cut short: {why}")


class _Compact:
    """A reader of Thrift's compact protocol; IndexError or ValueError where it is broken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._n_structures = 0
        self.at = 0

    def structure(self, depth: int) -> Fields:
        self._n_structures += 1
        if self._n_structures > MAX_STRUCTURES:
            raise ValueError
        fields: Fields = {}
        number = 0
        while head := self._byte():
            step = head >> 4
            number = number + step if step else self._signed()
            kind = head & 15
            fields[number] = kind == 1 if kind in {1, 2} else self._value(kind, depth + 1)
        return fields

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, n_bytes: int) -> None:
        self.at += n_bytes
        if self.at > len(self._data):
            raise ValueError

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError
        value: Any = None  # of what is not needed: floating point, text, maps
        match kind:
            case 1 | 2 | 3:
                value = self._byte()
            case 4 | 5 | 6:
                value = self._signed()
            case 7:
                self._skip(8)
            case 8:
                self._skip(self._unsigned())
            case 9 | 10:
                head = self._byte()
                n_values = head >> 4 if head >> 4 < 15 else self._unsigned()
                value = [self._value(head & 15, depth + 1) for _ in range(n_values)]
            case 11:
                n_pairs = self._unsigned()
                kinds = self._byte() if n_pairs else 0
                for _ in range(n_pairs):
                    self._value(kinds >> 4, depth + 1)
                    self._value(kinds & 15, depth + 1)
            case 12:
                value = self.structure(depth)
            case _:
                raise ValueError
        return value
