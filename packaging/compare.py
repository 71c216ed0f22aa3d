"""Build the bundle twice, in two fresh copies of the sources, and compare every byte.

    python packaging/compare.py [--python PYTHON]

Each copy lies in a directory of another name and length and sets up its own ``.venv``.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bundle import ROOT, commit_time

PLACES = ("a", "another-place-with-a-longer-name/studio")


def copy_sources(target: Path) -> None:
    """Copy what git knows, or would add, as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607  # git, wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def made(target: Path, python: str) -> Path:
    """Run ``make bundle`` in a copy of the sources and return its ``dist``."""
    clean = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(
        ["make", "bundle", f"PYTHON={python}"],  # noqa: S607  # make, wherever it is
        cwd=target,
        env=clean | {"SOURCE_DATE_EPOCH": str(commit_time())},
        check=True,
    )
    return target / "dist"


def hashes(folder: Path) -> dict[str, str]:
    """Return what each file of a folder holds, by its name; of a link where it points."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"→ {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the names that only one side has, or that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def main() -> None:
    """Build twice, compare, and end with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python that sets both up")
    python = parser.parse_args().python
    with tempfile.TemporaryDirectory(prefix="studio-compare-") as place:
        targets = [Path(place) / name for name in PLACES]
        copy_sources(targets[0])
        shutil.copytree(targets[0], targets[1])
        found = [hashes(made(target, python)) for target in targets]
    names = differing(*found)
    print(f"{len(found[0])} files, {len(names)} of them differ.", *names, sep="\n")
    sys.exit(bool(names))


if __name__ == "__main__":
    main()
