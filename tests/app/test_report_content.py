"""What the report of a run says: who it is, every metric, its calendar, its tests, its trades."""

import hashlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report_pages import SAMPLE, TESTS, Studio, tree, words

from app.report import make_report
from engine.artifacts.manifest import MANIFEST
from engine.metrics.definitions import METRICS
from engine.pipeline import run
from engine.plugins import load_plugins


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
