"""Every command of the bundle, and that its numbers are those of the sources."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
QUICK = ("--set", "validation.permutation.n=99", "--set", "validation.block_bootstrap.n=99")
EVERYTHING = {
    "symbol": "IXIC",
    "provider": "sample",
    "calendar": "XNYS",
    "indicators": [{"name": "rsi"}, {"name": "bbands", "params": {"timeperiod": 20}}],
    "strategy": {"name": "dual_sma", "params": {"fast": 10, "slow": 60}},
    "risk": {"name": "volatility_target"},
    "execution": {"commission_bps": 2, "slippage_model": {"name": "spread_pct"}},
    "validation": {
        "permutation": {"n": 99},
        "block_bootstrap": {"n": 99},
        "monte_carlo": {"n": 50},
        "walk_forward": {"folds": 4},
    },
    "seed": 7,
}
PLUGIN = '''
import decimal, html.parser, sqlite3, statistics, wave, xml.etree.ElementTree
import numpy as np
import pandas as pd
from engine.registry import Params
from engine.strategy import strategies


@strategies.register("my_own", Params)
class MyOwn:
    """Long after a month that rose."""

    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        close = pd.Series(view.candles.close)
        return (close > close.shift(20)).fillna(False).to_numpy().astype(np.int8)
'''


def run(command: Command, *arguments: str | Path) -> dict[str, Any]:
    """Run into the directory that is named last, and return the manifest."""
    done = command("run", *arguments)
    assert done.code == 0, done.err
    manifest: dict[str, Any] = json.loads(Path(arguments[-1], "manifest.json").read_bytes())
    return manifest


def test_the_sample_gives_the_same_bytes(studio: Command, source: Command, tmp_path: Path) -> None:
    """Plot, report and all tests included, the bundle's files are those of the sources."""
    ours = run(studio, "--out", tmp_path / "bundle")
    theirs = run(source, "--out", tmp_path / "source")
    assert ours["manifest_hash"] == theirs["manifest_hash"]
    assert ours["code_version"] == theirs["code_version"]
    names = [each["name"] for each in ours["files"]]
    assert "plot.png" in names
    assert "validation_summary.json" in names
    for command in (studio, source):
        for name in ("bundle", "source"):
            assert command("verify", tmp_path / name).code == 0
    assert studio("verify", "--rerun", tmp_path / "source").code == 0


def test_a_bit_of_everything_gives_the_same_bytes(
    studio: Command, source: Command, tmp_path: Path
) -> None:
    """Calendars, indicators, models of sizing and slippage work, and alike."""
    config = tmp_path / "run.json"
    config.write_text(json.dumps(EVERYTHING), encoding="utf-8")
    ours = run(studio, config, "--out", tmp_path / "bundle")
    theirs = run(source, config, "--out", tmp_path / "source")
    assert ours["manifest_hash"] == theirs["manifest_hash"]
    reports = [
        command("report", tmp_path / "bundle", "--out", tmp_path / f"{name}.html")
        for name, command in (("ours", studio), ("theirs", source))
    ]
    assert [each.code for each in reports] == [0, 0], [each.err for each in reports]
    assert (tmp_path / "ours.html").read_bytes() == (tmp_path / "theirs.html").read_bytes()


def test_the_uncompiled_loop_gives_the_same_bytes(studio: Command, tmp_path: Path) -> None:
    """Both guises of the loop are in the bundle; the compiled one is the usual."""
    short = (
        "--no-plot",
        "--set",
        "end=1999-12-31",
        "--set",
        "validation.walk_forward=null",
        *QUICK,
    )
    compiled = run(studio, *short, "--out", tmp_path / "compiled")

    def interpreted(*arguments: str | Path) -> Any:
        return studio(*arguments, STUDIO_KERNEL="interpreted")

    plain = run(interpreted, *short, "--out", tmp_path / "plain")
    assert plain["manifest_hash"] == compiled["manifest_hash"]
    guises = [each["environment"]["kernel"] for each in (plain, compiled)]
    assert guises == ["interpreted", "compiled"]


def test_every_command_has_its_help(studio: Command) -> None:
    """What ``--help`` lists, answers ``--help``."""
    top = studio("--help").out
    listed = top[top.index("Commands") :]
    names = [line.split()[0] for line in listed.splitlines()[1:] if line.strip()]
    assert {"run", "serve", "desktop", "verify", "report", "import", "presets"} <= set(names)
    for name in names:
        done = studio(name, "--help")
        assert (done.code, done.err) == (0, ""), name
        assert "Usage" in done.out


def test_candles_of_ones_own(studio: Command, tmp_path: Path) -> None:
    """A file of candles is imported, listed, run and exported."""
    days = [dt.date(2000, 1, 3) + dt.timedelta(days) for days in range(90)]
    rows = [f"{day},{i + 10},{i + 12},{i + 9},{i + 11},5\n" for i, day in enumerate(days)]
    file = tmp_path / "MINE_1d.csv"
    file.write_text("".join(["date,open,high,low,close,volume\n", *rows]), encoding="utf-8")
    done = studio("import", file)
    assert done.code == 0, done.err
    listed = json.loads(studio("datasets", "--json").out)["datasets"]
    assert any(each["symbol"] == "MINE" and each["bars"] == 90 for each in listed)
    config = ("--set", "symbol=MINE", "--set", "provider=local", "--set", "strategy.params.slow=30")
    done = studio("run", "--no-plot", *config, "--out", tmp_path / "mine")
    assert done.code == 0, done.err
    table = studio("export", tmp_path / "mine", "equity").out
    assert len(list(csv.reader(io.StringIO(table)))) == 91


@pytest.mark.parametrize("command", ["catalog", "openapi", "datasets", "runs", "presets list"])
def test_what_is_listed(studio: Command, command: str) -> None:
    """Lists and the contract are printed."""
    done = studio(*command.split())
    assert (done.code, done.err) == (0, "")
    assert done.out or command in {"runs", "presets list"}


def test_a_users_own_strategy(studio: Command, tmp_path: Path) -> None:
    """A plugin is read from a file, and may use numpy, pandas and all of the standard library."""
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN, encoding="utf-8")
    config = tmp_path / "mine.json"
    chosen = {"symbol": "SPX", "provider": "sample", "strategy": {"name": "my_own"}}
    config.write_text(json.dumps(chosen), encoding="utf-8")
    done = studio("run", config, "--plugins", file, "--no-plot", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    done = studio("check-causality", "--plugins", file)
    assert done.code == 0, done.err


def test_a_cluster_needs_the_sources(studio: Command, tmp_path: Path) -> None:
    """What is not in the bundle is refused in a sentence."""
    done = studio("run", "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path / "r")
    assert done.code == 4
    assert done.err.count("\n") == 1
    assert "the extra 'cluster' is not installed" in done.err


def test_a_wrong_word(studio: Command) -> None:
    """A mistake ends with one plain sentence, and no traceback."""
    done = studio("run", "--set", "strategy.name=nonsense")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "nonsense" in done.err


def test_nothing_is_left(studio: Command, tmp_path: Path) -> None:
    """A run leaves what was asked for, and nothing else but, with a plot, matplotlib's fonts."""
    before = {*tmp_path.rglob("*")}
    assert studio("run", "--no-plot", *QUICK, "--out", tmp_path / "r").code == 0
    left = {*tmp_path.iterdir(), *(tmp_path / "home").iterdir()} - before
    assert left == {tmp_path / "r"}
    assert studio("run", *QUICK, "--out", tmp_path / "plotted").code == 0
    at_home = {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert all(name.startswith("fontlist") for name in at_home)
