"""Trade statistics: wins, losses, streaks, by side."""

from typing import TYPE_CHECKING

import numpy as np

from engine.metrics.measured import Measured, null
from engine.records import Trades

if TYPE_CHECKING:
    from engine.records import Booleans, Floats, Integers


def trade_statistics(pnl: "Floats", bars_held: "Integers") -> dict[str, Measured]:
    """Return the statistics of closed round trips in exit order, ``pnl`` (n_trades,) currency.

    A win is pnl > 0; break-even is neither win nor loss but counts as a trade.
    """
    n = len(pnl)
    wins, losses = pnl[pnl > 0], pnl[pnl < 0]
    gross_win, gross_loss = float(wins.sum()), float(-losses.sum())
    stats = {
        "trade_count": Measured(n),
        "win_rate": Measured(len(wins) / n) if n else null("no_trades"),
        "payoff_ratio": _payoff(gross_win, len(wins), gross_loss, len(losses), n),
        "profit_factor": Measured(gross_win / gross_loss) if len(losses) else _no_losses(n),
        "longest_win_streak": Measured(_longest_run(pnl > 0)),
        "longest_loss_streak": Measured(_longest_run(pnl < 0)),
    }
    if not n:
        nothing = ("expectancy", "best_trade", "worst_trade", "avg_bars_held")
        return stats | dict.fromkeys(nothing, null("no_trades"))
    return stats | {
        "expectancy": Measured(float(pnl.sum()) / n),
        "best_trade": Measured(float(pnl.max())),
        "worst_trade": Measured(float(pnl.min())),
        "avg_bars_held": Measured(int(bars_held.sum()) / n),
    }


def side_statistics(trades: Trades, side: int) -> dict[str, Measured]:
    """Return count, win rate and pnl of the closed round trips of one side (+1 long, -1 short)."""
    pnl = trades.pnl[(trades.side == side) & ~trades.open]
    n = len(pnl)
    return {
        "trade_count": Measured(n),
        "win_rate": Measured(float(np.count_nonzero(pnl > 0)) / n) if n else null("no_trades"),
        "pnl": Measured(float(pnl.sum())),
    }


def _payoff(gross_win: float, n_wins: int, gross_loss: float, n_losses: int, n: int) -> Measured:
    if not n_wins or not n_losses:
        return null("no_trades" if not n else "no_losses" if n_wins else "no_wins")
    return Measured((gross_win / n_wins) / (gross_loss / n_losses))


def _no_losses(n_trades: int) -> Measured:
    return null("no_losses" if n_trades else "no_trades")


def _longest_run(flags: "Booleans") -> int:
    within = np.zeros(len(flags) + 2, dtype=np.bool_)
    within[1:-1] = flags
    edges = np.flatnonzero(within[1:] != within[:-1])
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
