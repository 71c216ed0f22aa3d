"""The command line: flags to calls, errors to plain sentences and exit codes.

Each command imports what it needs when it is called, so that none waits for another's libraries.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import engine
from app.cli_options import (
    AsJson,
    Calendar,
    CandlesFile,
    DataDir,
    DateFormat,
    Decimal,
    Overrides,
    PluginFiles,
    TimeZone,
)
from app.cli_presets import presets
from app.cli_server import server
from app.data_dir import StartError
from engine.errors import (
    ConfigError,
    DataError,
    OutputError,
    RunCancelled,
    StudioError,
    VerificationError,
)


class Exit(IntEnum):
    """How a command ends."""

    DONE = 0
    USAGE = 2
    DATA = 3
    FAILED = 4
    VERIFICATION = 5
    NOT_STARTED = 6
    INTERRUPTED = 130


EXIT_CODES: tuple[tuple[type[StudioError], Exit], ...] = (
    (ConfigError, Exit.USAGE),
    (OutputError, Exit.USAGE),
    (DataError, Exit.DATA),
    (VerificationError, Exit.VERIFICATION),
    (RunCancelled, Exit.INTERRUPTED),
    (StartError, Exit.NOT_STARTED),
    (StudioError, Exit.FAILED),
)

cli = typer.Typer(
    name="studio",
    help="Backtests, and whether to believe them.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
cli.add_typer(server)
cli.add_typer(presets, name="presets")


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"studio {engine.__version__}")
        raise typer.Exit


@cli.callback()
def _studio(
    *,
    version: Annotated[  # its callback has answered by then
        bool,
        typer.Option("--version", callback=lambda value: _version(asked=value), is_eager=True),
    ] = False,
) -> None:
    """Backtests, and whether to believe them."""


@cli.command()
def run(
    *,
    config: Annotated[
        Path | None,
        typer.Argument(help="A configuration; the sample's without.", show_default=False),
    ] = None,
    candles: CandlesFile = None,
    symbol: Annotated[str | None, typer.Option(help="With --candles.", show_default=False)] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="With --candles.", show_default=False)
    ] = None,
    tz: TimeZone = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    calendar: Calendar = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the run goes [./studio-runs/<run_id>].", show_default=False),
    ] = None,
    settings: Overrides = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Leave the plot out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only summary.json.")] = False,
    data_dir: DataDir = None,
    plugins: PluginFiles = None,
    threads: Annotated[
        int | None, typer.Option(help="For replicates [one a core].", show_default=False)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Replicates on this dask cluster.", show_default=False)
    ] = None,
) -> None:
    """Run a backtest: a table of results, a plot, and a directory that pins every byte."""
    from app.commands.run import RunRequest, run_command

    run_command(
        RunRequest(
            config=config,
            candles=candles,
            symbol=symbol,
            timeframe=timeframe,
            timezone=tz,
            date_format=date_format,
            decimal=decimal,
            calendar=calendar,
            out=out,
            overrides=tuple(settings or ()),
            plot=not no_plot,
            as_json=as_json,
            data_dir=data_dir,
            plugins=tuple(plugins or ()),
            threads=threads,
            scheduler=scheduler,
        )
    )


@cli.command()
def verify(
    run_or_dir: Annotated[str, typer.Argument(help="A run's id or directory.")],
    *,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run it again and compare every byte.")
    ] = False,
    candles: CandlesFile = None,
    tz: TimeZone = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    data_dir: DataDir = None,
    plugins: PluginFiles = None,
) -> None:
    """Compare a run's files with its manifest, byte by byte."""
    from app.commands.verify import VerifyRequest, verify_command

    verify_command(
        VerifyRequest(
            run_or_dir=run_or_dir,
            rerun=rerun,
            candles=candles,
            timezone=tz,
            date_format=date_format,
            decimal=decimal,
            data_dir=data_dir,
            plugins=tuple(plugins or ()),
        )
    )


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, gzipped or not.")],
    *,
    symbol: Annotated[
        str | None, typer.Option(help="[from the file's name]", show_default=False)
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="[from the file's name or bars]", show_default=False)
    ] = None,
    tz: TimeZone = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    calendar: Calendar = None,
    on_bad_rows: Annotated[str, typer.Option(help="refuse or drop")] = "refuse",
    data_dir: DataDir = None,
) -> None:
    """Bring candles into the data directory, with a report on their quality."""
    from app.commands.data import ImportRequest, import_command
    from engine.data import ReadOptions

    options = ReadOptions(tz or "UTC", date_format, on_bad_rows, decimal)
    import_command(ImportRequest(file, symbol, timeframe, options, calendar, data_dir))


@cli.command()
def datasets(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the candles there are."""
    from app.commands.data import datasets_command

    datasets_command(data_dir, as_json=as_json)


@cli.command()
def runs(
    *,
    status: Annotated[
        str | None, typer.Option(help="Only those that are queued, running, …", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=200)] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the runs of the server, newest first."""
    from app.commands.runs import runs_command

    runs_command(data_dir, status, limit, as_json=as_json)


@cli.command()
def catalog(*, as_json: AsJson = False, plugins: PluginFiles = None) -> None:
    """List indicators, strategies, sizing, slippage, validation tests, with their parameters."""
    from app.commands.catalog import catalog_command

    catalog_command(tuple(plugins or ()), as_json=as_json)


@cli.command()
def openapi() -> None:
    """Print the HTTP contract, OpenAPI 3.1 as YAML."""
    from importlib.resources import files

    sys.stdout.write((files("contracts") / "openapi.yaml").read_text(encoding="utf-8"))


@cli.command("check-causality")
def check_causality(
    *,
    plugins: PluginFiles = None,
    strategy: Annotated[
        str | None, typer.Option(help="Only this strategy.", show_default=False)
    ] = None,
    settings: Overrides = None,
) -> None:
    """Check whether a plugin's components know bars that are still to come."""
    from app.commands.check_causality import check_causality_command

    check_causality_command(tuple(plugins or ()), strategy, tuple(settings or ()))


@cli.command()
def export(
    run_or_dir: Annotated[str, typer.Argument(help="A run's id or directory.")],
    name: Annotated[str, typer.Argument(help="A Parquet artifact: equity.parquet, or equity.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, the only form there is.")] = True,
    out: Annotated[
        Path | None, typer.Option(help="Into this file [standard output].", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a table of a run as CSV."""
    from app.commands.export import export_command

    assert as_csv  # the only form so far
    export_command(run_or_dir, name, out, data_dir)


@cli.command()
def report(
    run_or_dir: Annotated[str, typer.Argument(help="A run's id or directory.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Into this file, - for standard output [<run_id>.html].", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write everything about a run as one HTML file."""
    from app.commands.report import report_command

    report_command(run_or_dir, out, data_dir)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is a sentence on standard error."""
    _open_missing()
    _replace_unprintable()
    with contextlib.suppress(ValueError):  # outside the main thread there are no signals to set
        signal.signal(signal.SIGTERM, _interrupt)
        if sys.platform == "win32":
            signal.signal(signal.SIGBREAK, _interrupt)
    try:
        code = _call(arguments)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except (Exception, KeyboardInterrupt) as fault:  # noqa: BLE001  # no traceback reaches a user
        message, code = _explain(fault)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"studio: {message}\n")
            sys.stderr.flush()
    return code


def _call(arguments: Sequence[str] | None) -> int:
    code: Any = cli(arguments, prog_name="studio", standalone_mode=False)
    if code == Exit.INTERRUPTED:  # typer has caught the interrupt
        raise KeyboardInterrupt
    sys.stdout.flush()
    return int(code or 0)


def _explain(fault: BaseException) -> tuple[str, Exit]:
    """Return what a person should read about an error, and the exit code for it."""
    if isinstance(fault, StudioError):
        return str(fault), next(code for kind, code in EXIT_CODES if isinstance(fault, kind))
    if isinstance(fault, KeyboardInterrupt | typer.Abort):
        return "Interrupted; nothing was kept.", Exit.INTERRUPTED
    if isinstance(fault, typer.TyperException):
        message = " ".join(fault.format_message().split())
        return f"{message} See 'studio --help'.", Exit.USAGE
    if isinstance(fault, OSError):
        reason = (fault.strerror or "a file cannot be used").lower()
        return f"The output could not be written: {reason}.", Exit.FAILED
    if isinstance(fault, MemoryError):
        return "There is not enough memory for this run.", Exit.FAILED
    return f"An error inside Studio ({type(fault).__name__}); please report it.", Exit.FAILED


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _open_missing() -> None:
    """Give a process that was started without its streams some that go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for good
            setattr(sys, name, nowhere)


def _replace_unprintable() -> None:
    """Let a terminal that cannot show a character show a substitute."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            if sys.platform == "win32" and not stream.isatty():
                # A file or a program gets the same bytes as elsewhere, not those of a code page.
                stream.reconfigure(encoding="utf-8", newline="\n")
