import base64
import dataclasses
import hashlib
import itertools
import json
import os
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.markup import Html
from app.report import make_report
from app.report_files import RunFiles, read_run
from app.report_page import page
from engine.artifacts.manifest import MANIFEST, build_manifest
from engine.code import canonical_hash
from engine.errors import VerificationError
from engine.identity import SCHEMA
from engine.metrics.definitions import METRICS
from engine.pipeline import run
from engine.plugins import load_plugins
from engine.records import Identity

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
HOSTILE = """</style></title></td><script>alert(1)</script><img src=x onerror="alert(1)">'&amp;"""


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


def tables(content: bytes) -> dict[str, list[list[str]]]:
    """Return the rows of each table by its caption, heads left out."""
    found = {}
    for table in tree(content).iter("table"):
        caption = table.find("caption")
        assert caption is not None
        rows = [[words(cell) for cell in row] for row in table.iterfind("tbody/tr")]
        assert words(caption) not in found
        found[words(caption)] = rows
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run with every test, which no test may change."""
    place = tmp_path_factory.mktemp("runs") / "whole"
    run(SAMPLE | {"validation": TESTS}, out=place)
    return place


@pytest.fixture(scope="module")
def content(folder: Path) -> bytes:
    """Return its report."""
    return make_report(folder)[1]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """Return a copy that may be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def reseal(folder: Path, **changes: str) -> Path:
    """Make a run's manifest agree with its files again, whatever has been done to them."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    config = json.loads((folder / "config.json").read_bytes())
    digest, code = (changes.get(n, manifest[n]) for n in ("candle_digest", "code_version"))
    plugins = (*manifest["plugins"], *filter(None, [changes.get("plugin")]))
    whole = {
        "schema": SCHEMA, "config": config, "candle_digest": digest, "code_version": code,
        "plugins": list(plugins),
    }  # fmt: skip
    identity = Identity(canonical_hash(whole), canonical_hash(config), digest, code, plugins)
    names = [path.name for path in folder.iterdir() if path.name != MANIFEST]
    sealed = build_manifest(identity, folder, names, changes.get("kernel", "compiled"))
    (folder / MANIFEST).write_text(json.dumps(sealed), encoding="utf-8")
    return folder


def edit(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    document = json.loads((folder / name).read_bytes())
    change(document)
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def test_the_command(studio: Studio, folder: Path, content: bytes, tmp_path: Path) -> None:
    """The report is written to a file of the run's name, or where one asks for it."""
    run_id = json.loads((folder / "summary.json").read_bytes())["run_id"]
    done = studio("report", folder)
    assert (done.code, done.err) == (0, "")
    assert f"{run_id}.html" in done.out
    assert (tmp_path / f"{run_id}.html").read_bytes() == content
    assert studio("report", folder, "--out", "other.html").code == 0
    assert (tmp_path / "other.html").read_bytes() == content
    printed = studio("report", folder, "--out", "-")
    assert printed.out.encode() == content


def test_a_file_that_is_there(studio: Studio, folder: Path, tmp_path: Path) -> None:
    """The same report may be written again; any other file is left as it is."""
    place = tmp_path / "mine.html"
    assert studio("report", folder, "--out", place).code == 0
    assert studio("report", folder, "--out", place).code == 0
    place.write_text("something else", encoding="utf-8")
    refused = studio("report", folder, "--out", place)
    assert (refused.code, refused.out) == (2, "")
    assert "is there already" in refused.err
    assert place.read_text(encoding="utf-8") == "something else"
    assert studio("report", folder, "--out", tmp_path).code == 2
    os.mkfifo(tmp_path / "pipe")
    assert studio("report", folder, "--out", "pipe").code == 2  # and is not waited for


def test_where_nothing_can_be_written(studio: Studio, folder: Path) -> None:
    """A place that cannot be written is named in one sentence."""
    done = studio("report", folder, "--out", "nowhere/report.html")
    assert done.code == 4
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["nothing", "0" * 20, "../nothing", "a/b", "x" * 300])
@pytest.mark.parametrize("command", ["report", "verify", "export"])
def test_no_such_run(studio: Studio, command: str, name: str, tmp_path: Path) -> None:
    """A run that is not there is unknown, where it was looked for is said, and no file is left."""
    done = studio(command, name, *(["equity"] if command == "export" else []))
    assert (done.code, done.out) == (3, "")
    looked = "" if "/" in name else " in ./studio-runs or in the data directory"
    assert done.err == f"studio: there is no run {name}{looked}\n"
    assert not list(tmp_path.glob("*.html"))


def test_a_run_by_its_id(studio: Studio, folder: Path, content: bytes, tmp_path: Path) -> None:
    """Runs of the working directory and of the data directory are found by their id."""
    run_id = json.loads((folder / "summary.json").read_bytes())["run_id"]
    for number, runs in enumerate((tmp_path / "studio-runs", tmp_path / "data/runs")):
        shutil.copytree(folder, runs / run_id)
        assert studio("report", run_id, "--out", f"{number}.html").code == 0
        assert (tmp_path / f"{number}.html").read_bytes() == content
        shutil.rmtree(runs)


def test_the_same_bytes_anywhere(
    process: Callable[..., Any], folder: Path, content: bytes, tmp_path: Path
) -> None:
    """The same run gives the same report in another process, time zone and locale."""
    done = process(
        "report", folder, "--out", "again.html",
        TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7", SOURCE_DATE_EPOCH="1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "again.html").read_bytes() == content


def test_nothing_runs_and_nothing_is_loaded(content: bytes) -> None:
    """The page has no script and no address; its policy allows its own style sheet alone."""
    found = Page(content)
    assert found.tags() <= {
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "h1", "h2", "h3",
        "p", "dl", "dt", "dd", "div", "ul", "li", "span", "code", "table", "caption", "thead", "tbody",
        "tr", "th", "td", "figure", "figcaption", "svg", "g", "defs", "path", "use", "text", "clippath",
        "rect",
    }  # fmt: skip
    for tag, attributes in found.elements:
        assert not {"src", "srcset", "style", "data", "action", "xlink:href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert tag == "use" or "href" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    text = content.decode()
    assert "://" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    policy = next(
        a["content"] for _, a in found.elements if "Security" in (a.get("http-equiv") or "")
    )
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert text.count("<style") == 1


def test_the_structure_of_the_page(content: bytes) -> None:
    """It is well-formed, in English, with one title, ordered headings, heads and titled pictures."""
    root = tree(content)
    assert root.get("lang") == "en"
    assert len(root.findall(".//h1")) == 1
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for use in root.iter("use"):
        assert (use.get("href") or "").removeprefix("#") in ids
    for picture in root.iter("svg"):
        assert picture.get("role") == "img"
        assert picture.get("aria-labelledby") == picture[0].get("id")
        assert picture[0].text
    for table in root.iter("table"):
        assert all(head.get("scope") == "col" for head in table.iterfind("thead/tr/th"))
        for row in table.iterfind("tbody/tr"):
            assert (row[0].tag, row[0].get("scope")) == ("th", "row")
            heads = table.findall("thead/tr/th")
            assert not heads or len(heads) == len(row)
    assert len(content) < 400_000


def test_who_the_run_is(folder: Path, content: bytes) -> None:
    """Symbol, span, strategy, sizing, every field of the configuration and every hash are there."""
    config, manifest = (json.loads((folder / n).read_bytes()) for n in ("config.json", MANIFEST))
    text = words(tree(content))
    assert "SPX 1d" in text
    assert "2001-01-02 to 2006-12-29" in text
    assert "dual_sma (fast 20, slow 50, threshold_bp 0, long_only no)" in text
    assert "fixed_fraction (" in text
    names = {e.text for e in tree(content).iter("code")}
    assert {"strategy.params.fast", "execution.commission_bps", "validation.permutation.n"} <= names
    assert {key for key, value in config.items() if not isinstance(value, dict)} <= names
    for key in ("run_hash", "config_hash", "candle_digest", "code_version", "manifest_hash"):
        assert manifest[key] in text
    assert hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() in text
    files = {row[0]: row[1:] for row in tables(content)["The run's files"]}
    assert set(files) == {path.name for path in folder.iterdir()} - {MANIFEST}
    for name, (size, digest) in files.items():
        data = (folder / name).read_bytes()
        assert (size, digest) == (f"{len(data):,}", hashlib.sha256(data).hexdigest())


def test_every_metric(folder: Path, content: bytes) -> None:
    """Each metric stands beside buy and hold with its definition, and without a value its reason."""
    metrics = json.loads((folder / "metrics.json").read_bytes())
    rows = {row[0]: row[1:] for found in tables(content).values() for row in found if len(row) == 3}
    for name, said in METRICS.items():
        side, _, of = name.rpartition(".")
        if side == "benchmark":
            row = rows[f"{METRICS[of].label}{METRICS[of].definition}"]
            assert row[1] != ""
        elif not name.endswith("_returns"):
            row = rows[f"{said.label}{said.definition}"]
            assert row[0] != ""
    sharpe = METRICS["sharpe"]
    assert rows[f"{sharpe.label}{sharpe.definition}"] == [
        f"{metrics['metrics']['sharpe']:.3f}", f"{metrics['benchmark']['sharpe']:.3f}"
    ]  # fmt: skip
    needed = METRICS["min_track_record_bars"]
    assert metrics["metrics"]["min_track_record_bars"] is None
    assert rows[f"{needed.label}{needed.definition}"][0] == "–Sharpe not above 0"


def verdict_of(content: bytes) -> str:
    """Return the first line under the heading that asks whether to believe the run."""
    return next(words(e) for e in tree(content).iter("p") if e.get("class") == "lead")


def test_no_costs_are_said(tmp_path: Path) -> None:
    """A run that assumes no costs says so, beside whether to believe it."""
    run(SAMPLE | {"execution": {}}, out=tmp_path / "free")
    text = words(tree(make_report(tmp_path / "free")[1]))
    assert "No costs are assumed: commission and slippage are 0." in text


def test_the_calendar(folder: Path, content: bytes) -> None:
    """Each month and each year is in its place."""
    metrics = json.loads((folder / "metrics.json").read_bytes())
    rows = tables(content)["Returns of calendar months and years (UTC), net of all costs"]
    assert [row[0] for row in rows] == sorted(metrics["yearly_returns"])
    for row in rows:
        assert len(row) == 14
        for month, shown in enumerate(row[1:13], 1):
            value = metrics["monthly_returns"][f"{row[0]}-{month:02}"]
            assert float(shown.rstrip("%")) == pytest.approx(100 * value, abs=0.0501)
        whole = metrics["yearly_returns"][row[0]]
        assert float(row[13].rstrip("%")) == pytest.approx(100 * whole, abs=0.0501)


def test_what_the_tests_found(folder: Path, content: bytes) -> None:
    """The verdict in words comes first; costs and folds have tables, and each test its numbers."""
    found = json.loads((folder / "validation_summary.json").read_bytes())
    shown = tables(content)
    verdict = dict(row for row in shown["What the validation tests found"] if row[0])
    assert f"p {found['permutation']['p_value']:.3f}" in verdict["Luck"]
    assert "interval from" in verdict["Sharpe"]
    assert verdict.keys() == {"Luck", "Sharpe", "Return", "Costs", "Through time"}
    headings = [words(e) for e in tree(content).iter("h2")]
    assert headings[0] == "Whether to believe it"
    grid = shown["The same trades at other costs"]
    assert [row[0] for row in grid] == ["0 ×", "1 ×", "2 ×", "3 ×", "5 ×"]
    assert [row[1] for row in grid] == ["0.0", "2.0", "4.0", "6.0", "10.0"]
    for row, point in zip(grid, found["monte_carlo"]["cost_grid"], strict=True):
        assert row[2:] == [f"{point['total_return']:+.2%}", f"{point['sharpe']:.3f}"]
    folds = shown["Later stretches, each beside what came before it; nothing was fitted"]
    assert [row[0] for row in folds] == ["1", "2", "3", "4"]
    for row, fold in zip(folds, found["walk_forward"]["folds"], strict=True):
        assert row[2] == f"{fold['out_of_sample']['total_return']:+.2%}"
        assert row[4] == str(fold["out_of_sample"]["trade_count"])
    assert len(list(tree(content).iter("svg"))) == 4
    text = words(tree(content))
    assert "(p 0." in verdict_of(content)
    assert "No costs are assumed" not in text
    assert "No look-ahead: 4 other futures changed nothing before them." in text
    assert "Not modelled: interest on cash or debt" in text


def test_a_run_without_tests(tmp_path: Path) -> None:
    """What was not tested is said to be so; a plotted run shows the picture that others do."""
    run(SAMPLE, out=tmp_path / "bare")
    run(SAMPLE | {"plot": True}, out=tmp_path / "plotted")
    bare, plotted = (make_report(tmp_path / name)[1] for name in ("bare", "plotted"))
    assert verdict_of(bare).startswith("Whether this is luck was not tested, and how uncertain")
    assert len(tables(bare)["What the validation tests found"]) == 4
    pictures = [list(map(ET.tostring, tree(c).iter("svg"))) for c in (bare, plotted)]
    assert len(pictures[0]) == 1
    assert pictures[0] == pictures[1]
    assert "plot.png" in [row[0] for row in tables(plotted)["The run's files"]]


def test_few_trades_and_many(content: bytes, folder: Path, tmp_path: Path) -> None:
    """Up to 50 round trips are all there; of more, those that won and lost the most."""
    count = json.loads((folder / "summary.json").read_bytes())["metrics"]["trade_count"]
    assert count < 50
    shown = next(rows for name, rows in tables(content).items() if name.startswith("All "))
    assert len(shown) in {count, count + 1}
    assert [row[0] for row in shown] == [str(i + 1) for i in range(len(shown))]
    quick = {"strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}}
    run(SAMPLE | quick, out=tmp_path / "many")
    many = make_report(tmp_path / "many")[1]
    best, worst = (
        [float(row[8].replace(",", "")) for row in tables(many)[f"The {which} 10"]]
        for which in ("best", "worst")
    )
    assert best == sorted(best, reverse=True)
    assert worst == sorted(worst)
    values = json.loads((tmp_path / "many/metrics.json").read_bytes())["metrics"]
    assert best[0] == round(values["best_trade"], 2)
    assert worst[0] == round(values["worst_trade"], 2)
    assert "round trips are in trades.parquet" in words(tree(many))


def test_nothing_was_traded(tmp_path: Path) -> None:
    """A run without a trade says so, and why each figure about trades is undefined."""
    slow = {"strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 5000}}}
    run(SAMPLE | slow | {"validation": TESTS}, out=tmp_path / "idle")
    content = make_report(tmp_path / "idle")[1]
    text = words(tree(content))
    assert "Nothing was traded." in text
    rows = {row[0]: row[1] for row in tables(content)["Trades"]}
    win_rate = METRICS["win_rate"]
    assert rows[f"{win_rate.label}{win_rate.definition}"] == "–no closed trade"


@pytest.mark.parametrize("bars", [1, 2])
def test_the_shortest_runs(studio: Studio, candles: Path, tmp_path: Path, bars: int) -> None:
    """A run of one bar, or two, has a report too."""
    lines = candles.read_text(encoding="utf-8").splitlines()[: bars + 1]
    candles.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert studio("run", "--candles", candles, "--out", tmp_path / "short").code == 0
    text = words(tree(make_report(tmp_path / "short")[1]))
    assert f"{bars} bar" in text
    assert "Warning:" in text


def test_a_long_run_is_thinned_out(tmp_path: Path) -> None:
    """Two hundred thousand bars take no more room than a few thousand, and keep their extremes."""
    config = {
        "symbol": "SEED-3", "provider": "synthetic", "timeframe": "1m", "plot": False,
        "start": "2020-01-01", "end": "2020-05-18",
    }  # fmt: skip
    result = run(config, out=tmp_path / "long")
    assert len(result.candles) > 190_000
    content = make_report(tmp_path / "long")[1]
    assert len(content) < 400_000


PLUGIN = '''
from engine.records import ValidationReport
from engine.registry import Params
from engine.validation import validation_tests

@validation_tests.register("mine", Params)
class Mine:
    """Mine."""
    def __init__(self, params): pass
    def run(self, subject, replicates):
        return ValidationReport({"answer": 42, "deep": {"list": [1.5, {"x": None}]}, "no": False,
                                 "long": list(range(100)), "rows": {str(i): i for i in range(300)}})
'''


def test_a_test_of_ones_own(tmp_path: Path) -> None:
    """A plugin's test is shown with all that it says, alike whether or not it is loaded."""
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN, encoding="utf-8")
    loaded = load_plugins([path])
    try:
        run(SAMPLE | {"validation": {"mine": {}}}, out=tmp_path / "own")
        content = make_report(tmp_path / "own")[1]
    finally:
        for plugin in loaded:
            plugin.unload()
    assert make_report(tmp_path / "own")[1] == content
    facts = {words(e[0]): words(e[1]) for e in tree(content).iterfind(".//dl/div")}
    assert (facts["answer"], facts["deep, list, 0"], facts["deep, list, 1, x"]) == (
        "42",
        "1.5",
        "–",
    )
    assert facts["no"] == "no"
    assert "… 100 in all" in facts["long"]
    assert facts["…"] == "105 more are in validation_summary.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() in words(tree(content))


def changed(folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))


def forged(folder: Path) -> None:
    edit(folder, MANIFEST, lambda m: m.update(candle_digest="0" * 64))


def linked(folder: Path) -> None:
    (folder / "equity.parquet").rename(folder.parent / "equity.parquet")
    (folder / "equity.parquet").symlink_to(folder.parent / "equity.parquet")


def without_tables(folder: Path) -> None:
    (folder / "trades.parquet").unlink()
    reseal(folder)


def no_number(folder: Path) -> None:
    path = folder / "summary.json"
    path.write_bytes(re.sub(rb'"n_bars": \d+', b'"n_bars": NaN', path.read_bytes()))
    reseal(folder)


def no_configuration(folder: Path) -> None:
    edit(folder, "config.json", lambda config: config.pop("strategy"))
    reseal(folder)


def no_table(folder: Path) -> None:
    (folder / "fills.parquet").write_bytes(b"PAR1 and no more")
    reseal(folder)


def no_column(folder: Path) -> None:
    shutil.copy(folder / "drawdown.parquet", folder / "trades.parquet")
    reseal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed, "metrics.json has been changed"),
        (lambda f: (f / "plot.txt").touch(), None),
        (lambda f: (f / "drawdown.parquet").unlink(), "drawdown.parquet is missing"),
        (lambda f: (f / "fills.parquet").write_bytes(b"x"), "fills.parquet has 1 byte instead of"),
        (lambda f: (f / MANIFEST).unlink(), "manifest.json is missing"),
        (lambda f: (f / MANIFEST).write_bytes(b"{}"), "not the manifest of a run"),
        (linked, "equity.parquet cannot be read"),
        (forged, "own hashes do not come out"),
        (without_tables, "trades.parquet is not in the manifest"),
        (no_number, "summary.json is not JSON"),
        (no_configuration, "not what this version writes"),
        (no_table, "cannot be read: it is damaged"),
        (no_column, "cannot be read: it is damaged"),
    ],
)  # fmt: skip
def test_what_does_not_verify(
    studio: Studio, copy: Path, tmp_path: Path, change: Callable[[Path], None], said: str | None
) -> None:
    """No report is made of files that differ from the manifest; one beside them does not matter."""
    change(copy)
    done = studio("report", copy)
    if said is None:
        assert done.code == 0
        return
    assert (done.code, done.out) == (5, "")
    assert said in done.err
    assert not list(tmp_path.glob("*.html"))


def test_another_manifest_than_the_one_known(folder: Path) -> None:
    """A run whose manifest is not the one that was noted has no report."""
    noted = json.loads((folder / MANIFEST).read_bytes())["manifest_hash"]
    assert make_report(folder, noted) == make_report(folder)
    with pytest.raises(VerificationError, match="own hashes"):
        make_report(folder, "0" * 64)


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the texts of a document are; a path that ends in None is the name of a field."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield (*path, key, None)
            yield from texts(entry, (*path, key))
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from texts(entry, (*path, i))
    elif isinstance(value, str):
        yield path


def with_hostile(document: Any, path: tuple[Any, ...]) -> Any:
    """Return a copy of a document with a hostile text at a place."""
    whole = {"": json.loads(json.dumps(document))}
    value: Any = whole
    *way, last = ("", *path)
    if last is None:
        *way, name = way
        for key in way:
            value = value[key]
        value[f"{name}{HOSTILE}"] = value[name]
    else:
        for key in way:
            value = value[key]
        value[last] = f"{value[last]}{HOSTILE}"
    return whole[""]


@pytest.mark.parametrize("name", ["manifest", "config", "summary", "metrics", "validation"])
def test_a_hostile_text_anywhere(folder: Path, name: str) -> None:
    """Whatever text of a run's documents is hostile, the page shows it as text, or is not made."""
    plain = read_run(folder)
    expected = Page(_page(plain))
    seen = 0
    for path in texts(getattr(plain, name)):
        hostile = with_hostile(getattr(plain, name), path)
        try:
            content = _page(dataclasses.replace(plain, **{name: hostile}))
        except (KeyError, TypeError, ValueError):  # the report is refused
            continue
        found = Page(content)
        assert b"<script" not in content
        assert found.tags() == expected.tags(), path
        assert not [a for _, a in found.elements if {"onerror", "src"} & a.keys()]
        tree(content)
        seen += HOSTILE in found.text
    assert seen > 3, name


def _page(files: RunFiles) -> bytes:
    for table in files.tables.values():
        table.seek(0)
    return page(files, [Html("<svg></svg>")]).encode()


def test_a_hostile_run(copy: Path, studio: Studio, tmp_path: Path) -> None:
    """A whole directory of hostile texts whose manifest holds gives a page that is only text."""
    control = "\u0000\u202e\ud800"

    def spoil_config(config: Any) -> None:
        config["symbol"] = config["provider"] = HOSTILE + control
        config["strategy"] = {"name": HOSTILE, "params": {HOSTILE: HOSTILE}}
        config["risk"] = {"name": HOSTILE, "params": {HOSTILE: [HOSTILE, {HOSTILE: 1}]}}

    def spoil_summary(summary: Any) -> None:
        summary["symbol"] = summary["timeframe"] = summary["provider"] = HOSTILE + control
        summary["warnings"] = [{"code": HOSTILE, "message": HOSTILE, "count": 2}]
        summary["periods_per_year"]["origin"] = HOSTILE
        summary["data_quality"][HOSTILE] = HOSTILE

    def spoil_metrics(metrics: Any) -> None:
        metrics["metrics"][HOSTILE] = None
        metrics["reasons"] = dict.fromkeys(metrics["reasons"], HOSTILE)
        metrics["monthly_returns"][f"{HOSTILE}-01"] = 0.5
        metrics["yearly_returns"][HOSTILE] = 0.5

    def spoil_validation(found: Any) -> None:
        found[HOSTILE] = {HOSTILE: [HOSTILE, [HOSTILE]]}
        found["permutation"]["null"] = found["walk_forward"]["note"] = HOSTILE

    edit(copy, "config.json", spoil_config)
    edit(copy, "summary.json", spoil_summary)
    edit(copy, "metrics.json", spoil_metrics)
    edit(copy, "validation_summary.json", spoil_validation)
    (copy / "<img src=x onerror=alert(1)>.json").write_text("{}", encoding="utf-8")
    # The hash of the configuration must be computable: half a surrogate has no canonical form.
    text = (copy / "config.json").read_text(encoding="utf-8").replace("\\ud800", "")
    (copy / "config.json").write_text(text, encoding="utf-8")
    reseal(copy, candle_digest=HOSTILE, code_version=HOSTILE, plugin=HOSTILE, kernel=HOSTILE)
    assert studio("report", copy, "--out", "hostile.html").code == 0
    content = (tmp_path / "hostile.html").read_bytes()
    found = Page(content)
    assert not {"script", "img"} & found.tags()
    assert found.text.count(HOSTILE) > 25
    assert found.tags() <= Page(make_report(copy)[1]).tags()
    assert not {"\0", "\u202e"} & set(found.text)
    assert words(tree(content)).count("<script>") > 25
