"""README, CONTRIBUTING and docs as tests read them: blocks, prose, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: what language it says it is in, and its text."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Return its lines as a shell takes them: without empty ones, continued ones joined."""
        return [line for line in self.text.replace("\\\n", "").splitlines() if line.strip()]


def name_of(page: Path) -> str:
    """Return the page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, of one language where it is named."""
    found = (Block(*each) for each in FENCED.findall(page.read_text(encoding="utf-8")))
    return [block for block in found if language in {None, block.language}]


def prose(page: Path) -> str:
    """Return what stands outside of fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for title in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        n = sum(re.fullmatch(rf"{re.escape(plain)}(-\d+)?", each) is not None for each in found)
        found.append(f"{plain}-{n}" if n else plain)
    return set(found)
