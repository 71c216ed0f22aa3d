"""``docs/metrics.md`` says of every figure and every test what it means and when it misleads."""

import json
import re
from typing import Any

import pytest
from pages import ROOT

from engine.catalog import catalog
from engine.metrics import REASONS as OF_METRICS
from engine.metrics.definitions import METRICS
from engine.validation import REASONS
from scripts import metrics_page

PAGE = ROOT / "docs" / "metrics.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]
}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def marked(kind: str) -> list[tuple[str, list[str]]]:
    """Return title and names of each section that shows something of that kind."""
    found = (
        (title, re.findall(rf"<!-- {kind} (.*?) -->", text)) for title, text in SECTIONS.items()
    )
    return [(title, " ".join(names).split()) for title, names in found if names]


def test_up_to_date() -> None:
    """What the page has from the code is what the code says."""
    assert metrics_page.filled(TEXT) == TEXT, "run: python -m scripts.metrics_page"


def test_every_metric_is_there_once() -> None:
    """Every metric has one section; one that has it alone bears its label."""
    shown = marked("metric")
    assert sorted(name for _, names in shown for name in names) == sorted(METRICS)
    for title, names in shown:
        assert len(names) > 1 or title == METRICS[names[0]].label


def test_every_validation_test_is_there_once() -> None:
    """Every shipped validation test has one section."""
    shown = [name for _, names in marked("test") for name in names]
    assert sorted(shown) == sorted(entry["name"] for entry in catalog()["validation"])


def test_every_section_has_the_words() -> None:
    """Each of them says what it means and when it misleads, once, and more than a word."""
    words = [title for title, _ in [*marked("metric"), *marked("test")]] + ["Look-ahead"]
    for title in words:
        for lead in ("Means", "Misleads"):
            (said,) = re.findall(
                rf"^\*\*{lead}\.\*\*\s(.*?)(?=^\*\*|^##|\Z)",
                SECTIONS[title],
                re.DOTALL | re.MULTILINE,
            )
            assert len(said.split()) >= 5, (title, lead)


def test_every_reason_is_there() -> None:
    """Every reason why a number may be missing is in the table, of a metric and of a test."""
    for name, words in [*OF_METRICS.items(), *REASONS.items()]:
        (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", TEXT, re.MULTILINE)
        assert words in row.split("; of a test: ")


def test_sources() -> None:
    """Every paper that a definition or the page names is listed at the end, and only those."""
    body, _, listed = TEXT.partition("\n## Sources\n")
    papers = {
        (names.split(",")[0], year)
        for names, year in re.findall(r"^- (.+?) \((\d{4})\)", listed, re.MULTILINE)
    }
    assert len(papers) == len(re.findall(r"^- ", listed, re.MULTILINE))
    cited = " ".join(body.split())
    for surname, year in papers:
        assert re.search(rf"{surname}[^.;]{{0,80}}{year}", cited), (surname, year)
    for year in re.findall(r"\(((?:19|20)\d\d)\)", cited):
        assert year in {year for _, year in papers}


@pytest.mark.parametrize("entry", catalog()["validation"], ids=lambda entry: entry["name"])
def test_defaults_in_the_readme(entry: Any) -> None:
    """The README's table of tests gives each parameter with its default."""
    (told,) = re.findall(rf"^\| `{entry['name']}` \{{(.*?)\}}", README, re.MULTILINE)
    defaults = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in entry["defaults"].items()
    }
    assert dict(pair.split() for pair in told.split(", ")) == defaults


def test_simulations_in_the_readme() -> None:
    """The README's figures of the simulations are those that were committed."""
    studies = json.loads((ROOT / "scripts" / "calibration.json").read_bytes())["studies"]
    said = " ".join(README.split())
    rates = [found["rejection_rate"] for found in studies["permutation_null"].values()]
    assert f"{100 * min(rates):.1f} to {100 * max(rates):.1f} % are called significant" in said
    assert f"found in {100 * studies['permutation_power']['power']:.1f} % of markets" in said
    found = studies["sharpe_coverage"]["0.3"]
    shares = [
        found["automatic"]["studentized_coverage"],
        found["iid"]["studentized_coverage"],
        found["iid"]["percentile_coverage"],
    ]
    for share in shares:
        assert f"{100 * share:.0f} %" in said.partition("interval holds the true")[2][:250]
