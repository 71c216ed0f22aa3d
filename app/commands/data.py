"""``studio import``, ``studio datasets``: the user's candles."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from app.commands.holding import holding
from app.data_dir import HeldError
from app.datasets import ImportFile, datasets_document, list_datasets, read_candles
from app.local_client import LocalClient
from app.quality import RULES, changes
from app.settings import read_settings
from app.terminal import Output
from app.utc_time import day
from engine.data import (
    Dataset,
    DatasetInfo,
    ReadOptions,
    guess_name,
    import_dataset,
)
from engine.wording import counted, file_name


@dataclass(frozen=True)
class ImportRequest:
    """What was asked for on the command line."""

    file: Path
    symbol: str | None
    timeframe: str | None
    options: ReadOptions
    calendar: str | None
    data_dir: Path | None


def import_command(request: ImportRequest) -> None:
    """Store a file's candles and print the quality report."""
    settings = read_settings({"data_dir": request.data_dir})
    symbol, timeframe = request.symbol, request.timeframe
    if symbol is None:
        symbol, told = guess_name(request.file)
        timeframe = timeframe or told
    options = replace(request.options, limits=settings.file_limits)
    dataset = read_candles(ImportFile(request.file, symbol, timeframe, options, request.calendar))
    candles = dataset.candles
    try:
        with holding(settings.data_dir):
            import_dataset(settings.data_dir, dataset, request.file.name)
    except HeldError as server:
        _import_through(LocalClient(settings, server), request, dataset)
    output = Output()
    span = f"{counted(len(candles), 'bar')}, {day(candles.ts[0])} to {day(candles.ts[-1])}"
    output.print(Text(f"Imported {candles.symbol} {candles.timeframe}: {span}."))
    for sentence in changes(dataset.report):
        output.print(Text(sentence))
    if candles.volume is None:
        output.print(Text("The volume is not known."))


def _import_through(client: LocalClient, request: ImportRequest, dataset: Dataset) -> None:
    """Let the server that holds the data directory store the file."""
    candles, options = dataset.candles, request.options
    client.put_file(
        f"/datasets/{candles.symbol}/{candles.timeframe}",
        {
            "tz": options.timezone,
            "date_format": options.date_format,
            "decimal": options.decimal,
            "calendar": request.calendar,
            "on_bad_rows": options.on_bad_rows,
            "source": file_name(request.file.name),
        },
        request.file,
    )


def datasets_command(data_dir: Path | None, *, as_json: bool) -> None:
    """Print what there is to run on."""
    settings = read_settings({"data_dir": data_dir})
    if as_json:
        document = datasets_document(settings)
        sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("provider", "symbol", "timeframe", "bars", "from", "to", "remarks"):
        table.add_column(
            title,
            justify="right" if title == "bars" else "left",
            overflow="fold",  # no part of a name is left out
        )
    for info in list_datasets(settings):
        bars = "" if info.bars is None else f"{info.bars:,}"
        span = ["" if ts is None else day(ts) for ts in (info.first_ts, info.last_ts)]
        cells = (info.symbol, info.timeframe or "", bars, *span, "; ".join(_remarks(info)))
        table.add_row(info.provider, *map(Text, cells))  # a file's name may look like markup
    Output().print(table)


def _remarks(info: DatasetInfo) -> list[str]:
    if info.problem:
        return [info.problem]
    counts = (info.quality or {}).get("counts", {})
    said = [f"{count:,} {RULES[rule]}" for rule, count in counts.items() if rule in RULES]
    if info.calendar:
        said.insert(0, info.calendar)
    if info.volume_known is False:
        said.append("no volume")
    return said
