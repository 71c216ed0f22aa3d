"""``studio presets``: its three commands."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli_faults import Exit
from app.cli_options import HELP, AsJson, DataDir, NewFile, path

presets = typer.Typer(
    rich_markup_mode=None,
    context_settings=HELP,
)


def help_without_command(context: typer.Context) -> None:
    """Show the help of a command that needs another one behind it, and there is none."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(Exit.USAGE)


@presets.callback(invoke_without_command=True)
def _presets(context: typer.Context) -> None:
    """Parts of configurations under names, as JSON files."""
    help_without_command(context)


@presets.command("list")
def list_presets(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the presets there are."""
    from app.commands.presets import list_command

    list_command(data_dir, as_json=as_json)


@presets.command("export")
def export_preset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The preset's name.")],
    *,
    out: NewFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write a preset as JSON."""
    from app.commands.presets import export_command

    export_command(name, out, data_dir)


@presets.command("import")
def import_preset(
    file: Annotated[
        Path,
        typer.Argument(
            parser=path, metavar="FILE", help="A preset, or a configuration with --name."
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The preset's name [the one in the file].", show_default=False
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Keep a preset, also while a server runs."""
    from app.commands.presets import import_command

    import_command(file, name, data_dir)
