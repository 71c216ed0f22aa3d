"""No slow library is loaded before the server listens."""

import subprocess
import sys

HEAVY = {"pydantic", "numpy", "pandas", "pyarrow", "matplotlib", "talib", "exchange_calendars"}


def test_nothing_heavy_before_the_server_listens() -> None:
    """What the server imports before it listens takes no library that takes its time."""
    code = "import sys, app.__main__, app.cli, app.commands.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY
