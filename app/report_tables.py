"""The tables of a report, and the forms of what stands in their cells."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.belief import reason_in_words
from app.markup import Html, Part, element, joined
from app.utc_time import from_ms
from engine.config import DAY_MS
from engine.validation import REASONS

Document = Mapping[str, Any]
NOTHING = "–"
MAX_ITEMS = 40
MAX_ROWS = 200
MAX_DEPTH = 8
SHORT = 12
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Part]], *, kind: str = "numbers"
) -> Html:
    """Return a table that scrolls by itself where a screen is narrow.

    The first cell of each row is its heading; ``kind`` is ``numbers`` or ``words``, by which the
    others stand right or left. No heads, no row of them.
    """
    body = [
        element("tr", element("th", first, scope="row"), [element("td", cell) for cell in rest])
        for first, *rest in rows
    ]
    return _scrolling(caption, heads, body, kind)


def _scrolling(caption: str, heads: Sequence[str], body: Iterable[Html], kind: str) -> Html:
    head = element("tr", [element("th", text, scope="col") for text in heads])
    rows = list(body)
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head) if heads else None,
        element("tbody", rows),
        class_=kind,
    )
    # Paper does not part a short one.
    size = "scroll short" if len(rows) <= SHORT else "scroll"
    return element("div", whole, class_=size, tabindex="0", role="group", aria_label=caption)


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage with its sign."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+.{digits}%}"
    return text if text.strip("+-0.%") else text[1:]  # nothing has no sign


def number(value: float | None, form: str = "{:,.2f}") -> str:
    """Return a number in a form; what is undefined is a dash."""
    return NOTHING if value is None or not math.isfinite(value) else form.format(value)


def signed(text: str, value: float | None) -> Html:
    """Return text that is coloured by the sign of its value."""
    if not value or not math.isfinite(value):
        return element("span", text)
    return element("span", text, class_="gain" if value > 0 else "loss")


def moment(ts_ms: int) -> str:
    """Return a time as a day, with hours and minutes where it is not midnight, in UTC."""
    form = "%Y-%m-%d %H:%M" if int(ts_ms) % DAY_MS else "%Y-%m-%d"
    return from_ms(ts_ms).strftime(form)


def flat(document: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each leaf; a list of plain values is a leaf."""
    if depth < MAX_DEPTH and isinstance(document, Mapping) and document:
        entries: Iterable[tuple[Any, Any]] = document.items()
    elif depth < MAX_DEPTH and isinstance(document, list) and _nested(document):
        entries = enumerate(document)
    else:
        yield path, document
        return
    for name, value in entries:
        yield from flat(value, f"{path}.{name}" if path else str(name), depth + 1)


def _nested(values: list[Any]) -> bool:
    return any(isinstance(value, list | Mapping) for value in values)


def literal(value: Any) -> str:
    """Return a JSON value as text: strings bare, long lists cut short."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        return f"{json.dumps(value[:MAX_ITEMS], ensure_ascii=False)[:-1]}, … {len(value):,} in all]"
    return json.dumps(value, ensure_ascii=False)


def fields(caption: str, rows: Sequence[tuple[Part, Part]], source: str) -> Html:
    """Return names and values in two columns; very many are cut, and ``source`` named."""
    shown = [*rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        shown.append(("…", f"{len(rows) - MAX_ROWS:,} more are in {source}"))
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in shown]
    return joined(element("p", caption, class_="caption"), element("dl", pairs, class_="all"))


def literals(document: Document) -> list[tuple[Part, Part]]:
    """Return the fields of a document as they stand in it."""
    return [(element("code", name), literal(value)) for name, value in flat(document)]


def readable(document: Document) -> list[tuple[Part, Part]]:
    """Return the fields of a document as a person reads them, without reasons that are none."""
    return [
        (name.replace("_", " ").replace(".", ", "), _readable(value))
        for name, value in flat(document)
        if value is not None or not name.endswith("reason")
    ]


def _readable(value: Any) -> str:
    if isinstance(value, str):
        return REASONS.get(value, value)
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        return ", ".join(map(_readable, value)) or NOTHING
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, bool):
        return {None: NOTHING, True: "yes", False: "no"}[value]
    return literal(value)


def calendar_table(monthly: Document, yearly: Document) -> Html:
    """Return the returns of months and years, a row a year, shaded by their size."""
    months: dict[str, dict[int, float | None]] = {year: {} for year in yearly}
    for name, value in monthly.items():
        year, _, month = name.partition("-")
        months.setdefault(year, {})[int(month)] = value
    largest = max((abs(v) for v in monthly.values() if v is not None), default=0.0)
    rows = [
        element(
            "tr",
            element("th", year, scope="row"),
            [_shaded(by_month, month, largest) for month in range(1, 13)],
            element("td", signed(percent(yearly.get(year), 1), yearly.get(year)), class_="year"),
        )
        for year, by_month in sorted(months.items())
    ]
    caption = "Returns of calendar months and years (UTC), net of all costs"
    return _scrolling(caption, ("Year", *MONTHS, "Whole year"), rows, "numbers calendar")


def _shaded(by_month: Mapping[int, float | None], month: int, largest: float) -> Html:
    if month not in by_month:
        return element("td")
    value = by_month[month]
    level = math.ceil(4 * abs(value) / largest) if value and largest else 0
    shade = f"{'up' if value and value > 0 else 'down'}{level}" if level else None
    return element("td", percent(value, 1), class_=shade)


def cost_grid(found: Document) -> Html | None:
    """Return what would be left at other costs, None where the test has no such grid."""
    grid = found["cost_grid"]
    if not grid:
        return None
    base = found["base_slippage_bps"]
    rows = [
        (
            f"{point['multiple']:g} ×",
            number(None if base is None else base * point["multiple"], "{:.1f}"),
            signed(percent(point["total_return"]), point["total_return"]),
            number(point["sharpe"], "{:.3f}"),
        )
        for point in grid
    ]
    caption = "The same trades at other costs"
    heads = ("Slippage", "Basis points a fill", "Total return", "Sharpe")
    return table(caption, heads, rows)


def folds(found: Document) -> Html | None:
    """Return the stretches of a walk-forward test, None where it has none."""
    if not found["folds"]:
        return None
    rows = []
    for i, fold in enumerate(found["folds"], 1):
        before, after = fold["in_sample"], fold["out_of_sample"]
        rows.append(
            (
                str(i),
                f"{moment(after['first_ts'])} to {moment(after['last_ts'])}",
                signed(percent(after["total_return"]), after["total_return"]),
                _ratio(after),
                number(after["trade_count"], "{:,}"),
                f"{moment(before['first_ts'])} to {moment(before['last_ts'])}",
                signed(percent(before["total_return"]), before["total_return"]),
                _ratio(before),
            )
        )
    caption = "Later stretches, each beside what came before it; nothing was fitted"
    heads = (
        "Fold", "Later stretch", "Return", "Sharpe", "Trades",
        "Stretch before", "Return before", "Sharpe before",
    )  # fmt: skip
    return table(caption, heads, rows)


def _ratio(segment: Document) -> str:
    value = segment["sharpe"]
    return (
        number(value, "{:.2f}")
        if value is not None
        else f"– ({reason_in_words(segment['reason'])})"
    )


def trade_table(caption: str, trades: Mapping[str, Any], chosen: Iterable[int]) -> Html:
    """Return round trips by their row in the run's table of trades."""
    heads = (
        "No.", "Side", "Entry", "Exit", "Bars", "Quantity", "Entry price", "Exit price",
        "Profit or loss", "Return", "Worst", "Best", "Costs",
    )  # fmt: skip
    rows = []
    for i in chosen:
        row = {name: values[i] for name, values in trades.items()}
        pnl = float(row["pnl"])
        costs = float(row["commission"] + row["slippage"] + row["borrow"])
        rows.append(
            (
                f"{i + 1:,}",
                row["side"],
                moment(row["entry_ts"]),
                "open" if row["open"] else moment(row["exit_ts"]),
                f"{int(row['bars_held']):,}",
                quantity(row["qty"]),
                price(row["entry_price"]),
                price(row["exit_price"]),
                signed(f"{pnl:+,.2f}", pnl),
                signed(percent(float(row["return"])), float(row["return"])),
                percent(float(row["mae"])),
                percent(float(row["mfe"])),
                f"{costs:,.2f}",
            )
        )
    return table(caption, heads, rows, kind="numbers trades")


def price(value: float) -> str:
    """Return a price with the digits that its size needs."""
    size = abs(float(value))
    return f"{float(value):,.2f}" if size >= 100 else f"{float(value):,.5g}"


def quantity(value: float) -> str:
    """Return a number of units with six digits, and all of those before the point."""
    whole = 1e5 <= abs(float(value)) < 1e15
    return f"{float(value):,.0f}" if whole else f"{float(value):,.6g}"
