"""SVG as matplotlib writes it, made part of a page whose styles may only come from its own sheet.

Style attributes become presentation attributes, which a style sheet may override; names of
families, metadata and identifiers that nothing refers to go; numbers keep one decimal.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from app.markup import Html

Element = ET.Element
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
NO_ROTATION = re.compile(r"rotate\(-?0 [^)]*\)")
GEOMETRY = {"d", "x", "y", "width", "height", "transform", "points"}
DROPPED = {f"{SVG}metadata", f"{SVG}style"}
UNUSED = {"", "font-family"}


def inline_svg(svg: bytes, title: str, number: int) -> Html:
    """Return the picture as an element with a title; ``number`` is its own on the page."""
    root = ET.fromstring(svg)  # noqa: S314  # what matplotlib has just written
    kept = set(re.findall(rb"#([\w-]+)", svg))
    _tidy(root, {name.decode() for name in kept})
    label = f"picture-{number}"
    root.attrib = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-labelledby": label}
    heading = ET.Element("title", {"id": label})
    heading.text = title
    root.insert(0, heading)
    return Html(ET.tostring(root, encoding="unicode"))


def _tidy(element: Element, kept: set[str]) -> None:
    """Change an element and all below it."""
    element.tag = element.tag.removeprefix(SVG)
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None
    element.attrib = dict(_attributes(element, kept))
    for child in list(element):
        if child.tag not in DROPPED:
            _tidy(child, kept)
        if child.tag in DROPPED or (child.tag in {"g", "defs"} and not len(child)):
            element.remove(child)


def _attributes(element: Element, kept: set[str]) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name in GEOMETRY:
            text = " ".join(NO_ROTATION.sub("", LONG_NUMBER.sub(_shorter, value)).split())
            if text:
                yield name, text
        elif name == HREF:
            yield "href", value
        elif name == "style":
            rules = (rule.partition(":") for rule in value.split(";"))
            yield from ((k.strip(), v.strip()) for k, _, v in rules if k.strip() not in UNUSED)
        elif name != "id" or value in kept:
            yield name, value


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
