"""The build compiles the kernels where a C compiler works, and goes on where none does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
N_KERNELS = len(list(ROOT.glob("engine/*/*kernel.py")))


@pytest.mark.parametrize(
    ("environment", "compiled"),
    [
        ({}, N_KERNELS),
        ({"CC": "/nonexistent/cc"}, 0),
        ({"CC": "false"}, 0),
        ({"STUDIO_KERNEL": "interpreted"}, 0),
    ],
    ids=["compiler", "no compiler", "broken compiler", "by request"],
)  # fmt: skip
def test_the_build_goes_on_without_a_compiler(
    tmp_path: Path, environment: dict[str, str], compiled: int
) -> None:
    """The loop is compiled where a C compiler works, and left as it is where none does."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("*.so"))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("engine/*/*kernel.*.so"))) == compiled
