"""Slippage models: what moves a fill's price, as coefficients of each bar."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import Field

from engine.errors import ConfigError
from engine.records import Candles
from engine.registry import Params, Registry

if TYPE_CHECKING:
    from engine.records import Floats


@dataclass(frozen=True, eq=False)
class SlippageCoefficients:
    """A fill of quantity q on bar t moves by ``spread[t] + impact[t] min(|q| / V_t, 1)``.

    Both (n_bars,) fractions of the base price, ≥ 0, against the trader; the ratio is 1 where the
    volume is 0 or unknown.
    """

    spread: "Floats"
    impact: "Floats"


class SlippageModel(Protocol):
    """Gives per-bar coefficients rather than a callback per fill, so that the loop stays fast."""

    needs_volume: bool

    def coefficients(self, candles: Candles) -> SlippageCoefficients:
        """Return the coefficients of every bar."""


slippage_models: Registry[SlippageModel] = Registry("slippage model")


def check_volume(model: SlippageModel | None, candles: Candles) -> None:
    """Raise a ConfigError where a model needs volume that the candles do not have."""
    if model is not None and model.needs_volume and candles.volume is None:
        message = (
            f"needs volume, which {candles.symbol} {candles.timeframe} does not have; "
            "take spread_pct or none"
        )
        raise ConfigError.of("execution.slippage_model", message)


def constant(value: float, n_bars: int) -> "Floats":
    """Return ``value`` for every bar without storing it more than once."""
    return np.broadcast_to(np.float64(value), n_bars)


class SpreadPctParams(Params):
    """Parameters of the constant spread."""

    spread_pct: float = Field(0.001, ge=0, lt=1, description="full spread, fraction of the price")


@slippage_models.register("spread_pct", SpreadPctParams)
class SpreadPct:
    """Half of a constant spread on every fill."""

    needs_volume = False

    def __init__(self, params: SpreadPctParams) -> None:
        self.params = params

    def coefficients(self, candles: Candles) -> SlippageCoefficients:
        """Return ``spread_pct / 2`` and no impact."""
        n = len(candles)
        return SlippageCoefficients(constant(self.params.spread_pct / 2, n), constant(0.0, n))


class ParticipationRateParams(Params):
    """Parameters of the impact by participation."""

    participation_pct: float = Field(
        0.1, ge=0, le=10, description="impact, as a fraction, of an order equal to the volume"
    )


@slippage_models.register("participation_rate", ParticipationRateParams)
class ParticipationRate:
    """Impact in proportion to the order's share of the bar's volume."""

    needs_volume = True

    def __init__(self, params: ParticipationRateParams) -> None:
        self.params = params

    def coefficients(self, candles: Candles) -> SlippageCoefficients:
        """Return no spread and ``participation_pct`` as impact."""
        n = len(candles)
        return SlippageCoefficients(constant(0.0, n), constant(self.params.participation_pct, n))
