"""What a name may be, and how messages put names, counts and sizes to a person.

Light, so that a server may start.
"""

import re
from collections.abc import Iterable

# The name of a symbol: a file's name on every system.
SYMBOL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"
NAME_WORDS = (
    "1 to 64 letters (A to Z, a to z), digits, dots, dashes or underscores, the first and the last "
    "a letter or a digit"
)
NAME_RULE = f"should be {NAME_WORDS}; no device's name, such as nul"
DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}
PATTERNS = {SYMBOL_PATTERN: f"should be {NAME_WORDS}"}
SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def is_portable_name(name: str) -> bool:
    """Tell whether a symbol or preset may be called so: a file's name on every system."""
    is_name = re.fullmatch(SYMBOL_PATTERN, name) is not None
    return is_name and name.lower().partition(".")[0] not in DEVICES


def noun(n: float, what: str) -> str:
    """Return the noun for so many; ``what`` is the one for one."""
    return what if n == 1 else f"{what}s"


def counted(n: int, what: str) -> str:
    """Return a count with its noun: ``1 bar``, ``1,234 bars``."""
    return f"{n:,} {noun(n, what)}"


def one_of(known: Iterable[str]) -> str:
    """Return what a field with these values should be: ``should be 'a', 'b' or 'c'``."""
    *first, last = map(repr, known)
    return f"should be {', '.join(first)} or {last}"


def size_in_words(n_bytes: int) -> str:
    """Return a size as settings are written, ``256 MiB``; bytes where that would not be exact."""
    for size, unit in SIZES:
        if n_bytes >= size and n_bytes % size == 0:
            return f"{n_bytes // size:,} {unit}"
    return counted(n_bytes, "byte")


def file_name(given: str) -> str:
    """Return what a file is called as text to keep: no path, printable, at most 255 characters."""
    last = re.split(r"[/\\]", given)[-1]
    return "".join(each if each.isprintable() else "\ufffd" for each in last[:255])


def pattern_in_words(pattern: str) -> str:
    """Return what a field with this pattern should be; of a plugin's own, the pattern itself."""
    return PATTERNS.get(pattern, f"should match the pattern {pattern!r}")
