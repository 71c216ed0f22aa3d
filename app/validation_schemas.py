"""What each validation test found, as models: the parts of ``validation_summary.json``."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from app.artifact_schemas import Interval, Reason
from app.wire import ABSENT, Ms, Wire

Statistic = Literal["sharpe", "total_return"]
N = Annotated[int, Field(ge=1, description="replicates; of a walk-forward, folds")]


class Spread(Wire):
    """Mean and quantiles of the replicates."""

    mean: float | None
    p5: float | None
    p50: float | None
    p95: float | None
    reason: str = Field("", description="only where they are null")


class Histogram(Wire):
    """Replicates in equal bins, for drawing: one edge more than counts."""

    edges: list[float] = Field(description="empty where there is no replicate")
    counts: list[int]


class Found(Wire):
    """What every test tells."""

    method: str = Field(description="what was done, in a word or in words")
    null: str = Field(description="what the test holds against the run, in words")
    n: N
    statistic: Statistic = Field(description="what observed is")
    observed: float | None = Field(
        description="the run's own: of the bars that are scored, or the later stretches"
    )
    reason: Reason
    histogram: Histogram


class Permutation(Found):
    """How often a market with the same moves in random order did as well."""

    scored_from: int | None = Field(description="first bar that is scored")
    p_value: float | None = Field(ge=0, le=1, description="(1 + as good or better) / (n + 1)")
    p_value_error: float | None = Field(description="its Monte Carlo standard error")
    undefined: int = Field(description="replicates without the statistic; each counts as 0")
    replicates: Spread
    note: str = Field("", description="only for the method shift")


class BootstrapSharpe(Wire):
    """Intervals of the Sharpe ratio."""

    estimate: float | None = Field(description="that of metrics.json")
    studentized: Interval | None = Field(description="the interval to go by (Ledoit & Wolf 2008)")
    percentile: Interval | None = Field(description="the plain one, to compare")
    undefined: int = Field(description="replicates without the ratio; they are left out")
    reason: Reason


class BootstrapReturn(Wire):
    """Percentile interval of the total return."""

    estimate: float | None = Field(description="that of metrics.json")
    interval: Interval | None
    reason: Reason


class BootstrapDrawdown(Wire):
    """What drawdowns the same returns give in another order."""

    estimate: float | None = Field(description="that of metrics.json")
    band: Annotated[list[float], Field(min_length=3, max_length=3)] | None = Field(
        description="its 5, 50 and 95 % quantiles"
    )
    label: str = Field(description="what the band is, and what it is not")
    reason: Reason


class BlockBootstrap(Found):
    """Intervals from blocks of the per-bar returns."""

    scheme: Literal["stationary", "circular", "moving"]
    block_length: float = Field(description="in bars; the mean one where it is stationary")
    confidence: float = Field(description="of the intervals, as configured")
    sharpe: BootstrapSharpe
    total_return: BootstrapReturn
    max_drawdown: BootstrapDrawdown
    replicates: Spread = Field(description="their Sharpe ratios")


class CostLevel(Wire):
    """The result at a multiple of the slippage."""

    multiple: float = Field(description="0 is without slippage, 1 as configured")
    total_return: float | None
    sharpe: float | None
    reason: Reason


class MonteCarlo(Found):
    """The result under noisy, multiplied and break-even slippage."""

    sigma: float = Field(description="of the log-normal noise, as configured")
    base_slippage_bps: float | None = Field(
        description="without noise, the mean of the run's fills"
    )
    undefined: int = Field(description="replicates without a Sharpe ratio; they are left out of it")
    total_return: Spread
    sharpe: Spread
    probability_of_loss: float | None = Field(
        ge=0, le=1, description="share of the replicates that lost"
    )
    cost_grid: list[CostLevel] | None = Field(description="from no slippage to several times it")
    breakeven_slippage_bps: float | None = Field(
        description="the flat slippage a fill at which nothing is earned"
    )
    breakeven_reason: Reason


class Stretch(Wire):
    """A fresh run over the bars [start, end)."""

    start: int = Field(description="its first bar")
    end: int = Field(description="the bar after its last")
    first_ts: Ms
    last_ts: Ms
    total_return: float
    sharpe: float | None
    reason: Reason
    trade_count: int = Field(description="closed round trips; the last one ends with the stretch")


class WalkForwardFold(Wire):
    """A stretch and the one that follows it."""

    in_sample: Stretch
    out_of_sample: Stretch


class Stitched(Wire):
    """All later stretches one after another."""

    total_return: float | None
    sharpe: float | None
    total_return_reason: Reason = Field(None, description="there only where it is null")


class SharpeDecay(Wire):
    """Mean change of the Sharpe ratio from a stretch to the next."""

    value: float | None = Field(description="later minus earlier, the mean of the folds")
    standard_error: float | None
    label: str = Field(description="how far to trust it")
    folds: int = Field(description="those in which both ratios are defined")
    reason: Reason


class WalkForward(Found):
    """Whether the result held through time."""

    note: str = Field(description="what the test is not")
    in_sample_folds: int = Field(description="as configured")
    anchored: bool = Field(description="as configured")
    folds: list[WalkForwardFold] = Field(description="oldest first")
    stitched: Stitched | None
    positive_folds: float | None = Field(
        ge=0, le=1, description="share of the folds that earned in the later stretch"
    )
    sharpe_decay: SharpeDecay | None
    efficiency: float | None = Field(description="what was earned later over what was earlier")
    efficiency_reason: Reason = Field(
        None, description="why it is null; left out where there are too few bars"
    )


class ValidationSummary(Wire):
    """validation_summary.json: what each test that ran found; a plugin's stands beside them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    permutation: Permutation = ABSENT
    block_bootstrap: BlockBootstrap = ABSENT
    monte_carlo: MonteCarlo = ABSENT
    walk_forward: WalkForward = ABSENT
