"""A run's configuration: what may be asked for, within which bounds, with which defaults.

``RunConfig`` is the envelope. What a component's ``params`` may hold is the component's own model
(``registry.Params``); ``plan.make_plan`` checks both and merges what it finds.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engine.registry import MAX_INTEGER, Params, Strict

Timeframe = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
TIMEFRAME_MS: dict[str, int] = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
    "1w": 604_800_000,
}
SYMBOL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_BPS = 10_000.0
# The years 1000 to 9000: what every library here can date.
MIN_TIME_MS = -30_610_224_000_000
MAX_TIME_MS = 221_845_392_000_000


def epoch_ms(value: object, *, end_of_day: bool) -> object:
    """Return a time as UTC epoch ms: a whole number as it is, or ISO-8601 text.

    A date alone is its first millisecond, or its last where ``end_of_day``; a time without an
    offset is UTC. Anything else is returned for the field's own check to refuse.

    Raises
        ValueError when the text is not a date or time.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            message = f"{value[:40]!r} is not an ISO-8601 date or time"
            raise ValueError(message) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // MILLISECOND
    days = (day - EPOCH.date()).days
    return (days + 1) * 86_400_000 - 1 if end_of_day else days * 86_400_000


StartMs = Annotated[
    int | None,
    Field(ge=MIN_TIME_MS, le=MAX_TIME_MS),
    BeforeValidator(lambda value: epoch_ms(value, end_of_day=False)),
]
EndMs = Annotated[
    int | None,
    Field(ge=MIN_TIME_MS, le=MAX_TIME_MS),
    BeforeValidator(lambda value: epoch_ms(value, end_of_day=True)),
]


class Component(Strict):
    """A component by name; ``params`` are checked by the component's own model."""

    name: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)


class StrategyComponent(Component):
    """The strategy; the dual moving average unless another is named."""

    name: str = Field("dual_sma", min_length=1, max_length=64)


class RiskComponent(Component):
    """The sizing model; a fixed fraction of equity unless another is named."""

    name: str = Field("fixed_fraction", min_length=1, max_length=64)


class ExecutionConfig(Strict):
    """How target weights become fills: prices, costs, and what to do on awkward bars."""

    initial_cash: float = Field(100_000.0, ge=1e-6, le=1e15)
    fill_price: Literal["open_next", "mid_next", "vwap_next"] = "open_next"
    commission_per_share: float = Field(0.0, ge=0, le=1e6)
    commission_bps: float = Field(0.0, ge=0, le=MAX_BPS)
    commission_min: float = Field(0.0, ge=0, le=1e9)
    slippage_bps: float = Field(0.0, ge=0, le=MAX_BPS)
    slippage_model: Component | None = None
    borrow_bps: float = Field(0.0, ge=0, le=100 * MAX_BPS)
    zero_volume: Literal["carry", "skip", "fill"] = "carry"
    lot_size: float = Field(0.0, ge=0, le=1e15)
    rebalance_band: float = Field(0.0, ge=0, le=100)
    auto_flatten_end: bool = False
    periods_per_year: float | None = Field(None, ge=1, le=1e7)


class PermutationConfig(Params):
    """Permutation of the market, or circular shifts of the position."""

    n: int = Field(999, ge=1)
    method: Literal["bars", "shift"] = "bars"


class BlockBootstrapConfig(Params):
    """Block bootstrap of the per-bar returns; ``block_length`` null chooses it from the data."""

    n: int = Field(1999, ge=1)
    scheme: Literal["stationary", "circular", "moving"] = "stationary"
    block_length: float | None = Field(None, ge=1, le=1e7)
    confidence: float = Field(0.95, gt=0, lt=1)


class MonteCarloConfig(Params):
    """Noise on the slippage of every fill."""

    n: int = Field(500, ge=1)
    sigma: float = Field(0.5, ge=0, le=5)
    noise_bps: float | None = Field(None, ge=0, le=MAX_BPS)


class WalkForwardConfig(Params):
    """Stability in time over consecutive folds."""

    folds: int = Field(5, ge=2, le=1000)
    in_sample_folds: int = Field(3, ge=1, le=1000)
    anchored: bool = False


class ValidationConfig(Strict):
    """The tests to run; one that is null is not run.

    A plugin's test stands beside the others under its own name; its parameters are checked with
    the other components.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    statistic: Literal["sharpe", "total_return"] = "sharpe"
    permutation: PermutationConfig | None = None
    block_bootstrap: BlockBootstrapConfig | None = None
    monte_carlo: MonteCarloConfig | None = None
    walk_forward: WalkForwardConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_null_plugins(cls, raw: object) -> object:
        # A plugin's test that is null is not run: the same as none, and must hash the same.
        if not isinstance(raw, Mapping):
            return raw
        return {name: x for name, x in raw.items() if x is not None or name in cls.model_fields}


OWN_TESTS = ("permutation", "block_bootstrap", "monte_carlo", "walk_forward")


class RunConfig(Strict):
    """Everything that decides a run's result, apart from the candles and the code."""

    symbol: str = Field(pattern=SYMBOL_PATTERN)
    timeframe: Timeframe = "1d"
    provider: str = Field("local", min_length=1, max_length=64)
    start: StartMs = None
    end: EndMs = None
    adjust: Literal["none", "split_dividend"] = "none"
    calendar: str | None = Field(None, min_length=1, max_length=64)
    on_bad_rows: Literal["refuse", "drop"] = "refuse"
    indicators: tuple[Component, ...] = Field(default=(), strict=False)
    strategy: StrategyComponent = Field(default_factory=StrategyComponent)
    risk: RiskComponent = Field(default_factory=RiskComponent)
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    risk_free_annual: float = Field(0.0, gt=-1, le=10)
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    plot: bool = True
    seed: int = Field(0, ge=0, le=MAX_INTEGER)

    @field_validator("end")
    @classmethod
    def _end_after_start(cls, end: int | None, info: ValidationInfo) -> int | None:
        start = info.data.get("start")
        if end is not None and start is not None and end <= start:
            message = "must be later than start"
            raise ValueError(message)
        return end

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON values, every default written out."""
        return self.model_dump(mode="json")
