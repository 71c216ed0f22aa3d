"""The documents of a run: summary, metrics, validation."""

from typing import Any

from engine.metrics import HEADLINE
from engine.records import BacktestResult, RunWarning


def summary_document(result: BacktestResult) -> dict[str, Any]:
    """Return ``summary.json``: who the run is and its headline figures."""
    identity, quality = result.identity, result.data_quality
    return {
        "run_id": identity.run_id,
        "run_hash": identity.run_hash,
        "config_hash": identity.config_hash,
        "candle_digest": identity.candle_digest,
        "code_version": identity.code_version,
        "symbol": result.config.symbol,
        "timeframe": result.config.timeframe,
        "provider": result.config.provider,
        "first_ts": int(result.candles.ts[0]),
        "last_ts": int(result.candles.ts[-1]),
        "n_bars": len(result.candles),
        "periods_per_year": {
            "value": result.periods_per_year.value,
            "origin": result.periods_per_year.origin,
        },
        "data_quality": {
            "bars": quality.bars,
            "gaps": quality.gaps,
            "zero_volume_bars": quality.zero_volume_bars,
            "volume_known": quality.volume_known,
        },
        "warnings": [_warning(warning) for warning in result.warnings],
        "metrics": {name: result.metrics.values[name] for name in HEADLINE},
        "validation": _headline(result),
        "causality": {"cuts": result.causality.cuts, "passed": result.causality.passed},
    }


def metrics_document(result: BacktestResult) -> dict[str, Any]:
    """Return ``metrics.json``: every metric, the reason of each that is null, calendar returns."""
    metrics = result.metrics
    return {
        "metrics": dict(metrics.values),
        "reasons": dict(metrics.reasons),
        "benchmark": dict(metrics.benchmark),
        "monthly_returns": dict(metrics.monthly_returns),
        "yearly_returns": dict(metrics.yearly_returns),
    }


def validation_document(result: BacktestResult) -> dict[str, Any]:
    """Return ``validation_summary.json``: what each test found, by its name."""
    return {name: dict(report.document) for name, report in result.validation.items()}


def _headline(result: BacktestResult) -> dict[str, Any]:
    """Return the figures that tell whether to believe it; a plugin's do not replace ours."""
    figures: dict[str, Any] = {}
    for report in result.validation.values():
        figures = {**report.headline, **figures}
    return figures


def _warning(warning: RunWarning) -> dict[str, Any]:
    said: dict[str, Any] = {"code": warning.code, "message": warning.message}
    return said if warning.count is None else said | {"count": warning.count}
