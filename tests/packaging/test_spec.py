"""What goes into a bundle: icons, libraries, sources, notices, the archive and the menu entry."""

import hashlib
import importlib.util
import io
import os
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import archive
import bundle
import compare
import contents
import icon
import pytest
from PIL import Image

from engine.code import sha256_hex, sources_digest

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "assets" / "icon"


@pytest.mark.parametrize("size", icon.SIZES)
def test_icon_has_every_usual_size(size: int) -> None:
    """Each picture has the size of its name and is drawn in more than one colour, clear outside."""
    for content in ((ICONS / f"studio-{size}.png").read_bytes(), icon.draw(size)):
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (size, size))
            shades = picture.getcolors(size * size)
            assert shades is not None
            assert len(shades) > 3
            assert picture.getpixel((0, 0)) in {(255, 255, 255, 0), (0, 0, 0, 0)}


def test_windows_icon_holds_the_usual_sizes() -> None:
    """Pillow, which reads icons too, finds every size in the file for Windows."""
    with Image.open(ICONS / "studio.ico") as found:
        assert found.info["sizes"] == {(size, size) for size in icon.ICO_SIZES}


def test_macs_icon_holds_the_usual_sizes() -> None:
    """Pillow finds every size in the file for Macs, and its parts fill it to the end."""
    content = (ICONS / "studio.icns").read_bytes()
    assert struct.unpack(">4sI", content[:8]) == (b"icns", len(content))
    with Image.open(ICONS / "studio.icns") as found:
        sizes = {width * scale for width, _, scale in found.info["sizes"]}
    assert sizes == {16, 32, 64, 128, 256, 512, 1024}


def test_icons_are_written_anew(tmp_path: Path) -> None:
    """The script writes the files that are stored, each with pictures of the same sizes."""
    icon.write(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {each.name for each in ICONS.iterdir()}


def test_standard_library_goes_in_whole() -> None:
    """What a plugin may import of the standard library is asked for, down to its parts."""
    names = set(contents.standard_library())
    wanted = {"statistics", "graphlib", "sqlite3.dbapi2", "xml.etree.ElementTree", "wave", "json"}
    assert wanted <= names
    assert not {"test", "idlelib", "turtle", "this", "lib2to3.pgen2"} & names


def test_whole_packages_leave_out_their_tests() -> None:
    """All of Studio, numpy and pandas is asked for, and none of their tests."""
    names = contents.packages_whole()
    assert {"app.handlers.runs", "engine.plugins", "gui.window", "numpy.fft", "pandas.api"} <= {
        *names
    }
    assert not [name for name in names if {"tests", "conftest"} & set(name.split("."))]


def test_nothing_of_the_tests_goes_in() -> None:
    """What only tests, checks and builds need is kept out by name; what Studio needs is not."""
    foreign = set(contents.foreign_modules())
    assert {"pytest", "mypy", "hypothesis", "setuptools", "scipy"} <= foreign
    needed = {"numpy", "pandas", "pyarrow", "talib", "tornado", "PIL", "fontTools", "engine", "app"}
    assert not needed & foreign
    assert {"distributed", "dask"} <= foreign


def test_own_sources_are_those_that_the_hash_covers() -> None:
    """The sources that go in as data are the very files whose digest is part of a run's hash."""
    digest = hashlib.sha256()
    rows = {
        f"{folder}/{Path(source).name}".removeprefix("engine/"): Path(source)
        for source, folder in contents.own_sources()
    }
    for name in sorted(rows):
        digest.update(f"{name}\n{sha256_hex(rows[name].read_bytes())}\n".encode())
    assert digest.hexdigest() == sources_digest()


def test_notices_name_every_library() -> None:
    """Each library comes with its name and version, which the hash of a run reads, and licence."""
    found = list(contents.notices())
    folders = {
        folder.split("/")[0].lower() for source, folder in found if source.endswith("METADATA")
    }
    assert len(folders) == len(contents.requirements())
    for name in ("numpy", "ta_lib", "pyarrow", "matplotlib", "exchange_calendars", "tzdata"):
        assert [each for each in folders if each.startswith(f"{name}-")], name
    licensed = {
        folder.split("/")[0].lower() for source, folder in found if not source.endswith("METADATA")
    }
    # Their licence stands in METADATA alone.
    assert {each.partition("-")[0] for each in folders - licensed} <= {"cython", "pyluach"}


def test_notices_of_what_is_not_from_python() -> None:
    """Python, Studio and the libraries of the system come with their licences."""
    linked = [
        ("libX11.so.6", str(each), "BINARY") for each in Path("/usr/lib").glob("*/libX11.so.6")
    ]
    found = {folder: Path(source) for source, folder in contents.other_notices(linked)}
    assert {"licenses/studio", "licenses/python"} <= found.keys()
    assert all(source.is_file() for source in found.values())
    if linked and shutil.which("dpkg"):
        assert "licenses/libx11-6" in found


def test_nothing_under_the_gpl_is_linked() -> None:
    """The library behind readline would bind all of it to its terms."""
    assert "readline" not in contents.standard_library()


@pytest.mark.parametrize(
    ("place", "stays"),
    [
        ("pyarrow/libarrow.so.2600", True),
        ("pyarrow/libarrow_substrait.so.2600", True),
        ("pyarrow/libarrow_python.so.2600", True),
        ("pyarrow/libarrow_python.so", False),
        ("pyarrow/libarrow_python.so.2600.1.0", False),
        ("pyarrow/libarrow_flight.so.2600", False),
        ("pyarrow/_s3fs.cpython-311-x86_64-linux-gnu.so", False),
        ("pyarrow\\include\\arrow\\api.h", False),
        ("pyarrow/_compute.cpython-311-x86_64-linux-gnu.so", True),
        ("engine/execution/kernel.py", True),
        ("numpy-2.4.6.dist-info/METADATA", True),
        ("numpy-2.4.6.dist-info/licenses/LICENSE.txt", True),
        ("numpy-2.4.6.dist-info/RECORD", False),
        ("matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf", True),
        ("matplotlib/mpl-data/sample_data/topobathy.npz", False),
    ],
)  # fmt: skip
def test_files_are_kept_by_their_place(place: str, *, stays: bool) -> None:
    """Headers, tests, storage of others and files that are there thrice stay out; the rest stays."""
    assert bool(contents.kept([(place, "source", "DATA")])) is stays


def test_a_link_goes_with_what_it_points_to() -> None:
    """A link stays where its target does, and goes where that goes."""
    files = [("a/x.so", "s", "BINARY"), ("pyarrow/_s3fs.so", "s", "BINARY")]
    links = [
        ("x.so", "a/x.so", "SYMLINK"),
        ("y.so", "pyarrow/_s3fs.so", "SYMLINK"),
        ("a/z", "x.so", "SYMLINK"),
    ]
    assert contents.kept([*files, *links]) == [files[0], links[0], links[2]]


def test_each_program_starts_with_its_own_script() -> None:
    """A program has PyInstaller's hooks but the one for fonts, and its own script alone."""
    names = [
        "pyiboot01_bootstrap",
        "pyi_rth_mplconfig",
        "pyi_rth__tkinter",
        "start_desktop",
        "start_cli",
    ]
    entries = [(name, "source", "PYSOURCE") for name in names]
    assert [each[0] for each in contents.starting(entries, "start_cli")] == [
        names[0],
        names[2],
        names[4],
    ]


def test_windows_is_told_the_version() -> None:
    """The version resource is what PyInstaller evaluates, with the version in numbers and words."""
    made: list[dict[str, Any]] = []

    def record(**given: Any) -> None:
        made.append(given)

    def pair(*given: Any) -> Any:
        return given

    parts = ("StringStruct", "StringTable", "StringFileInfo", "VarFileInfo", "VarStruct")
    names: dict[str, Any] = {"VSVersionInfo": record, "FixedFileInfo": record}
    names |= dict.fromkeys(parts, pair)
    eval(contents.version_resource("1.20.3"), {}, names)  # noqa: S307  # as PyInstaller does
    assert made[0]["filevers"] == (1, 20, 3, 0)
    assert "('ProductVersion', '1.20.3')" in str(made[1]["kids"])


def test_archive_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    """Times, owners and the order of making leave no trace; links stay links, programs can run."""
    archives = []
    for number, order in enumerate((("b", "a"), ("a", "b"))):
        folder = tmp_path / str(number) / "studio"
        folder.mkdir(parents=True)
        for name in order:
            (folder / name).write_text(name)
            os.utime(folder / name, (number * 1e6, number * 1e6))
        (folder / "b").chmod(0o700 + number)
        (folder / "link").symlink_to("a")
        archives.append(archive.pack(folder, tmp_path / f"{number}.tar.gz"))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        modes = {entry.name: (entry.mode, entry.mtime, entry.linkname) for entry in tar}
    assert modes == {
        "studio": (0o755, 0, ""),
        "studio/a": (0o644, 0, ""),
        "studio/b": (0o755, 0, ""),
        "studio/link": (0o755, 0, "a"),
    }


def test_programs_and_wheels_libraries_are_not_stripped() -> None:
    """The programs carry an archive and *.libs was rewritten by pip: strip would break both."""
    places = {
        "studio-cli": False,
        "_internal/numpy.libs/x.so": False,
        "_internal/pyarrow/x.so": True,
    }
    assert {place: bundle.may_be_stripped(Path(place)) for place in places} == places


def test_what_the_build_needs_is_asked_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the tools is told which package brings them; one with them is told nothing."""
    for name in ("objdump", "strip"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bundle.lacking() is None
    (tmp_path / "strip").unlink()
    assert "binutils" in (bundle.lacking() or "")
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    assert "python3-tk" in (bundle.lacking() or "")


def test_time_of_the_build_is_the_commits() -> None:
    """The time that is written down is a plain number of seconds, none of this minute's."""
    assert bundle.EARLIEST <= bundle.commit_time() == bundle.commit_time()


def test_sizes_do_not_follow_links(tmp_path: Path) -> None:
    """A link counts as what it takes itself, not as what it points to."""
    (tmp_path / "a").write_bytes(bytes(1000))
    (tmp_path / "b").symlink_to("a")
    assert bundle.size_of(tmp_path) == 1001


def test_comparison_tells_what_differs(tmp_path: Path) -> None:
    """A changed file, a missing one and a link elsewhere are told; what is the same is not."""
    for name, text in (("one", "x"), ("other", "y")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "same").write_text("same")
        (folder / "changed").write_text(text)
        (folder / "link").symlink_to(text)
        (folder / f"only-{name}").write_text("")
    found = compare.differing(compare.hashes(tmp_path / "one"), compare.hashes(tmp_path / "other"))
    assert found == ["changed", "link", "only-one", "only-other"]


def test_menu_entry_names_the_program_where_it_lies(tmp_path: Path) -> None:
    """The entry holds the folder's own path, with what is special in a desktop entry escaped."""
    folder = tmp_path / 'a "b" $c 5% d\\e'
    (folder / "_internal").mkdir(parents=True)
    for name, place in (("add-to-menu", "."), ("studio.desktop", "_internal/studio.desktop.in")):
        target = folder / name if place == "." else folder / place
        target.write_bytes((ROOT / "packaging" / name).read_bytes())
    (tmp_path / "link").symlink_to(folder / "add-to-menu")
    home = tmp_path / "home"
    subprocess.run(
        ["/bin/sh", str(tmp_path / "link")],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        check=True,
        capture_output=True,
    )
    lines = (home / ".local/share/applications/studio.desktop").read_text().splitlines()
    assert rf'Exec="{tmp_path}/a \\"b\\" \\$c 5%% d\\\\e/Studio"' in lines
    assert rf'Icon={tmp_path}/a "b" $c 5% d\\e/studio.png' in lines
