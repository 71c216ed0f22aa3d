"""What README, CONTRIBUTING and docs point to is there: links, anchors, files, names in code."""

import pkgutil
import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, name_of, prose

PICTURE = ROOT / "docs" / "architecture.svg"
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
FOLDERS = ("app", "assets", "contracts", "docs", "engine", "gui", "packaging", "scripts", "tests")
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./-]*[\w/]")
# Names like files: the reader's own, and a library.
READERS = {"my_components.py", "backtesting.py"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link within the repository leads to a file that is there, each anchor to a heading."""
    for target in LINK.findall(prose(page)):
        if re.match(r"https?:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), f"{name_of(page)}: {target}"
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file), f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", [*PAGES, PICTURE], ids=name_of)
def test_files_are_there(page: Path) -> None:
    """Each path of the repository that a page names exists, and each Python file of any folder."""
    text = page.read_text(encoding="utf-8")
    for path in PATH.findall(text):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"
    for name in set(re.findall(r"(?<![\w/.-])[a-z_]+\.py\b", text)) - READERS:
        assert (
            any(next((ROOT / folder).rglob(name), None) for folder in FOLDERS)
            or (ROOT / name).exists()
        ), f"{name_of(page)}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_names_in_code_are_there(page: Path) -> None:
    """Each dotted name of the code that a page gives can be imported."""
    for name in re.findall(r"`((?:engine|app|gui)(?:\.\w+)+)`", prose(page)):
        assert pkgutil.resolve_name(name) is not None


def test_every_page_can_be_found() -> None:
    """The README links to every page of docs."""
    linked = set(LINK.findall(prose(ROOT / "README.md")))
    for page in PAGES:
        if page.parent.name == "docs":
            assert name_of(page) in linked
