"""The data directory: stored data sets, dropped files, how they are listed, and coarser bars."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from stored_candles import HEADER, ROWS, config, drop, local, text

from engine.data import FileProvider, LocalProvider, NoParams, import_dataset, load
from engine.data.normalize import Dataset
from engine.data.store import read_dataset, read_metadata
from engine.errors import DataError, DatasetNotFound, StorageError
from engine.identity import candle_digest
from engine.limits import Limits


def read(path: Path, **fields: Any) -> Dataset:
    return FileProvider(path).load(config(**fields))


def test_stored_data_comes_back_as_it_was(tmp_path: Path) -> None:
    """An imported data set is the very one that was normalised, with all that belongs to it."""
    dataset = read(drop(tmp_path / "source", text()))
    path = import_dataset(tmp_path, dataset, "mine.csv")
    again = read_dataset(path)
    assert candle_digest(again.candles) == candle_digest(dataset.candles)
    assert again.adj_close is not None
    assert again.adj_close.tolist() == [5.0] * 5
    assert again.report == dataset.report
    known = read_metadata(path)
    assert (known["source"], known["bars"], known["volume_known"]) == ("mine.csv", 5, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["X_1d.parquet"]


def test_a_set_that_is_replaced_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has begun to read a data set reads that one to its end, whatever takes its place."""
    old, new = (read(drop(tmp_path / "source", text(rows))) for rows in (ROWS, ROWS[:3]))
    path = import_dataset(tmp_path, old, "old.csv")
    parquet_file = pq.ParquetFile

    def opened(file: Any) -> Any:
        found = parquet_file(file)
        import_dataset(tmp_path, new, "new.csv")
        return found

    monkeypatch.setattr(pq, "ParquetFile", opened)
    assert candle_digest(read_dataset(path).candles) == candle_digest(old.candles)
    assert candle_digest(read_dataset(path).candles) == candle_digest(new.candles)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_set_that_is_removed_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A file that goes between being found and being read is one that was not there."""
    path = drop(tmp_path, text())
    if suffix == ".parquet":
        path = import_dataset(tmp_path, read(path), "a.csv")
    find = LocalProvider._find

    def found(provider: LocalProvider, *named: str) -> Any:
        stored = find(provider, *named)
        stored.path.rename(tmp_path / "gone")
        return stored

    monkeypatch.setattr(LocalProvider, "_find", found)
    for use in (LocalProvider.fingerprint, LocalProvider.load):
        with pytest.raises(DatasetNotFound, match="no candles for X 1d: import them first"):
            use(local(tmp_path), config())
        (tmp_path / "gone").rename(path)


def test_an_import_wins_over_a_dropped_file(tmp_path: Path) -> None:
    """Of an imported set and a file of one name the imported one is used, and listed once."""
    import_dataset(tmp_path, read(drop(tmp_path / "source", text())), "a.csv")
    drop(tmp_path, text(ROWS[:3]))
    assert len(local(tmp_path).load(config()).candles) == 5
    assert [info.bars for info in local(tmp_path).datasets()] == [5]


def test_an_import_replaces_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set that cannot be written leaves the one before it as it was, and nothing else."""
    source = tmp_path / "source"
    path = import_dataset(tmp_path, read(drop(source, text())), "a.csv")
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space is left to write the data set X_1d"):
        import_dataset(tmp_path, read(drop(source, text(ROWS[:2]))), "b.csv")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["X_1d.parquet"]


def test_an_import_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is on the disk, and then its name in the folder."""
    dataset = read(drop(tmp_path / "source", text()))
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    path = import_dataset(tmp_path, dataset, "a.csv")
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


def test_names_that_differ_in_case_only(tmp_path: Path) -> None:
    """A second symbol that some file systems could not tell from the first is refused."""
    dataset = read(drop(tmp_path / "source", text()))
    import_dataset(tmp_path, dataset, "a.csv")
    lower = FileProvider(tmp_path / "source/candles/X_1d.csv").read("x", "1d", "refuse")
    with pytest.raises(DataError, match="x differs only in case from X, which is there already"):
        import_dataset(tmp_path, lower, "a.csv")


@pytest.mark.parametrize("name", ["X_1h.csv", "X_1h.parquet", "X_1w.csv"])
def test_names_that_differ_in_case_under_another_timeframe(tmp_path: Path, name: str) -> None:
    """A symbol is one for all of its timeframes, however the other file came there."""
    drop(tmp_path, text(), name)
    lower = read(drop(tmp_path / "source", text()), symbol="x")
    with pytest.raises(DataError, match="x differs only in case from X, which is there already"):
        import_dataset(tmp_path, lower, "a.csv")
    assert [path.name for path in (tmp_path / "candles").iterdir()] == [name]
    upper = read(drop(tmp_path / "source", text()))
    assert import_dataset(tmp_path, upper, "a.csv").name == "X_1d.parquet"


@pytest.mark.parametrize("damage", [b"", b"PAR1 rubbish PAR1", None])
def test_a_damaged_import_is_told(tmp_path: Path, damage: bytes | None) -> None:
    """A stored file that was changed is refused when it is read, and listed with its problem."""
    path = import_dataset(tmp_path, read(drop(tmp_path / "source", text())), "a.csv")
    content = path.read_bytes()
    middle = len(content) // 4
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    path.write_bytes(flipped if damage is None else damage)
    with pytest.raises(DataError, match=r"X_1d.parquet is damaged"):
        local(tmp_path).load(config())
    if damage is not None:
        (info,) = local(tmp_path).datasets()
        assert "damaged" in (info.problem or "")


def test_a_file_written_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes under the reading is told rather than half read."""
    drop(tmp_path, text())
    hashes = iter(str(i) for i in range(100))
    monkeypatch.setattr("engine.data.local.content_sha256", lambda _: next(hashes))
    with pytest.raises(DataError, match=r"X_1d.csv is being written while it is read"):
        local(tmp_path).load(config())


def test_what_is_not_there(tmp_path: Path) -> None:
    """Another symbol, a finer timeframe, or no data directory at all: there are no candles."""
    drop(tmp_path, text())
    drop(tmp_path, "rubbish", "notes.csv")
    for folder, fields in (
        (tmp_path, {"symbol": "Y"}),
        (tmp_path, {"timeframe": "1h"}),
        (tmp_path / "none", {}),
    ):
        with pytest.raises(DatasetNotFound, match="there are no candles for"):
            local(folder).load(config(**fields))
    with pytest.raises(DatasetNotFound):
        LocalProvider(NoParams()).load(config())


def test_listing_tells_problems(tmp_path: Path) -> None:
    """A dropped file that is refused is listed with the reason."""
    drop(tmp_path, text())
    drop(tmp_path, text([*ROWS[:2], ROWS[2].replace("10,19", "10,-1")]), "BAD_1d.csv")
    bad, good = local(tmp_path).datasets()
    assert (good.symbol, good.bars, good.volume_known) == ("X", 5, True)
    assert (bad.symbol, bad.bars) == ("BAD", None)
    assert "above zero (1 row, first 3)" in (bad.problem or "")


NAMED = "import it, or call it SYMBOL_TIMEFRAME.csv, such as SPX_1d.csv; a timeframe is one of 1m, "


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SPY.csv", NAMED),
        ("SPX-daily.csv", NAMED),
        ("SPY_2d.csv", NAMED),
        ("SPX_1D.csv", NAMED),
        ("SPX_1d.CSV", NAMED),
        ("SPX_1d.csv.gz", NAMED),
        ("prices.parquet", NAMED),
        ("bad name_1d.csv", "the symbol should be 1 to 64 letters"),
        ("_1d.csv", "the symbol should be 1 to 64 letters"),
        ("nul_1d.csv", "no device's name, such as nul"),
    ],
)
def test_a_name_that_is_no_data_sets(tmp_path: Path, name: str, words: str) -> None:
    """A file that no configuration can name is listed under its own, with what to call it."""
    drop(tmp_path, text())
    drop(tmp_path, text(), name)
    [info] = [info for info in local(tmp_path).datasets() if info.problem]
    assert (info.symbol, info.timeframe, info.bars) == (name, None, None)
    assert (info.problem or "").startswith(f"{name} cannot be used: ")
    assert words in (info.problem or "")
    for symbol in ("SPX", "SPY", "nul"):
        with pytest.raises(DatasetNotFound):
            local(tmp_path).load(config(symbol=symbol))


def test_a_name_that_no_text_can_hold(tmp_path: Path) -> None:
    """A name with half a character or a sign that moves the cursor is told without it."""
    drop(tmp_path, text(), "a\x1b[2J\udcff.csv")
    [info] = local(tmp_path).datasets()
    assert info.symbol == "a\\x1b[2J\\udcff.csv"
    assert f"{info.symbol}{info.problem}".isprintable()


def test_what_is_not_listed(tmp_path: Path) -> None:
    """Hidden files, imports on their way and whatever is not called like candles are not shown."""
    for name in (".X_1d.csv", ".X_1d.parquet.00ff.partial", "notes.txt", "README", "X_1d.csv~"):
        drop(tmp_path, text(), name)
    assert local(tmp_path).datasets() == []
    assert LocalProvider(NoParams()).datasets() == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_file(tmp_path: Path, suffix: str) -> None:
    """A pipe or a folder is listed with its problem, and hides no set that can be used."""
    folder = drop(tmp_path, text(), "GOOD_1d.csv").parent
    os.mkfifo(folder / f"X_1d.{suffix}")
    (folder / f"Y_1d.{suffix}").mkdir()
    (folder / f"GOOD_1d.{'parquet' if suffix == 'csv' else 'csv.gz'}").mkdir()
    problems = {info.symbol: info.problem for info in local(tmp_path).datasets()}
    assert problems.pop("GOOD_1d.csv.gz", None) is None or suffix == "parquet"
    assert problems == {
        "GOOD": None,
        "X": f"X_1d.{suffix} is no regular file",
        "Y": f"Y_1d.{suffix} is no regular file",
    }
    with pytest.raises(DatasetNotFound):
        local(tmp_path).load(config())


@pytest.mark.parametrize("name", ["X_1d.csv", "X_1d.parquet"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """A link among the candles is listed with its problem and never read; an import replaces it."""
    path = drop(tmp_path, text(), "GOOD_1d.csv")
    if name.endswith("parquet"):
        path = import_dataset(tmp_path, read(path), "GOOD_1d.csv")
    elsewhere = path.rename(tmp_path / "elsewhere")
    (tmp_path / "candles" / name).symlink_to(elsewhere)
    [listed] = [info for info in local(tmp_path).datasets() if info.symbol == "X"]
    assert (listed.problem, listed.bars) == (f"{name} is a link; put the file itself there", None)
    with pytest.raises(DataError, match="is a link"):
        local(tmp_path).fingerprint(config())
    with pytest.raises(DataError, match="is a link"):
        local(tmp_path).load(config())
    content = elsewhere.read_bytes()
    import_dataset(tmp_path, read(drop(tmp_path, text(), "other")), "other")
    assert len(local(tmp_path).load(config()).candles) == 5
    assert elsewhere.read_bytes() == content


def test_coarser_bars_are_built_from_the_coarsest_finer_ones(tmp_path: Path) -> None:
    """A timeframe that is not stored is built, from days rather than hours, and no finer one is."""
    hours = [f"2024-01-0{1 + h // 24} {h % 24:02}:00,10,19,9,11,5,1,11\n" for h in range(14 * 6)]
    drop(tmp_path, HEADER + "".join(hours), "X_1h.csv")
    four = local(tmp_path).load(config(timeframe="4h")).candles
    assert (four.timeframe, len(four)) == ("4h", 21)
    assert four.volume is not None
    assert four.volume.tolist() == [4.0] * 21
    drop(tmp_path, text([f"2024-01-{i:02},10,19,9,11,5,100,11\n" for i in range(1, 15)]))
    weeks = local(tmp_path).load(config(timeframe="1w")).candles
    assert weeks.volume is not None
    assert weeks.volume.tolist() == [700.0, 700.0]
    hourly, daily = (local(tmp_path).fingerprint(config(timeframe=t)) for t in ("1h", "1w"))
    assert "X_1h.csv" in hourly
    assert "X_1d.csv" in daily
    with pytest.raises(DatasetNotFound):
        local(tmp_path).load(config(timeframe="30m"))


def test_a_split_within_a_week_is_adjusted_bar_by_bar(tmp_path: Path) -> None:
    """Bars are adjusted before they are put together, so a split makes no false bar."""
    rows = [f"2024-01-0{i},200,202,198,200,50,1,200\n" for i in (1, 2, 3)]
    rows += [f"2024-01-0{i},50,50.5,49.5,50,50,1,50\n" for i in (4, 5, 6, 7)]
    drop(tmp_path, text(rows))
    asked = config(timeframe="1w", adjust="split_dividend")
    candles = load(asked, local(tmp_path), Limits()).candles
    found = [float(x[0]) for x in (candles.open, candles.high, candles.low, candles.close)]
    assert found == [50.0, 50.5, 49.5, 50.0]


def test_every_byte_of_a_stored_set_counts(tmp_path: Path) -> None:
    """A changed byte anywhere gives an error or the very same data, adjusted closes included."""
    path = import_dataset(tmp_path, read(drop(tmp_path / "source", text())), "a.csv")
    content = path.read_bytes()
    whole = read_dataset(path)
    assert whole.adj_close is not None
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            again = read_dataset(path)
        except DataError:
            continue
        assert again.adj_close is not None
        assert again.adj_close.tolist() == whole.adj_close.tolist()
        assert candle_digest(again.candles) == candle_digest(whole.candles)
        assert again.calendar == whole.calendar
