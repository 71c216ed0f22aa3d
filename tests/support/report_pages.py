"""A run to make a report of, and the report as a browser would read it."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

Studio = Callable[..., Any]
TESTS = {
    "permutation": {"n": 99},
    "block_bootstrap": {"n": 99},
    "monte_carlo": {"n": 19},
    "walk_forward": {"folds": 4},
}
SAMPLE: dict[str, Any] = {
    "symbol": "SPX", "provider": "sample", "plot": False, "start": "2001-01-01", "end": "2006-12-31",
    "execution": {"commission_bps": 5, "slippage_bps": 2},
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def tags(self) -> set[str]:
        """Return the names of all elements."""
        return {tag for tag, _ in self.elements}


def tree(content: bytes) -> ET.Element:
    """Return the page read as XML, which it has to be as well."""
    text = content.decode("utf-8").removeprefix("<!DOCTYPE html>")
    return ET.fromstring(text)  # noqa: S314  # what was made a moment ago


def words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())
