"""What the service asks of the engine: who a run would be, and to run it.

Everything heavy is imported here, and this module only on threads that no request waits for.
May be used from any thread.
"""

import dataclasses
import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from app import chart_data
from app.belief import told, verdict
from app.catalog import whole_catalog
from app.data_dir import RUN_ID
from app.datasets import (
    ImportFile,
    check_dataset_name,
    check_import,
    datasets_document,
    delete_dataset,
    import_file,
    own_provider,
)
from app.executor import Surroundings
from app.replicates import mapper_for
from app.report import make_report
from app.report_files import MALFORMED, NOT_OURS, read_validation
from app.run_job import RunJob
from app.run_records import figures
from app.settings import Settings
from app.strict_json import compact
from app.transitions import Claimed, NewRun
from engine.artifacts import verify
from engine.artifacts.manifest import MANIFEST
from engine.artifacts.views import csv_pieces, json_pieces
from engine.caches import MEGABYTE, BoundedCache, Caches
from engine.data import ReadOptions
from engine.errors import ConfigError, Fault, LimitError, VerificationError, faults_from
from engine.execution import load_kernel
from engine.limits import Limits
from engine.pipeline import PreparedRun, RunContext, prepare
from engine.plan import beyond_limits, make_plan
from engine.plugins import load_plugins, plugin_errors

# Enough for the candles of the largest run; features are cheap to make again.
CANDLES_MB, FEATURES_MB = 256, 16


class Backtests:
    """The engine with one set of plugins, caches and threads for all runs of the process."""

    def __init__(self, settings: Settings) -> None:
        load_plugins(settings.plugins)
        self._settings = settings
        self._kernel = load_kernel(settings.kernel)
        self._mapper = mapper_for(settings)
        self._caches = Caches(
            candles=BoundedCache(CANDLES_MB * MEGABYTE),
            features=BoundedCache(FEATURES_MB * MEGABYTE),
        )

    def identify(self, raw: Mapping[str, Any]) -> NewRun:
        """Return who the run of a configuration would be; its candles are loaded for that.

        Raises
            ConfigError, LimitError, DataError, PluginError
        """
        prepared = self.prepare(raw)
        identity = prepared.identity
        return NewRun(
            run_id=identity.run_id,
            run_hash=identity.run_hash,
            symbol=prepared.config.symbol,
            config=prepared.config.to_json(),
            candle_digest=identity.candle_digest,
            code_version=identity.code_version,
        )

    def prepare(self, raw: Mapping[str, Any], **surroundings: Any) -> PreparedRun:
        """Return a run whose candles are loaded; ``surroundings`` are fields of ``RunContext``."""
        context = RunContext(
            limits=self._settings.limits,
            provider=own_provider(raw, self._settings),
            kernel=self._kernel,
            caches=self._caches,
            mapper=self._mapper,
            **surroundings,
        )
        return prepare(raw, context)

    def catalog(self) -> bytes:
        """Return what a client needs to know of this program, as JSON."""
        return compact(whole_catalog()).encode()

    def candles(self, query: Mapping[str, str], limit: int) -> bytes:
        """Return the newest bars of a range; as ``chart_data.candles``."""
        return chart_data.candles(self.prepare, query, limit)

    def features(self, query: Mapping[str, str], indicators: Any, limit: int) -> bytes:
        """Return them with indicators; as ``chart_data.features``."""
        return chart_data.features(self.prepare, query, indicators, limit)

    def query_faults(self, query: Mapping[str, str], indicators: Any = ()) -> tuple[Fault, ...]:
        """Return what is wrong with a query for bars, as far as it is told without any."""
        config = chart_data.config_of(query, indicators)
        return faults_from(make_plan, config, self._settings.limits)

    def datasets(self) -> dict[str, Any]:
        """Return what there is to run on; as ``datasets_document``."""
        return datasets_document(self._settings)

    def import_file(
        self,
        path: Path,
        symbol: str,
        timeframe: str,
        said: Mapping[str, str],
        live: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> tuple[dict[str, Any], bool]:
        """Store a file's candles; as ``datasets.import_file``, for a name that one can have."""
        file = self._import(path, symbol, timeframe, said)
        return import_file(self._settings, file, live)

    def import_faults(
        self, symbol: str, timeframe: str, said: Mapping[str, str]
    ) -> tuple[Fault, ...]:
        """Return what is wrong with what is said of a file, for a name that one can have."""
        return faults_from(check_import, self._import(Path(), symbol, timeframe, said))

    def _import(
        self, path: Path, symbol: str, timeframe: str, said: Mapping[str, str]
    ) -> ImportFile:
        check_dataset_name(symbol, timeframe)
        options = ReadOptions(
            timezone=said.get("tz", "UTC"),
            date_format=said.get("date_format"),
            on_bad_rows=said.get("on_bad_rows", "refuse"),
            decimal=said.get("decimal"),
            limits=self._settings.file_limits,
        )
        calendar, source = said.get("calendar"), said.get("source", "")
        return ImportFile(path, symbol, timeframe, options, calendar, source)

    def delete_dataset(
        self, symbol: str, timeframe: str, live: Iterable[Mapping[str, Any]]
    ) -> None:
        """Remove a data set; as ``datasets.delete_dataset``."""
        delete_dataset(self._settings, symbol, timeframe, live)

    def pieces(self, form: str, table: IO[bytes]) -> Generator[bytes]:
        """Yield a Parquet table as ``csv`` or ``json``; raises as ``csv_pieces`` does."""
        return {"csv": csv_pieces, "json": json_pieces}[form](table)

    def check_partial(self, raw: Mapping[str, Any]) -> None:
        """Check a part of a configuration; as the function of this name."""
        check_partial(raw, self._settings.limits)

    def job(self, claimed: Claimed, surroundings: Surroundings, **tools: Any) -> RunJob:
        """Return an attempt at a run that a worker has taken; ``tools`` are those of ``RunJob``."""
        return RunJob(self.prepare, claimed, surroundings, **tools)

    def verified(self, folder: Path, manifest_hash: str) -> dict[str, Any]:
        """Return ``{ok, manifest_ok, files}``, with the manifest's hash compared to a known one."""
        try:
            found = None if folder.is_symlink() else verify(folder)
        except (VerificationError, OSError):
            found = None
        if found is None:
            missing = {"name": MANIFEST, "ok": False, "reason": "is missing or no manifest"}
            return {"ok": False, "manifest_ok": False, "files": [missing]}
        manifest_ok = found.manifest_ok and found.manifest["manifest_hash"] == manifest_hash
        files = [dataclasses.asdict(check) for check in found.files]
        return {"ok": found.ok and manifest_ok, "manifest_ok": manifest_ok, "files": files}

    def report(self, folder: Path, manifest_hash: str) -> bytes:
        """Return the HTML report of a run; as ``make_report``."""
        return make_report(folder, manifest_hash)[1]

    def belief(self, folder: Path, manifest_hash: str) -> dict[str, Any]:
        """Return ``{verdict, said}`` of a run: what its tests found, in words.

        Raises
            VerificationError as ``make_report``.
        """
        found = read_validation(folder, manifest_hash)
        try:
            said = [each._asdict() for each in told(found)]
            return {"verdict": verdict(found), "said": said}
        except MALFORMED as fault:
            raise VerificationError(NOT_OURS) from fault

    def close(self) -> None:
        """Give up the threads, or leave the cluster."""
        self._mapper.close()


def check_partial(raw: Mapping[str, Any], limits: Limits) -> None:
    """Check a part of a configuration: what is there, not what is missing.

    Raises
        ConfigError for a field that is unknown or wrong by itself; LimitError where nothing but
        limits is wrong; PluginError.
    """
    try:
        with plugin_errors():
            make_plan({"symbol": "X", **raw}, limits)
    except ConfigError as fault:
        wrong = [each for each in fault.faults if not _may_come_later(raw, each.field)]
        if wrong:
            only_limits = set(wrong) <= set(beyond_limits(raw, limits))
            raise (LimitError if only_limits else ConfigError)(wrong) from None


def _may_come_later(raw: Mapping[str, Any], field: str) -> bool:
    """Tell whether a request may bring a dotted field that is not there; a name may not lack."""
    *_, name = parts = field.split(".")
    if name == "name":
        return False
    value: Any = raw
    for part in parts:
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return True
    return False


def read_finished(folder: Path) -> tuple[NewRun, dict[str, Any]] | None:
    """Return who the run in a directory is and what to enter for it, None where it does not verify.

    The second are the further arguments of ``transitions.take_in``.
    """
    with suppress(VerificationError, OSError, ValueError, KeyError, TypeError):
        found = verify(folder)
        manifest = found.manifest
        run_id = manifest["run_hash"][: len(folder.name)]
        if not found.ok or folder.name != run_id or RUN_ID.fullmatch(run_id) is None:
            return None
        config = json.loads((folder / "config.json").read_bytes())
        metrics, validation = figures(json.loads((folder / "summary.json").read_bytes()))
        new = NewRun(
            run_id=folder.name,
            run_hash=manifest["run_hash"],
            symbol=config["symbol"],
            config=config,
            candle_digest=manifest["candle_digest"],
            code_version=manifest["code_version"],
        )
        finished_ts = int((folder / "manifest.json").stat().st_mtime * 1000)
        return new, {
            "finished_ts": finished_ts,
            "metrics": metrics,
            "validation": validation,
            "manifest_hash": manifest["manifest_hash"],
        }
    return None
