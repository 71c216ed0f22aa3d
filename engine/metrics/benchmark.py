"""The benchmark: buy and hold with all of the cash from the first close on, without costs."""

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from engine.metrics.drawdown import max_drawdown, refuse_overflow
from engine.metrics.measured import Measured
from engine.metrics.returns import cagr, per_bar_returns, return_statistics, sharpe

if TYPE_CHECKING:
    from engine.records import Floats


@np.errstate(over="ignore", invalid="ignore")  # what overflows is null, or refused
def buy_and_hold(
    close: "Floats", initial: float, periods: float, rf: float, kernel: ModuleType
) -> "tuple[Floats, dict[str, Measured]]":
    """Return equity E_{-1} C_t / C_0 (n_bars,) and its metrics; ``rf`` is of one bar.

    Raises
        DataError where the equity leaves the range of finite numbers.
    """
    equity = close / close[0]  # first, so that nothing is gained where the price stays
    equity *= initial
    refuse_overflow("benchmark", equity)
    final = float(equity[-1])
    stats = return_statistics(per_bar_returns(equity, initial), rf, kernel)
    return equity, {
        "total_return": Measured(final / initial - 1.0),
        "cagr": cagr(final, initial, len(equity), periods),
        "sharpe": sharpe(stats, periods),
        "max_drawdown": Measured(max_drawdown(equity, initial, kernel)),
    }
