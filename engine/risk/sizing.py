"""Sizing: how much of the equity a signal is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.features import FeatureSpec, ShiftedCandles
from engine.records import freeze
from engine.registry import Registry

if TYPE_CHECKING:
    from engine.records import Floats, Integers


@dataclass(frozen=True, eq=False)
class SizingView:
    """What a sizing model may see: the signals, and features and candles shifted by one bar.

    ``first_bar`` is the first bar at which every feature of the strategy is defined.
    """

    signals: "Integers"
    features: "Mapping[str, Floats]"
    candles: ShiftedCandles
    first_bar: int


class Sizing(Protocol):
    """Gives each bar's size as a fraction of equity."""

    def features(self) -> Sequence[FeatureSpec]:
        """Return the features that ``sizes`` reads."""

    def sizes(self, view: SizingView) -> "Floats":
        """Return (n_bars,) fractions of equity, from 0 to the model's ``max_leverage``."""


sizing_models: Registry[Sizing] = Registry("sizing model")


def target_weights(sizing: Sizing, view: SizingView) -> "Floats":
    """Return W (n_bars,), W_t = S_t size_t: the signed fraction of equity to hold after bar t."""
    weights = view.signals * sizing.sizes(view)
    weights += 0.0  # a flat bar is 0, not -0
    freeze(weights)
    return weights
