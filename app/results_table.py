"""The table of a run's results, from its own documents."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.belief import BELIEF, reason_in_words
from app.terminal import Output
from engine.risk import sizing_models
from engine.strategy import strategies

VALIDATION = "validation_summary.json"
DOUBLE_LAG = (
    "Double lag: what is known at the close of one bar is traded, at the earliest, "
    "at the open of the bar after the next."
)
NOT_MODELLED = (
    "Not modelled: interest on cash or debt, margin calls, a cash check at the fill, "
    "borrow for the last bar."
)

# Label, metric, format, and whether buy and hold has it too; None starts a new section.
ROWS: tuple[tuple[str, str, str, bool] | None, ...] = (
    ("Total return", "total_return", "{:+.2%}", True),
    ("Return a year (CAGR)", "cagr", "{:+.2%}", True),
    ("Volatility a year", "volatility", "{:.2%}", False),
    ("Max drawdown", "max_drawdown", "{:.2%}", True),
    ("Longest drawdown, bars", "max_drawdown_duration_bars", "{:,}", False),
    None,
    ("Sharpe", "sharpe", "{:.3f}", True),
    ("Sortino", "sortino", "{:.3f}", False),
    ("Calmar", "calmar", "{:.3f}", False),
    ("Probability that Sharpe > 0", "psr", "{:.1%}", False),
    ("Bars needed to believe it", "min_track_record_bars", "{:,.0f}", False),
    None,
    ("Trades", "trade_count", "{:,}", False),
    ("Win rate", "win_rate", "{:.1%}", False),
    ("Payoff ratio", "payoff_ratio", "{:.2f}", False),
    ("Profit factor", "profit_factor", "{:.2f}", False),
    ("Exposure", "exposure", "{:.1%}", False),
    ("Turnover a year", "turnover", "{:.1f} × equity", False),
    None,
    ("Commission", "total_commission", "{:,.2f}", False),
    ("Slippage", "total_slippage", "{:,.2f}", False),
    ("Borrow", "total_borrow", "{:,.2f}", False),
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
        times = f" ({warning['count']:,} times)" if warning.get("count", 1) > 1 else ""
        console.print(Text(f"Warning: {warning['message']}{times}.", style="yellow"))
    cuts = summary["causality"]["cuts"]
    looked = f"No look-ahead: {cuts} other futures changed nothing before them."
    console.print(Text(looked if cuts else "Too few bars to look for look-ahead."))
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
        f"{summary['symbol']} {summary['timeframe']}, {_day(summary['first_ts'])} to "
        f"{_day(summary['last_ts'])}, {summary['n_bars']:,} bars\n"
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
        label, name, form, compared = row
        benchmark = metrics["benchmark"][name] if compared else None
        table.add_row(
            label,
            _cell(metrics["metrics"][name], form, metrics["reasons"].get(name)),
            form.format(benchmark) if benchmark is not None else "",
        )
    return table


def _cell(value: float | None, form: str, reason: str | None) -> str:
    if value is not None:
        return form.format(value)
    return f"– ({reason_in_words(reason)})"


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d")
