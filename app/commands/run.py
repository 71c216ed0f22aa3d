"""``studio run``: one backtest, without a server."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.holding import say
from app.config_file import read_config, sample_config, with_overrides
from app.datasets import own_provider
from app.frozen import keep_font_cache
from app.local_runs import RUNS
from app.quality import changes
from app.replicates import mapper_for
from app.results_table import print_results
from app.settings import Settings, read_settings
from app.terminal import RunProgress
from engine.artifacts import Place, inspect_place
from engine.data import FileProvider, Provider, ReadOptions, guess_name
from engine.errors import ConfigError, DataError
from engine.execution import load_kernel
from engine.pipeline import RunContext, Silent, prepare
from engine.plugins import load_plugins

CANDLES = (".csv", ".csv.gz", ".parquet")
OF_THE_SAMPLE = {"symbol", "timeframe", "provider"}


@dataclass(frozen=True)
class RunRequest:
    """What was asked for on the command line."""

    config: Path | None = None
    candles: Path | None = None
    symbol: str | None = None
    timeframe: str | None = None
    timezone: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    calendar: str | None = None
    on_bad_rows: str | None = None
    out: Path | None = None
    overrides: tuple[str, ...] = ()
    plot: bool = True
    as_json: bool = False
    data_dir: Path | None = None
    plugins: tuple[Path, ...] = ()
    threads: int | None = None
    scheduler: str | None = None


def run_command(request: RunRequest) -> None:
    """Run to artifacts, then print the table of results, or summary.json.

    What a plugin prints meanwhile does not come between where the output is to be read as JSON.
    """
    with redirect_stdout(sys.stderr) if request.as_json else nullcontext():
        place, note = _run(request)
    if request.as_json:
        sys.stdout.write((place / "summary.json").read_text(encoding="utf-8"))
    else:
        print_results(place, note)


def _run(request: RunRequest) -> tuple[Path, str | None]:
    """Run to artifacts; return where they are, and what is to be noted of that."""
    settings = read_settings(
        {
            "data_dir": request.data_dir,
            "plugins": request.plugins or None,
            "threads": request.threads,
            "scheduler": request.scheduler,
        }
    )
    keep_font_cache(settings.data_dir)
    load_plugins(settings.plugins)
    options = read_options(request, settings)
    raw = _raw_config(request, options)
    shows_progress = sys.stderr.isatty() and not request.as_json
    progress = RunProgress() if shows_progress else None
    with progress or nullcontext(Silent()) as observer, closing(mapper_for(settings)) as mapper:
        prepared = prepare(
            raw,
            RunContext(
                observer=observer,
                limits=settings.limits,
                provider=provider_for(raw, request.candles, options, settings),
                kernel=load_kernel(settings.kernel),
                mapper=mapper,
            ),
        )
        place = request.out or RUNS / prepared.identity.run_id
        if inspect_place(place, prepared.identity) is Place.THIS_RUN:
            note = "This very run is there already, verified; it was left as it is."
        else:
            prepared.execute(place)
            note = None
    if request.candles is not None:
        say(changes(prepared.loaded.report))
    return place, note


def _raw_config(request: RunRequest, options: ReadOptions) -> dict[str, Any]:
    raw = _chosen_config(request)
    if request.candles is not None:
        raw = _for_file(raw, request, request.candles)
    else:
        _refuse_without_candles(request)
    if request.calendar is not None:
        raw["calendar"] = request.calendar
    if request.on_bad_rows is not None:
        raw["on_bad_rows"] = request.on_bad_rows
    raw = with_overrides(raw, request.overrides)
    if request.candles is not None and raw["provider"] != "local":
        raise ConfigError.of("provider", "is local where --candles names a file")
    if request.candles is not None and "timeframe" not in raw:
        file = FileProvider(request.candles, options)
        # By the run's own rule for bad rows, so that what is said of them is true of the run.
        dataset = file.read("FILE", None, raw.get("on_bad_rows", "refuse"))
        raw["timeframe"] = dataset.candles.timeframe
    if not request.plot:
        raw["plot"] = False
    return raw


def _chosen_config(request: RunRequest) -> dict[str, Any]:
    """Return the configuration that was named, else the sample's, with its costs and tests."""
    if request.config is not None:
        if request.config.name.lower().endswith(CANDLES):
            name = request.config
            message = f"{name} is not a configuration; candles are given with --candles {name}"
            raise ConfigError.of("", message)
        return read_config(request.config)
    sample = sample_config()
    if request.candles is None:
        return sample
    return {name: value for name, value in sample.items() if name not in OF_THE_SAMPLE}


def _refuse_without_candles(request: RunRequest) -> None:
    """Say which flags describe a file of candles where none is named."""
    fields = {"symbol": request.symbol, "timeframe": request.timeframe}
    named = {f"--{name}": value for name, value in fields.items() if value is not None}
    flags = [*named, *reading_flags(request)]
    if not flags:
        return
    message = go_with(flags, "--candles")
    if named:
        instead = (f"--set {flag.removeprefix('--')}={value}" for flag, value in named.items())
        message += f"; without it use {' '.join(instead)}"
    raise ConfigError.of("", message)


def _for_file(raw: Mapping[str, Any], request: RunRequest, path: Path) -> dict[str, Any]:
    """Return the configuration for candles from a file: flags, else itself, else the file's name.

    The candles count as local ones, so that the same data imported gives the same run. The
    timeframe may stay open.
    """
    symbol, timeframe = request.symbol, request.timeframe
    if symbol is None and "symbol" not in raw:
        symbol, told = guess_name(path)
        timeframe = timeframe or told
    elif timeframe is None and "timeframe" not in raw:
        try:
            timeframe = guess_name(path)[1]
        except DataError:
            timeframe = None
    config = {**raw, "provider": "local"}
    if symbol is not None:
        config["symbol"] = symbol
    if timeframe is not None:
        config["timeframe"] = timeframe
    return config


def reading_flags(request: Any) -> list[str]:
    """Return the flags given that say how a candle file is to be read."""
    flags = {
        "--tz": request.timezone,
        "--date-format": request.date_format,
        "--decimal": request.decimal,
    }
    return [flag for flag, value in flags.items() if value is not None]


def go_with(flags: Sequence[str], other: str) -> str:
    """Return the sentence that flags say nothing without another one."""
    named = " and ".join(filter(None, (", ".join(flags[:-1]), flags[-1])))
    return f"{named} {'goes' if len(flags) == 1 else 'go'} with {other}"


def read_options(request: Any, settings: Settings) -> ReadOptions:
    """Return what the flags say about a candle file, and the settings of its size."""
    return ReadOptions(
        timezone=request.timezone or "UTC",
        date_format=request.date_format,
        decimal=request.decimal,
        limits=settings.file_limits,
    )


def provider_for(
    raw: Mapping[str, Any], candles: Path | None, options: ReadOptions, settings: Settings
) -> Provider | None:
    """Return the provider that flags and settings ask for, None for the configured one."""
    if candles is not None:
        return FileProvider(candles, options)
    return own_provider(raw, settings)
