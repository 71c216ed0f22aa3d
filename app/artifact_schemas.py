"""What a run leaves behind, as models: its JSON documents, and the rows of its tables.

The metrics are made from the one table that defines them; a table's model is one row of it.
"""

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import ConfigDict, Field, create_model

from app.wire import CodeVersion, Ms, RunId, Sha256, Wire
from engine.metrics import HEADLINE
from engine.metrics.definitions import METRICS, MetricDefinition

UNITS = {
    "fraction": "a fraction: 0.1 is 10 %",
    "ratio": "a ratio",
    "currency": "in currency",
    "bars": "in bars",
    "count": "a count",
}
WHOLE_NUMBERS = {"trade_count", "open_trades", "longest_win_streak", "longest_loss_streak"}
BY_DATE = {"monthly_returns", "yearly_returns"}


def _metric(name: str, said: MetricDefinition) -> tuple[Any, Any]:
    kind: Any = int if name.rpartition(".")[2] in WHOLE_NUMBERS else float
    text = f"{said.label}, {UNITS[said.unit]}. {said.definition}"
    return kind | None, Field(description=text)


def _group(name: str, doc: str, prefix: str = "", names: tuple[str, ...] = ()) -> type[Wire]:
    """Return a model of metrics: those under ``prefix``, or the ``names``."""
    if prefix:
        chosen = {key.removeprefix(prefix): key for key in METRICS if key.startswith(prefix)}
    else:
        chosen = {key: key for key in names}
    fields = {short: _metric(key, METRICS[key]) for short, key in chosen.items()}
    return cast("type[Wire]", create_model(name, __base__=Wire, __doc__=doc, **fields))  # type: ignore[call-overload]  # fields come from a table


WHOLE = tuple(name for name in METRICS if "." not in name and name not in BY_DATE)
Reason = Annotated[str | None, Field(description="why a number beside it is null")]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]
LongTrades = _group("LongTrades", "Closed round trips that were long.", "long.")
ShortTrades = _group("ShortTrades", "Closed round trips that were short.", "short.")
Benchmark = _group("Benchmark", "Buy and hold over the same bars, without costs.", "benchmark.")
Headline = _group("Headline", "The figures that a run is known by.", names=HEADLINE)
_AllMetrics = _group("_AllMetrics", "", names=WHOLE)


class AllMetrics(_AllMetrics):  # type: ignore[misc,valid-type]  # made from the table
    """Every metric of a run, net of all costs; one that is null has a reason."""

    long: LongTrades  # type: ignore[valid-type]  # as above
    short: ShortTrades  # type: ignore[valid-type]  # as above


class Metrics(Wire):
    """metrics.json."""

    metrics: AllMetrics
    reasons: dict[str, str] = Field(description="why a metric is null, by its dotted name")
    benchmark: Benchmark  # type: ignore[valid-type]  # made from the table
    monthly_returns: dict[str, float | None] = Field(
        description=f"by YYYY-MM. {METRICS['monthly_returns'].definition}"
    )
    yearly_returns: dict[str, float | None] = Field(
        description=f"by YYYY. {METRICS['yearly_returns'].definition}"
    )


class ValidationFigures(Wire):
    """What the tests that ran say in one number each; a plugin's test adds its own."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    permutation_p_value: float | None = Field(
        None, ge=0, le=1, description="of the permutation; null says why in validation_summary.json"
    )
    sharpe_interval: Interval | None = Field(None, description="studentised, of the Sharpe ratio")
    breakeven_slippage_bps: float | None = Field(None, description="a fill, in basis points")
    walk_forward_sharpe: float | None = Field(None, description="of all later stretches together")


class MetricsSummary(Headline, ValidationFigures):  # type: ignore[misc,valid-type]  # as above
    """The headline metrics, and what the tests that ran say in one number each."""


class PeriodsPerYear(Wire):
    """How many bars make a year, and where that number comes from."""

    value: float
    origin: str = Field(description="in words, such as 252 trading days, or configured")


class DataQuality(Wire):
    """The bars of the run."""

    bars: int
    gaps: int = Field(description="places where bars are missing")
    zero_volume_bars: int
    volume_known: bool


class RunWarning(Wire):
    """Something to know about a run."""

    code: str = Field(description="the same word for the same thing each time")
    message: str = Field(description="a plain sentence for a person")
    count: int = Field(0, description="how often; left out where that says nothing")


class Causality(Wire):
    """Whether changed futures changed anything before them."""

    cuts: int = Field(description="bars after which another future was tried")
    passed: bool = Field(description="true: a run that knows its future fails")


class Summary(Wire):
    """summary.json: who the run is, and its headline figures."""

    run_id: RunId
    run_hash: Sha256
    config_hash: Sha256
    candle_digest: Sha256
    code_version: CodeVersion
    symbol: str
    timeframe: str
    provider: str
    first_ts: Ms
    last_ts: Ms
    n_bars: int
    periods_per_year: PeriodsPerYear
    data_quality: DataQuality
    warnings: list[RunWarning]
    metrics: Headline  # type: ignore[valid-type]  # made from the table
    validation: ValidationFigures
    causality: Causality


class ManifestFile(Wire):
    """One artifact."""

    name: str
    sha256: Sha256
    size: int = Field(description="bytes")
    mime: str = Field(description="media type")


class Environment(Wire):
    """Where the run happened; no hash depends on it."""

    python: str
    implementation: str
    system: str
    machine: str
    fma: bool = Field(description="whether the processor multiplies and adds in one step")
    kernel: Literal["compiled", "interpreted"]
    libraries: dict[str, str] = Field(description="their versions")


class ArtifactManifest(Wire):
    """manifest.json: what pins every byte of a run."""

    run_hash: Sha256
    config_hash: Sha256
    candle_digest: Sha256
    code_version: CodeVersion
    plugins: list[Sha256] = Field(description="files with components of the run")
    files: list[ManifestFile]
    manifest_hash: Sha256 = Field(description="of the manifest without it and environment")
    environment: Environment


class PortfolioBar(Wire):
    """A row of equity.parquet: the account after a bar."""

    ts: Ms
    close: float
    target_weight: float = Field(description="fraction of equity that strategy and sizing want")
    position: float = Field(description="units held, negative when short")
    cash: float = Field(description="negative where it is owed")
    equity: float = Field(description="cash and position at the close, net of all costs")
    benchmark: float = Field(description="buy and hold with the same cash, without costs")


class DrawdownBar(Wire):
    """A row of drawdown.parquet."""

    ts: Ms
    drawdown: float = Field(le=0, description="equity over its highest so far, minus 1")


class Fill(Wire):
    """A row of fills.parquet: one execution."""

    ts: Ms
    bar: int = Field(ge=0, description="its number, from 0")
    side: Literal["buy", "sell"]
    qty: float = Field(gt=0, description="units")
    base_price: float = Field(description="before slippage")
    price: float = Field(ge=0, description="with slippage")
    commission: float = Field(ge=0, description="in currency")
    slippage: float = Field(ge=0, description="in currency; the price holds it already")
    realized_pnl: float = Field(
        description="of what it closes, against the average entry price; before commission, borrow"
    )
    position_after: float = Field(description="units held then, negative when short")


class Trade(Wire):
    """A row of trades.parquet: a round trip."""

    entry_ts: Ms
    exit_ts: Ms = Field(description="of the run's last bar where it was still open then")
    entry_bar: int = Field(ge=0, description="its number, from 0")
    exit_bar: int = Field(ge=0, description="as for exit_ts")
    side: Literal["long", "short"]
    qty: float = Field(gt=0, description="the most units held")
    entry_price: float = Field(description="average over the fills that raised the position")
    exit_price: float = Field(
        description="average over the fills that lowered it; the last close where it was still open"
    )
    pnl: float = Field(description="net of commission, slippage and borrow")
    return_: float | None = Field(
        alias="return",
        description="pnl over the value of the fills that raised the position; null if that is 0",
    )
    commission: float = Field(ge=0, description="in currency")
    slippage: float = Field(ge=0, description="in currency; the prices hold it already")
    borrow: float = Field(ge=0, description="fees while short, in currency")
    bars_held: int = Field(
        ge=0, description="exit_bar - entry_bar, 1 more where it ended at a close"
    )
    mae: float = Field(
        le=0, description="worst price on the way against the average entry price then, a fraction"
    )
    mfe: float = Field(
        ge=0, description="best price on the way against the average entry price then, a fraction"
    )
    open: bool = Field(description="whether it was still open at the last bar")


class FeatureBar(Wire):
    """A row of features.parquet: the shifted series under their columns' names."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    ts: Ms


TABLES = {
    "equity": PortfolioBar,
    "drawdown": DrawdownBar,
    "fills": Fill,
    "trades": Trade,
    "features": FeatureBar,
}
