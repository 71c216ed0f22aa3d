"""What a validation test is, what it sees of a run, and what it may ask for.

A test is called on the run's own thread; its tasks run on others, in other processes, or on other
machines, and draw from streams that depend on the replicate's number alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from engine.config import ExecutionConfig
from engine.errors import PluginError
from engine.execution import BarLoop
from engine.identity import json_bytes
from engine.records import (
    CancelCheck,
    Candles,
    Execution,
    Metrics,
    RunWarning,
    ValidationReport,
)
from engine.registry import Registry

if TYPE_CHECKING:
    from engine.records import Floats


class Engine(Protocol):
    """The stages of the run under test, to be gone through again; it can be pickled."""

    execution: ExecutionConfig

    @property
    def choice(self) -> str:
        """Return which guise of the kernels the run uses."""

    def weights(self, candles: Candles, check_cancelled: CancelCheck = ...) -> "Floats":
        """Return the target weights (n_bars,) that the run's components give on other candles."""

    def bar_loop(self) -> BarLoop:
        """Return the run's bar loop, new, for one thread."""

    def simulate(self, candles: Candles, weights: "Floats", *, flatten: bool) -> Execution:
        """Return a fresh run of the loop over candles, closing at the last one if ``flatten``."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The run under test.

    ``first_bar`` is w, the first bar at which every feature that is read is defined; ``periods``
    bars make a year; ``rf`` is the risk-free return of one bar; ``calendar`` the exchange calendar
    of the candles where one is named.
    """

    candles: Candles
    weights: "Floats"
    execution: Execution
    metrics: Metrics
    first_bar: int
    periods: float
    rf: float
    statistic: str
    seed: int
    calendar: str | None
    engine: Engine

    @property
    def initial_cash(self) -> float:
        """Return the equity before the first bar."""
        return self.engine.execution.initial_cash


class Task(Protocol):
    """The work of some replicates: picklable, the same wherever and in whatever portions."""

    def run(self, numbers: range, check_cancelled: CancelCheck) -> "Floats":
        """Return one row of figures for each replicate number, (len(numbers), n_columns)."""


class Replicates(Protocol):
    """Maps a task over the replicate numbers 0 … n - 1; reports progress, can be cancelled."""

    @property
    def check_cancelled(self) -> CancelCheck:
        """Return what a test calls now and then while it works without replicates."""

    @property
    def report(self) -> Callable[[int, int], None]:
        """Return what a test tells how much of its other work is done, and of how much."""

    def __call__(self, task: Task, n: int) -> "Floats":
        """Return the rows of all replicates in the order of their numbers, (n, n_columns)."""


class ValidationTest(Protocol):
    """A test of whether a backtest is to be believed, built from its parameters."""

    def run(self, subject: Subject, replicates: Replicates) -> ValidationReport:
        """Return what the test found; every undefined number is None and has a reason."""


# The one word beside tests' names in a configuration's "validation".
validation_tests: Registry[ValidationTest] = Registry("validation test", reserved={"statistic"})


def as_report(name: str, report: object) -> ValidationReport:
    """Return what the test ``name`` gave, where it is a report of JSON values.

    Raises
        PluginError where it is anything else, or holds NaN or infinity.
    """
    message = f"the validation test {name} must return a report of finite JSON values"
    if not isinstance(report, ValidationReport):
        raise PluginError(message)
    said: list[object] = [report.document, report.headline]
    try:
        objects = all(isinstance(each, Mapping) for each in said)
        warnings = all(isinstance(each, RunWarning) for each in report.warnings)
        json_bytes([*said, *map(asdict, report.warnings)])
    except (TypeError, ValueError, RecursionError) as fault:
        raise PluginError(message) from fault
    if not (objects and warnings):
        raise PluginError(message)
    return report
