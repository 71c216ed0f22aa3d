"""What sizing and slippage cost: microseconds a call on 6,000 bars in memory, as JSON.

``risk:…`` is ``sizes(view)``, ``slippage:…`` is ``coefficients(candles)``, and ``slippage_loop:…``
the whole simulation with that model, on the dual moving average of perf_run. Features and shifted
candles are ready before, as a run has them.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.execution import simulate, slippage_models
from engine.features import (
    IndicatorInput,
    ShiftedCandles,
    build_feature,
    compute_features,
    first_defined_bar,
)
from engine.plan import make_plan
from engine.records import Candles
from engine.risk import Sizing, SizingView, sizing_models, target_weights
from engine.strategy import StrategyView

if TYPE_CHECKING:  # the name by which a type checker finds it from the repository's root
    from scripts.bench import perf_run
else:
    import perf_run

N_BARS = 6_000
CALLS = 20  # a run's time is that of so many calls: one alone is too short to measure


def median_us(job: Callable[[], Any], runs: int) -> float:
    """Return the median time of a call over ``runs`` batches after one that does not count."""

    def batch() -> None:
        for _ in range(CALLS):
            job()

    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        batch()
        times.append((time.perf_counter() - start) / CALLS * 1e6)
    return round(statistics.median(times[1:]), 3)


def sizings() -> dict[str, Sizing]:
    """Return every sizing model with its defaults, the Kelly fraction also by measured odds."""
    modes: dict[str, tuple[str, dict[str, str]]] = {name: (name, {}) for name in sizing_models} | {
        "kelly_fraction_rolling": ("kelly_fraction", {"mode": "rolling"})
    }
    return {
        title: sizing_models.build(name, sizing_models.check(name, params, "risk"))
        for title, (name, params) in modes.items()
    }


def view_for(sizing: Sizing, candles: Candles) -> SizingView:
    """Return what a sizing model sees of the job's signals."""
    inputs, shifted = IndicatorInput(candles, 252.0), ShiftedCandles(candles)
    plan = make_plan(perf_run.JOB)
    averages = compute_features(plan.strategy_features, inputs, lambda: None)
    wanted = [build_feature(spec, "risk") for spec in sizing.features()]
    return SizingView(
        signals=plan.strategy.signals(StrategyView(averages, shifted)),
        features=compute_features(wanted, inputs, lambda: None),
        candles=shifted,
        first_bar=first_defined_bar(averages.values(), len(candles)),
    )


def risk_us(candles: Candles, runs: int) -> dict[str, float]:
    """Return the time of ``sizes`` by model."""
    figures = {}
    for title, sizing in sizings().items():
        view = view_for(sizing, candles)
        figures[f"risk:{title}"] = median_us(lambda s=sizing, v=view: s.sizes(v), runs)  # type: ignore[misc]  # bound per model
    return figures


def slippage_us(candles: Candles, runs: int) -> dict[str, float]:
    """Return the times of ``coefficients`` and of the simulation by model."""
    plan = make_plan(perf_run.JOB)
    weights = target_weights(plan.sizing, view_for(plan.sizing, candles))
    figures = {}
    for name in slippage_models:
        model = slippage_models.build(name, slippage_models.check(name, {}, "slippage"))

        def loop(model: Any = model) -> None:
            simulate(
                candles,
                weights,
                plan.config.execution,
                model,
                check_cancelled=lambda: None,
                report_progress=lambda _: None,
            )

        figures[f"slippage:{name}"] = median_us(lambda m=model: m.coefficients(candles), runs)  # type: ignore[misc]  # bound per model
        figures[f"slippage_loop:{name}"] = median_us(loop, runs)
    return figures


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--runs", type=int, default=7, help="of each, at least 5")
    options = parser.parse_args()
    runs = max(5, options.runs)
    candles = perf_run.random_walk(N_BARS)
    figures = risk_us(candles, runs) | slippage_us(candles, runs)
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
