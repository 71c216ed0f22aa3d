"""What each validation test found, as models: the parts of ``validation_summary.json``."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from app.artifact_schemas import Interval, Reason
from app.wire import Ms, Wire

Statistic = Literal["sharpe", "total_return"]
N = Annotated[int, Field(ge=1, description="replicates")]


class Spread(Wire):
    """Mean and quantiles of the replicates."""

    mean: float | None
    p5: float | None
    p50: float | None
    p95: float | None
    reason: str = Field("", description="only where they are null")


class Histogram(Wire):
    """Replicates in equal bins, for drawing: one edge more than counts."""

    edges: list[float]
    counts: list[int]


class Found(Wire):
    """What every test tells."""

    method: str
    null: str = Field(description="what the test holds against the run, in words")
    n: N
    statistic: Statistic
    observed: float | None
    reason: Reason
    histogram: Histogram


class Permutation(Found):
    """How often a market with the same moves in random order did as well."""

    scored_from: int | None = Field(description="first bar that is scored")
    p_value: float | None = Field(ge=0, le=1, description="(1 + as good or better) / (n + 1)")
    p_value_error: float | None = Field(description="its Monte Carlo standard error")
    undefined: int = Field(description="replicates without the statistic; they count as better")
    replicates: Spread
    note: str = Field("", description="only for the method shift")


class BootstrapSharpe(Wire):
    """Intervals of the Sharpe ratio."""

    estimate: float | None
    studentized: Interval | None
    percentile: Interval | None
    undefined: int
    reason: Reason


class BootstrapReturn(Wire):
    """Percentile interval of the total return."""

    estimate: float | None
    interval: Interval | None
    reason: Reason


class BootstrapDrawdown(Wire):
    """What drawdowns the same returns give in another order."""

    estimate: float | None
    band: Annotated[list[float], Field(min_length=3, max_length=3)] | None
    label: str
    reason: Reason


class BlockBootstrap(Found):
    """Intervals from blocks of the per-bar returns."""

    scheme: Literal["stationary", "circular", "moving"]
    block_length: float = Field(description="in bars; the mean one where it is stationary")
    confidence: float
    sharpe: BootstrapSharpe
    total_return: BootstrapReturn
    max_drawdown: BootstrapDrawdown
    replicates: Spread


class CostLevel(Wire):
    """The result at a multiple of the slippage."""

    multiple: float
    total_return: float | None
    sharpe: float | None
    reason: Reason


class MonteCarlo(Found):
    """The result under noisy, multiplied and break-even slippage."""

    sigma: float
    base_slippage_bps: float | None
    undefined: int
    total_return: Spread
    sharpe: Spread
    probability_of_loss: float | None = Field(ge=0, le=1)
    cost_grid: list[CostLevel] | None
    breakeven_slippage_bps: float | None
    breakeven_reason: Reason


class Stretch(Wire):
    """A fresh run over the bars [start, end)."""

    start: int
    end: int
    first_ts: Ms
    last_ts: Ms
    total_return: float
    sharpe: float | None
    reason: Reason
    trade_count: int


class WalkForwardFold(Wire):
    """A stretch and the one that follows it."""

    in_sample: Stretch
    out_of_sample: Stretch


class Stitched(Wire):
    """All later stretches one after another."""

    total_return: float | None
    sharpe: float | None


class SharpeDecay(Wire):
    """Mean change of the Sharpe ratio from a stretch to the next."""

    value: float | None
    standard_error: float | None
    label: str
    folds: int = Field(description="those in which both ratios are defined")
    reason: Reason


class WalkForward(Found):
    """Whether the result held through time."""

    note: str
    in_sample_folds: int
    anchored: bool
    folds: list[WalkForwardFold]
    stitched: Stitched | None
    positive_folds: float | None = Field(ge=0, le=1)
    sharpe_decay: SharpeDecay | None
    efficiency: float | None
    efficiency_reason: Reason = Field(
        None, description="why it is null; left out where there are too few bars"
    )


class ValidationSummary(Wire):
    """validation_summary.json: what each test that ran found; a plugin's stands beside them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    permutation: Permutation | None = None
    block_bootstrap: BlockBootstrap | None = None
    monte_carlo: MonteCarlo | None = None
    walk_forward: WalkForward | None = None
