"""The table of a run's results, from its own documents."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.belief import (
    BELIEF,
    DOUBLE_LAG,
    NOT_MODELLED,
    causality_in_words,
    costs_in_words,
    told,
    verdict,
    warning_in_words,
)
from app.metric_words import in_words
from app.terminal import Output
from app.utc_time import day
from engine.metrics.definitions import METRICS
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.wording import counted

VALIDATION = "validation_summary.json"
UNTESTED = "Whether to believe it: not tested; ask with --set 'validation={\"permutation\": {}}'"
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
    console.print(Text(_account(config["execution"], metrics["metrics"]["total_return"])))
    console.print(Text(costs_in_words(config["execution"])))
    found = _read(place / VALIDATION) if (place / VALIDATION).exists() else {}
    console.print(_belief(found) if found else Text(UNTESTED))
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
    table.add_row("In short", Text(verdict(found)))
    for said in told(found):
        table.add_row(said.label, Text(said.text))
    for name in sorted(found.keys() - {test for _, test, _ in BELIEF}):  # a plugin's
        table.add_row(Text(name), Text(_own_test(found[name])))
    return table


def _own_test(found: Any) -> str:
    """Return where a plugin's test is told, with its p-value where it has one."""
    p = found.get("p_value") if isinstance(found, Mapping) else None
    is_number = isinstance(p, int | float) and not isinstance(p, bool)
    return f"p {p:.4g}; see {VALIDATION}" if is_number else f"see {VALIDATION}"


def _account(execution: Mapping[str, Any], total_return: float | None) -> str:
    """Return the money at both ends: the scale of a result's figures."""
    cash = execution["initial_cash"]
    at_end = "" if total_return is None else f", {_money(cash * (1 + total_return))} at the end"
    return f"{_money(cash)} at the start{at_end}."


def _money(value: float) -> str:
    return f"{value:,.0f}" if 100 <= abs(value) < 1e15 else f"{value:,.6g}"


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
        said = in_words(name, metrics["metrics"][name], metrics["reasons"].get(name))
        if name == "min_track_record_bars" and metrics["metrics"][name] is not None:
            said = f"{said} (there are {summary['n_bars']:,})"
        table.add_row(
            METRICS[name].label,
            said,
            in_words(name, benchmark) if benchmark is not None else "",
        )
    return table
