"""A run's configuration: what may be asked for, within which bounds, with which defaults.

``RunConfig`` is the envelope. What a component's ``params`` may hold is the component's own model
(``registry.Params``); ``plan.make_plan`` checks both and merges what it finds.
"""

import re
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
from engine.wording import SYMBOL_PATTERN

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
DAY_MS = TIMEFRAME_MS["1d"]
# 1970-01-01 was a Thursday; weeks start on Monday.
MONDAY_MS = 4 * DAY_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_BPS = 10_000.0
# The years 1000 to 9000: what every library here can date.
MIN_TIME_MS = -30_610_224_000_000
MAX_TIME_MS = 221_845_392_000_000
_YEAR = "(100[1-9]|10[1-9][0-9]|1[1-9][0-9]{2}|[2-8][0-9]{3})"
_LONG, _SHORT = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])", "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_DAY = f"-({_LONG}|{_SHORT}|02-(0[1-9]|[12][0-9]))"
_TIME = (
    "[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
)
# ISO-8601 as it is meant here; the contract states the same, within the years that we date.
_ISO_8601 = re.compile(f"[0-9]{{4}}{_DAY}({_TIME})?")
TIME_PATTERN = f"^{_YEAR}{_DAY}({_TIME})?$"
TIME_EXAMPLES = "such as 2024-01-31 or 2024-01-31T14:30:00Z"


def epoch_ms(value: object, *, end_of_day: bool) -> object:
    """Return a time as UTC epoch ms: a whole number as it is, or ISO-8601 text.

    A date alone is its first millisecond, or its last where ``end_of_day``; a time without an
    offset is UTC. Anything else is returned for the field's own check to refuse.

    Raises
        ValueError when the text is not a date or time, or a time is beyond what can be dated.
    """
    if isinstance(value, str):
        value = _parsed(value, end_of_day=end_of_day)
    # Its own check would tell the bounds in milliseconds.
    if isinstance(value, int) and not MIN_TIME_MS <= value <= MAX_TIME_MS:
        message = "should be a time from 1000-01-01 to 9000-01-01"
        raise ValueError(message)
    return value


def _parsed(value: str, *, end_of_day: bool) -> int:
    try:
        if _ISO_8601.fullmatch(value) is None:
            raise ValueError  # noqa: TRY301  # said once, below
        day = date.fromisoformat(value[:10])
        moment = datetime.fromisoformat(value)
    except ValueError:
        message = f"{value[:40]!r} is not an ISO-8601 date or time, {TIME_EXAMPLES}"
        raise ValueError(message) from None
    if len(value) > 10:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // MILLISECOND
    days = (day - EPOCH.date()).days
    return (days + 1) * DAY_MS - 1 if end_of_day else days * DAY_MS


_GivenTime = (
    Annotated[int, Field(ge=MIN_TIME_MS, le=MAX_TIME_MS)]
    | Annotated[str, Field(pattern=TIME_PATTERN)]
    | None
)
StartMs = Annotated[
    int | None,
    Field(ge=MIN_TIME_MS, le=MAX_TIME_MS),
    BeforeValidator(
        lambda value: epoch_ms(value, end_of_day=False), json_schema_input_type=_GivenTime
    ),
]
EndMs = Annotated[
    int | None,
    Field(ge=MIN_TIME_MS, le=MAX_TIME_MS),
    BeforeValidator(
        lambda value: epoch_ms(value, end_of_day=True), json_schema_input_type=_GivenTime
    ),
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

    initial_cash: float = Field(100_000.0, ge=1e-6, le=1e15, description="in currency")
    fill_price: Literal["open_next", "mid_next", "vwap_next"] = Field(
        "open_next", description="of the bar after the order: open, middle of high and low, or vwap"
    )
    commission_per_share: float = Field(0.0, ge=0, le=1e6, description="currency a unit")
    commission_bps: float = Field(0.0, ge=0, le=MAX_BPS, description="basis points of the value")
    commission_min: float = Field(0.0, ge=0, le=1e9, description="currency a fill, at least")
    slippage_bps: float = Field(0.0, ge=0, le=MAX_BPS, description="basis points a fill, flat")
    slippage_model: Component | None = Field(None, description="adds to the flat slippage")
    borrow_bps: float = Field(
        0.0, ge=0, le=100 * MAX_BPS, description="basis points a year on what is short"
    )
    zero_volume: Literal["carry", "skip", "fill"] = Field(
        "carry", description="an order at a bar without volume waits, is dropped, or is filled"
    )
    lot_size: float = Field(0.0, ge=0, le=1e15, description="units; 0 trades any quantity")
    rebalance_band: float = Field(
        0.0, ge=0, le=100, description="change of weight below which a position is left as it is"
    )
    auto_flatten_end: bool = Field(False, description="close the position at the last bar")  # noqa: FBT003  # a default
    periods_per_year: float | None = Field(
        None, ge=1, le=1e7, description="bars a year; null reads it from the candles"
    )


class PermutationConfig(Params):
    """Permutation of the market, or circular shifts of the position."""

    n: int = Field(999, ge=1, description="replicates")
    method: Literal["bars", "shift"] = Field(
        "bars", description="shuffle the bars' moves, or shift the position against the market"
    )


class BlockBootstrapConfig(Params):
    """Block bootstrap of the per-bar returns; ``block_length`` null chooses it from the data."""

    n: int = Field(1999, ge=1, description="replicates")
    scheme: Literal["stationary", "circular", "moving"] = Field(
        "stationary", description="how blocks are drawn"
    )
    block_length: float | None = Field(
        None, ge=1, le=1e7, description="bars, the mean where it varies; null is automatic"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")


class MonteCarloConfig(Params):
    """Noise on the slippage of every fill."""

    n: int = Field(500, ge=1, description="replicates")
    sigma: float = Field(0.5, ge=0, le=5, description="of the log-normal noise")
    noise_bps: float | None = Field(
        None, ge=0, le=MAX_BPS, description="what is noisy where no slippage is configured"
    )


class WalkForwardConfig(Params):
    """Stability in time over consecutive folds."""

    folds: int = Field(5, ge=2, le=1000, description="later stretches")
    in_sample_folds: int = Field(3, ge=1, le=1000, description="stretches before each")
    anchored: bool = Field(False, description="in sample from the first bar on")  # noqa: FBT003  # a default


class ValidationConfig(Strict):
    """The tests to run; one that is null is not run.

    A plugin's test stands beside the others under its own name; its parameters are checked with
    the other components.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    statistic: Literal["sharpe", "total_return"] = Field(
        "sharpe", description="what the permutation compares"
    )
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

    symbol: str = Field(pattern=SYMBOL_PATTERN, description="as the data set is called")
    timeframe: Timeframe = Field("1d", description="length of a bar")
    provider: str = Field(
        "local", min_length=1, max_length=64, description="where the candles come from"
    )
    start: StartMs = Field(None, description="first bar: epoch ms or ISO-8601, UTC; null is all")
    end: EndMs = Field(None, description="last bar, a date with all of its day; null is all")
    adjust: Literal["none", "split_dividend"] = Field(
        "none", description="scale prices by adjusted over plain close"
    )
    calendar: str | None = Field(
        None, min_length=1, max_length=64, description="exchange whose sessions the bars follow"
    )
    on_bad_rows: Literal["refuse", "drop"] = Field(
        "refuse", description="what to do with a file that has rows which cannot be used"
    )
    indicators: tuple[Component, ...] = Field(
        default=(), strict=False, description="extra series to compute and keep"
    )
    strategy: StrategyComponent = Field(
        default_factory=StrategyComponent, description="gives the signal at each close"
    )
    risk: RiskComponent = Field(
        default_factory=RiskComponent, description="turns the signal into a target weight"
    )
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    risk_free_annual: float = Field(0.0, gt=-1, le=10, description="a fraction: 0.02 is 2 %")
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    plot: bool = Field(True, description="draw plot.png")  # noqa: FBT003  # a default
    seed: int = Field(0, ge=0, le=MAX_INTEGER, description="root of every random stream")

    @field_validator("end")
    @classmethod
    def _end_not_before_start(cls, end: int | None, info: ValidationInfo) -> int | None:
        start = info.data.get("start")
        if end is not None and start is not None and end < start:
            message = "must not be before start"
            raise ValueError(message)
        return end

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON values, every default written out."""
        return self.model_dump(mode="json")
