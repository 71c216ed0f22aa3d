"""``studio report``: everything about a run as one HTML file."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from rich.text import Text

from app.commands.export import STANDARD_OUTPUT, opened
from app.commands.holding import holding
from app.data_dir import RUN_ID, HeldError
from app.frozen import keep_font_cache
from app.local_client import LocalClient
from app.local_runs import RUNS, find_run, is_folder
from app.report import make_report
from app.settings import read_settings
from app.terminal import Output
from engine.artifacts.manifest import HASHES_DISAGREE
from engine.errors import DataError, StudioError, VerificationError


def report_command(run_or_dir: str, out: Path | None, data_dir: Path | None) -> None:
    """Write the report of a run to a new file, ``<run_id>.html`` where none is named.

    Raises
        DataError where there is no such run; VerificationError where its files do not verify;
        OutputError where the file is there already and is another one.
    """
    run_id, content = _report(run_or_dir, data_dir)
    place = out or Path(f"{run_id}.html")
    if place == STANDARD_OUTPUT or not _is_there(place, content):
        with opened(place) as file:
            file.write(content)
    if place != STANDARD_OUTPUT:
        Output().print(Text(f"Report: {place}"))


def _report(run_or_dir: str, data_dir: Path | None) -> tuple[str, bytes]:
    settings = read_settings({"data_dir": data_dir})
    keep_font_cache(settings.data_dir)
    is_here = is_folder(Path(run_or_dir)) or is_folder(RUNS / run_or_dir)
    if is_here or RUN_ID.fullmatch(run_or_dir) is None or not settings.data_dir.is_dir():
        return make_report(find_run(run_or_dir, settings).resolve())
    try:
        with holding(settings.data_dir):
            return make_report(find_run(run_or_dir, settings).resolve())
    except HeldError as server:
        return run_or_dir, _asked(LocalClient(settings, server), run_or_dir)


def _asked(client: LocalClient, run_id: str) -> bytes:
    """Return the report that the server gives."""
    path = f"/runs/{quote(run_id)}"
    try:
        return client.download(f"{path}/report")
    except DataError:  # there is none, or none yet
        raise
    except StudioError:
        # The server does not say why; what it says of the files tells whether they are the reason.
        found = client.call("GET", f"{path}/verify", None)
        if found["ok"]:
            raise
    wrong = [f"{file['name']} {file['reason']}" for file in found["files"] if not file["ok"]]
    raise VerificationError((wrong or [HASHES_DISAGREE])[0])


def _is_there(place: Path, content: bytes) -> bool:
    with suppress(OSError):  # a pipe or a terminal would keep us waiting
        return place.is_file() and place.read_bytes() == content
    return False
