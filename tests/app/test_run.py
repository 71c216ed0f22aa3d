"""The command ``run``: what it prints, what it writes and where, and fields that ``--set`` changes."""

import itertools
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config_file import COMPONENTS, sample_config, with_overrides
from engine.artifacts import verify
from engine.config import RunConfig
from engine.metrics import HEADLINE

Studio = Callable[..., Any]


def test_sample_run_prints_table_and_writes_artifacts(studio: Studio, tmp_path: Path) -> None:
    """Without a file the sample runs: a table, the double lag, what is not modelled, the place."""
    ended = studio("run")
    assert ended.code == 0
    assert ended.err == ""
    for words in (
        "SPX 1d, 1999-01-04 to 2018-12-31, 5,031 bars",
        "Double lag:",
        "Not modelled:",
        "No look-ahead: 4 other futures changed nothing",
        "100,000 at the start, 61,255 at the end.",
        "Costs assumed: commission 5 bp, slippage 2 bp, no borrow fee.",
        "Whether to believe it",
        "In short       Nothing here speaks for an edge: luck is enough to explain it (p 0.542)",
        "5 in 10 random markets did as well (p 0.542 ± 0.016)",
        "95% interval from -0.44 to 0.32; 0 lies within",
        "No break-even: it loses even without slippage",
        "2 of 5 later stretches made money; Sharpe of all of them 0.08",
    ):
        assert words in ended.out
    (place,) = (tmp_path / "studio-runs").iterdir()
    assert f"Artifacts: studio-runs/{place.name}" in ended.out
    assert sorted(path.name for path in place.iterdir()) == [
        "config.json",
        "drawdown.parquet",
        "equity.parquet",
        "fills.parquet",
        "manifest.json",
        "metrics.json",
        "plot.png",
        "summary.json",
        "trades.parquet",
        "validation_summary.json",
    ]
    assert verify(place).ok
    summary = json.loads((place / "summary.json").read_bytes())
    found = json.loads((place / "validation_summary.json").read_bytes())
    assert summary["validation"] == {
        "permutation_p_value": found["permutation"]["p_value"],
        "sharpe_interval": found["block_bootstrap"]["sharpe"]["studentized"],
        "breakeven_slippage_bps": found["monte_carlo"]["breakeven_slippage_bps"],
        "walk_forward_sharpe": found["walk_forward"]["stitched"]["sharpe"],
    }


def test_no_costs_and_no_tests_are_said(studio: Studio) -> None:
    """A run that assumes no costs and was not tested says both, and how to ask."""
    bare = ("run", "--no-plot", "--set", "execution={}", "--set", "end=2005-12-31", "--set")
    out = studio(*bare, "validation={}").out
    assert "No costs are assumed: commission and slippage are 0." in out
    ask = "not tested; ask with --set 'validation={\"permutation\": {}}'"
    assert f"Whether to believe it: {ask}" in out
    out = studio(*bare, 'validation={"walk_forward": {"folds": 2}}').out
    assert "In short       Whether this is luck was not tested, and how uncertain" in out
    assert "Costs          Not varied: no Monte Carlo test was asked for" in out
    assert "ask with" not in out


def test_bars_needed_stand_beside_those_there(studio: Studio) -> None:
    """The length that a Sharpe needs is told with the length that there is."""
    run = (
        "run",
        "--no-plot",
        "--set",
        'strategy={"name": "buy_and_hold"}',
        "--set",
        "validation={}",
    )
    out = studio(*run, "--set", "end=2006-12-31").out
    assert re.search(r"Bars needed to believe it +[\d,]+ \(there are 2,011\)", out), out


def test_json_prints_summary_and_nothing_else(studio: Studio, tmp_path: Path) -> None:
    """With --json, standard output is summary.json to the byte and nothing else is said."""
    ended = studio("run", "--json", "--no-plot", "--out", "here")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (tmp_path / "here/summary.json").read_text(encoding="utf-8")
    summary = json.loads(ended.out)
    assert set(summary["metrics"]) == set(HEADLINE)
    assert not (tmp_path / "here/plot.png").exists()


def test_config_file_and_overrides(studio: Studio, tmp_path: Path) -> None:
    """--set overrides fields of the file: numbers as JSON, words as text, items of lists."""
    config = {"symbol": "SPX", "provider": "sample", "plot": False, "indicators": [{"name": "sma"}]}
    (tmp_path / "c.json").write_text(json.dumps(config), encoding="utf-8")
    ended = studio(
        "run", "c.json", "--out", "r", "--set", "strategy.params.fast=10", "--set", "symbol=IXIC",
        "--set", 'indicators.0.params={"length": 7}', "--set", "end=2001-12-31",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    written = json.loads((tmp_path / "r/config.json").read_bytes())
    assert written["strategy"]["params"]["fast"] == 10
    assert written["symbol"] == "IXIC"
    assert written["indicators"] == [{"name": "sma", "params": {"timeperiod": 7}}]
    assert (tmp_path / "r/features.parquet").is_file()


def overridden(*overrides: str) -> dict[str, Any]:
    return with_overrides(sample_config(), overrides)


def test_another_component_comes_with_its_defaults(studio: Studio) -> None:
    """A component that --set names has its own defaults and what --set gives it, in any order."""
    assert overridden("strategy.name=buy_and_hold")["strategy"] == {"name": "buy_and_hold"}
    assert overridden("risk=volatility_target")["risk"] == {"name": "volatility_target"}
    same = overridden("strategy=dual_sma", "strategy.params.fast=10")["strategy"]
    assert same == {"name": "dual_sma", "params": {"fast": 10, "slow": 50}}
    given = ("risk.params.lookback=60", "risk.name=volatility_target", "risk.params.min_vol=0.1")
    for order in itertools.permutations(given):
        assert overridden(*order)["risk"] == {
            "name": "volatility_target",
            "params": {"lookback": 60, "min_vol": 0.1},
        }
    ended = studio(
        "run", "--no-plot", "--set", "risk.name=volatility_target", "--set", "validation={}"
    )
    assert ended.code == 0, ended.err


def test_text_in_place_of_a_component_is_its_name() -> None:
    """So it is for strategy, sizing, slippage model and a listed indicator, and nothing else."""
    given = overridden(
        "execution.slippage_model.params.spread_pct=0.1", "execution.slippage_model=spread_pct",
        "indicators.0=ema", 'indicators=[{"name": "sma", "params": {"length": 9}}]', "calendar=XNYS",
    )  # fmt: skip
    assert given["execution"]["slippage_model"] == {
        "name": "spread_pct",
        "params": {"spread_pct": 0.1},
    }
    assert given["execution"]["commission_bps"] == 5
    assert (given["indicators"], given["calendar"]) == ([{"name": "ema"}], "XNYS")
    assert overridden("execution.slippage_model=null")["execution"]["slippage_model"] is None
    without_name = with_overrides({"strategy": {"params": {"fast": 5}}}, ["strategy=dual_sma"])
    assert without_name["strategy"] == {"params": {"fast": 5}, "name": "dual_sma"}


def test_where_components_stand() -> None:
    """The fields that --set knows as components are the configuration's own, with its defaults."""
    config = RunConfig(symbol="X")
    assert {
        "strategy": config.strategy.name,
        "risk": config.risk.name,
        "execution.slippage_model": None,
    } == COMPONENTS


def test_a_run_that_is_there_is_reported_and_left(studio: Studio, tmp_path: Path) -> None:
    """The same run again finds itself verified, prints the same table, and touches nothing."""
    first = studio("run", "--no-plot", "--out", "r")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()}
    again = studio("run", "--no-plot", "--out", "r")
    assert again.code == 0
    assert (
        again.out == first.out + "This very run is there already, verified; it was left as it is.\n"
    )
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()} == before


def test_an_empty_directory_is_taken(studio: Studio, tmp_path: Path) -> None:
    """An existing empty directory becomes the run's."""
    (tmp_path / "r").mkdir()
    assert studio("run", "--no-plot", "--out", "r").code == 0
    assert verify(tmp_path / "r").ok


def test_other_content_is_refused_and_kept(studio: Studio, tmp_path: Path) -> None:
    """A directory with anything else, another run, or this run damaged is refused with exit 2."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine", encoding="utf-8")
    refused = studio("run", "--out", "full")
    assert refused.code == 2
    assert "full already holds something else" in refused.err
    assert (tmp_path / "full/notes.txt").read_text(encoding="utf-8") == "mine"
    assert studio("run", "--no-plot", "--out", "r").code == 0
    other = studio("run", "--no-plot", "--out", "r", "--set", "seed=1")
    assert (other.code, "something else" in other.err) == (2, True)
    (tmp_path / "r/summary.json").write_text("{}", encoding="utf-8")
    damaged = studio("run", "--no-plot", "--out", "r")
    assert (damaged.code, "do not verify" in damaged.err) == (2, True)
    here = studio("run", "--no-plot", "--out", ".")
    assert (here.code, "current directory" in here.err) == (2, True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert studio("run", "--no-plot", "--out", "file").code == 2


@pytest.mark.parametrize("text", ["700", "1e5", "true", '"700"'])
def test_a_symbol_that_looks_like_a_number(text: str) -> None:
    """A symbol that --set gives is text, with quotes or without."""
    assert overridden(f"symbol={text}")["symbol"] == text.strip('"')


def test_progress_on_a_terminal_only(tmp_path: Path) -> None:
    """A progress bar moves on a terminal; in a pipe nothing but results is printed."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "app", "run", "--out"]
    with subprocess.Popen(
        [*command, "a"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs
    ) as run:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(terminal, 65536):
                seen += chunk
        except OSError:  # how a terminal says that its other end is closed
            pass
    os.close(terminal)
    assert run.returncode == 0
    assert "writing artifacts" in seen.decode()
    assert "%" in seen.decode()
    piped = subprocess.run([*command, "b"], cwd=tmp_path, capture_output=True, check=True)
    assert piped.stderr == b""


def test_version(studio: Studio) -> None:
    """The version is one line."""
    ended = studio("--version")
    assert (ended.code, ended.out) == (0, "studio 0.1.0\n")


def test_undefined_figures_say_why(studio: Studio, candles: Path) -> None:
    """A figure that is not defined stands in the table as a dash with its reason."""
    out = studio("run", "--candles", candles, "--no-plot").out
    assert "– (no closed trade)" in out
    assert "– (zero volatility)" in out
    assert "Warning: 6 bars are less than a year of 252" in out
