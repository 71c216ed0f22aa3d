"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

CandlesFile = Annotated[
    Path | None, typer.Option("--candles", help="Candles from this CSV file.", show_default=False)
]
TimeZone = Annotated[
    str | None,
    typer.Option("--tz", help="Zone of times without an offset [UTC]", show_default=False),
]
DateFormat = Annotated[
    str | None, typer.Option("--date-format", help="Such as %d/%m/%Y.", show_default=False)
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal", help="Mark of decimals, . or , [told from the file]", show_default=False
    ),
]
Calendar = Annotated[
    str | None, typer.Option(help="Exchange calendar, such as XNYS.", show_default=False)
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The data directory.", show_default=False)
]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugins", help="Your own components, from this file.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override: strategy.params.fast=10.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
