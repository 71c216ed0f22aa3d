"""The database file: its schema, its migrations, and what to do with one that cannot be used."""

import contextlib
import os
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from app.data_dir import StartError
from engine.errors import StorageError

APPLICATION_ID = 0x53544430  # "STD0", so that another program's file is told from ours

# One entry a version of the schema; a database is brought from its own version to the last.
MIGRATIONS = (
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        status TEXT NOT NULL,
        stage TEXT,
        progress REAL NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,      -- of the process, in a row, while this run was running
        place INTEGER NOT NULL,        -- in the queue, kept when it is queued again
        requested INTEGER NOT NULL,    -- 1: counts against the queue's limit
        symbol TEXT NOT NULL,
        created_ts INTEGER NOT NULL,
        queued_ts INTEGER NOT NULL,
        started_ts INTEGER,
        finished_ts INTEGER,
        error TEXT,
        config TEXT NOT NULL,
        metrics TEXT,
        validation TEXT,
        candle_digest TEXT NOT NULL,
        code_version TEXT NOT NULL,
        manifest_hash TEXT,
        last_seq INTEGER NOT NULL
    );
    CREATE INDEX runs_by_age ON runs (queued_ts, run_id);
    CREATE INDEX runs_by_status ON runs (status, finished_ts);
    CREATE TABLE events (
        run_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        type TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (run_id, seq)
    ) WITHOUT ROWID;
    CREATE TABLE idempotency_keys (
        key TEXT PRIMARY KEY,
        body_hash TEXT NOT NULL,
        run_id TEXT NOT NULL,
        created_ts INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX keys_by_run ON idempotency_keys (run_id);
    """,
    """
    CREATE TABLE presets (
        name TEXT PRIMARY KEY,
        folded TEXT NOT NULL UNIQUE,   -- no two names differ only in case
        config TEXT NOT NULL,
        updated_ts INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)
PARTS = ("", "-wal", "-shm")
# Faults of the place, not of a statement; a full disk has a sentence of its own.
REASONS = {
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_BUSY: "another program holds it",
    sqlite3.SQLITE_IOERR: "the disk refuses",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
}


class NewerDatabaseError(StartError):
    """The database was written by a newer program."""

    code = "NEWER_DATABASE"


class _CorruptError(Exception):
    """The file is no database, or a damaged one."""


@dataclass(frozen=True)
class OpenedDatabase:
    """The connection that writes; ``set_aside`` names the damaged file it takes the place of."""

    connection: sqlite3.Connection
    set_aside: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a person should know."""
        if self.set_aside is None:
            return ()
        note = (
            f"The database was damaged; it lies beside its new one as {self.set_aside}. "
            "The server takes its completed runs in again from their directories."
        )
        return (note,)


def open_database(path: Path) -> OpenedDatabase:
    """Open the database for writing, made or brought up to date where needed.

    A corrupt one is set aside with its ``-wal`` and ``-shm``, and a new one takes its place.

    Raises
        NewerDatabaseError where a newer program wrote it; StorageError where it cannot be opened.
    """
    try:
        _check_regular(path)
        try:
            return OpenedDatabase(_open(path), None)
        except _CorruptError:
            aside = _set_aside(path)
            return OpenedDatabase(_open(path), aside)
    except OSError as fault:
        raise StorageError.from_os_error("the database", fault) from None
    except sqlite3.Error as fault:
        raise storage_error(fault) from None


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, to be used by one thread.

    Raises
        sqlite3.Error where there is none to read.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    connection.row_factory = sqlite3.Row
    return connection


def storage_error(fault: BaseException) -> StorageError:
    """Return the plain sentence for a database that could not be written."""
    if isinstance(fault, OSError):
        return StorageError.from_os_error("the database", fault)
    if _code(fault) == sqlite3.SQLITE_FULL:
        return StorageError("No space is left to write the database; nothing was kept.")
    reason = REASONS.get(_code(fault), "SQLite refuses")
    return StorageError(f"The database could not be written: {reason}; nothing was kept.")


def is_of_the_place(fault: BaseException) -> bool:
    """Tell whether SQLite's error is one of the disk or the file, so that nothing can be stored."""
    return isinstance(fault, sqlite3.Error) and _code(fault) in {sqlite3.SQLITE_FULL, *REASONS}


def _check_regular(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        message = f"{path.name} in the data directory is not a regular file; move it away"
        raise StorageError(message)


def _open(path: Path) -> sqlite3.Connection:
    looked = _look(path)
    # The writer thread alone uses it once it is open.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        connection.row_factory = sqlite3.Row
        if not looked:
            _inspect(connection)
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _look(path: Path) -> bool:
    """Inspect a database without a change to it: to close one that writes folds its ``-wal`` in.

    Tell whether that could be done; where a crash left a journal, only a writer can go on.
    """
    if not path.exists():
        return False
    with contextlib.closing(open_for_reading(path)) as connection:
        try:
            _inspect(connection)
        except sqlite3.Error as fault:
            if _code(fault) != sqlite3.SQLITE_READONLY:
                raise
            return False
    return True


def _inspect(connection: sqlite3.Connection) -> None:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and owner != APPLICATION_ID:
            raise _CorruptError
        if version > SCHEMA_VERSION:
            message = (
                f"the database was written by a newer Studio (its schema is {version}, this one "
                f"knows {SCHEMA_VERSION}); update Studio or choose another data directory"
            )
            raise NewerDatabaseError(message)
        if [tuple(row) for row in connection.execute("PRAGMA quick_check(1)")] != [("ok",)]:
            raise _CorruptError
    except sqlite3.DatabaseError as fault:
        if _code(fault) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _CorruptError from None
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Else a Mac leaves it in the cache of its drive; others know no difference.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute(f"PRAGMA journal_size_limit = {4 << 20}")
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _code(fault: BaseException) -> int:
    """Return the primary code of SQLite's error, 0 where there is none."""
    code: int = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    return code


def _set_aside(path: Path) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"{path.name}.corrupt-{stamp}"
    n = 1
    while any(os.path.lexists(path.with_name(name + suffix)) for suffix in PARTS):
        n += 1
        name = f"{path.name}.corrupt-{stamp}-{n}"
    for suffix in PARTS:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(name + suffix))
    return name
