"""``studio serve`` and ``studio desktop``: the server, alone or with its panel."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli_options import DataDir, PluginFiles, path
from app.data_dir import StartError
from app.frozen import is_frozen
from app.settings import Settings

server = typer.Typer(rich_markup_mode=None)
Host = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Address to listen on [127.0.0.1].", show_default=False),
]
Port = Annotated[
    int | None,
    typer.Option(metavar="N", help=f"Port, 0 for any [{Settings.port}].", show_default=False),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        parser=path,
        metavar="FILE",
        help="The bearer token, in a file.",
        show_default=False,
    ),
]
WITHOUT_TK = "The panel needs Tk, which this Python lacks (Debian: apt install python3-tk)."
WITHOUT_LIBRARIES = (
    "The panel needs X11's libraries, which this machine lacks (Debian: apt install libxcb1); "
    "or use studio-cli serve."
)
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="Runs at once [cores - 1].", show_default=False)
]


@server.command()
def serve(
    *,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    token_file: TokenFile = None,
    workers: Workers = None,
    plugins: PluginFiles = None,
) -> None:
    """Serve runs over HTTP, on this machine alone."""
    from app.commands.serve import serve_command

    serve_command(_flags(host, port, data_dir, token_file, workers, plugins))


@server.command()
def desktop(
    *,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    token_file: TokenFile = None,
    workers: Workers = None,
    plugins: PluginFiles = None,
) -> None:
    """Open the panel: the same server with a window."""
    try:
        from app.commands.desktop import desktop_command
    except ImportError as fault:
        if fault.name not in {"tkinter", "_tkinter"}:
            raise
        raise StartError(WITHOUT_LIBRARIES if is_frozen() else WITHOUT_TK) from None

    desktop_command(_flags(host, port, data_dir, token_file, workers, plugins))


def _flags(
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    token_file: Path | None,
    workers: int | None,
    plugins: list[Path] | None,
) -> dict[str, Any]:
    return {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "token_file": token_file,
        "workers": workers,
        "plugins": tuple(plugins) if plugins else None,
    }
