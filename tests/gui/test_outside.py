"""Folders and pages that the panel has other programs show."""

import os
from pathlib import Path

import pytest

from gui import outside


def shim(folder: Path, script: str) -> None:
    """Put a file manager of our own where the system's is looked for."""
    folder.mkdir()
    for name in ("xdg-open", "open"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o700)


def test_a_folder_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file manager is started on the folder, and has shown it when it ends."""
    shim(tmp_path / "bin", f'echo "$1" > {tmp_path}/shown')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    outside.show_outside(f"{tmp_path}/a folder")
    assert (tmp_path / "shown").read_text(encoding="utf-8") == f"{tmp_path}/a folder\n"


def test_a_folder_that_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file manager that fails, or is not there, is an error of the system."""
    shim(tmp_path / "bin", "exit 3")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(OSError, match="could not show it"):
        outside.show_outside(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        outside.show_outside(str(tmp_path))


def test_a_file_manager_that_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is the window itself is not waited for, and is let go of once it has ended."""
    shim(tmp_path / "bin", f"while [ ! -e {tmp_path}/gate ]; do sleep 0.01; done")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(outside, "FAIL_S", 0.1)
    outside.show_outside(str(tmp_path))
    (opened,) = outside._shown
    (tmp_path / "gate").touch()
    opened.wait()
    shim(tmp_path / "quick", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "quick"))
    monkeypatch.setattr(outside, "FAIL_S", 60.0)
    outside.show_outside(str(tmp_path))
    assert outside._shown == []


def test_a_page_without_the_usual_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system lacks the usual program, a page is shown by any browser there is."""
    opened: list[str] = []
    found = [True, False]

    def open_page(address: str) -> bool:
        opened.append(address)
        return found.pop(0)

    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.setattr("webbrowser.open", open_page)
    outside.show_outside("https://studio.example/")
    assert opened == ["https://studio.example/"]
    with pytest.raises(FileNotFoundError):
        outside.show_outside("https://studio.example/")


def test_another_programs_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that a bundle starts loads its own libraries, not the bundle's."""
    shim(tmp_path / "bin", f'echo "$LD_LIBRARY_PATH" > {tmp_path}/seen')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/bundle")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/own")
    monkeypatch.setattr("sys.frozen", True, raising=False)
    outside.show_outside(str(tmp_path))
    assert (tmp_path / "seen").read_text(encoding="utf-8") == "/own\n"
