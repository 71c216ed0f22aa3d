"""The command ``run`` when something is wrong: its exit code, its sentence, and that nothing is left."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import main as studio_program
from engine.artifacts import verify

Studio = Callable[..., Any]


def leftovers(folder: Path) -> list[str]:
    """Return everything in a folder that a failed run should not have left there."""
    known = {"TEST_1d.csv", "data"}
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


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
        (["run", "--set", "start=2010"], 2, "start: '2010' is not an ISO-8601 date or time"),
        (["run", "--set", "end=20150101"], 2, "end: '20150101' is not an ISO-8601 date or time"),
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
    assert (run.returncode, out, err) == (
        130,
        "",
        "studio: Interrupted; nothing unfinished was kept.\n",
    )
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


def test_an_interrupt_while_it_loads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted before anything was done, it says so in a sentence too."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.main", interrupted)
    monkeypatch.setattr("gc.freeze", lambda: None)
    assert studio_program() == 130
    assert capsys.readouterr().err == "studio: Interrupted; nothing unfinished was kept.\n"


def test_a_notebook_s_environment(process: Callable[..., Any]) -> None:
    """What a notebook says of matplotlib's windows keeps no run from its picture."""
    short = ("--set", "validation={}", "--set", "end=1999-12-31", "--out", "r")
    ended = process("run", *short, MPLBACKEND="module://of.a.notebook")
    assert (ended.code, ended.err) == (0, "")
