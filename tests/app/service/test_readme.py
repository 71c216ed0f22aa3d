"""The README's lines for the server do what they say."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.data_dir import RUN_ID

ROOT = Path(__file__).resolve().parents[3]


def test_the_server_as_the_readme_has_it(tmp_path: Path, spawn: Callable[..., Any]) -> None:
    """The lines of the README, as they stand there but for the port, follow a run to its end."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## The server\n")[2].partition("\n## ")[0]
    start, ask = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert start.split() == [".venv/bin/studio", "serve", "--data-dir", "studio-data"]
    server = spawn(data_dir=tmp_path / "studio-data")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "studio").symlink_to(Path(sys.executable).with_name("studio"))
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", ask.replace(":8717", f":{server.port}")],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "retry: 2000"
    assert lines.count("event: stage") == 8
    assert "event: completed" in lines
    assert RUN_ID.search(done.stdout)
    assert '"permutation_p_value"' in done.stdout
    assert lines[-1].startswith("Verified:")
