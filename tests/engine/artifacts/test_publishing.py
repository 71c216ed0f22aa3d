"""Where a run's directory is made, when it is durable, and that no failure leaves anything."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from engine.artifacts import publish, verify
from engine.errors import OutputError, RunCancelled, StorageError
from engine.pipeline import prepare, run
from engine.records import BacktestResult

RAW = {"symbol": "IXIC", "provider": "sample", "end": "2003-12-31", "plot": False}


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    return run(RAW)


@pytest.fixture(params=["workspace", "beside"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return a directory for unfinished runs, or none for one beside the place."""
    if request.param == "beside":
        return None
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def left(tmp_path: Path) -> list[str]:
    """Return what is left of a run, by path: everything but an empty directory to work in."""
    return sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.name != "tmp"
    )


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_nothing_but_the_finished_directory_appears(result: BacktestResult, tmp_path: Path) -> None:
    """With a directory to work in, the place's own holds nothing until the run is whole."""
    runs, tmp = tmp_path / "runs", tmp_path / "tmp"
    runs.mkdir()
    tmp.mkdir()
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((len(list(runs.iterdir())), len(list(tmp.iterdir()))))

    manifest = publish(result, runs / "r", look, tmp)
    assert set(seen) == {(0, 1)}
    assert ([path.name for path in runs.iterdir()], list(tmp.iterdir())) == (["r"], [])
    assert verify(runs / "r").manifest == manifest
    assert publish(result, runs / "r", lambda: None, tmp) == manifest  # the first one stays
    assert list(tmp.iterdir()) == []


def test_what_others_left_is_not_looked_at(result: BacktestResult, tmp_path: Path) -> None:
    """With a directory to work in, nothing else is tidied, there or beside the place."""
    abandoned = [tmp_path / "tmp/.a.0123abcd.partial", tmp_path / "runs/.b.0123abcd.partial"]
    for folder in abandoned:
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    publish(result, tmp_path / "runs/r", lambda: None, tmp_path / "tmp")
    assert all(folder.is_dir() for folder in abandoned)


def test_the_pipeline_passes_it_on(tmp_path: Path) -> None:
    """A prepared run is made in the directory given, and is the same there."""
    (tmp_path / "tmp").mkdir()
    executed = prepare(RAW).execute(tmp_path / "r", tmp_path / "tmp")
    assert executed.manifest is not None
    assert executed.manifest == prepare(RAW).execute(tmp_path / "other").manifest
    with pytest.raises(StorageError, match="no such file"):
        prepare(RAW).execute(tmp_path / "s", tmp_path / "missing")
    assert not (tmp_path / "s").exists()


def test_cancelled_anywhere(result: BacktestResult, tmp_path: Path, workspace: Path | None) -> None:
    """A run cancelled at any moment until it is in place leaves neither files nor directories."""
    for n in itertools.count():
        calls = itertools.count()

        def check(n: int = n, calls: "itertools.count[int]" = calls) -> None:
            if next(calls) == n:
                raise RunCancelled("stop")

        try:
            publish(result, tmp_path / "deep/r", check, workspace)
        except RunCancelled:
            assert left(tmp_path) == []
        else:
            break
    assert n == 8  # before each of seven files, and before the rename
    assert verify(tmp_path / "deep/r").ok


@pytest.mark.parametrize("write", ["json_bytes", "tables.write_parquet", "build_manifest"])
def test_no_space_to_write(
    result: BacktestResult,
    tmp_path: Path,
    workspace: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    write: str,
) -> None:
    """A disk that is full while a file is written is told plainly, and nothing is left there."""
    monkeypatch.setattr(f"engine.artifacts.publishing.{write}", no_space)
    with pytest.raises(StorageError, match="No space is left to write the run's directory"):
        publish(result, tmp_path / "deep/r", lambda: None, workspace)
    assert left(tmp_path) == []


SYNCS = 7 + 1 + 2  # seven files, the manifest, their directory, and the one it is in


@pytest.mark.parametrize("n", range(SYNCS + 1))
def test_no_space_to_make_it_durable(
    result: BacktestResult,
    tmp_path: Path,
    workspace: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    n: int,
) -> None:
    """A disk that turns out full at any sync, the last included, leaves nothing either."""
    sync, calls = os.fsync, itertools.count()

    def failing(handle: int) -> None:
        sync(handle) if next(calls) != n else no_space()

    monkeypatch.setattr("os.fsync", failing)
    if n < SYNCS:
        with pytest.raises(StorageError, match="No space is left to write the run's directory"):
            publish(result, tmp_path / "deep/r", lambda: None, workspace)
        assert left(tmp_path) == []
    else:
        publish(result, tmp_path / "deep/r", lambda: None, workspace)
        assert next(calls) == SYNCS


def test_no_way_to_rename(
    result: BacktestResult,
    tmp_path: Path,
    workspace: Path | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rename that the system refuses is told plainly, and nothing is left."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="could not be written: invalid cross-device link"):
        publish(result, tmp_path / "deep/r", lambda: None, workspace)
    assert left(tmp_path) == []


def test_everything_is_durable_before_it_appears(
    result: BacktestResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is synced once, then their directory; after the rename the one it is in."""
    synced: list[int] = []
    renamed_after: list[int] = []
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        renamed_after.append(len(synced))
        return rename(self, target)

    monkeypatch.setattr("os.fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(Path, "replace", replace)
    publish(result, tmp_path / "r", lambda: None)
    files = {path.stat().st_ino for path in (tmp_path / "r").iterdir()}
    assert set(synced[: len(files)]) == files
    assert synced[len(files) :] == [(tmp_path / "r").stat().st_ino, tmp_path.stat().st_ino]
    assert renamed_after == [len(files) + 1]


def test_a_place_taken_meanwhile(result: BacktestResult, tmp_path: Path) -> None:
    """A directory that someone filled during the run stays, and the one to work in is empty."""
    (tmp_path / "r").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "r/notes").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="something else"):
        publish(result, tmp_path / "r", lambda: None, tmp_path / "tmp")
    assert left(tmp_path) == ["r", "r/notes"]
