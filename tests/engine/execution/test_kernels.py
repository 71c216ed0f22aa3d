"""The loop's two guises, its chunks, and what it refuses."""

from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.config import Component, ExecutionConfig
from engine.errors import ConfigError, DataError, RunCancelled
from engine.execution import load_kernel, loop as bar_loop, simulate
from engine.execution.slippage import slippage_models
from engine.kernels import is_compiled, kernel_choice
from engine.records import Candles, Execution

Weights = np.ndarray[tuple[int], np.dtype[np.float64]]
SEEDS = range(40)


def random_candles(rng: np.random.Generator, n: int) -> Candles:
    ratios = (
        1 + rng.normal(0, 0.03, n) + rng.choice([0, 0, 0, 0.5, -0.4], n) * (rng.random(n) < 0.1)
    )
    close = np.maximum(50 * np.cumprod(ratios), 0.01)
    opened = close * (1 + rng.normal(0, 0.01, n))
    high = np.maximum(opened, close) * (1 + rng.random(n) * 0.02)
    low = np.minimum(opened, close) * (1 - rng.random(n) * 0.02)
    return Candles(
        "TEST",
        "1d",
        np.cumsum(rng.integers(1, 5, n)) * 86_400_000,
        opened,
        high,
        low,
        close,
        volume=700 * rng.integers(0, 6, n).astype(np.float64),
        vwap=(high + low) / 2 if rng.random() < 0.5 else None,
    )


def random_weights(rng: np.random.Generator, n: int) -> Weights:
    weights = np.repeat(rng.normal(0, 0.8, n), rng.integers(1, 4, n))[:n]
    weights[rng.random(n) < 0.2] = 0.0
    return weights


def random_config(rng: np.random.Generator) -> ExecutionConfig:
    models = (
        None,
        Component(name="spread_pct", params={"spread_pct": 0.003}),
        Component(name="participation_rate", params={"participation_pct": 0.07}),
    )
    return ExecutionConfig(
        fill_price=rng.choice(["open_next", "mid_next", "vwap_next"]).item(),
        commission_per_share=rng.choice([0.0, 0.003]).item(),
        commission_bps=rng.choice([0.0, 1.7]).item(),
        commission_min=rng.choice([0.0, 1.1]).item(),
        slippage_bps=rng.choice([0.0, 2.3]).item(),
        slippage_model=models[rng.integers(3)],
        borrow_bps=rng.choice([0.0, 333.0]).item(),
        zero_volume=rng.choice(["carry", "skip", "fill"]).item(),
        lot_size=rng.choice([0.0, 0.0, 3.0]).item(),
        rebalance_band=rng.choice([0.0, 0.2]).item(),
        auto_flatten_end=bool(rng.random() < 0.5),
    )


def run_with(
    candles: Candles,
    weights: Weights,
    config: ExecutionConfig,
    *,
    kernel: str = "auto",
    check_cancelled: Callable[[], None] = lambda: None,
) -> Execution:
    model = None
    if (chosen := config.slippage_model) is not None:
        params = slippage_models.check(chosen.name, chosen.params, "slippage_model")
        model = slippage_models.build(chosen.name, params)
    return simulate(
        candles,
        weights,
        config,
        model,
        check_cancelled=check_cancelled,
        report_progress=lambda _: None,
        kernel=load_kernel(kernel),
    )


def random_run(seed: int, kernel: str, n: int = 300) -> Execution:
    rng = np.random.default_rng(seed)
    return run_with(
        random_candles(rng, n), random_weights(rng, n), random_config(rng), kernel=kernel
    )


def all_bytes(result: Execution) -> dict[str, Any]:
    """Return every array of a result as bytes, and its warnings."""
    found: dict[str, Any] = {"warnings": result.warnings}
    for record in (result.curve, result.fills, result.trades):
        for entry in fields(record):
            array = getattr(record, entry.name)
            found[f"{type(record).__name__}.{entry.name}"] = (str(array.dtype), array.tobytes())
    return found


def flat_candles(n: int, volume: float | None = None) -> Candles:
    price = np.full(n, 10.0)
    known = None if volume is None else np.full(n, volume)
    days = np.arange(n, dtype=np.int64) * 86_400_000
    return Candles("TEST", "1d", days, price, price, price, price, volume=known)


def moving_candles(prices: list[float]) -> Candles:
    price = np.array(prices)
    days = np.arange(len(prices), dtype=np.int64) * 86_400_000
    return Candles("TEST", "1d", days, price, price, price, price)


def test_the_loop_is_compiled_and_can_be_had_interpreted() -> None:
    """The two guises that the comparison needs are really two."""
    compiled, interpreted = load_kernel("auto"), load_kernel("interpreted")
    assert isinstance(compiled, ModuleType)
    assert is_compiled(compiled)
    assert not is_compiled(interpreted)
    assert str(interpreted.__file__).endswith("kernel.py")


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "auto"), ("auto", "auto"), ("interpreted", "interpreted")]
)
def test_the_environment_chooses_the_loop(
    monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str
) -> None:
    """The compiled loop is taken unless the environment asks for the interpreted one."""
    monkeypatch.delenv("STUDIO_KERNEL", raising=False)
    if value is not None:
        monkeypatch.setenv("STUDIO_KERNEL", value)
    assert kernel_choice() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_and_interpreted_loops_give_the_same_bits(seed: int) -> None:
    """Every array and every warning is equal to the last bit."""
    compiled = random_run(seed, "auto")
    assert len(compiled.fills) > 0
    assert all_bytes(compiled) == all_bytes(random_run(seed, "interpreted"))


@pytest.mark.parametrize("chunk_bars", [1, 7, 299, 300])
@pytest.mark.parametrize("kernel", ["auto", "interpreted"])
def test_chunks_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch, kernel: str, chunk_bars: int
) -> None:
    """A run in small chunks gives the bits of a run in one piece."""
    whole = [all_bytes(random_run(seed, kernel)) for seed in range(12)]
    monkeypatch.setattr(bar_loop, "CHUNK_BARS", chunk_bars)
    assert [all_bytes(random_run(seed, kernel)) for seed in range(12)] == whole


@pytest.mark.parametrize("kernel", ["auto", "interpreted"])
def test_inputs_may_be_read_only_and_stay_as_they_are(kernel: str) -> None:
    """Read-only candles and weights are accepted and keep their bytes."""
    rng = np.random.default_rng(5)
    candles, weights = random_candles(rng, 200), random_weights(rng, 200)
    weights.flags.writeable = False
    arrays = {
        entry.name: array
        for entry in fields(candles)
        if isinstance(array := getattr(candles, entry.name), np.ndarray)
    }
    assert not any(array.flags.writeable for array in arrays.values())
    before = {name: array.tobytes() for name, array in arrays.items()}
    weight_bytes = weights.tobytes()
    result = run_with(candles, weights, random_config(rng), kernel=kernel)
    assert len(result.fills) > 0
    assert {name: array.tobytes() for name, array in arrays.items()} == before
    assert weights.tobytes() == weight_bytes


def test_the_account_that_is_returned_is_read_only() -> None:
    """No later stage can change what the simulator found."""
    result = random_run(1, "auto")
    for record in (result.curve, result.fills, result.trades):
        assert not any(getattr(record, entry.name).flags.writeable for entry in fields(record))


@pytest.mark.parametrize("kernel", ["auto", "interpreted"])
def test_a_cancelled_run_stops_inside_the_loop(
    monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    """The check is made between chunks, and what it raises reaches the caller."""
    monkeypatch.setattr(bar_loop, "CHUNK_BARS", 10)
    calls: list[int] = []

    def cancel_at_the_third() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            raise RunCancelled("asked to stop")

    with pytest.raises(RunCancelled, match="asked to stop"):
        run_with(
            flat_candles(100),
            np.ones(100),
            ExecutionConfig(),
            kernel=kernel,
            check_cancelled=cancel_at_the_third,
        )
    assert len(calls) == 3


def test_progress_rises_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is reported as fractions that rise and end at 1."""
    monkeypatch.setattr(bar_loop, "CHUNK_BARS", 10)
    seen: list[float] = []
    simulate(
        flat_candles(95),
        np.ones(95),
        ExecutionConfig(),
        None,
        check_cancelled=lambda: None,
        report_progress=seen.append,
        kernel=load_kernel("auto"),
    )
    assert seen == sorted(seen)
    assert len(seen) >= 5
    assert seen[0] >= 0
    assert seen[-1] == 1


@pytest.mark.parametrize("kernel", ["auto", "interpreted"])
@pytest.mark.parametrize(
    ("prices", "weight"),
    [
        ([1e-300, 1e-300, 1e300], 1.0),  # a long whose value overflows
        ([1e-300, 1e-300, 1e300], -1.0),  # a short that does
        ([1e-306, 1e-306, 1e-306], 1.0),  # a quantity that does
    ],
)
def test_an_account_beyond_finite_numbers_is_refused(
    prices: list[float], weight: float, kernel: str
) -> None:
    """Equity or a position that overflows is a fault of the data, never inf or NaN."""
    config = ExecutionConfig()
    with pytest.raises(DataError, match="finite"):
        run_with(moving_candles(prices), np.full(3, weight), config, kernel=kernel)


def test_a_trade_beyond_finite_numbers_is_refused() -> None:
    """A return that overflows while the equity stays finite is refused as well."""
    # 1e-120 * 1e5 / 1e-200 = 1e85 units cost 1e-115 and end at 1e285: a return of 1e400.
    with pytest.raises(DataError):
        run_with(moving_candles([1e-200, 1e-200, 1e200]), np.full(3, 1e-120), ExecutionConfig())


def test_impact_by_participation_needs_a_known_volume() -> None:
    """The fault names the field of the configuration that cannot be met."""
    config = ExecutionConfig(slippage_model=Component(name="participation_rate"))
    with pytest.raises(ConfigError) as caught:
        run_with(flat_candles(5), np.ones(5), config)
    assert [fault.field for fault in caught.value.faults] == ["execution.slippage_model"]
    assert len(run_with(flat_candles(5, volume=1e6), np.ones(5), config).fills) == 1


def test_fills_that_nobody_takes_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room for fills is that of one chunk, and begins anew whether they were taken or not."""
    monkeypatch.setattr(bar_loop, "CHUNK_BARS", 10)
    candles = random_candles(np.random.default_rng(5), 400)
    weights = np.where(np.arange(400) % 2, 0.5, -0.5)
    loop = bar_loop.BarLoop(ExecutionConfig(zero_volume="fill"), None)
    equity, unkept = np.empty(400), np.empty(0)
    held: list[int] = []

    def after_chunk(_: int) -> None:
        held.append(len(loop.tape._columns["bar"]) - loop.tape._writer.n)

    loop.run(candles, weights, (unkept, unkept, equity, unkept), after_chunk)
    assert min(held) >= 0
    assert len(held) == 40
