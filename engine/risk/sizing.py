"""Sizing: how much of the equity a signal is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.errors import PluginError
from engine.features import FeatureSpec, ShiftedCandles
from engine.records import CancelCheck, as_series, freeze, never_cancelled
from engine.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.records import Floats, Integers


@dataclass(frozen=True, eq=False)
class SizingView:
    """What a sizing model may see: the signals, and features and candles shifted by one bar.

    ``first_bar`` is the first bar at which every feature of the strategy is defined. A model that
    takes long calls ``check_cancelled`` now and then.
    """

    signals: "Integers"
    features: "Mapping[str, Floats]"
    candles: ShiftedCandles
    first_bar: int
    check_cancelled: CancelCheck = never_cancelled


class Sizing(Protocol):
    """Gives each bar's size as a fraction of equity."""

    def features(self) -> Sequence[FeatureSpec]:
        """Return the features that ``sizes`` reads."""

    def sizes(self, view: SizingView) -> "Floats":
        """Return (n_bars,) fractions of equity, from 0 to the model's ``max_leverage``."""


sizing_models: Registry[Sizing] = Registry("sizing model")


def target_weights(sizing: Sizing, view: SizingView, name: str = "") -> "Floats":
    """Return W (n_bars,), W_t = S_t size_t: the signed fraction of equity to hold after bar t.

    Raises
        PluginError where the sizes of the model ``name`` are not one finite number ≥ 0 a bar.
    """
    sizes = as_series(sizing.sizes(view), len(view.signals))
    if sizes is None or not _are_sizes(sizes):
        message = f"the sizing model {name} must return a finite size of at least 0 for each bar"
        raise PluginError(message)
    weights: Floats = view.signals.astype(np.float64)
    weights *= sizes
    weights += 0.0  # a flat bar is 0, not -0
    freeze(weights)
    return weights


def _are_sizes(values: "NDArray[Any]") -> bool:
    distinct = values[:1] if values.strides == (0,) else values  # one number for all bars
    return bool(distinct.min() >= 0 and distinct.max() < np.inf)  # false for NaN too
