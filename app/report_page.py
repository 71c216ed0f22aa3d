"""The page of a report: what a run's files say, in the order in which a person asks.

The same files give the same bytes. Nothing in the page is loaded from elsewhere, and nothing runs.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from app import report_tables as tables
from app.belief import (
    DOUBLE_LAG,
    NO_COSTS,
    NOT_MODELLED,
    causality_in_words,
    costs_in_words,
    told,
    verdict,
    warning_in_words,
)
from app.markup import Html, Part, element, joined
from app.metric_words import GROUPS, in_words, why_undefined
from app.report_files import VALIDATION, RunFiles
from app.report_style import STYLE
from engine.artifacts.tables import read_parquet
from engine.metrics.definitions import METRICS
from engine.registry import Registry
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.wording import counted

Document = Mapping[str, Any]
FEW_TRADES, EXTREMES = 50, 10
ALONE = "numbers metrics alone"  # without buy and hold
TILES = (
    "total_return", "cagr", "sharpe", "max_drawdown",
    "volatility", "psr", "trade_count", "win_rate",
)  # fmt: skip
TITLES = {
    "permutation": "Against random markets",
    "block_bootstrap": "How uncertain the figures are",
    "monte_carlo": "Against other costs",
    "walk_forward": "Through time",
}
COLUMNS = (
    "side", "entry_ts", "exit_ts", "qty", "entry_price", "exit_price", "pnl", "return",
    "commission", "slippage", "borrow", "bars_held", "mae", "mfe", "open",
)  # fmt: skip


def page(run: RunFiles, pictures: Sequence[Html]) -> str:
    """Return the whole document; ``pictures`` are the run's own and those of its tests."""
    summary = run.summary
    title = f"{summary['symbol']} {summary['timeframe']}, {_span(summary)}"
    body = element(
        "body",
        _heading(run),
        element(
            "main",
            _verdict(run),
            _tiles(run.metrics),
            _pictures(pictures),
            _metrics(run.metrics),
            element("h2", "Month by month"),
            tables.calendar_table(run.metrics["monthly_returns"], run.metrics["yearly_returns"]),
            _tests(run.validation),
            _trades(run),
            element("h2", "What was run"),
            tables.fields(
                "The configuration, every default written out",
                tables.literals(run.config),
                "config.json",
            ),
            _provenance(run),
        ),
        _footer(run),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{title} – Studio"),
        element("style", Html(STYLE)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _policy() -> str:
    """Return the one thing that a browser may take from the page: this very style sheet."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _span(summary: Document) -> str:
    return f"{tables.moment(summary['first_ts'])} to {tables.moment(summary['last_ts'])}"


def _facts(*rows: tuple[str, Part]) -> Html:
    said = [part for name, value in rows for part in (element("dt", name), element("dd", value))]
    return element("dl", said, class_="facts")


def _heading(run: RunFiles) -> Html:
    summary, config = run.summary, run.config
    bars = f"{counted(summary['n_bars'], 'bar')}, provider {summary['provider']}"
    return element(
        "header",
        element("h1", f"{summary['symbol']} {summary['timeframe']}"),
        element("p", f"{_span(summary)}, {bars}", class_="soft"),
        _facts(
            ("Strategy", _component(strategies, config["strategy"])),
            ("Sizing", _component(sizing_models, config["risk"])),
            ("Run", element("code", run.run_id)),
        ),
    )


def _component(registry: Registry[Any], chosen: Document) -> Html:
    """Return a component in words, the same whether or not its plugin is loaded."""
    name, params = chosen["name"], chosen["params"]
    if name in registry and registry.source(name) is None:
        said, about = registry.describe(name, params), registry.description(name)
        return joined(said, element("span", about, class_="note"))
    given = ", ".join(f"{key} {tables.literal(value)}" for key, value in sorted(params.items()))
    note = element("span", "A component of the user's own.", class_="note")
    return joined(f"{name} ({given})" if given else name, note)


def _verdict(run: RunFiles) -> Html:
    found = run.validation
    rows = [(said.label, said.text) for said in told(found)]
    own = "A test of the user's own; what it found stands below"
    rows += [(name, own) for name in _own_tests(found)]
    costs = costs_in_words(run.config["execution"])
    return joined(
        element("h2", "Whether to believe it"),
        element("p", verdict(found), class_="lead"),
        tables.table("What the validation tests found", (), rows, kind="words verdict"),
        element("p", costs, class_="warning") if costs.startswith(NO_COSTS[:-1]) else None,
        [
            element("p", warning_in_words(each), class_="warning")
            for each in run.summary["warnings"]
        ],
        [
            element("p", said, class_="soft")
            for said in (causality_in_words(run.summary["causality"]), DOUBLE_LAG, NOT_MODELLED)
        ],
    )


def _own_tests(validation: Document) -> list[str]:
    return sorted(validation.keys() - TITLES.keys())


def _tiles(metrics: Document) -> Html:
    tiles = []
    for name in TILES:
        value, beside = metrics["metrics"][name], metrics["benchmark"].get(name)
        reason = why_undefined(metrics["reasons"].get(name))
        tile = [
            element("span", METRICS[name].label, class_="label"),
            element("span", "–" if value is None else in_words(name, value), class_="value"),
            element("span", reason, class_="beside") if value is None else None,
            element("span", f"buy and hold {in_words(name, beside)}", class_="beside")
            if beside is not None
            else None,
        ]
        tiles.append(element("li", filter(None, tile)))
    return element("ul", tiles, class_="tiles")


def _pictures(pictures: Sequence[Html]) -> Html:
    note = (
        "Equity net of all costs beside buy and hold without any; drawdown; close and fills; "
        "and the share of time spent long and short."
    )
    first, *others = pictures
    panels = [element("figure", picture) for picture in others]
    return joined(
        element("h2", "How it went"),
        element(
            "figure",
            element("div", first, class_="scroll wide", tabindex="0"),
            element("figcaption", note),
        ),
        element("div", panels, class_="panels") if panels else None,
    )


def _metrics(metrics: Document) -> Html:
    values = dict(_by_name(metrics["metrics"]))
    grouped = {name for _, names in GROUPS for name in names}
    others = ("Others", tuple(sorted(values.keys() - grouped)))
    heads, beside = ("Metric", "Strategy", "Buy and hold"), metrics["benchmark"]
    return joined(
        element("h2", "Every figure"),
        element("p", "The strategy is net of all costs, buy and hold bears none.", class_="soft"),
        [
            tables.table(
                title,
                heads,
                [_metric(name, values, metrics) for name in names if name in values],
                kind="numbers metrics" if any(name in beside for name in names) else ALONE,
            )
            for title, names in (*GROUPS, others)
            if names
        ],
    )


def _by_name(values: Document) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", figure) for part, figure in value.items())
        else:
            yield name, value


def _metric(name: str, values: Document, metrics: Document) -> Sequence[Part]:
    known = METRICS.get(name)
    note = element("span", known.definition, class_="note") if known else None
    said = _figure(name, values[name], metrics["reasons"].get(name))
    heading = joined(known.label if known else name, note)
    if name not in metrics["benchmark"]:
        return heading, said, ""
    other = f"benchmark.{name}"
    return heading, said, _figure(other, metrics["benchmark"][name], metrics["reasons"].get(other))


def _figure(name: str, value: float | None, reason: str | None) -> Html:
    """Return a metric's value, or a dash and below it why there is none."""
    if value is None:
        return joined("–", element("span", why_undefined(reason), class_="note"))
    return joined(in_words(name, value))


def _tests(validation: Document) -> Html:
    parts: list[Part] = []
    for name in [*filter(validation.__contains__, TITLES), *_own_tests(validation)]:
        found = validation[name]
        parts.append(element("h3", TITLES.get(name, name)))
        if name in TITLES:
            parts.append(element("p", _null(found["null"]), class_="soft"))
        if name == "monte_carlo":
            parts.append(tables.cost_grid(found))
        if name == "walk_forward":
            parts.append(tables.folds(found))
        parts.append(tables.fields("In numbers", tables.readable(_told(name, found)), VALIDATION))
    return joined(element("h2", "The tests"), *parts) if parts else Html()


def _null(said: str) -> str:
    """Return what a test tries to refute, or what it is where it refutes nothing."""
    aim = said.removeprefix("none: ")
    return f"Null hypothesis: {said}." if aim == said else f"{aim[:1].upper()}{aim[1:]}."


def _told(name: str, found: Document) -> Document:
    """Return what of a test's document is not shown as a picture or a table already."""
    shown = {"histogram", "folds", "cost_grid", "null"} if name in TITLES else set()
    return {key: value for key, value in found.items() if key not in shown}


def _trades(run: RunFiles) -> Html:
    found = read_parquet(run.tables["trades.parquet"], COLUMNS)
    pnl = found["pnl"]
    n = len(pnl)
    note = (
        "Worst and best are the largest moves against and for the trade while it was held (MAE and "
        "MFE); costs are commission, slippage and borrow, and are in the profit or loss already."
    )
    heading = element("h2", "Trades")
    if not n:
        return joined(heading, element("p", "Nothing was traded."))
    if n <= FEW_TRADES:
        shown = [
            tables.trade_table(
                f"All {n:,} round trips" if n > 1 else "The one round trip", found, range(n)
            )
        ]
    else:
        order = np.argsort(-pnl, kind="stable")
        best, worst = order[:EXTREMES], order[::-1][:EXTREMES]
        where = f"All {n:,} round trips are in trades.parquet; these are the extremes."
        shown = [
            element("p", where),
            tables.trade_table(f"The best {EXTREMES}", found, map(int, best)),
            tables.trade_table(f"The worst {EXTREMES}", found, map(int, worst)),
        ]
    return joined(heading, *shown, element("p", note, class_="soft"))


def _provenance(run: RunFiles) -> Html:
    manifest, summary = run.manifest, run.summary
    hashes = [
        ("Run hash", manifest["run_hash"]),
        ("Configuration", manifest["config_hash"]),
        ("Candles", manifest["candle_digest"]),
        ("Code", manifest["code_version"]),
        ("Plugins", ", ".join(manifest["plugins"]) or "none"),
        ("Seed", str(run.config["seed"])),
        ("Manifest hash", manifest["manifest_hash"]),
        ("SHA-256 of manifest.json", run.manifest_sha256),
    ]
    year = summary["periods_per_year"]
    quality = {
        **summary["data_quality"],
        "periods_per_year": f"{year['value']:g}, from {year['origin']}",
    }
    files = [
        (entry["name"], f"{entry['size']:,}", element("code", entry["sha256"]))
        for entry in manifest["files"]
    ]
    return joined(
        element("h2", "Where it comes from"),
        tables.fields("The data of this run", tables.readable(quality), "summary.json"),
        tables.table(
            "What decides the result",
            (),
            [(name, element("code", value)) for name, value in hashes],
            kind="words",
        ),
        tables.fields(
            "Where it was made", tables.readable(manifest.get("environment", {})), "manifest.json"
        ),
        tables.table("The run's files", ("File", "Bytes", "SHA-256"), files, kind="numbers files"),
    )


def _footer(run: RunFiles) -> Html:
    command = element("code", f"studio verify {run.run_id} --rerun")
    said = joined(
        "Made by Studio from files that match their manifest. ",
        command,
        " runs it again and compares every byte.",
    )
    return element("footer", element("p", said, class_="soft"))
