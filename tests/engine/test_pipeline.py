"""A run through the eight stages: its lag, its limits, its warnings, its caches, its cancels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.caches import Caches
from engine.data import FileProvider
from engine.errors import DataError, LimitError, RunCancelled
from engine.features import IndicatorInput
from engine.features.talib_adapter import TalibIndicator
from engine.limits import Limits
from engine.pipeline import RunContext, Silent, prepare, run
from engine.plan import make_plan
from engine.records import STAGES, Identity, RunWarning

SAMPLE: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}


class Recorder(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []
        self.warnings: list[RunWarning] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def warning(self, warning: RunWarning) -> None:
        self.warnings.append(warning)


def test_every_run_goes_through_the_eight_stages() -> None:
    """The stages come in their order, with or without artifacts; progress only grows, to 1."""
    observer = Recorder()
    result = run(SAMPLE, RunContext(observer=observer))
    assert tuple(observer.stages) == STAGES
    assert observer.fractions == sorted(observer.fractions)
    assert observer.fractions[-1] == 1.0
    assert result.manifest is None
    assert len(result.execution.curve.equity) == len(result.candles) == 5031


def test_result_is_typed_and_cannot_be_changed() -> None:
    """A checked configuration runs as well, and every array of the result is read-only."""
    result = run(make_plan(SAMPLE).config)
    arrays = (
        result.candles.close, result.signals, result.weights, result.execution.curve.equity,
        result.execution.fills.price, result.execution.trades.pnl, result.metrics.drawdown,
    )  # fmt: skip
    assert not any(array.flags.writeable for array in arrays)


def test_double_lag() -> None:
    """What is known at the close of bar s fills at the open of bar s + 2, not before."""
    result = run(SAMPLE | {"strategy": {"params": {"fast": 1, "slow": 2}}})
    close, fills = result.candles.close, result.execution.fills
    # sma_1 and sma_2 first differ at bar 1: the signal stands at bar 2, the fill at bar 3.
    assert close[1] > close[0]
    assert result.signals[:3].tolist() == [0, 0, 1]
    assert (fills.bar[0], fills.base_price[0]) == (3, result.candles.open[3])


@pytest.mark.parametrize("stage", STAGES)
def test_cancellation_between_stages(stage: str, tmp_path: Path) -> None:
    """Asked to stop when a stage begins, a run goes no further and publishes nothing."""
    observer = Recorder()
    context = RunContext(observer=observer, cancelled=lambda: stage in observer.stages)
    with pytest.raises(RunCancelled):
        run(SAMPLE | {"indicators": [{"name": "rsi"}]}, context, tmp_path / "r")
    assert observer.stages[-1] == stage
    assert list(tmp_path.iterdir()) == []


def test_cancellation_inside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop looks at the flag between its chunks of bars."""
    monkeypatch.setattr("engine.execution.loop.CHUNK_BARS", 1000)
    observer = Recorder()
    context = RunContext(
        observer=observer, cancelled=lambda: len(observer.fractions) > STAGES.index("execution") + 3
    )
    with pytest.raises(RunCancelled):
        run(SAMPLE, context)
    assert observer.stages[-1] == "execution"


def test_identity_is_known_before_any_work() -> None:
    """A prepared run has loaded its candles and knows its hash; running it gives that hash."""
    observer = Recorder()
    prepared = prepare(SAMPLE, RunContext(observer=observer))
    assert observer.stages == ["data_loading"]
    assert prepared.execute().identity == prepared.identity


def test_warnings_reach_observer_and_result() -> None:
    """A short sample warns the observer at once and stands in the result."""
    observer = Recorder()
    result = run(SAMPLE | {"end": "1999-06-30"}, RunContext(observer=observer))
    assert [warning.code for warning in result.warnings] == ["short_sample"]
    assert list(result.warnings) == observer.warnings


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("1999-02-12", ["no trade: sma_50 has no value within the 29 bars, and may need more"]),
        (
            "1999-01-08",
            ["no trade: sma_20, sma_50 have no value within the 5 bars, and may need more"],
        ),
        ("1999-06-30", []),
    ],
)
def test_too_few_bars_for_a_trade(end: str, said: list[str]) -> None:
    """A run that its indicators leave without a trade says which of them need more bars."""
    warnings = run(SAMPLE | {"end": end}).warnings
    assert [w.message for w in warnings if w.code == "no_trade"] == said


def test_too_many_bars_are_a_limit() -> None:
    """More bars than the limit end the run before any feature is computed."""
    observer = Recorder()
    with pytest.raises(LimitError, match="5,031 bars are more than the limit of 5,030"):
        run(SAMPLE, RunContext(observer=observer, limits=Limits(max_bars=5030)))
    assert observer.stages == ["data_loading"]


def test_configured_indicators_are_kept_and_shifted() -> None:
    """The indicators of the configuration are in the result, a strategy's own are not."""
    result = run(
        SAMPLE | {"indicators": [{"name": "sma", "params": {"length": 3}}, {"name": "macd"}]}
    )
    assert list(result.features) == ["sma_3", "macd_macd", "macd_macdsignal", "macd_macdhist"]
    close = result.candles.close
    assert np.isnan(result.features["sma_3"][:3]).all()
    assert result.features["sma_3"][3] == pytest.approx(close[:3].mean(), rel=1e-12)


def test_a_warm_run_reads_and_computes_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With caches a second run of the same candles neither parses them nor computes a feature."""
    caches = Caches()
    raw = SAMPLE | {"indicators": [{"name": "rsi"}]}
    cold = run(raw, RunContext(caches=caches))
    monkeypatch.setattr("engine.data.sample.SampleProvider.load", None)
    compute = TalibIndicator.compute

    def only_other_futures(self: TalibIndicator, inputs: IndicatorInput) -> Any:
        assert inputs.candles is not cold.candles
        return compute(self, inputs)

    monkeypatch.setattr(TalibIndicator, "compute", only_other_futures)
    warm = run(raw, RunContext(caches=caches))
    assert warm.candles is cold.candles
    assert warm.identity == cold.identity == run_without_caches(raw, monkeypatch)
    assert warm.features["rsi"].tobytes() == cold.features["rsi"].tobytes()
    assert warm.execution.curve.equity.tobytes() == cold.execution.curve.equity.tobytes()
    assert (len(caches.candles), len(caches.features)) == (1, 3)


def run_without_caches(raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Identity:
    monkeypatch.undo()
    return run(raw).identity


def test_split_adjustment_moves_the_prices() -> None:
    """Adjusted candles have another digest, and their closes are the adjusted ones."""
    plain, adjusted = prepare(SAMPLE), prepare(SAMPLE | {"adjust": "split_dividend"})
    assert plain.identity.run_hash != adjusted.identity.run_hash
    assert adjusted.loaded.candles.close == pytest.approx(plain.loaded.candles.close, rel=1e-6)


def test_an_indicator_that_needs_volume(tmp_path: Path) -> None:
    """An indicator over volume refuses candles without one."""
    path = tmp_path / "X_1d.csv"
    path.write_text("date,open,high,low,close\n2024-01-01,1,1,1,1\n", encoding="utf-8")
    config = {"symbol": "X", "indicators": [{"name": "obv"}]}
    with pytest.raises(DataError, match="obv needs volume, which X 1d does not have"):
        run(config, RunContext(provider=FileProvider(path)))
