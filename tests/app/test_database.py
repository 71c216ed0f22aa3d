"""The database: how it is made, brought to the last version, mended, set aside or refused."""

import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app import database
from app.cli_faults import EXIT_CODES, Exit
from app.database import (
    APPLICATION_ID,
    MIGRATIONS,
    SCHEMA_VERSION,
    NewerDatabaseError,
    open_database,
    open_for_reading,
    storage_error,
)
from engine.errors import StorageError

KEY = "INSERT INTO idempotency_keys VALUES (?, ?, 'r', 0)"
N_KEYS = 2000
ASIDE = re.compile(r"studio\.db\.corrupt-\d{8}T\d{6}Z(-\d+)?")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "studio.db"


def fill(path: Path) -> None:
    """Make a database of some hundred pages, all of them in the file itself."""
    with closing(open_database(path).connection) as connection:
        connection.executemany(KEY, [(f"key {i:05}", "x" * 200) for i in range(N_KEYS)])


def leave_wal(path: Path) -> None:
    """Leave the database as a killed process does, with its latest commits in the -wal."""
    fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executemany(KEY, [(f"later {i}", "y") for i in range(50)])
        copies = {suffix: path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")}
        kept = {suffix: copy.read_bytes() for suffix, copy in copies.items()}
    for suffix, copy in copies.items():
        copy.write_bytes(kept[suffix])


def n_keys(connection: sqlite3.Connection) -> int:
    (n,) = connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()
    return int(n)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def schema(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
    return [" ".join(row[0].split()) for row in rows]


def test_a_new_database(path: Path) -> None:
    """Where there is none one is made: ours, of the last version, durable, empty."""
    opened = open_database(path)
    assert opened.set_aside is None
    with closing(opened.connection) as connection:
        pragmas = ("application_id", "user_version", "journal_mode", "synchronous")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
        assert found == [APPLICATION_ID, SCHEMA_VERSION, "wal", 2]
        assert n_keys(connection) == 0


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """A file without a byte, as a crash in the first moment leaves it, is nothing damaged."""
    path.touch()
    opened = open_database(path)
    opened.connection.close()
    assert opened.set_aside is None


def test_a_crash_in_the_making(path: Path) -> None:
    """A first page whose journal is still there is rolled back, and the database made anew."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        page, journal = path.read_bytes(), path.with_name("studio.db-journal").read_bytes()
    path.write_bytes(page)
    path.with_name("studio.db-journal").write_bytes(journal)
    assert page
    opened = open_database(path)
    with closing(opened.connection) as connection:
        assert n_keys(connection) == 0
    assert opened.set_aside is None


@pytest.mark.parametrize("version", range(SCHEMA_VERSION))
def test_migrations_lead_from_each_version_to_the_last(path: Path, version: int) -> None:
    """A database of an older program, or one whose making was interrupted, becomes a new one's."""
    with closing(sqlite3.connect(path)) as old:
        for script in MIGRATIONS[:version]:
            old.executescript(script)
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {version}")
    with (
        closing(open_database(path).connection) as migrated,
        closing(open_database(path.with_name("new.db")).connection) as new,
    ):
        assert schema(migrated) == schema(new)
        assert migrated.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_migration_is_done_as_a_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails leaves the version before, with all that it holds, to be tried again."""
    fill(path)
    good = "CREATE TABLE next (a);"
    bad = "CREATE TABLE next (a); INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, bad))
    with pytest.raises(StorageError):
        open_database(path)
    with closing(open_for_reading(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        assert n_keys(connection) == N_KEYS
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, good))
    with closing(open_database(path).connection) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION + 1
        assert n_keys(connection) == N_KEYS


def test_what_a_crash_left_in_the_wal_is_there(path: Path) -> None:
    """Commits that are in the -wal only are part of the database."""
    leave_wal(path)
    opened = open_database(path)
    with closing(opened.connection) as connection:
        assert n_keys(connection) == N_KEYS + 50
    assert opened.set_aside is None


def test_a_damaged_shm_is_made_again(path: Path) -> None:
    """The -shm is an index of the -wal, and nothing is lost with it."""
    leave_wal(path)
    path.with_name("studio.db-shm").write_bytes(os.urandom(32_768))
    with closing(open_database(path).connection) as connection:
        assert n_keys(connection) == N_KEYS + 50


def test_a_damaged_wal_costs_its_own_commits_alone(path: Path) -> None:
    """Garbage in the -wal is no commit, so the database is what it was before it."""
    fill(path)
    path.with_name("studio.db-wal").write_bytes(os.urandom(100_000))
    opened = open_database(path)
    with closing(opened.connection) as connection:
        assert n_keys(connection) == N_KEYS
    assert opened.set_aside is None


def overwrite(path: Path, start: float, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(int(start * path.stat().st_size) // 4096 * 4096)
        file.write(content)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE runs (a); PRAGMA user_version = 99")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database at all": lambda path: path.write_bytes(b"not a database, but long enough" * 50),
    "garbage header": lambda path: overwrite(path, 0, os.urandom(100)),
    "zeros for a header": lambda path: overwrite(path, 0, bytes(100)),
    "zeros for the first page": lambda path: overwrite(path, 0, bytes(4096)),
    "garbage in the first page": lambda path: overwrite(
        path, 0, path.read_bytes()[:100] + b"\xff" * 3996
    ),
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut within a page": lambda path: os.truncate(path, path.stat().st_size - 1000),
    "cut to the first page": lambda path: os.truncate(path, 4096),
    "cut within the first page": lambda path: os.truncate(path, 1000),
    "zeros in the middle": lambda path: overwrite(path, 0.5, bytes(8192)),
    "garbage in the middle": lambda path: overwrite(path, 0.5, os.urandom(8192)),
    "another program's database": foreign,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_corrupt_database_is_set_aside(path: Path, damage: Callable[[Path], object]) -> None:
    """Whatever the damage, the file is kept under the name that is given, and a new one made."""
    fill(path)
    damage(path)
    before = path.read_bytes()
    opened = open_database(path)
    with closing(opened.connection) as connection:
        assert n_keys(connection) == 0
        connection.execute(KEY, ("a", "b"))
    assert opened.set_aside is not None
    assert ASIDE.fullmatch(opened.set_aside)
    assert path.with_name(opened.set_aside).read_bytes() == before
    again = open_database(path)
    again.connection.close()
    assert again.set_aside is None


def test_wal_and_shm_are_set_aside_as_well(path: Path) -> None:
    """The three files stay together under one name."""
    leave_wal(path)
    # A valid -wal would heal the pages that it holds: what it does not hold is damaged here.
    overwrite(path, 0.5, os.urandom(8192))
    before = contents(path.parent)
    aside = open_database(path)
    aside.connection.close()
    assert aside.set_aside is not None
    found = contents(path.parent)
    for suffix in ("", "-wal"):
        assert found[aside.set_aside + suffix] == before[f"studio.db{suffix}"], suffix
    assert f"{aside.set_aside}-shm" in found


def test_names_that_are_taken_are_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several damaged databases of one second each get a name of their own, parts included."""
    monkeypatch.setattr("app.database.time.strftime", lambda *_: "20240101T000000Z")
    path.with_name("studio.db.corrupt-20240101T000000Z-2-wal").write_bytes(b"somebody's")
    path.with_name("studio.db.corrupt-20240101T000000Z-4").symlink_to("nowhere")
    asides = []
    for n in range(4):
        path.write_bytes(b"damaged %d" % n * 100)
        path.with_name("studio.db-wal").write_bytes(b"wal %d" % n)
        opened = open_database(path)
        opened.connection.close()
        asides.append(opened.set_aside)
    ends = [str(name).removeprefix("studio.db.corrupt-20240101T000000Z") for name in asides]
    assert ends == ["", "-3", "-5", "-6"]
    for n, name in enumerate(asides):
        assert path.with_name(str(name)).read_bytes() == b"damaged %d" % n * 100
    assert path.with_name("studio.db.corrupt-20240101T000000Z-2-wal").read_bytes() == b"somebody's"


@pytest.mark.parametrize("kind", ["directory", "link", "dangling link", "fifo"])
def test_what_is_no_file_is_refused_and_left(path: Path, kind: str) -> None:
    """Something else of its name is not moved or followed, since it is nobody's damaged file."""
    elsewhere = path.with_name("elsewhere.db")
    fill(elsewhere)
    before = elsewhere.read_bytes()
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(elsewhere if kind == "link" else "nowhere")
    mode = path.lstat().st_mode
    with pytest.raises(
        StorageError, match=r"studio.db in the data directory is not a regular file"
    ):
        open_database(path)
    assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(mode)
    assert elsewhere.read_bytes() == before
    assert not path.with_name("nowhere").exists()


@pytest.mark.parametrize("with_wal", [False, True])
def test_a_newer_database_is_refused_and_not_touched(path: Path, *, with_wal: bool) -> None:
    """One that a newer program wrote keeps every byte; the sentence says what to do."""
    (leave_wal if with_wal else fill)(path)
    if with_wal:  # the newer program was killed after its commits
        newer = path.with_name("newer")
        newer.mkdir()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA user_version = 1000")
            for suffix in ("", "-wal", "-shm"):
                shutil.copy(path.with_name(f"studio.db{suffix}"), newer)
        path = newer / "studio.db"
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 1000")
    before = contents(path.parent)
    with pytest.raises(NewerDatabaseError, match=r"newer Studio .*1000.*; update Studio"):
        open_database(path)
    after = contents(path.parent)
    assert after["studio.db"] == before["studio.db"]
    assert after.get("studio.db-wal", b"") == before.get("studio.db-wal", b"")
    assert after.keys() - before.keys() <= {"studio.db-wal", "studio.db-shm"}
    assert (
        next(code for kind, code in EXIT_CODES if issubclass(NewerDatabaseError, kind))
        == Exit.NOT_STARTED
    )


def test_a_reader_only_reads(path: Path) -> None:
    """The connection of readers cannot write, and there must be something to read."""
    with pytest.raises(sqlite3.OperationalError):
        open_for_reading(path).execute("SELECT 1")
    fill(path)
    with closing(open_for_reading(path)) as connection:
        assert n_keys(connection) == N_KEYS
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute(KEY, ("a", "b"))


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    """A data directory may be called anything, also for the readers' connection."""
    path = tmp_path / "a ?b#c%20d&ü" / "studio.db"
    path.parent.mkdir()
    fill(path)
    with closing(open_for_reading(path)) as connection:
        assert n_keys(connection) == N_KEYS


def test_another_program_that_holds_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not given up becomes a plain sentence."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k | {"timeout": 0.01}))
    path.touch()
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="another program holds it"):
            open_database(path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_FULL, "No space is left to write the database; nothing was kept."),
        (sqlite3.SQLITE_READONLY, "it is read-only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "it is read-only"),
        (sqlite3.SQLITE_CANTOPEN, "its file cannot be opened"),
        (sqlite3.SQLITE_BUSY, "another program holds it"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program holds it"),
        (sqlite3.SQLITE_IOERR_WRITE, "the disk refuses"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk refuses"),
        (sqlite3.SQLITE_CORRUPT, "it is damaged"),
        (sqlite3.SQLITE_NOTADB, "it is damaged"),
        (sqlite3.SQLITE_NOMEM, "there is not enough memory"),
        (sqlite3.SQLITE_ERROR, "SQLite refuses"),
    ],
)
def test_storage_errors_are_plain_sentences(code: int, words: str) -> None:
    """Each kind of refusal says what is the matter, in the same words for its finer kinds."""
    fault = sqlite3.OperationalError("disk I/O error at /home/me")
    fault.sqlite_errorcode = code
    message = str(storage_error(fault))
    assert words in message
    assert "/home" not in message


def test_errors_of_the_system_are_sentences_too() -> None:
    """What the operating system refuses is said as everywhere else."""
    assert str(storage_error(OSError(28, "No space left on device"))) == (
        "No space is left to write the database; nothing was kept."
    )
    assert "read-only file system" in str(storage_error(OSError(30, "Read-only file system")))
