"""HTML that cannot be written without escaping: text becomes ``Html`` by one function alone."""

import html
import re
from collections.abc import Iterable

# No text holds these in HTML, and what turns the direction of writing can make it read otherwise.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
VOID = {"meta", "br"}


class Html(str):
    """Text that is HTML already; every other string is escaped where it is put into some."""

    __slots__ = ()


Part = str | Iterable[str] | None


def escaped(text: str) -> Html:
    """Return text as HTML; what a document cannot hold becomes U+FFFD."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(UNPRINTABLE.sub("�", text)))


def element(name: str, /, *parts: Part, **attributes: str | None) -> Html:
    """Return an element of what is in it: strings, lists of them, or nothing.

    An attribute's name has ``_`` for ``-`` and one at its end for a word of Python; None leaves it
    out. The result is well-formed as XML too.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(UNPRINTABLE.sub("�", value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(*parts)}</{name}>")


def joined(*parts: Part) -> Html:
    """Return parts one after the other."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, str):
            found.append(escaped(part))
        elif part is not None:
            found += map(escaped, part)
    return Html("".join(found))
