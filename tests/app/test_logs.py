"""Lines of the log: their fields, traces without absolute paths, and a token that is never in them."""

import json
import logging
import os
import stat
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import typer
from log_lines import TOKEN, Start, lines, refuse

from app import logs
from app.data_dir import DataDir
from app.logs import start_logging
from app.settings import read_settings
from engine.errors import ConfigError

LOG = logging.getLogger("studio.test")


def test_a_line(place: DataDir, start: Start) -> None:
    """A record is one JSON line with its time, level, logger, message and the extras it has."""
    start()
    before = time.time_ns() // 1_000_000
    LOG.info("läuft\n%s", 5, extra={"run_id": "r1", "status": 200, "duration_ms": 1.5, "more": 1})
    LOG.debug("unseen")
    extras = {
        "incident": "i1",
        "method": "GET",
        "route": "/runs/{run_id}",
        "duration_ms": float("nan"),
    }
    logging.getLogger("tornado.access").error("two", extra=extras)
    first, second = lines(place)
    assert before <= first.pop("ts") <= time.time_ns() // 1_000_000
    assert first == {
        "level": "info", "logger": "studio.test", "message": "läuft\n5",
        "run_id": "r1", "status": 200, "duration_ms": 1.5,
    }  # fmt: skip
    assert second.pop("ts") > 1_700_000_000_000
    assert second == extras | {
        "level": "error", "logger": "tornado.access", "message": "two", "duration_ms": None,
    }  # fmt: skip
    assert stat.S_IMODE((place.logs / "studio.log").stat().st_mode) == 0o600


def test_odd_records(place: DataDir, start: Start) -> None:
    """Arguments that do not fit, half characters, objects and a missing exception lose no line."""
    start()
    LOG.info("%d of %d", "x")  # noqa: PLE1206  # the case itself
    LOG.info("half \udc80 \u2028", extra={"run_id": Path("r"), "status": None})
    LOG.error("none", exc_info=True)  # noqa: LOG014  # the case itself
    LOG.error("where", stack_info=True)
    first, second, third, fourth = lines(place)
    assert first["message"] == "%d of %d"
    assert second["message"] == "half \udc80 \u2028"
    assert (second["run_id"], second["status"]) == ("r", None)
    assert "trace" not in third
    assert "tests/app/test_logs.py" in fourth["trace"]


def test_starting_and_stopping_leave_no_trace(place: DataDir, start: Start) -> None:
    """After stopping, once or twice, logging is as it was, and a late line opens nothing."""
    root = logging.getLogger()
    state = (root.level, list(root.handlers), logging.raiseExceptions, warnings.showwarning)
    stop = start()
    (handler,) = set(root.handlers) - set(state[1])
    assert (root.level, logging.raiseExceptions) == (logging.INFO, False)
    LOG.info("one")
    stop()
    stop()
    assert state == (root.level, root.handlers, logging.raiseExceptions, warnings.showwarning)
    handler.handle(logging.makeLogRecord({"msg": "late", "levelno": 20}))
    LOG.warning("unheard")
    assert [line["message"] for line in lines(place)] == ["one"]
    with pytest.raises(ValueError, match="LOUD"):
        start_logging(place, "loud", TOKEN)
    assert state == (root.level, root.handlers, logging.raiseExceptions, warnings.showwarning)


def test_warnings_are_logged(place: DataDir, start: Start) -> None:
    """A Python warning becomes a line without an absolute path."""
    start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("of old age", DeprecationWarning, stacklevel=1)
    (line,) = lines(place)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert line["message"].startswith("tests/app/test_logs.py:")


def test_traces_are_relative(place: DataDir, start: Start) -> None:
    """A trace names our files, packages and the standard library without saying where they are."""
    start()
    for attempt in (
        lambda: read_settings({"threads": 0}, {}),
        partial(json.loads, "{"),
        typer.Typer(),
        (place.runs / "none").read_bytes,
    ):
        try:
            attempt()
        except (ConfigError, ValueError, RuntimeError, OSError):
            LOG.exception("failed")
    settings, decoding, typing, reading = (line["trace"] for line in lines(place))
    assert settings.startswith("Traceback (most recent call last):\n")
    assert 'File "tests/app/test_logs.py", line' in settings
    assert 'File "app/settings.py", line' in settings
    assert 'File "json/decoder.py", line' in decoding
    assert 'File "typer/main.py", line' in typing
    assert 'File "pathlib.py", line' in reading or 'File "pathlib/' in reading
    assert reading.endswith("No such file or directory: '<data>/runs/none'")
    content = (place.logs / "studio.log").read_text(encoding="utf-8")
    roots = (
        Path(logs.__file__).parent.parent,
        Path.home(),
        sys.prefix,
        sys.base_prefix,
        tempfile.gettempdir(),
    )
    assert not [root for root in roots if str(root) in content]


def test_chained_traces(place: DataDir, start: Start) -> None:
    """A chain of exceptions with notes is one field, without a path or the token anywhere."""
    start()
    try:
        try:
            refuse("/mnt/secret place/x.csv")
        except OSError as fault:
            fault.add_note(f"at {place.path}/runs with {TOKEN}")
            raise ValueError(TOKEN) from fault
    except ValueError:
        LOG.exception("failed")
    (line,) = lines(place)
    trace = line["trace"]
    assert "direct cause" in trace
    assert "at <data>/runs with [token]" in trace
    assert trace.endswith("ValueError: [token]")
    assert "/mnt" not in trace


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("wrote {data}/runs/r1/equity.parquet", "wrote <data>/runs/r1/equity.parquet"),
        ("in {data}.", "in <data>."),
        ("in '{data}'", "in '<data>'"),
        ("PosixPath('{data}/tmp')", "PosixPath('<data>/tmp')"),
        ("{home}/My Files/es.csv: bad", "~/My Files/es.csv: bad"),
        ("at {home}", "at ~"),
        ("file://{home}/x", "file://~/x"),
        ("{package}/web.py broke", "tornado/web.py broke"),
        ("{library}/asyncio/events.py", "asyncio/events.py"),
        ("{root}/engine/config.py:3", "engine/config.py:3"),
        ("/mnt/disk/es.csv, /etc/passwd;/nowhere/at/all", "es.csv, passwd;all"),
        ("a=/opt/x:/opt/y", "a=x:y"),
        ("file:///opt/x", "file:x"),
        ("//server/share/es.csv", "es.csv"),
        (r"C:\Users\me\es.csv and C:\\Users\\me\\es.csv", "es.csv and es.csv"),
        (r"D:/candles/es.csv and \\server\share\es.csv", "es.csv and es.csv"),
        ("http://127.0.0.1:8717/x and https://a.b/c", "http://127.0.0.1:8717/x and https://a.b/c"),
        ("1/2 and/or text/plain */* / (a)/b {c}/d", "1/2 and/or text/plain */* / (a)/b {c}/d"),
    ],
)
def test_paths_in_messages(place: DataDir, start: Start, text: str, logged: str) -> None:
    """A path in a message is told from its place, or by its last name alone; other text stays."""
    start()
    message = text
    for name, value in {
        "{data}": place.path,
        "{home}": Path.home(),
        "{package}": Path(typer.__file__).parent.parent / "tornado",
        "{library}": Path(os.__file__).parent,
        "{root}": Path(logs.__file__).parent.parent,
    }.items():
        message = message.replace(name, str(value))
    LOG.info("%s", message)
    (line,) = lines(place)
    assert line["message"] == logged


def test_a_neighbour_of_the_data_directory(place: DataDir, start: Start) -> None:
    """A path that only begins like the data directory is not taken for it."""
    start()
    LOG.info("%s2/x", place.path)
    (line,) = lines(place)
    assert line["message"].endswith("data2/x")
    assert not line["message"].startswith(("<data>", "/"))


def test_relative_and_linked_data_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data directory named relatively or through a link is known by all of its names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    place = DataDir(Path("link"))
    place.prepare()
    stop = start_logging(place, "INFO", TOKEN)
    LOG.info("%s %s", tmp_path / "link/runs", tmp_path / "real/runs")
    stop()
    assert lines(place)[0]["message"] == "<data>/runs <data>/runs"


def test_a_home_at_the_root(place: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose home is the root directory, or who has none, gets the same lines."""
    for home in ("/", None):
        monkeypatch.setattr(Path, "home", lambda home=home: Path(home) if home else missing())
        stop = start_logging(place, "info", TOKEN)
        LOG.info("at %s and / or 1/2", place.path)
        stop()
    assert [line["message"] for line in lines(place)] == ["at <data> and / or 1/2"] * 2


def missing() -> Path:
    raise RuntimeError("no home")


@pytest.mark.parametrize(
    "form",
    [TOKEN, quote(TOKEN), quote(TOKEN, safe=""), quote(TOKEN, safe="").lower(), repr(TOKEN), json.dumps(TOKEN)],
    ids=range(6),
)  # fmt: skip
def test_the_token_is_hidden(place: DataDir, start: Start, form: str) -> None:
    """However the token is written, in a message, an argument, an extra or a name, it is hidden."""
    start()
    LOG.info("a %s b", form)
    LOG.info(form)
    LOG.info("x", extra={"run_id": form, "incident": f"?token={form}"})
    logging.getLogger(TOKEN).info("%r", {"Authorization": f"Bearer {TOKEN}"})
    content = (place.logs / "studio.log").read_text(encoding="utf-8")
    assert len(lines(place)) == 4
    assert "0123456789" not in content
    assert content.count("[token]") == 6
