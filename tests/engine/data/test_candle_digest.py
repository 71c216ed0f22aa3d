"""The digest of candles: the same for the same data however written, another for any change."""

import dataclasses
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.config import RunConfig
from engine.data import Dataset, FileProvider, ReadOptions, load
from engine.identity import candle_digest
from engine.limits import Limits
from engine.pipeline import RunContext, prepare
from engine.records import Candles

Read = Callable[..., Dataset]
START_MS = 1_578_268_800_000
DAY_MS = 86_400_000


def _candles(**replaced: object) -> Candles:
    candles = Candles(
        "X",
        "1d",
        np.array([START_MS, START_MS + DAY_MS]),
        np.array([2.0, 2.5]),
        np.array([3.0, 3.5]),
        np.array([1.0, 1.5]),
        np.array([2.25, 0.1]),
        volume=np.array([10.0, 0.0]),
        vwap=np.array([2.1, 2.2]),
        gap_flag=np.array([False, True]),
    )
    return dataclasses.replace(candles, **replaced)  # type: ignore[arg-type]  # any one field


COLUMNS = ("ts", "open", "high", "low", "close", "volume", "vwap", "gap_flag")


@pytest.mark.parametrize(
    "absent", [(), ("volume",), ("vwap",), ("volume", "vwap"), ("volume", "vwap", "gap_flag")]
)
def test_layout(absent: tuple[str, ...]) -> None:
    """The digest is that of a JSON header and of the columns as little-endian numbers."""
    candles = _candles(**dict.fromkeys(absent))
    present = [name for name in COLUMNS if name not in absent]
    names = ",".join(f'"{name}"' for name in present)
    data = f'{{"bars":2,"columns":[{names}],"symbol":"X","timeframe":"1d"}}\n'.encode()
    kinds = {"ts": "<2q", "gap_flag": "<2B"}
    for name in present:
        data += struct.pack(kinds.get(name, "<2d"), *getattr(candles, name).tolist())
    assert candle_digest(candles) == hashlib.sha256(data).hexdigest()


def test_fixed_digest() -> None:
    """Two bars keep the digest that was worked out by hand."""
    candles = _candles(volume=None, vwap=None, gap_flag=np.array([False, False]))
    text = (
        '{"bars":2,"columns":["ts","open","high","low","close","gap_flag"],'
        '"symbol":"X","timeframe":"1d"}\n'
    )
    hexadecimal = (
        "00b426786f010000" + "00104d7d6f010000"  # 2020-01-06, 2020-01-07
        "0000000000000040" + "0000000000000440"  # 2, 2.5
        "0000000000000840" + "0000000000000c40"  # 3, 3.5
        "000000000000f03f" + "000000000000f83f"  # 1, 1.5
        "0000000000000240" + "9a9999999999b93f"  # 2.25, 0.1
        "0000"
    )
    data = text.encode() + bytes.fromhex(hexadecimal)
    assert candle_digest(candles) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("bar", [0, 1])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_value_counts(name: str, bar: int) -> None:
    """A change of any value in its last bit changes the digest."""
    changed = getattr(_candles(), name).copy()
    if changed.dtype == np.float64:
        changed[bar] = np.nextafter(changed[bar], 9.0)
    else:
        changed[bar] = not changed[bar] if name == "gap_flag" else changed[bar] + 1
    assert candle_digest(_candles(**{name: changed})) != candle_digest(_candles())


@pytest.mark.parametrize(
    "replaced",
    [
        {"symbol": "Y"},
        {"timeframe": "1w"},
        {"timezone": "Asia/Tokyo"},
        {"volume": None},
        {"vwap": None},
        {"gap_flag": None},
    ],
)
def test_every_name_counts(replaced: dict[str, object]) -> None:
    """Another symbol, timeframe or time zone, or a column that is missing, changes the digest."""
    assert candle_digest(_candles(**replaced)) != candle_digest(_candles())


def test_unknown_volume_is_not_zero() -> None:
    """A volume that is unknown has another digest than one of zeros."""
    zeros = _candles(volume=np.zeros(2))
    assert candle_digest(_candles(volume=None)) != candle_digest(zeros)


def test_swapped_columns() -> None:
    """The same numbers under other titles have another digest."""
    plain = _candles()
    swapped = _candles(open=plain.close, close=plain.open)
    assert candle_digest(swapped) != candle_digest(plain)


ROWS = [("2020-01-13", 2.0, 10), ("2020-01-14", 2.5, 0), ("2020-01-15", 1228.099976, 20)]
SPELLINGS = {
    "other_title_and_order": "Volume,Close,Low,High,Open,Timestamp\n"
    + "".join(f"{v},{p},{p},{p},{p},{d}\n" for d, p, v in ROWS),
    "quoted_with_crlf": '"DATE","OPEN","HIGH","LOW","CLOSE","VOLUME"\r\n'
    + "".join(f'"{d}","{p}","{p}","{p}","{p}","{v}"\r\n' for d, p, v in ROWS),
    "newest_first": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"{d},{p},{p},{p},{p},{v}\n" for d, p, v in reversed(ROWS)),
    "other_numbers": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"{d},{p:.9e},{p:.12f},+{p},{p}000,{v}.0\n" for d, p, v in ROWS),
    "negative_zero": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"{d},{p},{p},{p},{p},{v or '-0'}\n" for d, p, v in ROWS),
    "american_dates": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"1/{d[-2:]}/2020,{p},{p},{p},{p},{v}\n" for d, p, v in ROWS),
    "with_offset": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"{d}T05:30:00+05:30,{p},{p},{p},{p},{v}\n" for d, p, v in ROWS),
    "duplicate": "Date,Open,High,Low,Close,Volume\n"
    + "".join(f"{d},{p},{p},{p},{p},{v}\n" * 2 for d, p, v in ROWS),
    "further_columns": "Date,Open,High,Low,Close,Volume,Note\n"
    + "".join(f"{d},{p},{p},{p},{p},{v},x\n" for d, p, v in ROWS),
    "unused_adjusted_close": "Date,Open,High,Low,Close,Volume,Adj Close\n"
    + "".join(f"{d},{p},{p},{p},{p},{v},1\n" for d, p, v in ROWS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling_does_not_count(spelling: str, tmp_path: Path) -> None:
    """The same data in a file of another form and name has the same digest."""
    plain = "Date,Open,High,Low,Close,Volume\n" + "".join(
        f"{d},{p},{p},{p},{p},{v}\n" for d, p, v in ROWS
    )
    digests = []
    for name, text in (("one.csv", plain), ("another.csv", SPELLINGS[spelling])):
        (tmp_path / name).write_bytes(text.encode())
        provider = FileProvider(tmp_path / name)
        digests.append(candle_digest(load(RunConfig(symbol="X"), provider, Limits()).candles))
    assert digests[0] == digests[1]


def test_adjustment_counts(tmp_path: Path) -> None:
    """The digest is that of the prices the run uses, after adjustment."""
    path = tmp_path / "X.csv"
    rows = "".join(f"{d},{p},{p},{p},{p},{v},1\n" for d, p, v in ROWS)
    path.write_text(f"Date,Open,High,Low,Close,Volume,Adj Close\n{rows}", encoding="utf-8")
    digests = {
        candle_digest(
            load(
                RunConfig.model_validate({"symbol": "X", "adjust": adjust}),
                FileProvider(path),
                Limits(),
            ).candles
        )
        for adjust in ("none", "split_dividend")
    }
    assert len(digests) == 2


def test_time_zone_that_changes_a_result(tmp_path: Path) -> None:
    """Two runs whose years have another number of bars do not have the same hash."""
    path = tmp_path / "X.csv"
    times = ["2020-01-06T23:00Z", "2020-01-07T00:00Z", "2020-01-07T01:00Z"]
    rows = "".join(f"{time},2,3,1,2,10\n" for time in times)
    path.write_text(f"Date,Open,High,Low,Close,Volume\n{rows}", encoding="utf-8")
    raw = {"symbol": "X", "timeframe": "1h"}
    runs = [
        prepare(raw, RunContext(provider=FileProvider(path, ReadOptions(timezone=timezone))))
        for timezone in ("UTC", "America/New_York")
    ]
    periods = [run.loaded.periods_per_year.value for run in runs]
    assert periods == [252 * 1.5, 252 * 3]
    assert runs[0].identity.run_hash != runs[1].identity.run_hash
