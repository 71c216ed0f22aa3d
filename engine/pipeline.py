"""The stage machine: one run from configuration to result, in eight named stages.

May be called from any thread; a run shares no state with another one.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from engine.artifacts import publish
from engine.caches import Caches
from engine.config import RunConfig
from engine.data import LoadedSlice, Provider, data_warnings, load
from engine.errors import RunCancelled
from engine.execution import check_volume, simulate
from engine.features import IndicatorInput, compute_features
from engine.identity import identify
from engine.limits import Limits
from engine.metrics import measure, rf_per_bar
from engine.plan import RunPlan, make_plan
from engine.plugins import plugin_errors
from engine.records import (
    STAGES,
    BacktestResult,
    Candles,
    Causality,
    Execution,
    Metrics,
    RunWarning,
    ValidationReport,
)
from engine.rerun import Rerun
from engine.targets import Targets, compute_targets
from engine.validation import (
    BAR_MOVE,
    MappedReplicates,
    Mapper,
    Subject,
    ThreadMapper,
    as_report,
    check_causality,
)
from engine.wording import counted

# How far a run is said to have come when each stage begins; only a progress bar reads it.
STAGE_STARTS = dict(zip(STAGES, (0.0, 0.05, 0.08, 0.1, 0.12, 0.18, 0.2, 0.85), strict=True))


class Observer(Protocol):
    """Is told what a run does, on the run's own thread; it should return at once."""

    def stage(self, name: str) -> None:
        """Note that a stage begins; every run goes through all of ``records.STAGES``."""

    def progress(self, fraction: float) -> None:
        """Note how much of the whole run is done, 0 to 1, never less than before."""

    def validation(self, test: str, completed: int, total: int) -> None:
        """Note how many replicates of a validation test are done."""

    def warning(self, warning: RunWarning) -> None:
        """Note something the user should know."""


class Silent:
    """An observer that ignores everything."""

    def stage(self, name: str) -> None:
        """Ignore it."""

    def progress(self, fraction: float) -> None:
        """Ignore it."""

    def validation(self, test: str, completed: int, total: int) -> None:
        """Ignore it."""

    def warning(self, warning: RunWarning) -> None:
        """Ignore it."""


@dataclass(frozen=True)
class RunContext:
    """What surrounds a run without changing its result.

    ``provider`` replaces the configured one, for candles from a file given by hand; ``kernel`` the
    bar loop; ``cancelled`` is asked between stages and inside long ones; ``caches`` hold what
    several runs of a process read; ``mapper`` works on the replicates, by default threads made for
    the run, one for each core.
    """

    observer: Observer = field(default_factory=Silent)
    cancelled: Callable[[], bool] = lambda: False
    limits: Limits = field(default_factory=Limits)
    provider: Provider | None = None
    kernel: ModuleType | None = None
    caches: Caches | None = None
    mapper: Mapper | None = None


def run(
    config: RunConfig | Mapping[str, Any],
    context: RunContext | None = None,
    out: Path | None = None,
) -> BacktestResult:
    """Run a backtest and return everything it produced.

    Parameters
        config: a configuration, checked or as it was written
        context: progress, cancellation, limits, candles from elsewhere
        out: the directory that its artifacts become; None keeps none
    Raises
        ConfigError, LimitError for what cannot be run; DataError for candles that cannot be used;
        RunCancelled when asked to stop; StorageError, OutputError where artifacts cannot be kept.
    """
    return prepare(config, context).execute(out)


def prepare(
    config: RunConfig | Mapping[str, Any], context: RunContext | None = None
) -> "PreparedRun":
    """Return a run whose candles are loaded, so that its identity is known; raises as ``run``."""
    context = context or RunContext()
    raw = config.to_json() if isinstance(config, RunConfig) else config
    with plugin_errors():
        return PreparedRun(make_plan(raw, context.limits), context)


def _never_traded(targets: Targets, execution: Execution) -> Iterator[RunWarning]:
    """Yield why a run has no trade, where there are too few bars for what it reads."""
    n_bars = len(targets.weights)
    late = [] if len(execution.fills) else targets.too_late()
    if late:
        have = "has" if len(late) == 1 else "have"
        within = f"within the {counted(n_bars, 'bar')}"
        message = f"no trade: {', '.join(late)} {have} no value {within}, and may need more"
        yield RunWarning("no_trade", message)


class PreparedRun:
    """A run after its first stage."""

    def __init__(self, plan: RunPlan, context: RunContext) -> None:
        self._plan = plan
        self._context = context
        self._warnings: list[RunWarning] = []
        self._validated = 0.0
        self._begin("data_loading")
        self.loaded: LoadedSlice = load(
            plan.config, context.provider or plan.provider, context.limits, context.caches
        )
        check_volume(plan.slippage, self.loaded.candles)
        self._warn(*data_warnings(plan.config, self.loaded))
        # A calendar that belongs to the data decides the result as one that was asked for does.
        self.config = plan.config.model_copy(update={"calendar": self.loaded.calendar})
        self.identity = identify(self.config, self.loaded.digest, plan.plugins)

    def execute(self, out: Path | None = None, workspace: Path | None = None) -> BacktestResult:
        """Go through the other seven stages.

        Parameters
            out: the directory that the artifacts become; None keeps none
            workspace: an existing directory on the same file system, to make it in
        """
        with plugin_errors():
            return self._execute(out, workspace)

    def _execute(self, out: Path | None, workspace: Path | None) -> BacktestResult:
        candles, periods = self.loaded.candles, self.loaded.periods_per_year
        config = self.config
        targets = self._targets()
        self._begin("execution")
        execution = simulate(
            candles,
            targets.weights,
            config.execution,
            self._plan.slippage,
            check_cancelled=self._check_cancelled,
            report_progress=self._progress_within_execution,
            kernel=self._context.kernel,
        )
        self._warn(*execution.warnings, *_never_traded(targets, execution))
        self._begin("metrics")
        metrics = measure(
            candles,
            execution,
            initial_cash=config.execution.initial_cash,
            periods=periods.value,
            risk_free_annual=config.risk_free_annual,
        )
        self._warn(*metrics.warnings)
        self._begin("validation")
        causality = self._causality(targets, config.seed)
        validation = self._validate(targets, execution, metrics)
        result = BacktestResult(
            config=config,
            identity=self.identity,
            candles=candles,
            data_quality=self.loaded.quality,
            periods_per_year=periods,
            features=targets.kept,
            signals=targets.signals,
            weights=targets.weights,
            execution=execution,
            metrics=metrics,
            causality=causality,
            validation=validation,
            warnings=tuple(self._warnings),
        )
        self._begin("artifacts")
        if out is not None:
            manifest = publish(result, out, self._check_cancelled, workspace)
            result = dataclasses.replace(result, manifest=manifest)
        self._context.observer.progress(1.0)
        return result

    def _targets(self) -> Targets:
        return compute_targets(
            self._plan,
            self._inputs(self.loaded.candles),
            cache=self._context.caches.features if self._context.caches else None,
            digest=self.loaded.digest,
            begin=self._begin,
        )

    def features(self) -> Mapping[str, Any]:
        """Return the configured indicators as a strategy would see them, by column.

        Each (n_bars,), shifted by one bar, NaN where undefined.
        """
        with plugin_errors():
            return compute_features(
                self._plan.kept,
                self._inputs(self.loaded.candles),
                self._check_cancelled,
                self._context.caches.features if self._context.caches else None,
                self.loaded.digest,
            )

    def check_causality(self, seeds: Iterable[int], bar_move: float = BAR_MOVE) -> int:
        """Return how many other futures were tried, drawn from ``seeds``, without a difference.

        Their bars move by up to ``bar_move``.

        Raises
            LookaheadError naming the series and the bar that knew its future.
        """
        with plugin_errors():
            targets = self._targets()
            return sum(self._causality(targets, seed, bar_move).cuts for seed in seeds)

    def _causality(self, targets: Targets, seed: int, bar_move: float = BAR_MOVE) -> Causality:
        return check_causality(
            self.loaded.candles,
            targets.series(),
            self._other_targets,
            first_bar=targets.first_bar,
            seed=seed,
            check_cancelled=self._check_cancelled,
            bar_move=bar_move,
        )

    def _other_targets(self, candles: Candles) -> dict[str, Any]:
        """Return the series of other candles, by components that have not seen the run's own."""
        fresh = make_plan(self.config.to_json(), self._context.limits)
        return compute_targets(fresh, self._inputs(candles)).series()

    def _inputs(self, candles: Candles) -> IndicatorInput:
        return IndicatorInput(candles, self.loaded.periods_per_year.value, self._check_cancelled)

    def _validate(
        self, targets: Targets, execution: Execution, metrics: Metrics
    ) -> dict[str, ValidationReport]:
        """Return what each configured test finds, by name."""
        config, periods = self.config, self.loaded.periods_per_year.value
        subject = Subject(
            candles=self.loaded.candles,
            weights=targets.weights,
            execution=execution,
            metrics=metrics,
            first_bar=targets.first_bar,
            periods=periods,
            rf=rf_per_bar(config.risk_free_annual, periods),
            statistic=config.validation.statistic,
            seed=config.seed,
            calendar=config.calendar,
            engine=Rerun(self._plan, periods, self._context.kernel),
        )
        found = {}
        with self._mapper() as mapper:
            for i, (name, test) in enumerate(self._plan.tests.items()):
                replicates = MappedReplicates(
                    mapper, self._check_cancelled, functools.partial(self._replicated, i, name)
                )
                found[name] = as_report(name, test.run(subject, replicates))
                self._warn(*found[name].warnings)
        return found

    def _mapper(self) -> AbstractContextManager[Mapper]:
        given = self._context.mapper
        return ThreadMapper() if given is None else nullcontext(given)

    def _replicated(self, i: int, test: str, completed: int, total: int) -> None:
        start, end = STAGE_STARTS["validation"], STAGE_STARTS["artifacts"]
        share = (end - start) / len(self._plan.tests)
        self._context.observer.validation(test, completed, total)
        # A test may map more than once, and then begins to count anew.
        self._validated = max(self._validated, start + share * (i + completed / total))
        self._context.observer.progress(self._validated)

    def _begin(self, stage: str) -> None:
        self._check_cancelled()
        self._context.observer.stage(stage)
        self._context.observer.progress(STAGE_STARTS[stage])

    def _progress_within_execution(self, fraction: float) -> None:
        start, end = STAGE_STARTS["execution"], STAGE_STARTS["metrics"]
        self._context.observer.progress(start + fraction * (end - start))

    def _warn(self, *warnings: RunWarning) -> None:
        for warning in warnings:
            self._warnings.append(warning)
            self._context.observer.warning(warning)

    def _check_cancelled(self) -> None:
        if self._context.cancelled():
            message = "the run was cancelled"
            raise RunCancelled(message)
