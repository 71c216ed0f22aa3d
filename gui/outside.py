"""Folders and pages, shown by the system's own programs."""

import os
import subprocess
import sys
import webbrowser

from app.frozen import environment_for_others, is_frozen

FAIL_S = 2.0
_shown: list["subprocess.Popen[bytes]"] = []


def show_outside(target: str) -> None:
    """Show a folder or the page of an address; may be called from any thread.

    Raises
        OSError where no program could show it.
    """
    if sys.platform == "win32":
        os.startfile(target)  # noqa: S606  # the system's own way, and a place of ours
        return
    program = "open" if sys.platform == "darwin" else "xdg-open"
    _shown[:] = [each for each in _shown if each.poll() is None]
    try:
        started = subprocess.Popen(  # noqa: S603  # the system's own program, and a place of ours
            [program, target],
            env=environment_for_others(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError:
        # A system with a window hardly ever lacks it, but has a browser all the same; from a bundle
        # that would load the wrong libraries.
        if "://" in target and not is_frozen() and webbrowser.open(target):
            return
        raise
    try:
        failed = started.wait(FAIL_S) != 0
    except subprocess.TimeoutExpired:  # it is the program itself, and stays open
        _shown.append(started)
        failed = False
    if failed:
        raise OSError(0, f"{program} could not show it")
