"""Files and directories are moved and synced so that they last, in each system's own way."""

import sys
from pathlib import Path

import pytest

from engine import durable
from engine.durable import move, sync_folder


class Scanner:
    """Refuses to let a name be replaced so many times, as Windows does while somebody reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int) -> None:
        self.left = refusals
        replace = Path.replace

        def refusing(source: Path, target: Path) -> Path:
            if self.left:
                self.left -= 1
                raise PermissionError
            return replace(source, target)

        monkeypatch.setattr(Path, "replace", refusing)


def test_a_move(tmp_path: Path) -> None:
    """A file takes the place of another, and a directory a free one."""
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    move(tmp_path / "new", tmp_path / "old")
    move(tmp_path / "folder", tmp_path / "moved")
    assert (tmp_path / "old").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved", "old"]


def test_windows_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody has open for a moment on Windows is moved all the same."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(durable, "PAUSE_S", 0.0)
    scanner = Scanner(monkeypatch, refusals=3)
    (tmp_path / "new").touch()
    move(tmp_path / "new", tmp_path / "old")
    assert scanner.left == 0
    assert (tmp_path / "old").exists()


@pytest.mark.parametrize(
    ("platform", "patience", "left"),
    [("linux", 60.0, 4), ("darwin", 60.0, 4), ("win32", -1.0, 4)],
)
def test_a_refusal_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, patience: float, left: int
) -> None:
    """Other systems mean a refusal the first time; Windows is asked no longer than two seconds."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(durable, "PATIENCE_S", patience)
    scanner = Scanner(monkeypatch, refusals=5)
    with pytest.raises(PermissionError):
        move(tmp_path / "new", tmp_path / "old")
    assert scanner.left == left


def test_a_directory_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is there already is refused on Windows without waiting for it to go."""
    monkeypatch.setattr(sys, "platform", "win32")
    scanner = Scanner(monkeypatch, refusals=5)
    (tmp_path / "there").mkdir()
    with pytest.raises(PermissionError):
        move(tmp_path / "new", tmp_path / "there")
    assert scanner.left == 4


def test_directories_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory, which Windows gives nobody a handle of, is synced elsewhere alone."""
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")
    monkeypatch.setattr(sys, "platform", "win32")
    sync_folder(tmp_path / "none")
