"""The replicates' kernel compiled and interpreted: the same bits in every figure."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine import execution
from engine.kernels import is_compiled
from engine.pipeline import RunContext
from engine.records import Candles
from engine.validation import market as market_module
from engine.validation.market import Market, PermutedMarkets, Shuffle, load_kernel
from engine.validation.resampling import Resampler, Scheme, sharpe_and_error
from engine.validation.scoring import Score

CHOICES = ("auto", "interpreted")
SERIES = ("open", "high", "low", "close", "volume", "vwap")


def never() -> None:
    pass


def both(of: Callable[[ModuleType], bytes]) -> list[bytes]:
    """Return what the two guises give."""
    return [of(load_kernel(choice)) for choice in CHOICES]


def assert_same(results: list[bytes]) -> None:
    compiled, interpreted = results
    assert len(compiled) > 0
    assert compiled == interpreted


def test_the_guises_are_two() -> None:
    """What is compared here is a compiled kernel and one that is not."""
    compiled, interpreted = (load_kernel(choice) for choice in CHOICES)
    assert is_compiled(compiled)
    assert not is_compiled(interpreted)


@pytest.mark.parametrize("n_slots", [1, 4, 60])
def test_shuffles(n_slots: int) -> None:
    """Orders of gaps and bars are the same, in one slot, in several, and with one move in each."""
    rng = np.random.default_rng(n_slots)
    slots = rng.permutation(np.arange(60) % n_slots)
    shuffle, uniforms = Shuffle.within(slots), rng.random((5, 120))
    uniforms[0] = math.nextafter(1.0, 0.0)
    uniforms[1] = 0.0

    def orders(kernel: ModuleType) -> bytes:
        made = (np.zeros((5, 60), dtype=np.int64), np.zeros((5, 60), dtype=np.int64))
        choice = "auto" if is_compiled(kernel) else "interpreted"
        shuffle.draw(uniforms, made, 4, choice, never)
        assert not made[0][4].any()  # a row that was not asked for
        for order in (made[0][0], made[1][3]):
            assert sorted(order.tolist()) == list(range(60))
            assert slots[order].tolist() == slots.tolist()
        return made[0].tobytes() + made[1].tobytes()

    assert_same(both(orders))


@pytest.mark.parametrize("shape", [{}, {"vwap": True, "move": 0.4}, {"volume": "unknown"}])
def test_rebuilt_markets(shape: dict[str, Any], candles: Callable[..., Candles]) -> None:
    """Every price of every market is the same, volume and vwap where they are known."""
    market, rng = Market(candles(90, 81, **shape), 7), np.random.default_rng(1)
    gaps, bars = (np.array([rng.permutation(82) for _ in range(3)]) for _ in range(2))

    def prices(kernel: ModuleType) -> bytes:
        room = PermutedMarkets(market, 3, "auto" if is_compiled(kernel) else "interpreted")
        room.rebuild((gaps, bars), 3, never)
        columns = [getattr(of, name) for of in room.markets.rows for name in SERIES]
        return b"".join(column.tobytes() for column in columns if column is not None)

    assert_same(both(prices))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("step", [1, 5, 16, 99, 245])
def test_steps_change_nothing(
    step: int, choice: str, candles: Callable[..., Candles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders and prices made in steps of any size are those made in one go."""
    rng, of = np.random.default_rng(step), candles(90, 83, vwap=True)
    market, shuffle = Market(of, 7), Shuffle.within(rng.integers(0, 7, 82))
    uniforms, made = rng.random((3, 164)), []
    for size in (1 << 17, step):
        monkeypatch.setattr(market_module, "KERNEL_STEP", size)
        orders = (np.zeros((3, 82), dtype=np.int64), np.zeros((3, 82), dtype=np.int64))
        shuffle.draw(uniforms, orders, 3, choice, never)
        room = PermutedMarkets(market, 3, choice)
        room.rebuild(orders, 3, never)
        prices = [getattr(each, name).tobytes() for each in room.markets.rows for name in SERIES]
        made.append(b"".join([*(order.tobytes() for order in orders), *prices]))
    assert_same(made)


def curves() -> Any:
    """Return equity curves: usual ones, still, ruined, and no longer finite."""
    rng = np.random.default_rng(2)
    equity = 1e5 * np.cumprod(1 + 0.02 * rng.standard_normal((12, 50)), axis=1)
    equity[1] = 1e5
    equity[2, 10:] = 0.0
    equity[3, 10:] = -250.0
    equity[4, 3:] = -1.0
    equity[5, 40:] = math.inf
    equity[6, 20] = math.inf
    equity[7, 20:] = math.nan
    equity[8] *= 1e300
    equity[9] = np.cumprod(np.full(50, 1.5))
    return equity


@pytest.mark.parametrize("statistic", ["sharpe", "total_return"])
@pytest.mark.parametrize("first_bar", [0, 7, 47, 48])
def test_scores_of_curves(statistic: str, first_bar: int) -> None:
    """Scores are the same of any equity curve, finite or not, and however few bars count."""
    score = Score(statistic, 1e-4, 252.0)
    assert_same(both(lambda kernel: score.of_curves(curves(), first_bar, kernel).tobytes()))


@pytest.mark.parametrize("n", [2, 3, 10, 101, 500])
def test_ratios_and_errors(n: int) -> None:
    """Sharpe ratio and error are the same, of still returns too."""
    rng = np.random.default_rng(n)
    for x in (rng.standard_normal(n), rng.standard_t(2, n) * 0.01, np.full(n, 0.01), np.zeros(n)):
        assert_same(
            both(lambda kernel, x=x: np.array(sharpe_and_error(x, kernel)).tobytes())  # type: ignore[misc]  # x is bound
        )


@pytest.mark.parametrize("name", ["stationary", "circular", "moving"])
@pytest.mark.parametrize(("n", "length"), [(2, 1.0), (3, 2.0), (40, 1.0), (40, 6.0), (97, 40.0)])
def test_bootstraps(name: str, n: int, length: float) -> None:
    """Bars and figures are the same, with a bar that loses everything or more than that too."""
    rng = np.random.default_rng(n)
    ordinary = 0.02 * rng.standard_normal(n)
    ruined = ordinary.copy()
    ruined[n // 2] = -1.3
    scheme = Scheme(name, length + (0.7 if name == "stationary" else 0.0), n)
    uniforms = rng.random((8, scheme.n_uniforms))

    def figures(kernel: ModuleType) -> bytes:
        made = b""
        for returns, logs in ((ordinary, np.log1p(ordinary)), (ruined, np.empty(0))):
            room, values = Resampler(scheme, 8, kernel), np.empty((8, 4))
            room.uniforms[:] = uniforms
            room.measure(returns, logs, 2e-4, values)
            made += room.bars.tobytes() + values.tobytes()
        return made

    assert_same(both(figures))


EVERY_TEST: dict[str, Any] = {
    "permutation": {"n": 9},
    "block_bootstrap": {"n": 30},
    "monte_carlo": {"n": 9, "noise_bps": 5.0},
    "walk_forward": {"folds": 3},
}
LEVERED = {"name": "fixed_fraction", "params": {"fraction": 12.0, "max_leverage": 20.0}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "slippage": ({}, {"execution": {"slippage_bps": 4}}, {}),
    "return": ({"vwap": True}, {"execution": {"fill_price": "vwap_next"}}, {"statistic": "total_return"}),
    "participation": (
        {"volume": "sometimes 0"},
        {"execution": {"slippage_model": {"name": "participation_rate"}, "borrow_bps": 300}},
        {"block_bootstrap": {"n": 30, "scheme": "circular", "block_length": 5}},
    ),
    "ruined": ({"move": 0.1}, {"risk": LEVERED}, {"block_bootstrap": {"n": 30, "scheme": "moving"}}),
    "shifted": ({}, {"risk_free_annual": 0.03}, {"permutation": {"n": 20, "method": "shift"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whole_runs(
    case: str, backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """The documents of whole runs are the same in both guises of all kernels."""
    shape, config, validation = CASES[case]
    written = []
    for choice in CHOICES:
        context = replace(RunContext(), kernel=execution.load_kernel(choice))
        result = backtest(
            candles(110, 82, **shape), context, validation=EVERY_TEST | validation, seed=4, **config
        )
        assert result.execution.kernel == ("compiled" if choice == "auto" else "interpreted")
        documents = {name: test.document for name, test in result.validation.items()}
        written.append(json.dumps(documents).encode())
    assert_same(written)
