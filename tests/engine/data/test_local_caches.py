"""The caches of the data directory, on the disk and in memory: never stale, and bounded."""

import os
from pathlib import Path

import numpy as np
import pytest
from stored_candles import config, drop, local, text

from engine.caches import BoundedCache, Caches
from engine.config import RunConfig
from engine.data import LocalProvider, NoParams, load
from engine.data.local import MAX_CACHED_FILES
from engine.data.normalize import Dataset
from engine.data.store import read_dataset
from engine.identity import candle_digest
from engine.limits import Limits
from engine.records import CANDLE_COLUMNS


def test_a_stale_cache_is_never_served(tmp_path: Path) -> None:
    """A dropped file rewritten with the same size, in the same second, is read anew."""
    path = drop(tmp_path, text())
    stamp = path.stat()
    assert local(tmp_path).load(config()).candles.close[0] == 11
    path.write_text(text().replace(",11,5,", ",12,5,"), encoding="utf-8")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    assert local(tmp_path).load(config()).candles.close[0] == 12


def test_a_warm_file_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped file that was read before comes from the cache, whatever it is called by then."""
    drop(tmp_path, text())
    first = local(tmp_path).load(config())
    monkeypatch.setattr("engine.data.local.FileProvider.read", None)
    again = local(tmp_path).load(config())
    assert candle_digest(again.candles) == candle_digest(first.candles)
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"rubbish"])
def test_a_corrupt_cache_is_rebuilt(tmp_path: Path, damage: bytes) -> None:
    """A cached file that was damaged is made anew from its source."""
    drop(tmp_path, text())
    local(tmp_path).load(config())
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(damage)
    assert len(local(tmp_path).load(config()).candles) == 5
    assert len(read_dataset(cached).candles) == 5


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    """Where the cache has no place, the file is read all the same."""
    drop(tmp_path, text())
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    assert len(local(tmp_path).load(config()).candles) == 5


def test_the_cache_on_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest files stay in the cache."""
    monkeypatch.setattr("engine.data.local.MAX_CACHED_FILES", 2)
    assert MAX_CACHED_FILES == 64
    for i in range(4):
        drop(tmp_path, text().replace("VWAP", "vwap") + "\n" * i)
        local(tmp_path).load(config())
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_memory_cache_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice loaded before is taken from memory until the file's content is another."""
    path = drop(tmp_path, text())
    caches, provider = Caches(), local(tmp_path)
    first = load(config(), provider, Limits(), caches)
    assert load(config(seed=5), provider, Limits(), caches) is first
    assert load(config(start="2024-01-02"), provider, Limits(), caches) is not first
    path.write_text(text().replace(",11,5,", ",12,5,"), encoding="utf-8")
    assert load(config(), provider, Limits(), caches).digest != first.digest
    monkeypatch.setattr("engine.data.local.LocalProvider.load", None)
    assert load(config(), provider, Limits(), caches).digest != first.digest


def test_a_cached_part_does_not_hold_the_whole(tmp_path: Path) -> None:
    """What is held of a slice is as large as is counted, however large the set that it is of."""
    drop(tmp_path, text())
    caches = Caches()
    whole = load(config(), local(tmp_path), Limits(), caches).candles
    counted = caches.candles.bytes_held
    part = load(config(start="2024-01-02"), local(tmp_path), Limits(), caches).candles
    assert 0 < len(part) < len(whole)
    columns = [each for name in CANDLE_COLUMNS if (each := getattr(part, name)) is not None]
    assert [each.base for each in columns] == [None] * len(columns)
    assert caches.candles.bytes_held - counted == sum(each.nbytes for each in columns)


def test_bounded_cache() -> None:
    """The least recently used values go first, and a value larger than the cache is not kept."""
    cache = BoundedCache(10)
    made: list[str] = []

    def get(key: str, size: int = 4) -> str:
        def make() -> str:
            made.append(key)
            return key

        return cache.get_or_make(key, make, lambda _: size)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key) == key
    assert made == ["a", "b", "c", "b"]
    assert (len(cache), cache.bytes_held) == (2, 8)
    assert get("huge", 11) == "huge"
    assert (len(cache), cache.bytes_held) == (2, 8)


def test_a_cache_holds_one_version() -> None:
    """What was replaced is given up at once, and the old one is made anew where it is asked for."""
    cache = BoundedCache(10)

    def get(version: int, size: int) -> str:
        return cache.get_or_make("x", lambda: f"x{version}", lambda _: size, version)

    for version, size in ((1, 8), (2, 5), (2, 9), (3, 6)):
        assert get(version, size) == f"x{version}"
    assert (len(cache), cache.bytes_held) == (1, 6)
    assert get(1, 7) == "x1"
    assert (len(cache), cache.bytes_held) == (1, 7)
    assert get(4, 11) == "x4"  # too large; the one before it is out of date all the same
    assert (len(cache), cache.bytes_held) == (0, 0)


def test_cached_arrays_cannot_be_changed(tmp_path: Path) -> None:
    """What several runs share is read-only."""
    drop(tmp_path, text())
    loaded = load(config(), local(tmp_path), Limits(), Caches())
    with pytest.raises(ValueError, match="read-only"):
        loaded.candles.close[0] = np.nan


def test_a_file_that_changes_between_hash_and_load(tmp_path: Path) -> None:
    """What was loaded from another content than was hashed is not kept under that hash."""
    path = drop(tmp_path, text())
    other = text().replace(",11,5,", ",12,5,")

    class Racing(LocalProvider):
        def load(self, config: RunConfig) -> Dataset:
            if path.read_text(encoding="utf-8") != other:
                path.write_text(other, encoding="utf-8")
            return super().load(config)

    caches = Caches()
    raced = load(config(), Racing(NoParams(), tmp_path), Limits(), caches)
    assert raced.candles.close[0] == 12
    path.write_text(text(), encoding="utf-8")
    assert load(config(), local(tmp_path), Limits(), caches).candles.close[0] == 11
