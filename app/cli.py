"""The command line: flags to calls, errors to plain sentences and exit codes.

Each command imports what it needs when it is called, so that none waits for another's libraries.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import engine
from app.cli_faults import Exit, explain
from app.cli_options import (
    HELP,
    AsJson,
    Calendar,
    CandlesFile,
    ConfigFile,
    DataDir,
    DateFormat,
    Decimal,
    NewFile,
    OnBadRows,
    Overrides,
    PluginFiles,
    RunOrDir,
    RunPlace,
    Scheduler,
    Symbol,
    Threads,
    Timeframe,
    TimeZone,
    path,
)
from app.cli_presets import help_without_command, presets
from app.cli_server import server

cli = typer.Typer(
    name="studio",
    help="Backtests, and whether to believe them.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)
RUN_EXAMPLES = """\b
Examples:
  studio run --candles ES_1h.csv --tz America/Chicago
  studio run my-run.json --set strategy.params.fast=10 --no-plot
"""
cli.add_typer(server)
cli.add_typer(presets, name="presets")


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"studio {engine.__version__}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def _studio(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback has answered by then
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _version(asked=value),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Backtests, and whether to believe them."""
    help_without_command(context)


@cli.command(epilog=RUN_EXAMPLES)
def run(
    *,
    config: ConfigFile = None,
    candles: CandlesFile = None,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    tz: TimeZone = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    calendar: Calendar = None,
    on_bad_rows: OnBadRows = None,
    out: RunPlace = None,
    settings: Overrides = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Leave the plot out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only summary.json.")] = False,
    data_dir: DataDir = None,
    plugins: PluginFiles = None,
    threads: Threads = None,
    scheduler: Scheduler = None,
) -> None:
    """Run a backtest and print what it found.

    Results, plot and every other file go to a directory of the run's own, pinned by their hashes.
    """
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
            on_bad_rows=on_bad_rows,
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
    run_or_dir: RunOrDir,
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
    file: Annotated[
        Path,
        typer.Argument(parser=path, metavar="FILE", help="A CSV or Parquet file, gzipped or not."),
    ],
    *,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    tz: TimeZone = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    calendar: Calendar = None,
    on_bad_rows: OnBadRows = None,
    data_dir: DataDir = None,
) -> None:
    """Keep candles in the data directory for later runs."""
    from app.commands.data import ImportRequest, import_command
    from engine.data import ReadOptions

    options = ReadOptions(tz or "UTC", date_format, on_bad_rows or "refuse", decimal)
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
        str | None,
        typer.Option(
            metavar="STATUS", help="Only those that are queued, running, …", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many.", min=1, max=200)] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the runs of the server, newest first."""
    from app.commands.runs import runs_command

    runs_command(data_dir, status, limit, as_json=as_json)


@cli.command()
def catalog(*, as_json: AsJson = False, plugins: PluginFiles = None) -> None:
    """List what a configuration can name, with its parameters.

    These are indicators, strategies, sizing models, slippage models and validation tests.
    """
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
        str | None, typer.Option(metavar="NAME", help="Only this strategy.", show_default=False)
    ] = None,
    settings: Overrides = None,
) -> None:
    """Check whether a plugin's components know the future."""
    from app.commands.check_causality import check_causality_command

    check_causality_command(tuple(plugins or ()), strategy, tuple(settings or ()))


@cli.command()
def export(
    run_or_dir: RunOrDir,
    name: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="A Parquet artifact: equity.parquet, or equity."),
    ],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, the only form there is.")] = True,
    out: NewFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write a table of a run as CSV."""
    from app.commands.export import export_command

    assert as_csv  # the only form so far
    export_command(run_or_dir, name, out, data_dir)


@cli.command()
def report(
    run_or_dir: RunOrDir,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            metavar="FILE",
            help="Into this new file, - for standard output [<run_id>.html].",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write everything about a run as one HTML file."""
    from app.commands.report import report_command

    report_command(run_or_dir, out, data_dir)


@cli.command("help")
def help_(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="Such as run, or presets import."),
    ] = None,
) -> None:
    """Show the help of a command, as its --help does."""
    cli([*(command or ()), "--help"], prog_name="studio", standalone_mode=False)


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
        message, code = explain(
            fault, _command_of(sys.argv[1:] if arguments is None else arguments)
        )
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


def _command_of(arguments: Sequence[str]) -> str:
    """Return the command that a command line names, without what it says to it."""
    command: Any = typer.main.get_command(cli)
    named = ["studio"]
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        named.append(word)
    return " ".join(named)


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
