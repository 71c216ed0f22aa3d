"""How counts, sizes and patterns are told."""

import re

import pytest

from engine.wording import (
    PATTERNS,
    SYMBOL_PATTERN,
    counted,
    file_name,
    pattern_in_words,
    size_in_words,
)


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 bars"), (1, "1 bar"), (2, "2 bars"), (12_345, "12,345 bars")]
)
def test_counts(n: int, words: str) -> None:
    """One of something stands in the singular, anything else in the plural."""
    assert counted(n, "bar") == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1 KiB"),
        (262_144, "256 KiB"),
        (262_145, "262,145 bytes"),
        (1_000_000, "1,000,000 bytes"),
        (1_048_576, "1 MiB"),
        (1_572_864, "1,536 KiB"),
        (268_435_456, "256 MiB"),
        (3_221_225_472, "3 GiB"),
    ],
)
def test_sizes(n_bytes: int, words: str) -> None:
    """A size has the largest unit in which it is whole, so that none is rounded."""
    assert size_in_words(n_bytes) == words


def test_patterns() -> None:
    """A known pattern is told without its signs; an unknown one is shown as it is."""
    for pattern, words in PATTERNS.items():
        assert not set("^$[](){}\\") & set(re.sub(r"\(A to Z, a to z\)", "", words))
        assert pattern_in_words(pattern) == words
    assert "letters" in pattern_in_words(SYMBOL_PATTERN)
    assert pattern_in_words("^x+$") == "should match the pattern '^x+$'"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("SPX_1d.csv", "SPX_1d.csv"),
        ("/home/me/bars of mine.csv", "bars of mine.csv"),
        ("C:\\data\\SPX.csv", "SPX.csv"),
        ("\udcff\x1b[1m\n.csv", "\ufffd\ufffd[1m\ufffd.csv"),
        ("x" * 300, "x" * 255),
        ("", ""),
    ],
)
def test_file_names(given: str, kept: str) -> None:
    """Of a file's name the last part is kept, as far as it can be printed."""
    assert file_name(given) == kept
