"""What every number of ``metrics.json`` means: its label, its unit, its formula.

Names are those of the file, joined by dots as in its ``reasons``: ``sharpe``, ``long.win_rate``,
``benchmark.cagr``.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["fraction", "ratio", "currency", "bars", "count"]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric: what a person calls it, its unit as stored, and one sentence with its formula.

    Symbols: E_t equity after bar t, net of all costs, E_(−1) the initial cash;
    r_t = E_t/E_(t−1) − 1; n bars, P bars in a year; rf the risk-free return of one bar. A fraction
    of 0.1 is 10 %.
    """

    label: str
    unit: Unit
    definition: str


_BAILEY = "Bailey and López de Prado (2012), The Sharpe Ratio Efficient Frontier"

# label, unit, definition; long and short have the same numbers, each of its own side.
_WHOLE: dict[str, tuple[str, Unit, str]] = {
    "total_return": (
        "Total return",
        "fraction",
        "What the whole run earned, final equity over initial cash: E_(n−1)/E_(−1) − 1.",
    ),
    "cagr": (
        "Return a year (CAGR)",
        "fraction",
        (
            "The constant yearly growth that leads to the same end: (E_(n−1)/E_(−1))^(P/n) − 1; −1 "
            "where nothing is left."
        ),
    ),
    "volatility": (
        "Volatility a year",
        "fraction",
        "How much returns vary, per year: std(r)·√P, the standard deviation with n − 1.",
    ),
    "sharpe": (
        "Sharpe",
        "ratio",
        (
            "Mean return over cash per unit of volatility, per year: mean(r − rf)/std(r − rf)·√P "
            "(Sharpe 1994)."
        ),
    ),
    "sortino": (
        "Sortino",
        "ratio",
        (
            "Mean return over cash per unit of downside, per year: mean(r − rf)·P / "
            "(√mean(min(r − rf, 0)²)·√P), the mean over all bars (Sortino and Price 1994)."
        ),
    ),
    "max_drawdown": (
        "Max drawdown",
        "fraction",
        (
            "The deepest fall below the highest equity so far, the initial cash included: "
            "min_t E_t/max_(s≤t) E_s − 1."
        ),
    ),
    "calmar": (
        "Calmar",
        "ratio",
        (
            "Yearly growth per unit of the deepest fall: CAGR/|max drawdown| (Young 1991, over the "
            "whole run)."
        ),
    ),
    "avg_drawdown": (
        "Average drawdown",
        "fraction",
        (
            "The mean depth of all drawdowns, an open one included; a drawdown is a run of bars "
            "below the highest equity so far."
        ),
    ),
    "avg_drawdown_duration_bars": (
        "Average drawdown, bars",
        "bars",
        (
            "The mean length of all drawdowns, from the bar of the peak to the recovery or, where "
            "there was none, the last bar."
        ),
    ),
    "max_drawdown_duration_bars": (
        "Longest drawdown, bars",
        "bars",
        (
            "The length of the longest drawdown, from the bar of the peak to the recovery or, "
            "where there was none, the last bar."
        ),
    ),
    "turnover": (
        "Turnover a year",
        "ratio",
        (
            "How many times the equity is traded in a year, buys and sells both counted: "
            "Σ(|q|·X/E at the fill's bar)·P/n, q the quantity and X the price of each fill."
        ),
    ),
    "exposure": (
        "Exposure",
        "fraction",
        "The share of bars with a position, long or short.",
    ),
    "avg_gross_exposure": (
        "Average gross exposure",
        "fraction",
        "The mean over all bars of the position's value over equity, |position·C|/E, C the close.",
    ),
    "max_gross_exposure": (
        "Largest gross exposure",
        "fraction",
        (
            "The largest of all bars' |position·C|/E, C the close; above 1 the position is larger "
            "than the equity."
        ),
    ),
    "trade_count": (
        "Trades",
        "count",
        "How many round trips were closed, from flat or a reversal to flat or a reversal.",
    ),
    "open_trades": (
        "Open trades",
        "count",
        (
            "1 where the last bar still holds a position, else 0; an open trade counts in equity "
            "and not in the statistics of trades."
        ),
    ),
    "win_rate": (
        "Win rate",
        "fraction",
        "Closed trades that made money over all closed trades, net of costs; break-even is no win.",
    ),
    "payoff_ratio": (
        "Payoff ratio",
        "ratio",
        "The mean win over the mean loss: mean(pnl > 0)/|mean(pnl < 0)|.",
    ),
    "profit_factor": (
        "Profit factor",
        "ratio",
        "All that was won over all that was lost, in currency: Σ wins/|Σ losses|.",
    ),
    "expectancy": (
        "Expectancy",
        "currency",
        "The mean profit or loss of a closed trade, net of commission, slippage and borrow.",
    ),
    "best_trade": (
        "Best trade",
        "currency",
        "The largest profit of a closed trade, or its smallest loss, net of costs.",
    ),
    "worst_trade": (
        "Worst trade",
        "currency",
        "The smallest profit or largest loss of a closed trade, net of costs.",
    ),
    "avg_bars_held": (
        "Bars held, average",
        "bars",
        "The mean number of bars that closed trades were held.",
    ),
    "longest_win_streak": (
        "Longest winning streak",
        "count",
        "The most wins in a row, in the order of exits; break-even ends it.",
    ),
    "longest_loss_streak": (
        "Longest losing streak",
        "count",
        "The most losses in a row, in the order of exits; break-even ends it.",
    ),
    "total_commission": (
        "Commission",
        "currency",
        "The commission of all fills together.",
    ),
    "total_slippage": (
        "Slippage",
        "currency",
        (
            "What worse prices cost, all fills together: Σ|q|·|X − B|, X the price paid and B the "
            "price before slippage."
        ),
    ),
    "total_borrow": (
        "Borrow",
        "currency",
        "The fees of all short positions together.",
    ),
    "skewness": (
        "Skewness",
        "ratio",
        (
            "The asymmetry of the bars' returns, g3 = m3/m2^(3/2) with population moments; below 0 "
            "the losses have the longer tail."
        ),
    ),
    "kurtosis": (
        "Kurtosis",
        "ratio",
        (
            "The weight of the tails of the bars' returns, g4 = m4/m2² with population moments; "
            "3 is the normal distribution."
        ),
    ),
    "psr": (
        "Probability that Sharpe > 0",
        "fraction",
        (
            "Probabilistic Sharpe ratio, how likely the true Sharpe is above 0 given length, "
            "skewness and kurtosis: "
            f"Φ(SR·√(n−1)/√(1 − g3·SR + (g4−1)/4·SR²)), SR per bar ({_BAILEY})."
        ),
    ),
    "min_track_record_bars": (
        "Bars needed to believe it",
        "bars",
        (
            "How many bars such a Sharpe needs to be above 0 with 95 % confidence: "
            f"1 + (1 − g3·SR + (g4−1)/4·SR²)·(z_0.95/SR)², SR per bar ({_BAILEY})."
        ),
    ),
    "monthly_returns": (
        "Monthly returns",
        "fraction",
        (
            "The return of each calendar month (UTC): equity at its last bar over equity at the "
            "last bar before it, − 1."
        ),
    ),
    "yearly_returns": (
        "Yearly returns",
        "fraction",
        (
            "The return of each calendar year (UTC): equity at its last bar over equity at the "
            "last bar before it, − 1."
        ),
    ),
}

_BY_SIDE: dict[str, tuple[str, Unit, str]] = {
    "trade_count": ("trades", "count", "How many {side} round trips were closed."),
    "win_rate": (
        "win rate",
        "fraction",
        "Closed {side} trades that made money over all closed {side} trades, net of costs.",
    ),
    "pnl": (
        "profit or loss",
        "currency",
        "What all closed {side} trades earned together, net of commission, slippage and borrow.",
    ),
}
_BENCHMARK = "Buy and hold, initial_cash·C_t/C_0 with C the close, without any cost: {definition}"


def _definitions() -> dict[str, MetricDefinition]:
    found = {name: MetricDefinition(*said) for name, said in _WHOLE.items()}
    for side in ("long", "short"):
        for name, (label, unit, definition) in _BY_SIDE.items():
            said = definition.format(side=side)
            found[f"{side}.{name}"] = MetricDefinition(f"{side.title()} {label}", unit, said)
    for name in ("total_return", "cagr", "sharpe", "max_drawdown"):
        label, unit, definition = _WHOLE[name]
        said = _BENCHMARK.format(definition=definition[0].lower() + definition[1:])
        found[f"benchmark.{name}"] = MetricDefinition(f"{label}, buy and hold", unit, said)
    return found


METRICS: dict[str, MetricDefinition] = _definitions()
