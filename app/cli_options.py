"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from app.settings import Settings


def _default_data_dir() -> str:
    """Return where the data directory lies unless it is named, short for a line of help."""
    place = Settings().data_dir
    try:
        return str(Path("~") / place.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # elsewhere, or there is no home
        return place.name


def given(text: str) -> str:
    """Refuse what an unset variable of a shell leaves, and Path would take for this directory."""
    if not text:
        message = "a path should not be empty"
        raise typer.BadParameter(message)
    return text


def path(text: str) -> Path:
    """Return the path that a command line names; raises as ``given``."""
    return Path(given(text))


CandlesFile = Annotated[
    Path | None,
    typer.Option(
        "--candles",
        parser=path,
        metavar="FILE",
        help="Candles from this CSV or Parquet file.",
        show_default=False,
    ),
]
Symbol = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What the file's candles are of [from the file's name].",
        show_default=False,
    ),
]
Timeframe = Annotated[
    str | None,
    typer.Option(
        metavar="STEP",
        help="From bar to bar: 1m 5m 15m 30m 1h 4h 1d 1w [from the file's name, or its bars].",
        show_default=False,
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="Of the file's times without an offset, such as America/Chicago [UTC].",
        show_default=False,
    ),
]
DateFormat = Annotated[
    str | None,
    typer.Option(
        "--date-format",
        metavar="FORMAT",
        help="Of the file's dates, such as %d/%m/%Y [told from the file].",
        show_default=False,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="MARK",
        help="Of the file's decimals: . or , [told from the file].",
        show_default=False,
    ),
]
Calendar = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Exchange calendar, such as XNYS [none].", show_default=False
    ),
]
OnBadRows = Annotated[
    str | None,
    typer.Option(
        metavar="WAY", help="What becomes of bad rows: refuse or drop [refuse].", show_default=False
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        parser=path,
        metavar="DIR",
        help=f"The data directory [STUDIO_DATA_DIR, else {_default_data_dir()}].",
        show_default=False,
    ),
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugins",
        parser=path,
        metavar="FILE",
        help="Your own components, from this Python file; may be repeated.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field of the configuration; may be repeated.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
NewFile = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="FILE",
        help="Into this new file, - for standard output [-].",
        show_default=False,
    ),
]
RunOrDir = Annotated[
    str,
    typer.Argument(
        parser=given, metavar="RUN", help="A run's id or directory.", show_default=False
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        parser=path,
        metavar="CONFIG",
        help="A configuration, a JSON file [the sample's].",
        show_default=False,
    ),
]
RunPlace = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="DIR",
        help="Where the run goes [./studio-runs/<run_id>].",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="For replicates [one a core].", show_default=False),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Replicates on this dask cluster.", show_default=False),
]
# What every command takes.
HELP = {"help_option_names": ["-h", "--help"]}
