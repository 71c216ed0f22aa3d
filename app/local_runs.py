"""The runs on this machine's disk, as commands find them."""

from pathlib import Path

from app.data_dir import RUN_ID
from app.settings import Settings
from engine.errors import DataError

RUNS = Path("studio-runs")


def find_run(run_or_dir: str, settings: Settings) -> Path:
    """Return the directory of a run, named by its path or by its id.

    Raises
        DataError where there is none, which says where it was looked for.
    """
    path = Path(run_or_dir)
    if is_folder(path):
        return path
    message = f"there is no run {run_or_dir}"
    if path.name == run_or_dir:
        for runs in (RUNS, settings.data_dir / "runs"):
            if is_folder(runs / run_or_dir):
                return runs / run_or_dir
        message += f" in ./{RUNS} or in the data directory"
    raise DataError(message)


def is_folder(path: Path) -> bool:
    """Tell whether there is such a directory; a name that is too long for one is nobody's."""
    try:
        return path.is_dir()
    except OSError:
        return False


def runs_here() -> int:
    """Return how many runs of ``studio run`` there are below the working directory."""
    try:
        return sum(RUN_ID.fullmatch(path.name) is not None for path in RUNS.iterdir())
    except OSError:
        return 0
