"""The log: JSON lines in ``logs/studio.log``, without absolute paths and without the token.

Our own loggers are called ``studio.<part>``. A log that cannot be written disturbs nothing. Any
thread may log; ``start_logging`` and what it returns are for the thread that starts the server.
"""

import contextlib
import json
import logging
import logging.handlers
import math
import os
import re
import stat
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.data_dir import DataDir

MAX_BYTES = 5_000_000
KEPT_FILES = 3
EXTRAS = ("run_id", "incident", "method", "route", "status", "duration_ms")
HIDDEN = "[token]"
MALFORMED = "Malformed HTTP message"

# A path begins after none of these; what follows them is its own continuation, a quotient or a URL.
_START = r"(?<![\w.~>)\]}-])"
_REST = r"[^\s'\"<>|,;:()]*"
_UNKNOWN = re.compile(
    rf"{_START}(?<!/)(?!(?<=:)//[^/])/+[\w.~%-]{_REST}"
    rf"|(?<![A-Za-z])[A-Za-z]:(?:\\+|/(?!/)){_REST}"
    rf"|(?<![\w\\:])\\\\+[A-Za-z0-9]{_REST}"
)


def start_logging(data_dir: DataDir, level: str, token: str) -> Callable[[], None]:
    """Log everything from ``level`` on; return what ends that, which may be called twice."""
    root = logging.getLogger()
    before = (root.level, logging.raiseExceptions)
    root.setLevel(level.upper())
    handler = _Handler(data_dir.logs / "studio.log")
    handler.setFormatter(_Formatter(data_dir.path, token))
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    root.addHandler(handler)

    def stop() -> None:
        if handler.stopped:
            return
        root.removeHandler(handler)
        handler.stop()
        logging.captureWarnings(capture=False)
        root.setLevel(before[0])
        logging.raiseExceptions = before[1]

    return stop


class _Handler(logging.handlers.RotatingFileHandler):
    """Private files that are opened late, through no link, and given up without a word."""

    stream: TextIOWrapper | None  # type: ignore[assignment]  # closed files are None, says CPython

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=MAX_BYTES,
            backupCount=KEPT_FILES,
            encoding="utf-8",
            errors="backslashreplace",  # \udc80 is half a character, and JSON's escape for it
            delay=True,
        )
        self.stopped = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; the full file is put aside first."""
        if self.stopped:
            return
        try:
            line = self.format(record) + "\n"
            if self.stream is None:
                self.stream = self._open()
            size = os.fstat(self.stream.fileno()).st_size
            if size and size + len(line) > self.maxBytes:
                self.doRollover()
                self.stream = self._open()
            self.stream.write(line)
            self.stream.flush()
        except Exception:  # noqa: BLE001  # whatever it is, the program goes on
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  # logging's own
        """Close the file, so that the next line tries again."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()

    def stop(self) -> None:
        """Close for good: a line that another thread still has in hand opens nothing."""
        self.acquire()
        try:
            self.stopped = True
        finally:
            self.release()
        with contextlib.suppress(OSError, ValueError):
            self.close()

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding="utf-8",
            errors=self.errors,
            newline="\n",
            opener=_open_private,
        )


def _open_private(path: str, flags: int) -> int:
    """Open a regular file of mode 0600 for appending; a torn last line is ended first."""
    surprises = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags & ~os.O_WRONLY | os.O_RDWR | surprises, 0o600)
    try:
        status = os.fstat(descriptor)
        _require_regular(status)
        if os.name == "posix" and status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        if status.st_size:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":
                os.write(descriptor, b"\n")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("the log is not a regular file")


class _Formatter(logging.Formatter):
    """One JSON object a record."""

    def __init__(self, data_dir: Path, token: str) -> None:
        super().__init__()
        self._clean = Cleaner(data_dir, token)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, on which no absolute path and no token is left."""
        fields: dict[str, Any] = {
            "ts": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(_message(record)),
        }
        for name in EXTRAS:
            if hasattr(record, name):
                fields[name] = self._plain(getattr(record, name))
        if trace := _trace(record):
            fields["trace"] = self._clean(trace)
        return self._clean.hide(json.dumps(fields, ensure_ascii=False, allow_nan=False))

    def _plain(self, value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if value is None or isinstance(value, int | float):
            return value
        return self._clean.hide(str(value))


def _message(record: logging.LogRecord) -> str:
    if record.name == "tornado.general" and str(record.msg).startswith(MALFORMED):
        return MALFORMED  # the rest quotes what a client has sent
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # arguments that do not fit are no reason to lose a line
        return str(record.msg)


def _trace(record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append("".join(traceback.format_exception(record.exc_info[1])).rstrip("\n"))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _token_pattern(token: str) -> re.Pattern[str]:
    """Return what finds the token: as it is, quoted for a URL, in a repr, escaped by JSON."""
    forms = {token, quote(token), quote(token, safe=""), repr(token)[1:-1]}
    forms |= {re.sub("%..", lambda match: match[0].lower(), form) for form in set(forms)}
    forms |= {json.dumps(form)[1:-1] for form in set(forms)}
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


class Shortener:
    """Makes the paths in a text relative to what they belong to."""

    def __init__(self, data_dir: Path) -> None:
        names = dict(_known_places(data_dir))
        self._names = {form: name for place, name in names.items() for form in _forms(place)}
        # The longest first: one place may lie in another.
        places = sorted(self._names, key=len, reverse=True)
        self._known = re.compile(
            rf"{_START}({'|'.join(map(re.escape, places))})([\\/]+|(?![\w~-]|\.\w))",
            re.IGNORECASE if os.name == "nt" else 0,
        )

    def __call__(self, text: str) -> str:
        """Return the text with each absolute path replaced."""
        return _UNKNOWN.sub(_last_name, self._known.sub(self._name, text))

    def _name(self, match: re.Match[str]) -> str:
        name = self._names.get(match[1], "")
        if not match[2]:  # the place itself
            return name or re.split(r"[\\/]", match[1])[-1]
        return name + "/" if name else ""


def _known_places(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield directories and what stands for them; of two for one directory the last holds."""
    code = [str(Path(__file__).resolve().parent.parent), tempfile.gettempdir()]
    code += [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    code += [entry for entry in sys.path if entry]
    for place in code:
        yield os.path.abspath(place), ""  # noqa: PTH100  # Path.absolute keeps the ..
        yield os.path.realpath(place), ""
    with contextlib.suppress(RuntimeError):
        yield str(Path.home()), "~"
        yield str(Path.home().resolve()), "~"
    yield os.path.abspath(data_dir), "<data>"  # noqa: PTH100  # as above
    yield os.path.realpath(data_dir), "<data>"


def _forms(place: str) -> set[str]:
    """Return how a place may be written; none for the root, which everything lies in."""
    if os.path.dirname(place) == place:  # noqa: PTH120  # as above
        return set()
    return {place, place.replace("\\", "/"), place.replace("\\", "\\\\")}


class Cleaner:
    """Takes the token and absolute paths out of a text."""

    def __init__(self, data_dir: Path, token: str) -> None:
        self._shorten = Shortener(data_dir)
        self._token = _token_pattern(token)

    def __call__(self, text: str) -> str:
        """Return the text without either."""
        # The token first: part of it may look like a path, and would hide the rest.
        return self._shorten(self.hide(text))

    def hide(self, text: str) -> str:
        """Return the text without the token."""
        return self._token.sub(HIDDEN, text)


def _last_name(match: re.Match[str]) -> str:
    return re.split(r"[\\/]+", match[0].rstrip("\\/"))[-1]
