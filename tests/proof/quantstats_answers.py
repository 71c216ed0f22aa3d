"""What quantstats says of returns: run by the Python of an environment of its own, never by ours.

Reads ``{name: {"dates": [...], "returns": [...]}}`` on stdin and prints the figures of each name.
"""

import importlib
import importlib.metadata
import json
import sys
import warnings
from typing import Any

PERIODS = 252
RISK_FREE = 0.03


def figures(dates: list[str], returns: list[float]) -> dict[str, Any]:
    """Return the figures of one series, by the names of the engine's metrics."""
    pandas, stats = importlib.import_module("pandas"), importlib.import_module("quantstats.stats")
    series = pandas.Series(returns, index=pandas.DatetimeIndex(dates))
    episodes = stats.drawdown_details(stats.to_drawdown_series(series))
    by_year = stats.monthly_returns(series, eoy=True)
    return {
        "total_return": stats.comp(series),
        "cagr": stats.cagr(series, periods=PERIODS),
        "volatility": stats.volatility(series, periods=PERIODS),
        "sharpe": stats.sharpe(series, rf=RISK_FREE, periods=PERIODS),
        "sortino": stats.sortino(series, rf=RISK_FREE, periods=PERIODS),
        "max_drawdown": stats.max_drawdown(series),
        "calmar": stats.calmar(series, periods=PERIODS),
        "avg_drawdown": episodes["max drawdown"].mean() / 100,
        "episodes": len(episodes),
        "unbiased_skewness": stats.skew(series),
        "unbiased_excess_kurtosis": stats.kurtosis(series),
        "yearly_returns": {str(year): row["EOY"] for year, row in by_year.iterrows()},
        "monthly_returns": {
            f"{year}-{month:02}": by_year.loc[year].iloc[month - 1]
            for year in by_year.index
            for month in range(1, 13)
        },
    }


def main() -> None:
    """Answer what is asked on stdin."""
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    names = ("quantstats", "pandas", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    found = {name: figures(**series) for name, series in asked.items()}
    print(json.dumps({"versions": versions, "figures": found}, default=float))  # noqa: T201  # its answer


if __name__ == "__main__":
    main()
