"""Write into docs/metrics.md what the code says of each figure and each test.

python -m scripts.metrics_page            write it
python -m scripts.metrics_page --check    say whether it is up to date, and fail where it is not

A comment in the page names what belongs below it, up to the next empty line:
    <!-- metric sharpe -->            label, unit and definition, from METRICS
    <!-- test permutation -->         description and parameters, from the catalogue
    <!-- code engine.streams.generator -->   what the docstring says
    <!-- calibration level -->        a table of scripts/calibration.json; or coverage
    <!-- reasons -->                  why a number may be missing
Everything else in the page is written by hand, and stands there alone.
"""

import argparse
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.catalog import catalog
from engine.metrics import REASONS as OF_METRICS
from engine.metrics.definitions import METRICS
from engine.validation import REASONS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"
CALIBRATION = ROOT / "scripts" / "calibration.json"
WITHOUT_EDGE = {
    "random_walk": "no edge: a random walk",
    "garch": "no edge: volatility that clusters",
    "drift_long_only": "no edge: a market that rises, traded long only",
}
MARKED = re.compile(r"^<!-- (\w+)((?: [\w.]+)*) -->\n(?:(?!\n).*\n)*", re.MULTILINE)


def metric(*names: str) -> Iterator[str]:
    """Yield what METRICS says: a paragraph of one metric, a list of several."""
    for name in names:
        said = METRICS[name]
        label = f"{said.label}, " if len(names) > 1 else ""
        yield f"{'- ' * (len(names) > 1)}`{name}` ({label}{said.unit}): {said.definition}"


def validation(name: str) -> Iterator[str]:
    """Yield what the catalogue says of a validation test."""
    (entry,) = (entry for entry in catalog()["validation"] if entry["name"] == name)
    yield f"`{name}`: {entry['description']} Its parameters, with their defaults:"
    for field, schema in entry["params"]["properties"].items():
        default = json.dumps(entry["defaults"][field])
        yield f"- `{field}` {default}: {schema['description']}"


def code(*names: str) -> Iterator[str]:
    """Yield the docstrings of modules, classes and functions, each with where it stands."""
    for name in names:
        thing = pkgutil.resolve_name(name)
        text = " ".join((inspect.getdoc(thing) or "").split()).replace("``", "`")
        path = Path(inspect.getsourcefile(thing) or "").resolve().relative_to(ROOT)
        yield f"- [`{name.removeprefix('engine.')}`](../{path.as_posix()}): {text}"


def calibration(table: str) -> Iterator[str]:
    """Yield one of the tables of what simulations with known answers have found."""
    measured = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    yield from {"level": _level, "coverage": _coverage}[table](measured)


def _level(measured: Any) -> Iterator[str]:
    level, studies = measured["constants"]["level"], measured["studies"]
    yield f"| strategy and market | markets | called significant at {level:.0%} |"
    yield "|---|---|---|"
    for name, found in studies["permutation_null"].items():
        yield f"| {WITHOUT_EDGE[name]} | {found['runs']:,} | {found['rejection_rate']:.1%} |"
    found = studies["permutation_power"]
    yield f"| a planted edge: moves that persist | {found['runs']:,} | {found['power']:.1%} |"


def _coverage(measured: Any) -> Iterator[str]:
    titles = ("studentised, blocks", "percentile, blocks", "studentised, bars", "percentile, bars")
    yield f"| autocorrelation of returns | samples | {' | '.join(titles)} |"
    yield "|---" * 6 + "|"
    for phi, found in sorted(measured["studies"]["sharpe_coverage"].items(), key=_number):
        shares = [
            f"{found[blocks][f'{interval}_coverage']:.1%}"
            for blocks in ("automatic", "iid")
            for interval in ("studentized", "percentile")
        ]
        yield f"| {phi} | {found['series']:,} | {' | '.join(shares)} |"


def _number(entry: tuple[str, Any]) -> float:
    return float(entry[0])


def reasons() -> Iterator[str]:
    """Yield the table of every reason, as it stands in the files and as people read it."""
    yield "| reason | in words |"
    yield "|---|---|"
    for name, words in REASONS.items():
        of_metric = OF_METRICS.get(name, words)
        both = words if of_metric == words else f"{of_metric}; of a test: {words}"
        yield f"| `{name}` | {both} |"


MAKERS: dict[str, Callable[..., Iterator[str]]] = {
    "metric": metric,
    "test": validation,
    "code": code,
    "calibration": calibration,
    "reasons": reasons,
}


def filled(page: str) -> str:
    """Return the page with what the code says below each comment."""

    def fill(found: re.Match[str]) -> str:
        comment = found[0].partition("\n")[0]
        return "\n".join([comment, *MAKERS[found[1]](*found[2].split())]) + "\n"

    return MARKED.sub(fill, page)


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where not equal")
    asked = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if not asked.check:
        PAGE.write_text(after, encoding="utf-8")
    elif after != before:
        print(
            "docs/metrics.md is not up to date. Run: python -m scripts.metrics_page",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
