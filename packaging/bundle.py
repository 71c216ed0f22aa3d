"""Build the bundle: ``dist/studio/`` and, on Linux, the archive beside it.

Two builds from one commit are the same to the byte: the time that libraries write down is the
commit's, the order of sets is fixed, and nothing that depends on where it was built stays.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import archive

ROOT = Path(__file__).resolve().parent.parent
EARLIEST = 315_532_800  # 1980, the first year that a zip file knows
# Symbols for a debugger and a number made from them. What pip has put into *.libs was rewritten on
# the way there, and strip would break it.
STRIP = ("strip", "--strip-unneeded", "--remove-section=.note.gnu.build-id")


def build(dist: Path, work: Path) -> Path:
    """Build into ``dist/studio`` and return it."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(dist / "studio", ignore_errors=True)
    fixed = {
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or str(commit_time()),
        "PYINSTALLER_CONFIG_DIR": str(work / "pyinstaller"),
        "TZ": "UTC",
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"),
            *("--distpath", str(dist), "--workpath", str(work)),
            str(ROOT / "packaging" / "studio.spec"),
        ],
        cwd=ROOT,
        env=os.environ | fixed,
        check=True,
    )
    bundle = dist / "studio"
    shutil.copyfile(ROOT / "LICENSE", bundle / "LICENSE")
    if sys.platform == "linux":
        strip(bundle)
        add_menu_entry(bundle)
    return bundle


def lacking() -> str | None:
    """Return what the build needs and this machine lacks, as a sentence."""
    if importlib.util.find_spec("_tkinter") is None:
        return "This Python has no Tk, which the panel needs (Debian: apt-get install python3-tk)."
    for program in ("objdump", "strip") if sys.platform == "linux" else ():
        if shutil.which(program) is None:
            return f"There is no {program} (Debian: apt-get install binutils)."
    return None


def commit_time() -> int:
    """Return when the commit was made that is checked out, in seconds; 1980 outside of git."""
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"],  # noqa: S607  # git, wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(asked.stdout) if asked.returncode == 0 else EARLIEST


def strip(bundle: Path) -> None:
    """Take out of programs and libraries what only a debugger reads."""
    for path in sorted(bundle.rglob("*")):
        if may_be_stripped(path.relative_to(bundle)) and not path.is_symlink() and is_elf(path):
            subprocess.run([*STRIP, str(path)], check=True)


def may_be_stripped(place: Path) -> bool:
    """Return whether a file of the bundle is one that strip leaves whole."""
    # The two programs carry an archive that strip does not know.
    return len(place.parts) > 1 and not any(part.endswith(".libs") for part in place.parts)


def is_elf(path: Path) -> bool:
    """Return whether a file is a program or library of Linux."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def add_menu_entry(bundle: Path) -> None:
    """Put in what a Linux desktop needs: the entry, its icon, and what enters it into the menu."""
    here = ROOT / "packaging"
    shutil.copyfile(here / "studio.desktop", bundle / "_internal" / "studio.desktop.in")
    shutil.copyfile(ROOT / "assets" / "icon" / "studio-256.png", bundle / "studio.png")
    shutil.copyfile(here / "add-to-menu", bundle / "add-to-menu")
    (bundle / "add-to-menu").chmod(0o755)


def size_of(bundle: Path) -> int:
    """Return how many bytes the files of a folder have, links not followed."""
    return sum(path.lstat().st_size for path in bundle.rglob("*") if not path.is_dir())


def main() -> None:
    """Build, archive, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bundle")
    chosen = parser.parse_args()
    if (reason := lacking()) is not None:
        sys.exit(reason)
    print("Building the bundle (a minute or two) ...", flush=True)
    bundle = build(chosen.dist.resolve(), chosen.work.resolve())
    told = f"The bundle is {bundle} ({size_of(bundle) / 1e6:.0f} MB)"
    if sys.platform == "linux":
        sys.path.insert(0, str(ROOT))
        from engine import __version__  # noqa: PLC0415  # as the program itself has it

        name = f"studio-{__version__}-linux-{platform.machine()}.tar.gz"
        packed = archive.pack(bundle, bundle.parent / name)
        told += f", its archive {packed} ({packed.stat().st_size / 1e6:.0f} MB)"
    print(f"{told}.")


if __name__ == "__main__":
    main()
