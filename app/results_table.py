"""The table of a run's results, from its own documents."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.belief import BELIEF, DOUBLE_LAG, NOT_MODELLED, causality_in_words, warning_in_words
from app.metric_words import in_words
from app.terminal import Output
from app.utc_time import day
from engine.metrics.definitions import METRICS
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.wording import counted

VALIDATION = "validation_summary.json"
# Metric, and whether buy and hold has it too; None starts a new section.
ROWS: tuple[tuple[str, bool] | None, ...] = (
    ("total_return", True),
    ("cagr", True),
    ("volatility", False),
    ("max_drawdown", True),
    ("max_drawdown_duration_bars", False),
    None,
    ("sharpe", True),
    ("sortino", False),
    ("calmar", False),
    ("psr", False),
    ("min_track_record_bars", False),
    None,
    ("trade_count", False),
    ("win_rate", False),
    ("payoff_ratio", False),
    ("profit_factor", False),
    ("exposure", False),
    ("turnover", False),
    None,
    ("total_commission", False),
    ("total_slippage", False),
    ("total_borrow", False),
)


def print_results(place: Path, note: str | None) -> None:
    """Print what a run's directory says: results, whether to believe them, warnings, limits."""
    config, summary, metrics = (
        _read(place / f"{n}.json") for n in ("config", "summary", "metrics")
    )
    console = Output()
    console.print(_table(config, summary, metrics))
    if (place / VALIDATION).exists():
        console.print(_belief(_read(place / VALIDATION)))
    for warning in summary["warnings"]:
        console.print(Text(warning_in_words(warning), style="yellow"))
    console.print(Text(causality_in_words(summary["causality"])))
    console.print(Text(DOUBLE_LAG, style="dim"))
    console.print(Text(NOT_MODELLED, style="dim"))
    console.print(Text(f"Artifacts: {place}"))
    if note:
        console.print(Text(note))


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _belief(found: Mapping[str, Any]) -> Table:
    """Return what the validation tests say, a sentence each."""
    table = Table(
        title="Whether to believe it",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=False,
    )
    table.add_column("", no_wrap=True)
    table.add_column("")
    for label, test, sentence in BELIEF:
        if test in found:
            table.add_row(label, Text(sentence(found[test])))
    for name in sorted(found.keys() - {test for _, test, _ in BELIEF}):  # a plugin's
        table.add_row(Text(name), f"see {VALIDATION}")
    return table


def _table(
    config: Mapping[str, Any], summary: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Table:
    title = Text(
        f"{summary['symbol']} {summary['timeframe']}, {day(summary['first_ts'])} to "
        f"{day(summary['last_ts'])}, {counted(summary['n_bars'], 'bar')}\n"
        f"{strategies.describe(**config['strategy'])}\n{sizing_models.describe(**config['risk'])}\n"
        "The strategy is net of all costs, buy and hold bears none.",
        justify="left",
    )
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("Strategy", justify="right", no_wrap=True)
    table.add_column("Buy and hold", justify="right", no_wrap=True)
    for row in ROWS:
        if row is None:
            table.add_section()
            continue
        name, compared = row
        benchmark = metrics["benchmark"][name] if compared else None
        table.add_row(
            METRICS[name].label,
            in_words(name, metrics["metrics"][name], metrics["reasons"].get(name)),
            in_words(name, benchmark) if benchmark is not None else "",
        )
    return table
