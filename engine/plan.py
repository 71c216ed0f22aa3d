"""From a raw configuration to a checked one with its components built."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.config import (
    OWN_TESTS,
    Component,
    RiskComponent,
    RunConfig,
    StrategyComponent,
    ValidationConfig,
)
from engine.data import Provider, providers
from engine.data.sessions import check_calendar
from engine.errors import ConfigError, Fault, LimitError, PluginError
from engine.execution import SlippageModel, slippage_models
from engine.features import Feature, FeatureSpec, build_feature, indicators
from engine.limits import Limits
from engine.registry import UNKNOWN_FIELD, Params, Registry, faults_of, unknown
from engine.risk import Sizing, sizing_models
from engine.strategy import Strategy, strategies
from engine.validation import ValidationTest, validation_tests

# What a configuration names where it says nothing.
DEFAULTS: dict[str, str] = {
    "strategy": StrategyComponent.model_fields["name"].default,
    "risk": RiskComponent.model_fields["name"].default,
    "provider": RunConfig.model_fields["provider"].default,
}


@dataclass(frozen=True, eq=False)
class RunPlan:
    """A checked configuration and what it names.

    ``kept`` are the configured indicators; the others compute only for strategy or sizing.
    ``tests`` are the validation tests to run, in order. ``plugins`` are the SHA-256 of the plugin
    files that define any of it.
    """

    config: RunConfig
    provider: Provider
    strategy: Strategy
    sizing: Sizing
    slippage: SlippageModel | None
    kept: tuple[Feature, ...]
    strategy_features: tuple[Feature, ...]
    sizing_features: tuple[Feature, ...]
    tests: Mapping[str, ValidationTest]
    plugins: tuple[str, ...]


def make_plan(raw: Mapping[str, Any], limits: Limits | None = None) -> RunPlan:
    """Return the plan of a configuration as it was written.

    Raises
        ConfigError with every fault found, each under its dotted field; LimitError where nothing
        but limits is wrong.
    """
    faults: list[Fault] = []
    config: RunConfig | None = None
    try:
        config = RunConfig.model_validate(raw)
    except ValidationError as error:
        faults += _with_hints(raw, faults_of(error, RunConfig))
    params: dict[str, Params] = {}
    for field, registry, component in _components(raw):
        try:
            params[field] = registry.check(component.name, component.params, field)
        except ConfigError as error:
            faults += error.faults
    for name, given in _plugin_tests(raw):
        field = f"validation.{name}"
        if name not in validation_tests:
            known = {*OWN_TESTS, *validation_tests}
            faults.append(Fault(field, unknown(validation_tests.kind, name, known)))
            continue
        try:
            params[field] = validation_tests.check_params(name, given, field)
        except ConfigError as error:
            faults += error.faults
    faults += _data_faults(raw, config)
    if config is None or faults:
        raise ConfigError([*faults, *beyond_limits(raw, limits or Limits())])
    return _build(_written_out(config, params), params, limits or Limits())


def _with_hints(raw: Mapping[str, Any], faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield the faults; a parameter that stands beside ``params`` is told where it belongs."""
    known = {
        f"{field}.": list(registry.params_model(component.name).model_fields)
        for field, registry, component in _components(raw)
        if component.name in registry
    }
    for fault in faults:
        place, dot, name = fault.field.rpartition(".")
        close = difflib.get_close_matches(name, known.get(place + dot, ()), n=1)
        if fault.message == UNKNOWN_FIELD and close:
            yield Fault(fault.field, f"{UNKNOWN_FIELD}; did you mean 'params.{close[0]}'?")
        else:
            yield fault


def _data_faults(raw: Mapping[str, Any], config: RunConfig | None) -> Iterator[Fault]:
    """Yield what is wrong with where the candles come from, and whose sessions they follow."""
    provider = raw.get("provider", DEFAULTS["provider"])
    if isinstance(provider, str) and provider not in providers:
        yield Fault("provider", unknown("provider", provider, list(providers)))
    if config is not None and config.calendar is not None:
        try:
            check_calendar(config.calendar)
        except ConfigError as error:
            yield from error.faults


def _components(raw: Mapping[str, Any]) -> Iterator[tuple[str, Registry[Any], Component]]:
    """Yield every component that can be read from ``raw``, whatever else is wrong with it."""
    execution = raw.get("execution")
    listed = raw.get("indicators")
    places: list[tuple[str, Registry[Any], Any, str]] = [
        ("strategy", strategies, raw.get("strategy", {}), DEFAULTS["strategy"]),
        ("risk", sizing_models, raw.get("risk", {}), DEFAULTS["risk"]),
    ]
    if isinstance(execution, Mapping) and execution.get("slippage_model") is not None:
        model = execution["slippage_model"]
        places.append(("execution.slippage_model", slippage_models, model, ""))
    if isinstance(listed, list | tuple):
        places += [(f"indicators.{i}", indicators, item, "") for i, item in enumerate(listed)]
    for field, registry, value, default in places:
        if not isinstance(value, Mapping):
            continue
        name, given = value.get("name", default), value.get("params", {})
        if isinstance(name, str) and name and isinstance(given, Mapping):
            yield field, registry, Component.model_construct(name=name, params=dict(given))


def _plugin_tests(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the tests that are not the house's own, by name, with what stands there for each."""
    chosen = raw.get("validation")
    if isinstance(chosen, Mapping):
        for name, given in sorted(chosen.items(), key=lambda item: str(item[0])):
            if name not in ValidationConfig.model_fields and given is not None:
                yield str(name), given


def _written_out(config: RunConfig, params: Mapping[str, Params]) -> RunConfig:
    """Return the configuration with every component's parameters written out.

    An indicator keeps the parameters that were given: they name its columns, so one with its
    defaults written out would be another run with other columns.
    """
    slippage = config.execution.slippage_model
    if slippage is not None:
        slippage = _with_params(slippage, params["execution.slippage_model"].model_dump())
    tests = {name: p.model_dump() for name, p in _of(params, "validation").items()}
    return config.model_copy(
        update={
            "validation": config.validation.model_copy(update=tests),
            "strategy": _with_params(config.strategy, params["strategy"].model_dump()),
            "risk": _with_params(config.risk, params["risk"].model_dump()),
            "execution": config.execution.model_copy(update={"slippage_model": slippage}),
            "indicators": tuple(
                _with_params(item, params[f"indicators.{i}"].model_dump(exclude_unset=True))
                for i, item in enumerate(config.indicators)
            ),
        }
    )


def _of(params: Mapping[str, Params], field: str) -> dict[str, Params]:
    """Return the parameters that stand directly under ``field``, by their own name."""
    return {
        name.removeprefix(f"{field}."): p
        for name, p in params.items()
        if name.startswith(f"{field}.")
    }


def _with_params(component: Component, params: dict[str, Any]) -> Component:
    return component.model_copy(update={"params": params})


def _build(config: RunConfig, params: Mapping[str, Params], limits: Limits) -> RunPlan:
    chosen = {name: getattr(config.validation, name) for name in OWN_TESTS}
    chosen |= _of(params, "validation")
    tests = {name: test for name, test in chosen.items() if test is not None}
    _check_limits(config, tests, limits)
    kept = _kept(config)
    strategy = strategies.build(config.strategy.name, params["strategy"])
    sizing = sizing_models.build(config.risk.name, params["risk"])
    slippage = config.execution.slippage_model
    by_strategy = _read_by(strategy, f"the strategy {config.strategy.name}")
    by_sizing = _read_by(sizing, f"the sizing model {config.risk.name}")
    return RunPlan(
        config=config,
        provider=providers.build(config.provider, providers.check(config.provider, {}, "provider")),
        strategy=strategy,
        sizing=sizing,
        slippage=None
        if slippage is None
        else slippage_models.build(slippage.name, params["execution.slippage_model"]),
        kept=kept,
        strategy_features=tuple(build_feature(spec, "strategy") for spec in by_strategy),
        sizing_features=tuple(build_feature(spec, "risk") for spec in by_sizing),
        tests={name: validation_tests.build(name, test) for name, test in tests.items()},
        plugins=_plugins(config, tests, [*by_strategy, *by_sizing]),
    )


def _kept(config: RunConfig) -> tuple[Feature, ...]:
    """Return the configured indicators, built; raises ConfigError for those that cannot be."""
    faults: list[Fault] = []
    features: list[Feature] = []
    for i, item in enumerate(config.indicators):
        try:
            features.append(build_feature(FeatureSpec(item.name, item.params), f"indicators.{i}"))
        except ConfigError as error:
            faults += error.faults
    faults += _repeated(features)
    if faults:
        raise ConfigError(faults)
    return tuple(features)


def _read_by(component: Strategy | Sizing, what: str) -> list[FeatureSpec]:
    """Return what a component reads; raises PluginError where that is no list of FeatureSpec."""
    given: object = component.features()
    specs = [*given] if isinstance(given, Iterable) else None
    if specs is None or not all(map(_is_spec, specs)):
        message = f"features() of {what} must return a list of FeatureSpec"
        raise PluginError(message)
    return specs


def _is_spec(given: object) -> bool:
    said = vars(given) if isinstance(given, FeatureSpec) else {}
    return isinstance(said.get("name"), str) and isinstance(said.get("params"), Mapping)


def _plugins(
    config: RunConfig, tests: Iterable[str], read: Sequence[FeatureSpec]
) -> tuple[str, ...]:
    slippage = config.execution.slippage_model
    used = {
        strategies.source(config.strategy.name),
        sizing_models.source(config.risk.name),
        None if slippage is None else slippage_models.source(slippage.name),
        *(indicators.source(item.name) for item in config.indicators),
        *(validation_tests.source(name) for name in tests),
        *(indicators.source(spec.name) for spec in read),
    }
    return tuple(sorted(source for source in used if source is not None))


def _repeated(features: list[Feature]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for i, feature in enumerate(features):
        if feature.column in seen:
            message = f"gives the same column {feature.column} as indicators.{seen[feature.column]}"
            yield Fault(f"indicators.{i}", message)
        seen.setdefault(feature.column, i)


def _check_limits(config: RunConfig, tests: Mapping[str, Params], limits: Limits) -> None:
    replicates = {name: getattr(test, "n", 0) for name, test in tests.items()}
    faults = list(_limit_faults(len(config.indicators), replicates, limits))
    if faults:
        raise LimitError(faults)


def beyond_limits(raw: Mapping[str, Any], limits: Limits) -> Iterator[Fault]:
    """Yield where ``raw`` asks for more than the limits allow, as far as it can be read."""
    listed, chosen = raw.get("indicators"), raw.get("validation")
    tests = chosen if isinstance(chosen, Mapping) else {}
    replicates = {str(k): test.get("n") for k, test in tests.items() if isinstance(test, Mapping)}
    yield from _limit_faults(len(listed) if isinstance(listed, list) else 0, replicates, limits)


def _limit_faults(
    n_indicators: int, replicates: Mapping[str, Any], limits: Limits
) -> Iterator[Fault]:
    if n_indicators > limits.max_indicators:
        message = (
            f"{n_indicators} are more than the limit of {limits.max_indicators} (max_indicators)"
        )
        yield Fault("indicators", message)
    for name, n in replicates.items():
        if isinstance(n, int) and n > limits.max_replicates:
            message = f"{n:,} is more than the limit of {limits.max_replicates:,} (max_replicates)"
            yield Fault(f"validation.{name}.n", message)
