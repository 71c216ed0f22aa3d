"""The calibration study's own parts, its short form, and the results of the long one."""

import importlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def calibration() -> Iterator[Any]:
    """Import the script by its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("calibration")


@pytest.fixture(scope="module")
def short(calibration: Any) -> Any:
    """Return the figures of the short form."""
    return calibration.calibrate(calibration.SHORT)["studies"]


@pytest.fixture(scope="module")
def committed() -> Any:
    """Return the results that were kept."""
    return json.loads((SCRIPTS / "calibration.json").read_text(encoding="utf-8"))


def assert_level(nulls: Any, runs: int) -> None:
    """Check that each test rejects as often as 5 % allows, and that its p-values are uniform."""
    assert set(nulls) == {"random_walk", "garch", "drift_long_only"}
    for name, figures in nulls.items():
        low, high = band(runs)
        assert figures["runs"] == runs >= 400, name
        assert figures["without_p_value"] == 0, name
        assert low <= figures["rejections"] <= high, name
        assert figures["rejections_band"] == [low, high], name
        assert figures["kolmogorov_distance"] <= 1.95 / math.sqrt(runs), name


def band(runs: int) -> tuple[int, int]:
    """Return the counts of Binomial(runs, 5 %) between its tails of 1/2000, from logarithms."""
    p = [
        math.exp(
            math.lgamma(runs + 1)
            - math.lgamma(k + 1)
            - math.lgamma(runs - k + 1)
            + k * math.log(0.05)
            + (runs - k) * math.log(0.95)
        )
        for k in range(runs + 1)
    ]
    low = next(k for k in range(runs + 1) if sum(p[: k + 1]) > 1 / 2000)
    high = next(k for k in range(runs, -1, -1) if sum(p[k:]) > 1 / 2000)
    return low, high


def assert_power(figures: Any) -> None:
    """Check power, and that the statistic is what theory says it is but for a few per cent."""
    noise = 3.29 * figures["z_deviation"] / math.sqrt(figures["runs"])
    assert figures["power"] >= 0.95
    assert figures["z_mean"] == pytest.approx(
        figures["z_expected"], abs=0.03 * figures["z_expected"] + noise
    )


def assert_error(figures: Any) -> None:
    """Check that seeds scatter as reported: 99.9 % of a deviation from that many normal values."""
    assert figures["ratio"] == pytest.approx(1.0, abs=3.29 / math.sqrt(2 * figures["seeds"]))
    assert 0.05 < figures["p_value_mean"] < 0.95


def assert_coverage(figures: Any, series: int) -> None:
    """Check the intervals of positively correlated returns against the plain thresholds."""
    assert figures["series"] == series
    assert figures["automatic"]["studentized_coverage"] >= 0.91
    assert figures["iid"]["percentile_coverage"] < 0.90
    assert figures["automatic"]["block_length_mean"] > 2 > figures["iid"]["block_length_mean"] == 1


def test_level(calibration: Any, short: Any) -> None:
    """Where there is nothing to find, the permutation rejects one run in twenty."""
    assert_level(short["permutation_null"], calibration.SHORT.null_runs)


def test_power(calibration: Any, short: Any) -> None:
    """Where the past does tell the future, the permutation rejects nearly always."""
    assert short["permutation_power"]["runs"] == calibration.SHORT.power_runs >= 100
    assert_power(short["permutation_power"])


def test_monte_carlo_error(short: Any) -> None:
    """The p-values of one run under many seeds differ as much as they say."""
    assert_error(short["p_value_error"])


def test_coverage(calibration: Any, short: Any) -> None:
    """Blocks and their own error hold the true Sharpe ratio where single bars do not."""
    assert set(short["sharpe_coverage"]) == {"0.3"}
    assert_coverage(short["sharpe_coverage"]["0.3"], calibration.SHORT.series)


def test_committed_results(calibration: Any, committed: Any) -> None:
    """The file holds the long form's figures, made with today's parameters, and all are in bounds."""
    said = {"constants": calibration.CONSTANTS, "sizes": asdict(calibration.LONG)}
    parameters = json.loads(json.dumps(said))
    assert {name: committed[name] for name in parameters} == parameters
    assert committed["command"] == "python scripts/calibration.py --json scripts/calibration.json"
    assert set(committed) == {"command", "constants", "sizes", "studies", "version"}
    long, studies = calibration.LONG, committed["studies"]
    assert (long.null_permutations, long.replicates) == (99, 999)
    assert_level(studies["permutation_null"], long.null_runs)
    assert studies["permutation_power"]["runs"] == long.power_runs
    assert_power(studies["permutation_power"])
    assert studies["p_value_error"]["seeds"] == long.seeds
    assert_error(studies["p_value_error"])
    coverage = studies["sharpe_coverage"]
    assert set(coverage) == {"0.3", "0.0", "-0.2"}
    assert_coverage(coverage["0.3"], long.series)
    for phi in ("0.0", "-0.2"):
        assert coverage[phi]["series"] == long.series >= 2000
        assert coverage[phi]["automatic"]["studentized_coverage"] >= 0.91, phi


def test_committed_text(committed: Any) -> None:
    """The file has sorted keys and two spaces, so that a new run changes only its figures."""
    text = (SCRIPTS / "calibration.json").read_text(encoding="utf-8")
    assert text == json.dumps(committed, indent=2, sort_keys=True) + "\n"


def test_both_forms_study_the_same(calibration: Any, short: Any, committed: Any) -> None:
    """The short form has the same figures under the same names, for fewer returns processes."""

    def names(figures: Any) -> Any:
        if not isinstance(figures, dict):
            return None
        return {
            name: names(value) for name, value in figures.items() if name not in ("0.0", "-0.2")
        }

    assert names(short) == names(committed["studies"])
    for sizes in (calibration.SHORT, calibration.LONG):
        assert calibration.LEVEL * (sizes.null_permutations + 1) == pytest.approx(
            max(1, round(calibration.LEVEL * (sizes.null_permutations + 1)))
        ), "or no rank has the level"


def test_what_is_printed_or_written(
    calibration: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The figures stand with the command that made them, printed or in the file that was named."""
    monkeypatch.setattr(calibration, "SHORT", calibration.Sizes(3, 19, 2, 3, (0.3,), 2, 39))
    monkeypatch.setattr(calibration.sys, "argv", ["calibration.py", "--short"])
    calibration.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["command"] == "python scripts/calibration.py --short"
    kept = tmp_path / "figures.json"
    monkeypatch.setattr(calibration.sys, "argv", ["c.py", "--short", "--json", str(kept)])
    calibration.main()
    assert capsys.readouterr().out == ""
    written = json.loads(kept.read_text(encoding="utf-8"))
    assert written.pop("command") == f"python scripts/calibration.py --short --json {kept}"
    assert written == {name: value for name, value in printed.items() if name != "command"}


def test_level_figures(calibration: Any) -> None:
    """Ranks, rejections and the distance from uniform, of p-values written down by hand."""
    even = [k / 20 for k in range(1, 21)]
    figures = calibration.level_figures([*even, None], 19)
    assert (figures["runs"], figures["without_p_value"], figures["rejections"]) == (20, 1, 1)
    assert figures["kolmogorov_distance"] == 0
    figures = calibration.level_figures([0.05, 0.05, 0.5, 1.0], 19)
    assert (figures["rejections"], figures["rejection_rate"]) == (2, 0.5)
    assert figures["kolmogorov_distance"] == pytest.approx(0.45), "0.5 of them at 0.05"


def test_the_expected_score(calibration: Any) -> None:
    """A plain simulation of sign(r_{u-2}) m_u has the z-score and deviation of the derivation."""
    rng, n = np.random.default_rng(5), 397
    z = []
    for _ in range(2000):
        moves = calibration.autoregression(rng, n + 2, calibration.MOMENTUM)
        gaps = rng.standard_normal(n + 2) / 10
        earned = np.sign(moves + gaps)[:-2] * moves[2:] + rng.standard_normal(n) / 10
        z.append(earned.mean() / earned.std() * math.sqrt(n))
    assert np.mean(z) == pytest.approx(calibration.expected_z(n), rel=0.02)
    assert np.std(z) == pytest.approx(1.25, abs=0.08)
    power = NormalDist().cdf((calibration.expected_z(n) - 1.645) / float(np.std(z)))
    assert power > 0.999


def test_markets(calibration: Any) -> None:
    """Each market has the moments that its name promises, and bars that are candles."""
    rng, n = np.random.default_rng(3), 20_000
    for make in (calibration.random_walk, calibration.garch_walk, calibration.momentum_walk):
        candles = make(rng, n)
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        moves = candles.close / candles.open - 1
        size, pairs = np.abs(moves), (moves[1:], moves[:-1])
        clustered = float(np.corrcoef(size[1:], size[:-1])[0, 1])
        phi = calibration.MOMENTUM if make is calibration.momentum_walk else 0.0
        assert np.std(moves) == pytest.approx(0.01, rel=0.1)
        assert np.corrcoef(*pairs)[0, 1] == pytest.approx(phi, abs=0.05)
        assert (clustered > 0.1) == (make is not calibration.random_walk)
