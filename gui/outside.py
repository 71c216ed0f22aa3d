"""Folders, shown in the system's own file manager."""

import os
import subprocess
import sys
from pathlib import Path

FAIL_S = 2.0
_shown: list["subprocess.Popen[bytes]"] = []


def show_folder(folder: Path) -> None:
    """Show a folder, which is made where it is missing; may be called from any thread.

    Raises
        OSError where there is no file manager, or the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        os.startfile(folder)  # noqa: S606  # the system's own way, and a folder of ours
        return
    program = "open" if sys.platform == "darwin" else "xdg-open"
    _shown[:] = [each for each in _shown if each.poll() is None]
    started = subprocess.Popen(  # noqa: S603  # the system's own program, and a folder of ours
        [program, str(folder)],
        env=_own_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        failed = started.wait(FAIL_S) != 0
    except subprocess.TimeoutExpired:  # it is the file manager itself, and stays open
        _shown.append(started)
        failed = False
    if failed:
        raise OSError(0, f"{program} could not show it")


def _own_environment() -> dict[str, str]:
    """Return the environment as it was before a bundle put its own libraries first."""
    environment = dict(os.environ)
    before = environment.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is not None:
        environment["LD_LIBRARY_PATH"] = before
    return environment
