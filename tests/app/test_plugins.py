"""Plugins in a run: those of the page, their place in its hash, and what they may not return."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugin_sources import COMPONENTS, SAMPLE, STRATEGY, TEST, Studio, forget

from app.backtests import check_partial
from engine.artifacts import summary_document
from engine.errors import ConfigError, PluginError
from engine.identity import json_bytes
from engine.limits import Limits
from engine.pipeline import run
from engine.plan import make_plan
from engine.plugins import Plugin

ROOT = Path(__file__).resolve().parents[2]


def documented() -> str:
    """Return the code of docs/plugins.md, all of it as one file."""
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))


@pytest.mark.usefixtures("unload_after")
def test_documented_components_run(studio: Studio, tmp_path: Path) -> None:
    """The components of the documentation load, run together, and make the run verifiable."""
    plugin = tmp_path / "documented.py"
    plugin.write_text(documented(), encoding="utf-8")
    ended = studio(
        "run", "--plugins", plugin, "--no-plot", "--out", "r", "--set", "strategy.name=breakout",
        "--set", "strategy.params={}", "--set", "risk.name=half_after_loss", "--set", "risk.params={}",
        "--set", 'execution.slippage_model={"name": "range_share"}',
        "--set", 'indicators=[{"name": "channel"}]',
        "--set", 'validation={"coin_flip": {"n": 50}, "permutation": {"n": 9}, "other": null}',
    )  # fmt: skip
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "r/validation_summary.json").read_bytes())
    assert f"p {found['coin_flip']['p_value']:.4g}; see validation_summary.json" in ended.out
    assert set(found) == {"permutation", "coin_flip"}
    headline = json.loads((tmp_path / "r/summary.json").read_bytes())["validation"]
    assert headline["coin_flip_p_value"] == found["coin_flip"]["p_value"]
    config = json.loads((tmp_path / "r/config.json").read_bytes())["validation"]
    assert (config["coin_flip"], "other" in config) == ({"n": 50}, False)
    manifest = json.loads((tmp_path / "r/manifest.json").read_bytes())
    assert len(manifest["plugins"]) == 1
    trades = json.loads((tmp_path / "r/metrics.json").read_bytes())["metrics"]["trade_count"]
    assert trades > 50


@pytest.mark.usefixtures("unload_after")
def test_rerun_and_catalog_take_plugins(studio: Studio, tmp_path: Path) -> None:
    """A run with a plugin is made again with it; the catalogue lists what it enters."""
    plugin = tmp_path / "documented.py"
    plugin.write_text(documented(), encoding="utf-8")
    arguments = ("run", "--no-plot", "--out", "r", "--set", 'indicators=[{"name": "channel"}]')
    assert studio(*arguments, "--plugins", plugin).code == 0
    forget()  # as a new process would find them
    without = studio("verify", "r", "--rerun")
    assert (without.code, "unknown indicator 'channel'" in without.err) == (2, True)
    assert studio("verify", "r", "--rerun", "--plugins", plugin).code == 0
    forget()
    listed = json.loads(studio("catalog", "--json", "--plugins", plugin).out)
    (breakout,) = (item for item in listed["strategies"] if item["name"] == "breakout")
    assert breakout["defaults"] == {"length": 20}
    assert breakout["params"]["properties"]["length"]["minimum"] == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ValidationReport({'x': float('nan')})", "the validation test odd must return a report"),
        ("ValidationReport({'x': subject})", "the validation test odd must return a report"),
        ("{'x': 1}", "the validation test odd must return a report"),
        ("ValidationReport([1])", "the validation test odd must return a report"),
        ("ValidationReport({}, 5)", "the validation test odd must return a report"),
        ("ValidationReport({}, {}, ('late',))", "the validation test odd must return a report"),
        ("ValidationReport({}, {}, None)", "the validation test odd must return a report"),
        ("1 / 0", r"mine.py, line 11: ZeroDivisionError"),
    ],
)
def test_a_plugins_test_returns_json(load: Callable[[str], Plugin], body: str, words: str) -> None:
    """What is not JSON, or not finite, never becomes a result."""
    load(TEST.replace("BODY", body))
    with pytest.raises(PluginError, match=words):
        run(SAMPLE | {"validation": {"odd": {}}})


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"odd": {"n": 1}}, "validation.odd.n: unknown field"),
        ({"odd": 5}, "validation.odd"),
        ({"od": {}}, "validation.od: unknown validation test 'od'; did you mean 'odd'"),
    ],
)
def test_a_plugins_test_is_checked(
    load: Callable[[str], Plugin], chosen: dict[str, Any], words: str
) -> None:
    """The parameters of a plugin's test are checked like all others."""
    load(TEST.replace("BODY", "None"))
    with pytest.raises(ConfigError, match=re.escape(words)):
        make_plan(SAMPLE | {"validation": chosen})


def test_a_plugins_test_is_part_of_the_hash(load: Callable[[str], Plugin]) -> None:
    """The file of a test that runs is part of the run's hash, and of its limits."""
    plugin = load(TEST.replace("BODY", "ValidationReport({'x': 1}, {'permutation_p_value': 0})"))
    result = run(SAMPLE | {"validation": {"odd": {}, "permutation": {"n": 3}}})
    assert result.identity.plugins == (plugin.sha256,)
    p = result.validation["permutation"].document["p_value"]
    assert summary_document(result)["validation"] == {"permutation_p_value": p}
    assert run(SAMPLE | {"validation": {"odd": None}}).identity.plugins == ()


def test_plugin_code_is_part_of_the_hash(load: Callable[[str], Plugin]) -> None:
    """A changed plugin gives another run hash, but only to runs that use it."""
    source = STRATEGY.replace("BODY", "np.ones(len(view.candles), dtype=int)")
    raw = SAMPLE | {"strategy": {"name": "mine"}}
    plain = run(SAMPLE).identity
    first = load(source)
    one = run(raw).identity
    assert one.plugins == (first.sha256,)
    assert run(SAMPLE).identity == plain
    first.unload()
    second = load(source + "# changed\n")
    two = run(raw).identity
    assert two.plugins == (second.sha256,)
    assert two.run_hash != one.run_hash
    # What stays for the fixture to take out is entered once.
    first.components.clear()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("view.features['none']", r"mine.py, line 12: KeyError: 'none'"),
        ("1 / 0", r"mine.py, line 12: ZeroDivisionError: division by zero"),
        ("np.ones(3)", "the strategy mine must return -1, 0 or \\+1 for each bar"),
        ("np.full(len(view.candles), 2)", "must return -1, 0 or \\+1"),
        ("np.full(len(view.candles), 0.5)", "must return -1, 0 or \\+1"),
        ("np.full(len(view.candles), np.nan)", "must return -1, 0 or \\+1"),
        ("np.full(len(view.candles), 'x')", "must return -1, 0 or \\+1"),
        ("None", "must return -1, 0 or \\+1"),
        ("[[1], [1, 2]]", "must return -1, 0 or \\+1"),
        ("view.candles.close.fill(0)", "line 12: ValueError: assignment destination is read-only"),
        ("view.candles.secret", "line 12: AttributeError: secret"),
    ],
)
def test_errors_of_a_plugin_are_its_own(
    load: Callable[[str], Plugin], body: str, words: str
) -> None:
    """An error ends the run with the plugin's file and line, a wrong result with what was due."""
    load(STRATEGY.replace("BODY", body))
    with pytest.raises(PluginError, match=words):
        run(SAMPLE | {"strategy": {"name": "mine"}})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"indicators": [{"name": "short"}]}, "the indicator short must return one number"),
        ({"risk": {"name": "negative"}}, "the sizing model negative must return a finite size"),
        ({"execution": {"slippage_model": {"name": "two"}}}, "the slippage model two must return"),
    ],
)
def test_wrong_results_of_components(
    load: Callable[[str], Plugin], raw: dict[str, Any], words: str
) -> None:
    """A component that returns what it may not return is named."""
    load(COMPONENTS)
    with pytest.raises(PluginError, match=words):
        run(SAMPLE | raw)


INDICATOR = {"indicators": [{"name": "short"}]}
SIZING = {"risk": {"name": "negative"}}
SLIPPAGE = {"execution": {"slippage_model": {"name": "two"}}}
SPECS = "must return a list of FeatureSpec"


@pytest.mark.parametrize(
    ("raw", "due", "given", "words"),
    [
        (INDICATOR, '{"": np.ones(2)}', "np.ones(2)", "indicator short must return a dictionary"),
        (INDICATOR, '{"": np.ones(2)}', "{5: np.ones(2)}", "indicator short must return a dict"),
        (INDICATOR, "np.ones(2)}", "[[1], [1, 2]]}", "indicator short must return one number"),
        (INDICATOR, "np.ones(2)}", "inputs.candles.close.astype(str)}", "must return one number"),
        (SIZING, "return []", "return 5", f"of the sizing model negative {SPECS}"),
        (SIZING, "return []", "return ['sma']", f"of the sizing model negative {SPECS}"),
        (SIZING, "return []", "return [FeatureSpec(5)]", f"of the sizing model negative {SPECS}"),
        (SIZING, "return []", "return [FeatureSpec('sma', 5)]", f"model negative {SPECS}"),
        (SIZING, "np.full(len(view.signals), -1.0)", "[[1], [1, 2]]", "must return a finite size"),
        (SLIPPAGE, "SlippageCoefficients(np.ones(2), np.ones(2))", "None",
         "the slippage model two must return SlippageCoefficients"),
        (SLIPPAGE, "np.ones(2), np.ones(2)", "5, None", "the slippage model two must return fin"),
    ],
)  # fmt: skip
def test_wrong_types_of_results(
    load: Callable[[str], Plugin], raw: dict[str, Any], due: str, given: str, words: str
) -> None:
    """What a component returns instead of arrays or features is its mistake, told by name."""
    source = COMPONENTS.replace("import indicators", "import FeatureSpec, indicators")
    load(source.replace(due, given))
    with pytest.raises(PluginError, match=words):
        run(SAMPLE | raw)


def test_a_strategy_that_lists_no_features(load: Callable[[str], Plugin]) -> None:
    """What a strategy reads is a list of FeatureSpec, also where a configuration is only checked."""
    load(STRATEGY.replace("BODY", "1").replace("return []", "return ['sma']"))
    with pytest.raises(PluginError, match=rf"features\(\) of the strategy mine {SPECS}"):
        check_partial({"strategy": {"name": "mine"}}, Limits())


def test_whole_numbers_as_coefficients(load: Callable[[str], Plugin]) -> None:
    """Coefficients may be any numbers, one a bar: lists and whole numbers too."""
    given = "SlippageCoefficients([0] * len(candles), np.zeros(len(candles), int))"
    source = COMPONENTS.replace("SlippageCoefficients(np.ones(2), np.ones(2))", given)
    load(source)
    assert (run(SAMPLE | SLIPPAGE).execution.fills.slippage == 0).all()


def test_values_inside_parameters(load: Callable[[str], Plugin]) -> None:
    """A negative zero in a list is 0 too, so that runs of one hash have one text."""
    params = "class Levels(Params):\n    levels: list[float] = []\n\n@strategies"
    source = STRATEGY.replace("@strategies", params).replace('"mine", Params', '"mine", Levels')
    load(source.replace("BODY", "1"))
    chosen = [{"name": "mine", "params": {"levels": [zero, 1.0]}} for zero in (0.0, -0.0)]
    texts = [json_bytes(make_plan(SAMPLE | {"strategy": x}).config.to_json()) for x in chosen]
    assert texts[0] == texts[1]


def test_a_name_with_a_dollar_is_drawn(load: Callable[[str], Plugin], tmp_path: Path) -> None:
    """A name that mathematics could be read into is drawn as it is."""
    load(STRATEGY.replace('"mine"', r'r"a$\frac$b"').replace("BODY", "np.ones(len(view.candles))"))
    run(SAMPLE | {"plot": True, "strategy": {"name": r"a$\frac$b"}}, out=tmp_path / "r")
    assert (tmp_path / "r/plot.png").is_file()


@pytest.mark.usefixtures("unload_after")
def test_what_a_plugin_prints(studio: Studio, tmp_path: Path) -> None:
    """It does not come into what is to be read as JSON, which is summary.json alone."""
    plugin = tmp_path / "talks.py"
    body = "np.ones(len(view.candles), dtype=int) if print('in a run') is None else None"
    plugin.write_text("print('loaded')\n" + STRATEGY.replace("BODY", body), encoding="utf-8")
    ended = studio(
        "run", "--plugins", plugin, "--no-plot", "--json", "--out", "r", "--set", "strategy=mine",
        "--set", "validation={}",
    )  # fmt: skip
    assert ended.out == (tmp_path / "r/summary.json").read_text(encoding="utf-8")
    assert {"loaded", "in a run"} <= set(ended.err.splitlines())
