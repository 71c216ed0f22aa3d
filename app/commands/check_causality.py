"""``studio check-causality``: whether a plugin's components know bars that are still to come."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from app.config_file import sample_config, with_overrides
from app.settings import read_settings
from app.terminal import Output
from engine.errors import ConfigError, LookaheadError
from engine.pipeline import prepare
from engine.plugins import Plugin, load_plugins

# Each seed draws four bars after which the future becomes another: one like the past, or, for what
# only looks ahead at rare events, one of crashes and jumps of up to 60 % a bar.
CALM, WILD, WILD_MOVE = range(5), range(5, 10), 0.6
NOT_CHECKED = (
    "Slippage models and validation tests decide nothing, so there is nothing to check in them."
)


def check_causality_command(
    plugins: tuple[Path, ...], strategy: str | None, overrides: Sequence[str]
) -> None:
    """Print a verdict for each component of the plugins, tried on the sample's candles.

    Raises
        LookaheadError where one of them knew its future; ConfigError where there is none to check.
    """
    loaded = load_plugins(read_settings({"plugins": plugins or None}).plugins)
    sample = {key: sample_config()[key] for key in ("symbol", "timeframe", "provider")}
    checks = list(_checks(loaded, strategy))
    if not checks:
        message = "name a plugin with a strategy, sizing model or indicator, or a --strategy"
        raise ConfigError.of("", message)
    console, failed = Output(), []
    for kind, name, part in checks:
        try:
            prepared = prepare(with_overrides(sample | part, overrides))
            n = prepared.check_causality(CALM) + prepared.check_causality(WILD, WILD_MOVE)
        except LookaheadError as fault:
            failed.append(f"{kind} {name}")
            _say(console, "FAILED", f"{kind} {name}: {fault}", "bold red")
        else:
            said = f"{n} other futures changed nothing before them"
            _say(console, "ok", f"{kind} {name}: {said}", "green")
    if any(plugin.components[kind] for plugin in loaded for kind in ("slippage", "validation")):
        console.print(Text(NOT_CHECKED, style="dim"))
    if failed:
        verb = "knows" if len(failed) == 1 else "know"
        message = f"{', '.join(failed)} {verb} bars that are still to come"
        raise LookaheadError(message)


def _checks(
    loaded: Sequence[Plugin], strategy: str | None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield kind, name and part of the configuration of each component to check."""
    if strategy is not None:
        yield "strategy", strategy, {"strategy": {"name": strategy}}
        return
    for plugin in loaded:
        for name in plugin.components["strategies"]:
            yield "strategy", name, {"strategy": {"name": name}}
        for name in plugin.components["sizing"]:
            yield "sizing model", name, {"risk": {"name": name}}
        for name in plugin.components["indicators"]:
            yield "indicator", name, {"indicators": [{"name": name}]}


def _say(console: Output, word: str, sentence: str, style: str) -> None:
    line = Text(f"{word:<7}", style=style)
    line.append(sentence, style="default")
    console.print(line)
