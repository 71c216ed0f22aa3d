"""Random candles and random configurations of every registered component, and runs of the two."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings, strategies as st
from numpy.typing import NDArray

from engine.execution import slippage_models
from engine.pipeline import RunContext, run
from engine.records import BacktestResult, Candles
from engine.risk import sizing_models
from engine.strategy import strategies
from scripts.bench.held import Held

DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS
VOLUMES = ("known", "unknown", "sometimes 0")
FEW = settings(max_examples=20, deadline=None, derandomize=True)
MANY = settings(max_examples=150, deadline=None, derandomize=True)

ANY = "any or none"
Drawn = st.SearchStrategy

Array = NDArray[Any]
Raw = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Candles and a configuration that fit together."""

    candles: Candles
    config: Raw

    def run(self) -> BacktestResult:
        """Return the run of the configuration on the candles."""
        return run(self.config, RunContext(provider=Held(self.candles)))

    def on(self, candles: Candles) -> "Case":
        """Return the same configuration on other candles."""
        return Case(candles, self.config)

    def having(self, **execution: Any) -> "Case":
        """Return the same case with other terms of execution."""
        return Case(self.candles, self.config | {"execution": self.execution | execution})

    @property
    def execution(self) -> Raw:
        """Return the terms of execution."""
        found: Raw = self.config["execution"]
        return found


def walk(
    n_bars: int, seed: int, *, price: float, move: float, volume: str, vwap: bool, weekdays: bool
) -> Candles:
    """Return bars of a random walk with gaps, on weekdays or on all days."""
    rng = np.random.default_rng(seed)
    gaps, moves = rng.uniform(-move / 4, move / 4, n_bars), rng.uniform(-move, move, n_bars)
    close: Array = price * np.cumprod((1 + gaps) * (1 + moves))
    open_ = close / (1 + moves)
    high = np.maximum(open_, close) * (1 + rng.uniform(0, move / 2, n_bars))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, move / 2, n_bars))
    units = rng.integers(100, 20_000, n_bars).astype(np.float64)
    if volume == "sometimes 0":
        units[rng.random(n_bars) < 0.3] = 0.0
    days = np.arange(2 * n_bars, dtype=np.int64)
    days = days[days % 7 < 5] if weekdays else days
    return Candles(
        "X",
        "1d",
        MONDAY_MS + days[:n_bars] * DAY_MS,
        open_,
        high,
        low,
        close,
        volume=None if volume == "unknown" else units,
        vwap=low + 0.4 * (high - low) if vwap else None,
    )


def markets(min_bars: int = 2, max_bars: int = 160) -> st.SearchStrategy[Candles]:
    """Return candles of any kind; they shrink to few bars."""
    return st.builds(
        walk,
        st.integers(min_bars, max_bars),
        st.integers(0, 2**32 - 1),
        price=st.sampled_from((0.7, 50.0, 3000.0)),
        move=st.sampled_from((0.002, 0.02, 0.1)),
        volume=st.sampled_from(VOLUMES),
        vwap=st.booleans(),
        weekdays=st.booleans(),
    )


WINDOWS = st.integers(1, 7)
STRATEGIES: Mapping[str, st.SearchStrategy[Raw]] = {
    "dual_sma": st.builds(
        lambda fast, more, threshold_bp, long_only: {
            "fast": fast,
            "slow": fast + more,
            "threshold_bp": threshold_bp,
            "long_only": long_only,
        },
        WINDOWS,
        WINDOWS,
        st.sampled_from((0.0, 0.0, 20.0)),
        st.booleans(),
    ),
    "buy_and_hold": st.just({}),
}
LEVERAGE = st.sampled_from((1.0, 1.0, 2.5))
KELLY: Raw = {"base_fraction": st.sampled_from((0.3, 1.0)), "max_leverage": LEVERAGE}
SIZINGS: Mapping[str, st.SearchStrategy[Raw]] = {
    "fixed_fraction": st.fixed_dictionaries(
        {"fraction": st.sampled_from((0.25, 0.95, 1.0)), "max_leverage": LEVERAGE}
    ),
    "volatility_target": st.fixed_dictionaries(
        {
            "target_vol": st.sampled_from((0.1, 0.4)),
            "lookback": st.integers(2, 9),
            "base_fraction": st.sampled_from((0.5, 1.0)),
            "max_leverage": LEVERAGE,
        }
    ),
    "kelly_fraction": st.one_of(
        st.fixed_dictionaries(
            KELLY | {"mode": st.just("fixed"), "p_win": st.sampled_from((0.4, 0.55, 0.9))}
        ),
        st.fixed_dictionaries(KELLY | {"mode": st.just("rolling"), "lookback": st.integers(2, 12)}),
    ),
}
SLIPPAGES: Mapping[str, st.SearchStrategy[Raw]] = {
    "spread_pct": st.fixed_dictionaries({"spread_pct": st.sampled_from((0.0, 0.001, 0.02))}),
    "participation_rate": st.fixed_dictionaries(
        {"participation_pct": st.sampled_from((0.05, 0.5))}
    ),
}
# A component that is registered later is drawn with its defaults.
DEFAULTS: st.SearchStrategy[Raw] = st.just({})
EXECUTION: Raw = {
    "initial_cash": st.sampled_from((1_000.0, 100_000.0)),
    "fill_price": st.sampled_from(("open_next", "mid_next", "vwap_next")),
    "commission_per_share": st.sampled_from((0.0, 0.0, 0.013)),
    "commission_bps": st.sampled_from((0.0, 5.0)),
    "commission_min": st.sampled_from((0.0, 0.0, 1.0)),
    "slippage_bps": st.sampled_from((0.0, 3.0)),
    "borrow_bps": st.sampled_from((0.0, 90.0)),
    "zero_volume": st.sampled_from(("carry", "skip", "fill")),
    "lot_size": st.sampled_from((0.0, 0.0, 0.5)),
    "rebalance_band": st.sampled_from((0.0, 0.0, 0.1)),
    "auto_flatten_end": st.booleans(),
    # Given, so that the number of bars does not decide it.
    "periods_per_year": st.sampled_from((252.0, 365.0)),
}


def component(
    registry: Mapping[str, st.SearchStrategy[Raw]], names: list[str]
) -> st.SearchStrategy[Raw]:
    """Return a component of one of the names with its parameters."""
    return st.sampled_from(names).flatmap(
        lambda name: registry.get(name, DEFAULTS).map(lambda p: {"name": name, "params": p})
    )


@st.composite
def cases(
    draw: st.DrawFn,
    /,
    of: st.SearchStrategy[Candles] | None = None,
    *,
    strategy: str | None = None,
    sizing: str | None = None,
    slippage: str | None = ANY,
    **execution: Any,
) -> Case:
    """Draw candles and a configuration; what is given is as given, or drawn from what is given.

    ``slippage`` names a model; None is no model.
    """
    candles = draw(markets() if of is None else of)
    model = draw(st.sampled_from([None, *slippage_models])) if slippage == ANY else slippage
    if model is not None and candles.volume is None:
        candles = candles.having({"volume": np.full(len(candles), 5_000.0)})
    drawn = EXECUTION | execution
    terms = draw(
        st.fixed_dictionaries(
            {k: x if isinstance(x, Drawn) else st.just(x) for k, x in drawn.items()}
        )
    )
    if model is not None:
        terms["slippage_model"] = draw(component(SLIPPAGES, [model]))
    config = {
        "symbol": candles.symbol,
        "timeframe": candles.timeframe,
        "strategy": draw(component(STRATEGIES, [strategy] if strategy else list(strategies))),
        "risk": draw(component(SIZINGS, [sizing] if sizing else list(sizing_models))),
        "execution": terms,
        "seed": draw(st.integers(0, 5)),
        "plot": False,
    }
    return Case(candles, config)


def columns(record: Any, bars: slice | Array = slice(None)) -> dict[str, bytes]:
    """Return the arrays of a record as bytes, by name, of the given rows."""
    return {
        entry.name: getattr(record, entry.name)[bars].tobytes()
        for entry in dataclasses.fields(record)
    }
