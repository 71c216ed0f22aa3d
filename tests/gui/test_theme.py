"""Colours can be told apart, in both themes."""

import itertools

import pytest

from gui.theme import PALETTES, Palette
from scripts.panel_layout import contrast

ON = ("window", "surface", "field", "selected")
TEXTS = ("text", "muted", "gain", "loss", "warning")


def test_contrast_of_known_pairs() -> None:
    """Black on white is 21, a colour on itself 1, and #767676 on white the known 4.54."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#336699", "#336699") == pytest.approx(1.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_text_can_be_read(palette: Palette) -> None:
    """Every text has a contrast of at least 4.5 on whatever it can stand on."""
    pairs = [
        *itertools.product(TEXTS, ON),
        ("on_accent", "accent"),
        ("on_accent", "accent_pressed"),
    ]
    for text, ground in pairs:
        found = contrast(getattr(palette, text), getattr(palette, ground))
        assert found >= 4.5, (text, ground, found)
