"""``studio export``: a table of a run as CSV."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from app.local_runs import find_run
from app.settings import read_settings
from engine.artifacts import read_manifest
from engine.artifacts.manifest import MANIFEST, file_sha256
from engine.artifacts.views import write_csv
from engine.errors import OutputError, StorageError, VerificationError

STANDARD_OUTPUT = Path("-")


def export_command(run_or_dir: str, name: str, out: Path | None, data_dir: Path | None) -> None:
    """Write a Parquet artifact as CSV to a new file or standard output.

    Raises
        DataError where there is no such run; OutputError where it has no such table, or where
        ``out`` is there already; VerificationError where the table has been changed.
    """
    folder = find_run(run_or_dir, read_settings({"data_dir": data_dir}))
    table = name if name.endswith(".parquet") else f"{name}.parquet"
    known = {entry["name"]: entry["sha256"] for entry in read_manifest(folder)["files"]}
    tables = [title for title in known if title.endswith(".parquet")]
    if table not in tables:
        message = f"the run has no table {name}; it has {', '.join(sorted(tables))}"
        raise OutputError(message)
    if not (folder / table).is_file() or file_sha256(folder / table) != known[table]:
        message = f"{table} is missing or has been changed since the run"
        raise VerificationError(message)
    with opened(out) as file:
        write_csv(folder / table, file)


@contextlib.contextmanager
def opened(out: Path | None) -> Iterator[IO[bytes]]:
    """Open a new file, or standard output where that or none is named; a failure leaves no file.

    Raises
        OutputError where the file is there already, or would lie among the files of a run, which
        would then not verify; StorageError where it cannot be written.
    """
    if out is None or out == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    if (out.parent / MANIFEST).exists():
        message = f"{out} would lie among the files of a run; name another place with --out"
        raise OutputError(message)
    try:
        with out.open("xb") as file:
            try:
                yield file
            except BaseException:
                out.unlink(missing_ok=True)
                raise
    except FileExistsError:
        message = f"{out} is there already"
        raise OutputError(message) from None
    except OSError as fault:
        raise StorageError.from_os_error(str(out), fault) from None
