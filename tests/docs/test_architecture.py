"""The tour and its picture agree with the code."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pages import ROOT

from engine.records import STAGES

PICTURE = ROOT / "docs" / "architecture.svg"
SVG = "{http://www.w3.org/2000/svg}"
COLOUR = re.compile(r"--(\w+): #([0-9a-f]{6})")


def texts() -> list[str]:
    root = ET.parse(PICTURE).getroot()  # noqa: S314  # our own file
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def looks() -> dict[str, dict[str, str]]:
    """Return the colours of the picture, light and dark."""
    light, dark = re.findall(r"svg \{ (--[^}]*)\}", PICTURE.read_text(encoding="utf-8"))
    return {"light": dict(COLOUR.findall(light)), "dark": dict(COLOUR.findall(dark))}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_stages_of_the_picture() -> None:
    """The picture has the eight stages' packages in the order in which data passes them."""
    shown = [text.removesuffix("/") for text in texts() if re.fullmatch(r"\w+/", text)]
    assert len(shown) == len(STAGES)
    assert all((ROOT / "engine" / name / "__init__.py").is_file() for name in shown)
    rules = (ROOT / "tests" / "test_import_rules.py").read_text(encoding="utf-8")
    assert f"STAGES = {shown}".replace("'", '"') in rules


def test_the_stages_of_the_tour() -> None:
    """The tour's table has the eight stages, in order, each beginning in a file of its package."""
    tour = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `(engine/\w+/\w+\.py)`", tour, re.MULTILINE)
    assert [stage for stage, _ in rows] == list(STAGES)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_picture_can_be_read(look: str) -> None:
    """Text is text, and stands out from what it lies on by 4.5 to 1, on a light and a dark page."""
    colours = looks()[look]
    assert texts()
    for ink in ("ink", "soft"):
        for paper in ("page", "box", "stage"):
            high, low = sorted(map(luminance, (colours[ink], colours[paper])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


def test_the_picture_needs_nothing() -> None:
    """The picture loads nothing: no other file, no script, no font."""
    text = Path(PICTURE).read_text(encoding="utf-8")
    assert not re.search(r"<script|<image|@import|@font-face|href=", text)
