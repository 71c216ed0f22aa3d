"""What a chart draws, as arrays; read on another thread than Tk's."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gui.client import Client
from gui.panels.figures import DAY_MS, moment, percent, price
from gui.panels.tables import read_table


@dataclass(frozen=True)
class Chart:
    """What is drawn; arrays over the bars (n,) and the fills (m,), times in days."""

    title: str
    initial_cash: float
    days: Any
    equity: Any
    benchmark: Any
    drawdown: Any
    close: Any
    fill_days: Any
    fill_price: Any
    buys: Any

    def bar_at(self, day: float) -> int:
        """Return the bar that is nearest to a time."""
        after = int(self.days.searchsorted(day))
        if after == len(self.days):
            return after - 1
        if after and day - self.days[after - 1] < self.days[after] - day:
            return after - 1
        return after

    @property
    def whole(self) -> tuple[float, float]:
        """Return the first and the last time, a day apart where they are the same."""
        first, last = float(self.days[0]), float(self.days[-1])
        return (first, last) if first < last else (first - 0.5, last + 0.5)

    def span(self, start: float, stop: float) -> str:
        """Return the bars of a stretch of time in words, in UTC."""
        first, last = (moment(round(self.days[self.bar_at(day)] * DAY_MS)) for day in (start, stop))
        return f"{first} to {last} UTC"


def read_chart(client: Client, run_id: str) -> Chart:
    """Return a completed run's series; raises as ``client.get``."""
    equity = read_table(client, run_id, "equity", ("ts", "close", "equity", "benchmark"))
    drawdown = read_table(client, run_id, "drawdown", ("drawdown",))
    fills = read_table(client, run_id, "fills", ("ts", "price", "side"))
    config = client.get(f"/runs/{quote(run_id)}/artifact/config.json")
    return Chart(
        title=f"{config['symbol']} {config['timeframe']}",
        initial_cash=config["execution"]["initial_cash"],
        days=equity["ts"] / DAY_MS,
        equity=equity["equity"],
        benchmark=equity["benchmark"],
        drawdown=drawdown["drawdown"],
        close=equity["close"],
        fill_days=fills["ts"] / DAY_MS,
        fill_price=fills["price"],
        buys=fills["side"] == "buy",
    )


def said_at(chart: Chart, day: float) -> str:
    """Return what the nearest bar's figures are."""
    i = chart.bar_at(day)
    return (
        f"{moment(round(chart.days[i] * DAY_MS))}: {chart.equity[i]:,.0f}, "
        f"hold {chart.benchmark[i]:,.0f}, "
        f"drawdown {percent(float(chart.drawdown[i]), 1)}, close {price(float(chart.close[i]))}"
    )
