"""The very same candles come back from every layout, and with them the same digest."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from engine.config import TIMEFRAME_MS, RunConfig
from engine.data import FileProvider, load
from engine.identity import candle_digest
from engine.limits import Limits
from engine.records import Candles

TITLES = ("open", "high", "low", "close", "volume")
TOKYO_MS = 9 * 3_600_000


@dataclass(frozen=True)
class Bars:
    """Candles as they are to come back: opening times, and five numbers each."""

    timeframe: str
    ms: list[int]
    rows: list[tuple[float, ...]]


@st.composite
def bars(draw: st.DrawFn) -> Bars:
    timeframe = draw(st.sampled_from(["1m", "1h", "1d"]))
    n = draw(st.integers(3, 12))
    # Binance has none older than 2017; all of it is in the span where an epoch tells its unit.
    start = draw(st.integers(0, 9_000)) * 86_400_000 + 1_500_076_800_000
    price = st.integers(1, 999_990_000).map(lambda tenths_bp: tenths_bp / 10_000)
    rows: list[tuple[float, ...]] = []
    for _ in range(n):
        low, first, last, high = sorted(draw(st.tuples(*[price] * 4)))
        if draw(st.booleans()):
            first, last = last, first
        rows.append((first, high, low, last, float(draw(st.integers(0, 10**9)))))
    return Bars(timeframe, [start + i * TIMEFRAME_MS[timeframe] for i in range(n)], rows)


def _at(ms: int, layout: str) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(layout)


TIME_TEXTS: dict[str, Callable[[int], str]] = {
    "iso": lambda ms: _at(ms, "%Y-%m-%d %H:%M:%S"),
    "iso_utc": lambda ms: _at(ms, "%Y-%m-%dT%H:%M:%SZ"),
    "iso_offset": lambda ms: _at(ms + TOKYO_MS, "%Y-%m-%dT%H:%M:%S+09:00"),
    "slashes": lambda ms: _at(ms, "%Y/%m/%d %H:%M"),
    "dots": lambda ms: _at(ms, "%Y.%m.%d %H:%M"),
    "compact": lambda ms: _at(ms, "%Y%m%d %H%M%S"),
    "s": lambda ms: str(ms // 1000),
    "ms": str,
    "us": lambda ms: str(ms * 1000),
    "ns": lambda ms: str(ms * 1_000_000),
}


def _number(value: float, decimal: str, group: str) -> str:
    """Return a number in a trader's spelling, its thousands grouped where a mark is given."""
    text = f"{value:,.4f}".replace(",", "_").replace(".", decimal)
    return text.replace("_", group)


def plain(
    candles: Bars, time: str, separator: str = ",", decimal: str = ".", group: str = ""
) -> str:
    """Return a plain file of these candles."""
    lines = [["Date", *TITLES]]
    for ms, row in zip(candles.ms, candles.rows, strict=True):
        cells = [_number(value, decimal, group) for value in row]
        quoted = [f'"{cell}"' if separator in cell else cell for cell in cells]
        lines.append([TIME_TEXTS[time](ms), *quoted])
    return "".join(f"{separator.join(line)}\n" for line in lines)


def stooq(candles: Bars) -> str:
    """Return these candles as Stooq's ASCII files have them."""
    lines = ["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"]
    for ms, row in zip(candles.ms, candles.rows, strict=True):
        lines.append(f"X,60,{_at(ms, '%Y%m%d,%H%M%S')},{','.join(map(repr, row))},0")
    return "\n".join(lines)


def binance(candles: Bars, factor: int) -> str:
    """Return these candles as Binance's files have them, in ms or µs."""
    step = TIMEFRAME_MS[candles.timeframe]
    return "".join(
        f"{ms * factor},{','.join(map(repr, row))},{(ms + step) * factor - 1},1,1,1,1,0\n"
        for ms, row in zip(candles.ms, candles.rows, strict=True)
    )


def tradingview(candles: Bars, time: str) -> str:
    """Return these candles as TradingView exports them, with two indicators."""
    lines = ["time,open,high,low,close,Volume,MA,VWAP"]
    for ms, row in zip(candles.ms, candles.rows, strict=True):
        lines.append(f"{TIME_TEXTS[time](ms)},{','.join(map(repr, row))},,NaN")
    return "\r\n".join(lines)


def metatrader(candles: Bars) -> str:
    """Return these candles as MetaTrader exports them."""
    titles = [f"<{title}>" for title in ("DATE", "TIME", *TITLES[:4], "TICKVOL", "VOL", "SPREAD")]
    lines = ["\t".join(title.upper() for title in titles)]
    for ms, (*prices, volume) in zip(candles.ms, candles.rows, strict=True):
        cells = [f"{price:.4f}" for price in prices]
        lines.append("\t".join([_at(ms, "%Y.%m.%d\t%H:%M:%S"), *cells, "7", f"{volume:.0f}", "1"]))
    return "\n".join(lines)


def parquet(candles: Bars, time: str) -> bytes:
    """Return these candles as Parquet, the time of that type."""
    columns = dict(zip(TITLES, map(list, zip(*candles.rows, strict=True)), strict=True))
    file = io.BytesIO()
    pq.write_table(pa.table({"time": PARQUET_TIMES[time](candles.ms), **columns}), file)
    return file.getvalue()


PARQUET_TIMES: dict[str, Callable[[list[int]], pa.Array]] = {
    "timestamp": lambda ms: pa.array(ms, pa.timestamp("ms")),
    "timestamp_ns": lambda ms: pa.array(ms, pa.timestamp("ms")).cast(pa.timestamp("ns")),
    "timestamp_zoned": lambda ms: pa.array(ms, pa.timestamp("ms", "America/New_York")),
    "epoch_s": lambda ms: pa.array([at // 1000 for at in ms]),
    "epoch_ms": pa.array,
    "epoch_us": lambda ms: pa.array([at * 1000 for at in ms]),
    "text": lambda ms: pa.array([TIME_TEXTS["iso"](at) for at in ms]),
    "date32": lambda ms: pa.array(ms, pa.timestamp("ms")).cast(pa.date32(), safe=False),
    "date64": lambda ms: pa.array(ms, pa.timestamp("ms")).cast(pa.date64(), safe=False),
}
SPELLINGS = [
    (separator, decimal, group)
    for separator in ",;\t|"
    for decimal, other in (".,", ",.")
    for group in ("", " ", "'", "\u00a0", other)
]
LAYOUTS: dict[str, Callable[[Bars], str | bytes]] = {
    **{f"plain_{time}": partial(plain, time=time) for time in TIME_TEXTS},
    **{
        f"plain_{number}": partial(plain, time="iso", separator=mark, decimal=point, group=group)
        for number, (mark, point, group) in enumerate(SPELLINGS)
    },
    "stooq": stooq,
    "binance_ms": partial(binance, factor=1),
    "binance_us": partial(binance, factor=1000),
    "tradingview_s": partial(tradingview, time="s"),
    "tradingview_iso": partial(tradingview, time="iso_offset"),
    "metatrader": metatrader,
    "utf_16": lambda candles: plain(candles, "iso", "\t", ",").encode("utf-16"),
    **{f"parquet_{time}": partial(parquet, time=time) for time in PARQUET_TIMES},
}


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


def _write(path: Path, content: str | bytes, *, pack: bool) -> None:
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, mtime=0) if pack else content)


def _slice(path: Path, timeframe: str) -> Candles:
    config = RunConfig.model_validate({"symbol": "X", "timeframe": timeframe})
    return load(config, FileProvider(path), Limits()).candles


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "date" not in name])
@settings(max_examples=5, deadline=None)
@given(candles=bars(), pack=st.booleans())
def test_round_trip(layout: str, candles: Bars, folder: Path, *, pack: bool) -> None:
    """Every layout, packed or not, gives back the same times and numbers, and the same digest."""
    _write(folder / "X", LAYOUTS[layout](candles), pack=pack)
    read = _slice(folder / "X", candles.timeframe)
    assert read.ts.tolist() == candles.ms
    assert read.volume is not None
    columns = (read.open, read.high, read.low, read.close, read.volume)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == candles.rows
    _write(folder / "Y", plain(candles, "iso"), pack=False)
    assert candle_digest(read) == candle_digest(_slice(folder / "Y", candles.timeframe))


THREE = Bars(
    "1d",
    [1_705_276_800_000 + i * 86_400_000 for i in range(3)],
    [(2.5, 4.25, 1.5, 3.125, 10.0), (3.0, 1234.5, 2.0, 2.5, 0.0), (2.0, 2.0, 2.0, 2.0, 7.0)],
)


def test_dates_alone(folder: Path) -> None:
    """Days as dates of text or Parquet are the same days, and have the same digest."""
    texts = ["%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%d.%m.%Y"]
    digests = set()
    for layout in texts:
        text = plain(THREE, "ms")
        for ms in THREE.ms:
            text = text.replace(str(ms), _at(ms, layout))
        _write(folder / "Z", text, pack=False)
        digests.add(candle_digest(_slice(folder / "Z", "1d")))
    for kind in ("date32", "date64", "timestamp"):
        _write(folder / "Z", parquet(THREE, kind), pack=True)
        digests.add(candle_digest(_slice(folder / "Z", "1d")))
    assert len(digests) == 1


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    """Reading any layout in UTC leaves pandas alone, which takes longer than the reading."""
    for layout, write in LAYOUTS.items():
        _write(tmp_path / layout, write(THREE), pack=False)
        _write(tmp_path / f"{layout}_packed", write(THREE), pack=True)
    program = (
        "import sys; from pathlib import Path\n"
        "from engine.data.normalize import ReadOptions, normalize\n"
        "from engine.data.read_file import read_file\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    raw = read_file(path, ReadOptions())\n"
        "    dataset = normalize(raw, symbol='X', timeframe='1d', options=ReadOptions())\n"
        "    assert len(dataset.candles) == 3\n"
        "    assert 'pandas' not in sys.modules, path\n"
        "print(len(list(Path(sys.argv[1]).iterdir())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100
