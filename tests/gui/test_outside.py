import os
from pathlib import Path

import pytest

from gui import folders


def shim(folder: Path, script: str) -> None:
    """Put a file manager of our own where the system's is looked for."""
    folder.mkdir()
    for name in ("xdg-open", "open"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o700)


def test_a_folder_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is made, and the file manager started on it, which has done so when it ends."""
    shim(tmp_path / "bin", f'echo "$1" > {tmp_path}/shown')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    folders.show_folder(tmp_path / "new" / "folder")
    assert (tmp_path / "shown").read_text(encoding="utf-8") == f"{tmp_path}/new/folder\n"


def test_a_folder_that_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file manager that fails, or is not there, is an error of the system."""
    shim(tmp_path / "bin", "exit 3")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(OSError, match="could not show it"):
        folders.show_folder(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        folders.show_folder(tmp_path)


def test_a_file_manager_that_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is the window itself is not waited for, and is let go of once it has ended."""
    shim(tmp_path / "bin", f"while [ ! -e {tmp_path}/gate ]; do sleep 0.01; done")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(folders, "FAIL_S", 0.1)
    folders.show_folder(tmp_path)
    (opened,) = folders._shown
    (tmp_path / "gate").touch()
    opened.wait()
    shim(tmp_path / "quick", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "quick"))
    monkeypatch.setattr(folders, "FAIL_S", 60.0)
    folders.show_folder(tmp_path)
    assert folders._shown == []
