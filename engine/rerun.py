"""The run's own stages once more: what validation asks for other markets and other costs."""

import dataclasses
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from engine.execution import BarLoop, SlippageCoefficients, simulate
from engine.features import IndicatorInput
from engine.limits import Limits
from engine.plan import RunPlan, make_plan
from engine.records import CancelCheck, Candles, Execution, never_cancelled
from engine.targets import compute_targets

if TYPE_CHECKING:
    from engine.records import Floats


class Rerun:
    """A run's components and its loop; an ``engine.validation.test.Engine``.

    May be used from any thread. Pickled, it takes along the configuration, and builds its
    components anew where it arrives.
    """

    def __init__(self, plan: RunPlan, periods: float, kernel: ModuleType | None = None) -> None:
        self.execution = plan.config.execution
        self._plan = dataclasses.replace(plan, kept=())  # no weight depends on what is only kept
        self._periods = periods
        self._kernel = kernel
        self._slippage = self._plan.slippage
        if self._slippage is not None and self._plan.plugins:
            self._slippage = _FreshSlippage(self._plan)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make it again elsewhere."""
        return _elsewhere, (self._plan.config.to_json(), self._periods)

    @property
    def choice(self) -> str:
        """Return which guise of the kernels the run uses."""
        return self.bar_loop().choice

    def weights(self, candles: Candles, check_cancelled: CancelCheck = never_cancelled) -> "Floats":
        """Return the target weights (n_bars,) of the run's components on other candles.

        A plugin's component may keep something from one call to the next, so each call has its
        own (slippage models too); ours keep nothing.
        """
        plan = _planned(self._plan.config.to_json()) if self._plan.plugins else self._plan
        inputs = IndicatorInput(candles, self._periods, check_cancelled)
        return compute_targets(plan, inputs).weights

    def bar_loop(self) -> BarLoop:
        """Return a bar loop for one thread."""
        return BarLoop(self.execution, self._slippage, self._kernel)

    def simulate(self, candles: Candles, weights: "Floats", *, flatten: bool) -> Execution:
        """Return a fresh run of the loop, closing at the last bar's close if ``flatten``."""
        return simulate(
            candles,
            weights,
            self.execution.model_copy(update={"auto_flatten_end": flatten}),
            self._slippage,
            check_cancelled=never_cancelled,
            report_progress=lambda _: None,
            kernel=self._kernel,
        )


class _FreshSlippage:
    """A plugin's slippage model, built anew for each market, so that it can keep nothing."""

    def __init__(self, plan: RunPlan) -> None:
        assert plan.slippage is not None
        self.needs_volume = plan.slippage.needs_volume
        self._raw = plan.config.to_json()

    def coefficients(self, candles: Candles) -> SlippageCoefficients:
        """Return the coefficients of every bar."""
        model = _planned(self._raw).slippage
        assert model is not None
        return model.coefficients(candles)


def _planned(raw: dict[str, Any]) -> RunPlan:
    """Return the plan of a configuration that has passed the user's limits already."""
    unlimited = Limits(*[sys.maxsize] * len(dataclasses.fields(Limits)))
    return dataclasses.replace(make_plan(raw, unlimited), kept=())


def _elsewhere(raw: dict[str, Any], periods: float) -> Rerun:
    return Rerun(_planned(raw), periods)
