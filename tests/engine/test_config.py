"""The configuration of a run: its defaults, its times, its faults and its limits."""

import math
from typing import Any

import pytest

from engine.config import RunConfig
from engine.errors import ConfigError, LimitError
from engine.limits import Limits
from engine.plan import make_plan

DAY_MS = 86_400_000


def faults(raw: dict[str, Any], limits: Limits | None = None) -> dict[str, str]:
    """Return what is wrong with a configuration, by field."""
    with pytest.raises(ConfigError) as caught:
        make_plan({"symbol": "SPX", "provider": "sample", **raw}, limits)
    return {fault.field: fault.message for fault in caught.value.faults}


def checked(raw: dict[str, Any]) -> RunConfig:
    return make_plan({"symbol": "SPX", "provider": "sample", **raw}).config


def test_defaults_are_those_of_the_agreement() -> None:
    """A configuration of a symbol alone has every documented default written out."""
    execution = {
        "initial_cash": 100000.0,
        "fill_price": "open_next",
        "commission_per_share": 0.0,
        "commission_bps": 0.0,
        "commission_min": 0.0,
        "slippage_bps": 0.0,
        "slippage_model": None,
        "borrow_bps": 0.0,
        "zero_volume": "carry",
        "lot_size": 0.0,
        "rebalance_band": 0.0,
        "auto_flatten_end": False,
        "periods_per_year": None,
    }
    assert make_plan({"symbol": "SPX"}).config.to_json() == {
        "symbol": "SPX",
        "timeframe": "1d",
        "provider": "local",
        "start": None,
        "end": None,
        "adjust": "none",
        "calendar": None,
        "on_bad_rows": "refuse",
        "indicators": [],
        "strategy": {
            "name": "dual_sma",
            "params": {"fast": 20, "slow": 50, "threshold_bp": 0.0, "long_only": False},
        },
        "risk": {"name": "fixed_fraction", "params": {"fraction": 0.95, "max_leverage": 1.0}},
        "execution": execution,
        "risk_free_annual": 0.0,
        "validation": {
            "statistic": "sharpe",
            "permutation": None,
            "block_bootstrap": None,
            "monte_carlo": None,
            "walk_forward": None,
        },
        "plot": True,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("field", "component", "params"),
    [
        (
            "risk",
            {"name": "volatility_target"},
            {
                "target_vol": 0.15,
                "lookback": 20,
                "base_fraction": 1.0,
                "min_vol": 0.01,
                "max_leverage": 1.0,
            },
        ),
        (
            "risk",
            {"name": "kelly_fraction"},
            {
                "mode": "fixed",
                "base_fraction": 0.5,
                "p_win": 0.55,
                "payoff_ratio": 1.0,
                "lookback": 252,
                "max_leverage": 1.0,
            },
        ),
        ("strategy", {"name": "buy_and_hold"}, {}),
        ("strategy", {"params": {"fast": 5}}, {"fast": 5, "slow": 50, "threshold_bp": 0.0, "long_only": False}),
    ],
)  # fmt: skip
def test_component_defaults(field: str, component: dict[str, Any], params: dict[str, Any]) -> None:
    """A named component has each parameter that was left out at its documented default."""
    assert checked({field: component}).to_json()[field]["params"] == params


@pytest.mark.parametrize(
    ("name", "params"), [("spread_pct", {"spread_pct": 0.001}), ("participation_rate", {"participation_pct": 0.1})]
)  # fmt: skip
def test_slippage_model_defaults(name: str, params: dict[str, Any]) -> None:
    """A slippage model without parameters takes its documented ones."""
    config = checked({"execution": {"slippage_model": {"name": name}}})
    assert config.to_json()["execution"]["slippage_model"] == {"name": name, "params": params}


def test_tests_given_empty_take_their_defaults() -> None:
    """A validation test given as an empty object has the documented values."""
    tests = ("permutation", "block_bootstrap", "monte_carlo", "walk_forward")
    config = RunConfig.model_validate({"symbol": "X", "validation": {name: {} for name in tests}})
    assert config.to_json()["validation"] == {
        "statistic": "sharpe",
        "permutation": {"n": 999, "method": "bars"},
        "block_bootstrap": {
            "n": 1999,
            "scheme": "stationary",
            "block_length": None,
            "confidence": 0.95,
        },
        "monte_carlo": {"n": 500, "sigma": 0.5, "noise_bps": None},
        "walk_forward": {"folds": 5, "in_sample_folds": 3, "anchored": False},
    }


@pytest.mark.parametrize(
    ("raw", "start", "end"),
    [
        ({"start": "2001-01-01"}, 978307200000, None),
        ({"end": "2001-01-01"}, None, 978307200000 + DAY_MS - 1),
        ({"start": "2001-01-01T10:00"}, 978343200000, None),
        ({"start": "2001-01-01T10:00:00+02:00"}, 978343200000 - 7_200_000, None),
        ({"end": "2001-01-01T10:00:00Z"}, None, 978343200000),
        ({"start": 978307200000, "end": 978307200000}, 978307200000, 978307200000),
        ({"start": "2001-01-01", "end": "2001-01-01"}, 978307200000, 978307200000 + DAY_MS - 1),
        ({"start": "1969-12-31T23:59:59.999"}, -1, None),
    ],
)
def test_times(raw: dict[str, Any], start: int | None, end: int | None) -> None:
    """A date is its first millisecond as start and its last as end; without offset it is UTC."""
    config = checked(raw)
    assert (config.start, config.end) == (start, end)


def test_written_out_configuration_is_its_own_fixed_point() -> None:
    """Checking a checked configuration again changes nothing, so that a run can be repeated."""
    raw = {
        "start": "2001-01-01",
        "end": "2010-12-31",
        "indicators": [{"name": "rsi"}, {"name": "bbands", "params": {"length": 20}}],
        "risk": {"name": "kelly_fraction", "params": {"mode": "rolling"}},
        "execution": {"slippage_model": {"name": "spread_pct"}, "lot_size": -0.0},
    }
    once = checked(raw).to_json()
    assert make_plan(once).config.to_json() == once
    assert math.copysign(1, once["execution"]["lot_size"]) == 1


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        ({"symbol": "a/b"}, "symbol", "should be 1 to 64 letters (A to Z, a to z), digits, dots"),
        ({"symbol": 5}, "symbol", "valid string"),
        ({"timeframe": "2h"}, "timeframe", "should be '1m'"),
        ({"provider": "sampel"}, "provider", "did you mean 'sample'"),
        ({"seed": 2**53}, "seed", "less than or equal to 9007199254740991"),
        ({"seed": True}, "seed", "valid integer"),
        ({"seed": 20.0}, "seed", "valid integer"),
        ({"seed": "1"}, "seed", "valid integer"),
        ({"start": "yesterday"}, "start", "not an ISO-8601 date or time, such as 2024-01-31 or"),
        ({"start": "0999-12-31"}, "start", "should be a time from 1000-01-01 to 9000-01-01"),
        ({"end": 221_845_392_000_001}, "end", "should be a time from 1000-01-01 to 9000-01-01"),
        ({"start": "2002-01-01", "end": "2001-01-01"}, "end", "must not be before start"),
        ({"start": 978307200001, "end": 978307200000}, "end", "must not be before start"),
        ({"start": 1.5}, "start", "valid integer"),
        ({"plot": 1}, "plot", "valid boolean"),
        ({"adjust": "all"}, "adjust", "'none' or 'split_dividend'"),
        ({"risk_free_annual": -1}, "risk_free_annual", "greater than -1"),
        ({"colour": 1}, "colour", "unknown field"),
        ({"": 1}, "", "a field without a name"),
        ({"executoin": {}}, "executoin", "did you mean 'execution'"),
        ({"execution": {"slipage_bps": 1}}, "execution.slipage_bps", "did you mean 'slippage_bps'"),
        ({"execution": {"initial_cash": 0}}, "execution.initial_cash", "greater than"),
        ({"execution": {"initial_cash": math.nan}}, "execution.initial_cash", "finite number"),
        ({"execution": {"borrow_bps": math.inf}}, "execution.borrow_bps", "finite number"),
        ({"execution": {"commission_bps": "5"}}, "execution.commission_bps", "valid number"),
        ({"execution": {"commission_bps": True}}, "execution.commission_bps", "valid number"),
        ({"execution": {"slippage_bps": 10**400}}, "execution.slippage_bps", "valid number"),
        ({"execution": {"lot_size": -1}}, "execution.lot_size", "greater than or equal to 0"),
        ({"execution": {"fill_price": "close"}}, "execution.fill_price", "'open_next'"),
        ({"execution": None}, "execution", "should be an object"),
        ({"execution": {"slippage_model": {"name": "spread"}}}, "execution.slippage_model.name", "did you mean 'spread_pct'"),
        ({"execution": {"slippage_model": {"name": "spread_pct", "params": {"spread_pct": 1}}}}, "execution.slippage_model.params.spread_pct", "less than 1"),
        ({"execution": {"slippage_model": {}}}, "execution.slippage_model.name", "is required"),
        ({"strategy": {"name": "dual_smma"}}, "strategy.name", "did you mean 'dual_sma'"),
        ({"strategy": {"name": "zzz"}}, "strategy.name", "known: buy_and_hold, dual_sma"),
        ({"strategy": {"params": {"fast": 50}}}, "strategy.params.slow", "greater than fast (50)"),
        ({"strategy": {"params": {"fast": 20.0}}}, "strategy.params.fast", "valid integer"),
        ({"strategy": {"params": {"fsat": 20}}}, "strategy.params.fsat", "did you mean 'fast'"),
        ({"strategy": {"params": {"threshold_bp": math.nan}}}, "strategy.params.threshold_bp", "finite number"),
        ({"strategy": "dual_sma"}, "strategy", "should be an object"),
        ({"strategy": {"fsat": 20}}, "strategy.fsat", "unknown field; did you mean 'params.fast'?"),
        ({"strategy": {"parms": {}}}, "strategy.parms", "unknown field; did you mean 'params'?"),
        ({"risk": {"fraction": 1}}, "risk.fraction", "unknown field; did you mean 'params.fraction'?"),
        ({"risk": {"name": "kelly_fraction", "mode": "fixed"}}, "risk.mode", "did you mean 'params.mode'?"),
        ({"execution": {"slippage_model": {"name": "spread_pct", "spread_pct": 0.1}}}, "execution.slippage_model.spread_pct", "did you mean 'params.spread_pct'?"),
        ({"indicators": [{"name": "sma", "timeperiod": 5}]}, "indicators.0.timeperiod", "did you mean 'params.timeperiod'?"),
        ({"risk": {"params": {"fraction": 1.5}}}, "risk.params.fraction", "at most max_leverage (1)"),
        ({"risk": {"params": {"fraction": 0}}}, "risk.params.fraction", "greater than 0"),
        ({"risk": {"name": "kelly_fraction", "params": {"mode": "half"}}}, "risk.params.mode", "'fixed' or 'rolling'"),
        ({"risk": {"name": "volatility_target", "params": {"lookback": 1}}}, "risk.params.lookback", "greater than or equal to 2"),
        ({"indicators": [{"name": "smaa"}]}, "indicators.0.name", "did you mean 'sma'"),
        ({"indicators": [{"name": "sma"}, {"name": "sma", "params": {"length": 0}}]}, "indicators.1.params.length", "greater than or equal to 1"),
        ({"indicators": [{"name": "sma", "params": {"length": 5}}, {"name": "sma", "params": {"timeperiod": 5}}]}, "indicators.1", "same column sma_5 as indicators.0"),
        ({"indicators": {"name": "sma"}}, "indicators", "should be a list"),
        ({"validation": {"permutation": {"n": 0}}}, "validation.permutation.n", "greater than or equal to 1"),
        ({"validation": {"permutation": {"method": "trades"}}}, "validation.permutation.method", "'bars' or 'shift'"),
        ({"validation": {"block_bootstrap": {"confidence": 1}}}, "validation.block_bootstrap.confidence", "less than 1"),
        ({"validation": {"block_bootstrap": {"block_lenght": 5}}}, "validation.block_bootstrap.block_lenght", "did you mean 'block_length'"),
        ({"validation": {"walk_forward": {"folds": 1}}}, "validation.walk_forward.folds", "greater than or equal to 2"),
        ({"validation": {"monte_carlo": {"sigma": -1}}}, "validation.monte_carlo.sigma", "greater than or equal to 0"),
        ({"validation": {"statistic": "sortino"}}, "validation.statistic", "'sharpe' or 'total_return'"),
        ({"validation": {"permutations": {}}}, "validation.permutations", "did you mean 'permutation'"),
        ({"validation": {"zzz": {}}}, "validation.zzz", "known: block_bootstrap, monte_carlo, permutation, walk_forward"),
    ],
)  # fmt: skip
def test_faults_are_named(raw: dict[str, Any], field: str, words: str) -> None:
    """A fault is reported alone, under its dotted field, in words that say what is wrong."""
    found = faults(raw)
    assert list(found) == [field]
    assert words in found[field]


def test_every_fault_is_listed() -> None:
    """Faults of the envelope and of every component come together in one error."""
    found = faults(
        {
            "seed": -1,
            "strategy": {"params": {"fast": "a"}},
            "risk": {"name": "fixed"},
            "execution": {"lot_size": -1, "slippage_model": {"name": "spread_pct", "params": {"x": 1}}},
            "indicators": [{"name": "nosuch"}],
            "provider": "nowhere",
        }
    )  # fmt: skip
    assert set(found) == {
        "seed",
        "strategy.params.fast",
        "risk.name",
        "execution.lot_size",
        "execution.slippage_model.params.x",
        "indicators.0.name",
        "provider",
    }


def test_limits_are_reported_only_where_nothing_else_is_wrong() -> None:
    """Too many indicators are a limit error, but a fault elsewhere is reported first."""
    two = [{"name": "sma"}, {"name": "ema"}]
    limits = Limits(max_indicators=1)
    with pytest.raises(LimitError, match="2 are more than the limit of 1"):
        make_plan({"symbol": "SPX", "indicators": two}, limits)
    assert "seed" in faults({"indicators": two, "seed": -1}, limits)
    with pytest.raises(ConfigError) as caught:
        make_plan({"symbol": "SPX", "indicators": two, "seed": -1}, limits)
    assert not isinstance(caught.value, LimitError)


def test_limits_are_asked_before_anything_is_built() -> None:
    """Of far too many indicators the limit is told, not each that is there twice."""
    with pytest.raises(LimitError) as caught:
        make_plan({"symbol": "SPX", "indicators": [{"name": "sma"}] * 5_000})
    assert str(caught.value) == "indicators: 5000 are more than the limit of 64 (max_indicators)"


def test_checked_configuration_cannot_be_changed() -> None:
    """A configuration is frozen once it is checked."""
    config = checked({})
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 5  # type: ignore[misc]  # what the test is about
