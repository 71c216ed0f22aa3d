"""What goes into the bundle and what stays out, asked by ``studio.spec``.

A plugin may import any part of the standard library, numpy or pandas, whether Studio itself does
or not, so all of each goes in; what nobody runs (tests, headers, other machines' storage) does not.
"""

import importlib.util
import pkgutil
import posixpath
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# Of the standard library: what tests it, shows it off, builds or installs Python itself, does
# something when it is imported, or asks the network for users (nis, with six libraries of its own).
NOT_OF_THE_LIBRARY = frozenset(
    (
        *("__main__", "__phello__", "_distutils_hack", "antigravity", "distutils", "ensurepip"),
        *("idlelib", "lib2to3", "nis", "test", "this", "turtle", "turtledemo", "venv"),
        "readline",  # its library is under the GPL
    )
)
NOT_MODULES = (
    # Cython's compiler; a kernel that runs uncompiled needs its small run-time file alone.
    "Cython.Build",
    "Cython.CodeWriter",
    "Cython.Compiler",
    "Cython.Distutils",
    "Cython.Plex",
    "Cython.Tempita",
    "Cython.Tests",
    "Cython.Utils",
    "matplotlib.tests",
    "numpy.distutils",
    "numpy.f2py",
    "pyarrow.flight",
    "pyarrow.tests",
)
# Files by their place in the bundle. Substrait, dataset, acero and compute stay: pyarrow's own
# library is linked to all of them.
NOT_FILES = re.compile(
    r"""
    pyarrow/(include|src|tests|includes)/ .*
    | pyarrow/libarrow_(flight|s3|python_flight|python_parquet_encryption)\b .*
    | pyarrow/_(flight|s3fs|gcsfs|azurefs|hdfs|pyarrow_cpp_tests|parquet_encryption
                |dataset_parquet_encryption)\. .*
    | pyarrow/libarrow_python\.so | pyarrow/libarrow_python\.so\.\d+\.\d .*  # the same file thrice
    | PIL/_avif\. .* | pillow\.libs/libavif .* | PIL/_(webp|imagingcms)\. .*
    | pillow\.libs/lib(webp|lcms2|sharpyuv) .*
    | matplotlib/mpl-data/sample_data/ .*
    | _tcl_data/(tzdata|msgs)/ .* | _tk_data/(demos|images|msgs)/ .*
    | .*/tests?/ .*
    | .*\.(pyx|pxd|pxi|pyi|h|hpp|c|cc|cpp|a)
    | [^/]+\.dist-info/ (?!METADATA$|entry_points\.txt$|licen[sc]e|copying|notice|authors) .*
    """,
    re.VERBOSE | re.IGNORECASE,
)
NOTICE = re.compile(
    r"[^/]+\.dist-info/(METADATA$|licen[sc]es/|(licen[sc]e|copying|notice|authors)[^/]*$)",
    re.IGNORECASE,
)
WHOLE = (
    *("app", "assets", "contracts", "engine", "gui"),
    *("dateutil", "numpy", "pandas", "rich", "talib", "tornado", "tzdata"),
)
NOT_HOOKS = ("pyi_rth_mplconfig",)  # it would build a new list of fonts at every start

Entry = tuple[str, str, str]


def standard_library() -> list[str]:
    """Return the names of the standard library's modules that this Python has, sorted."""
    tops = sys.stdlib_module_names - NOT_OF_THE_LIBRARY
    return sorted({name for top in tops for name in _with_parts(top)})


def packages_whole() -> list[str]:
    """Return the modules of Studio itself, of which some are imported by name, and of what plugins
    use most, tests excepted, sorted.
    """
    names = {name for top in WHOLE for name in _with_parts(top)}
    return sorted(name for name in names if not name.startswith(NOT_MODULES))


def own_sources() -> Iterator[tuple[str, str]]:
    """Yield the engine's sources and the folder of each: their digest is part of a run's hash."""
    for path in sorted((ROOT / "engine").rglob("*.py")):
        yield str(path), path.parent.relative_to(ROOT).as_posix()


def requirements() -> set[str]:
    """Return the distributions that Studio needs on this system, without its extras."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        waiting = _names(tomllib.load(file)["project"]["dependencies"])
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting |= _names(metadata.requires(name) or [])
    return needed


def _names(lines: Iterable[str]) -> set[str]:
    """Return the names in requirements, of those that hold on this system."""
    return {
        canonicalize_name(line.name)
        for line in map(Requirement, lines)
        if line.marker is None or line.marker.evaluate({"extra": ""})
    }


def foreign_modules() -> list[str]:
    """Return the top modules of whatever else is installed, so that none of it goes in."""
    needed = requirements() | {"studio"}
    foreign = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not needed & {canonicalize_name(owner) for owner in owners}
    }
    return sorted({*foreign, "scripts", "tests"})


def notices() -> Iterator[tuple[str, str]]:
    """Yield name, version and licence of every library that goes in, and the folder of each."""
    for name in sorted(requirements()):
        for file in metadata.files(name) or []:
            place = file.as_posix()
            if NOTICE.match(place):
                yield str(Path(str(file.locate())).resolve()), str(Path(place).parent)


def other_notices(binaries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    """Yield the licences of Python, of Studio, and of the system's libraries that go in.

    ``binaries`` are name, place and kind of what is linked to; Debian's packages say whose it is.
    """
    yield str(ROOT / "LICENSE"), "licenses/studio"
    yield str(Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"), "licenses/python"
    asked = shutil.which("dpkg")
    if asked is None:
        return
    owners: set[str] = set()
    for name in sorted({Path(place).resolve() for _, place, _ in binaries}):
        if name.is_relative_to("/usr/lib"):
            found = subprocess.run(
                [asked, "-S", str(name)], capture_output=True, text=True, check=False
            )
            owners |= {line.split(":")[0] for line in found.stdout.splitlines()}
    for owner in sorted(owners):
        notice = Path("/usr/share/doc") / owner / "copyright"
        if notice.is_file():
            yield str(notice.resolve()), f"licenses/{owner}"


def kept(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of a table of contents that go into the bundle.

    A link to a file that stays out stays out, too.
    """
    left = [each for each in entries if not NOT_FILES.fullmatch(each[0].replace("\\", "/"))]
    names = {posixpath.normpath(name.replace("\\", "/")) for name, _, _ in left}
    return [each for each in left if each[2] != "SYMLINK" or _target(each) in names]


def starting(scripts: Iterable[Entry], own: str) -> list[Entry]:
    """Return what one of the programs runs: PyInstaller's own hooks, then its entry script."""
    return [
        each
        for each in scripts
        if each[0] == own or (each[0].startswith("pyi") and each[0] not in NOT_HOOKS)
    ]


def version_resource(version: str) -> str:
    """Return what Windows shows of the program, as PyInstaller wants it written."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    whole = (*numbers, *(0,) * (4 - len(numbers)))
    shown = {
        "FileDescription": "Studio",
        "FileVersion": version,
        "InternalName": "Studio",
        "LegalCopyright": "MIT License",
        "OriginalFilename": "Studio.exe",
        "ProductName": "Studio",
        "ProductVersion": version,
    }
    texts = ", ".join(f"StringStruct({name!r}, {text!r})" for name, text in shown.items())
    return (
        f"VSVersionInfo(ffi=FixedFileInfo(filevers={whole}, prodvers={whole}), kids=["
        f"StringFileInfo([StringTable('040904B0', [{texts}])]), "
        "VarFileInfo([VarStruct('Translation', [1033, 1200])])])\n"
    )


def _target(link: Entry) -> str:
    name, target, _ = (part.replace("\\", "/") for part in link)
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


def _with_parts(top: str) -> Iterator[str]:
    """Yield a module and, without importing any, those in it but tests and programs."""
    spec = None if top in sys.builtin_module_names else importlib.util.find_spec(top)
    if spec is None:
        return
    yield top
    for place in spec.submodule_search_locations or ():
        for found in pkgutil.iter_modules([place]):
            if found.name not in {"test", "tests", "__main__", "idle_test", "conftest"}:
                yield from _parts(place, f"{top}.{found.name}", is_package=found.ispkg)


def _parts(place: str, name: str, *, is_package: bool) -> Iterator[str]:
    yield name
    if is_package:
        inner = str(Path(place) / name.rpartition(".")[2])
        for found in pkgutil.iter_modules([inner]):
            if found.name not in {"test", "tests", "__main__", "idle_test", "conftest"}:
                yield from _parts(inner, f"{name}.{found.name}", is_package=found.ispkg)
