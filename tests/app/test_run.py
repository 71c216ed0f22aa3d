import errno
import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config_file import COMPONENTS, sample_config, with_overrides
from engine.artifacts import verify
from engine.config import RunConfig
from engine.metrics import HEADLINE

Studio = Callable[..., Any]


def leftovers(folder: Path) -> list[str]:
    """Return everything in a folder that a failed run should not have left there."""
    known = {"TEST_1d.csv", "data"}
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


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


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nope"], 2, "No such command"),
        (["run", "--nope"], 2, "No such option"),
        (["run", "--set", "fast"], 2, "not of the form field.name=value"),
        (["run", "--set", "symbol.x=1"], 2, "leads into a plain value"),
        (
            ["run", "--set", "indicators.5=1"],
            2,
            "indicators: should be a list",
        ),
        (["run", "--set", "strategy.name=dual_smaa"], 2, "did you mean 'dual_sma'?"),
        (["run", "--set", "execution.slippage_bps=NaN"], 2, "should be a valid number"),
        (["run", "--tz", "UTC"], 2, "studio: --tz goes with --candles\n"),
        (["run", "--set", "indicators=[]", "--set", "indicators.²=1"], 2, "names no item"),
        (
            ["run", "--symbol", "SPX"],
            2,
            "studio: --symbol goes with --candles; without it use --set symbol=SPX\n",
        ),
        (
            ["run", "--symbol", "X", "--timeframe", "1h", "--decimal", ","],
            2,
            "--symbol, --timeframe and --decimal go with --candles; without it use --set symbol=X --set timeframe=1h",
        ),
        (
            ["run", "SPY.csv.gz"],
            2,
            "SPY.csv.gz is not a configuration; candles are given with --candles SPY.csv.gz",
        ),
        (["run", "--on-bad-rows", "keep"], 2, "on_bad_rows: should be 'refuse' or 'drop'"),
        (
            ["run", "--calendar", "xnys"],
            2,
            "calendar: unknown calendar 'xnys'; did you mean 'XNYS'?",
        ),
        (["run", "missing.json"], 2, "missing.json cannot be read: no such file"),
        (["run", "--candles", "missing.csv"], 3, "there is no file missing.csv"),
        (["run", "--candles", "no name.csv"], 3, "tells no symbol"),
        (["run", "--set", "symbol=DAX"], 3, "the sample has no candles for DAX 1d"),
        (["run", "--set", "provider=local"], 3, "there are no candles for SPX 1d"),
        (
            ["run", "--set", "start=2031-01-01"],
            3,
            "no bars in the range asked for; it has 1999-01-04",
        ),
    ],
)
def test_faults_are_sentences_with_their_exit_code(
    studio: Studio, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    """A fault is a sentence or a few on standard error, nothing else, and no file is left."""
    ended = studio(*arguments)
    assert ended.code == code
    assert words in ended.err
    assert ended.err.startswith("studio: ")
    assert ended.err.count("\n") <= 3
    assert ended.out == ""
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b"[]", "does not hold a JSON object"),
        (b'{"symbol": "SPX",}', "line 1, column"),
        (b'{"symbol": "SPX", "seed": NaN}', "NaN is not a number"),
        (b'{"symbol": "SPX", "symbol": "IXIC"}', "'symbol' stands twice"),
        (b"\xff\xfe{}", "not text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * 300_000, "larger than 256 KiB"),
        (b'{"symbol": ' + b"9" * 5000 + b"}", "a whole number of 5,000 digits is too long\n"),
        (
            b'{"symbol": "SPX", "x": ["\\ud800"]}',
            r"c.json is not valid JSON: '\ud800' is half a ch",
        ),
        (b'{"symbol": "SPX", "\\udfff": 1}', r"'\udfff' is half a character, not text"),
        (b'{"symbol": "SPX", "\\ud83d\\ude00": 1}', "\U0001f600: unknown field"),
    ],
)
def test_bad_configuration_files(
    studio: Studio, tmp_path: Path, content: bytes, words: str
) -> None:
    """A configuration that is not one JSON object ends with exit code 2 and says why."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data/c.json"
    path.write_bytes(content)
    ended = studio("run", path)
    assert (ended.code, words in ended.err) == (2, True), ended.err


def test_a_field_that_is_no_text(studio: Studio) -> None:
    """A field whose name cannot be printed is refused as the override that it stands in."""
    ended = studio("run", "--set", "x\udcff=1")
    assert (ended.code, r"'x\udcff=1' is not of the form" in ended.err) == (2, True)


def test_many_faults_are_counted(studio: Studio, tmp_path: Path) -> None:
    """Of very many faults a command shows the first and says how many more there are."""
    content = {"symbol": "SPX"} | {f"x{i}": i for i in range(9_000)}
    (tmp_path / "c.json").write_text(json.dumps(content), encoding="utf-8")
    ended = studio("run", "c.json")
    *shown, last = ended.err.splitlines()
    assert (ended.code, len(shown), last) == (2, 10, "and 8,990 more")
    (tmp_path / "c.json").write_text('{"symbol": "SPX", "x": 1, "y": 2}', encoding="utf-8")
    ended = studio("run", "c.json")
    assert ended.err == "studio: x: unknown field\ny: unknown field\n"


@pytest.mark.parametrize("text", ["700", "1e5", "true", '"700"'])
def test_a_symbol_that_looks_like_a_number(text: str) -> None:
    """A symbol that --set gives is text, with quotes or without."""
    assert overridden(f"symbol={text}")["symbol"] == text.strip('"')


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_place_that_cannot_be_written(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full or read-only place ends with exit code 4 and a sentence, and leaves nothing."""

    def refuse(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", refuse)
    ended = studio("run", "--no-plot", "--out", "new/place")
    assert ended.code == 4
    expected = "No space is left" if code == errno.ENOSPC else os.strerror(code).lower()
    assert expected in ended.err
    assert leftovers(tmp_path) == []


def test_a_full_disk(tmp_path: Path) -> None:
    """Where files cannot grow the run ends with exit code 4 and nothing is left behind."""
    code = (
        "import resource, sys; from app.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
        "sys.exit(main(['run', '--no-plot', '--out', 'r']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert (
        done.stderr == "studio: No space is left to write the run's directory; nothing was kept.\n"
    )
    assert leftovers(tmp_path) == []


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """A full standard output is an error with a sentence; one that was closed ends quietly."""
    command = [sys.executable, "-m", "app", "run", "--no-plot", "--out", "r"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "no space left" in done.stderr) == (4, True)
    assert "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (4, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted while it writes, a run ends with 130 and its temporary directory is gone."""
    command = [sys.executable, "-m", "app", "run", "--out", "runs/r"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while run.poll() is None and not list(tmp_path.glob("runs/.r.*.partial")):
            time.sleep(0.002)  # until it has begun to write
        run.send_signal(number)
        out, err = run.communicate()
    assert (run.returncode, out, err) == (130, "", "studio: Interrupted; nothing was kept.\n")
    assert leftovers(tmp_path) == []


def test_a_killed_run_can_be_made_again(studio: Studio, tmp_path: Path) -> None:
    """What a killed run left behind is not in the way, and is removed once it is old."""
    command = [sys.executable, "-m", "app", "run", "--out", "runs/r"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as run:
        while run.poll() is None and not list(tmp_path.glob("runs/.r.*.partial")):
            time.sleep(0.002)
        run.kill()
    (left,) = tmp_path.glob("runs/.r.*.partial")
    assert not (tmp_path / "runs/r").exists()
    assert studio("run", "--out", "runs/r").code == 0
    assert left.exists()
    two_hours_ago = time.time() - 7200
    os.utime(left, (two_hours_ago, two_hours_ago))
    assert studio("run", "--out", "runs/other").code == 0
    assert not left.exists()


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


def test_a_fault_of_ours_is_a_sentence_too(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is told without a traceback."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.commands.run.prepare", fail)
    ended = studio("run")
    assert (ended.code, ended.err) == (
        4,
        "studio: An error inside Studio (ZeroDivisionError); please report it.\n",
    )

    def exhaust(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("app.commands.run.prepare", exhaust)
    assert "not enough memory" in studio("run").err


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


def test_limits_are_settings(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit a run is refused before any work, with exit code 2."""
    monkeypatch.setenv("STUDIO_MAX_BARS", "5000")
    ended = studio("run")
    assert (ended.code, "5,031 bars are more than the limit of 5,000" in ended.err) == (2, True)


def test_a_process_without_streams(tmp_path: Path) -> None:
    """Started without standard output and error, a run still runs."""
    command = f"{sys.executable} -m app run --no-plot --out r >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert verify(tmp_path / "r").ok


def test_a_removed_working_directory(tmp_path: Path) -> None:
    """A run into a place named in full needs no working directory."""
    (tmp_path / "gone").mkdir()
    script = f"cd {tmp_path}/gone && rmdir ../gone && {sys.executable} -m app run --no-plot --out {tmp_path}/r"
    done = subprocess.run(["/bin/sh", "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("start", ["0500-01-01", "9500-01-01", -(10**15), 10**15])
def test_times_beyond_what_can_be_dated(studio: Studio, start: object) -> None:
    """A start outside the years 1000 to 9000 is a fault of the configuration."""
    ended = studio("run", "--set", f"start={start}")
    assert (ended.code, ended.err.startswith("studio: start: should be")) == (2, True)
