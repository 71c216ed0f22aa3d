"""``studio presets``: its three commands."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import AsJson, DataDir

presets = typer.Typer(
    help="Parts of configurations under names, as JSON files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@presets.command("list")
def list_presets(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the presets there are."""
    from app.commands.presets import list_command

    list_command(data_dir, as_json=as_json)


@presets.command("export")
def export_preset(
    name: Annotated[str, typer.Argument(help="The preset's name.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Into this file [standard output].", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a preset as JSON."""
    from app.commands.presets import export_command

    export_command(name, out, data_dir)


@presets.command("import")
def import_preset(
    file: Annotated[Path, typer.Argument(help="A preset, or a configuration with --name.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="[the one in the file]", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Keep a preset, also while a server runs."""
    from app.commands.presets import import_command

    import_command(file, name, data_dir)
