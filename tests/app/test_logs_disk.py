"""The file of the log: put aside once it is large, on a full disk, torn, replaced, or nowhere."""

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from log_lines import Start, lines, refuse

from app import logs
from app.data_dir import DataDir

LOG = logging.getLogger("studio.test")


def test_rotation(place: DataDir, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full log is put aside, three old ones are kept, all private, and no line is lost or split."""
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    start()
    for number in range(120):
        LOG.info("line %d", number)
    names = sorted(path.name for path in place.logs.iterdir())
    assert names == ["studio.log", "studio.log.1", "studio.log.2", "studio.log.3"]
    kept = [line["message"] for name in (*names[:0:-1], names[0]) for line in lines(place, name)]
    assert kept == [f"line {number}" for number in range(120 - len(kept), 120)]
    for path in place.logs.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size <= 2000
    LOG.info("x" * 5000)
    LOG.info("after")
    assert [line["message"] for line in lines(place)] == ["after"]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda patched: patched.setattr(os, "open", refuse),
        lambda patched: patched.setattr(os, "fstat", refuse),
        lambda patched: patched.setattr(os, "rename", refuse),
        lambda patched: patched.setattr(json, "dumps", refuse),
    ],
    ids=["open", "write", "rotate", "format"],
)
def test_a_full_disk_disturbs_nothing(
    place: DataDir,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """A log that cannot be opened, written or put aside says nothing, and goes on when it can."""
    monkeypatch.setattr(logs, "MAX_BYTES", 400)
    start()
    for _ in range(4):
        LOG.info("before")
    with monkeypatch.context() as patched:
        break_it(patched)
        for _ in range(5):
            LOG.info("during, and long enough that the file is to be put aside" * 5)
    LOG.info("after")
    assert lines(place)[-1]["message"] == "after"
    assert capsys.readouterr() == ("", "")


def test_a_device_that_is_full(place: DataDir) -> None:
    """Bytes that the system refuses when the file is flushed or closed are given up."""
    handler = logs._Handler(place.logs / "studio.log")
    handler.stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115, PTH123  # it is closed below
    handler.handle(logging.makeLogRecord({"msg": "lost"}))
    assert handler.stream is None
    handler.stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115, PTH123  # as above
    handler.stream.write("pending")
    handler.stop()
    assert handler.stream is None


def test_a_torn_line(place: DataDir, start: Start) -> None:
    """What a killed process wrote half stays a line of its own; a log open to others is closed."""
    file = place.logs / "studio.log"
    file.write_text('{"ts": 1, "mess', encoding="utf-8")
    file.chmod(0o644)
    start()
    LOG.info("next")
    torn, line = file.read_text(encoding="utf-8").splitlines()
    assert torn == '{"ts": 1, "mess'
    assert json.loads(line)["message"] == "next"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_regular_file(place: DataDir, start: Start) -> None:
    """A link, a pipe or a directory in the place of the log is not written, and nothing waits."""
    file = place.logs / "studio.log"
    target = place.path / "target"
    target.touch()
    start()
    file.symlink_to(target)
    LOG.info("one")
    file.unlink()
    os.mkfifo(file)
    LOG.info("two")
    file.unlink()
    file.mkdir()
    LOG.info("three")
    file.rmdir()
    LOG.info("four")
    assert target.read_bytes() == b""
    assert [line["message"] for line in lines(place)] == ["four"]


def test_many_threads(place: DataDir, start: Start) -> None:
    """Lines of many threads come whole."""
    stop = start()

    def work(number: int) -> None:
        for count in range(50):
            LOG.info("%d.%d %s", number, count, "x" * 200)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop()
    assert len({line["message"] for line in lines(place)}) == 400


def test_nothing_on_the_terminal(place: DataDir) -> None:
    """A process whose log is nowhere prints nothing, and ends well without having stopped it."""
    code = (
        "import sys, logging; from pathlib import Path; from app.data_dir import DataDir\n"
        "from app.logs import start_logging\n"
        "start_logging(DataDir(Path(sys.argv[1]) / 'none'), 'info', 'x' * 32)\n"
        "logging.getLogger('studio.x').error('%d', 'no number')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(place.path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
