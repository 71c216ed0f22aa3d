"""A screen in memory, on which a window can be shown to nobody."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

WAIT_S = 60.0


@contextlib.contextmanager
def screen(size: str = "1280x1024") -> Iterator[str]:
    """Start one at 96 dots an inch, on which DISPLAY lies until the end; give what that says."""
    program = shutil.which("Xvfb")
    if program is None:
        raise SystemExit("a window needs a screen: install Xvfb")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", f"{size}x24"]
    process = subprocess.Popen(
        [*command, "-nolisten", "tcp", "-noreset", "-dpi", "96"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    if not number:
        raise SystemExit("Xvfb did not start")
    before = os.environ.get("DISPLAY")
    os.environ["DISPLAY"] = f":{number}"
    try:
        yield f":{number}"
    finally:
        if before is None:
            del os.environ["DISPLAY"]
        else:
            os.environ["DISPLAY"] = before
        process.terminate()
        process.wait(WAIT_S)
