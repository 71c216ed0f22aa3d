"""``studio verify``: whether a run's files are what its manifest says, and can be made again."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from app.commands.run import go_with, provider_for, read_options, reading_flags
from app.config_file import read_config
from app.frozen import keep_font_cache
from app.local_runs import find_run
from app.replicates import mapper_for
from app.settings import Settings, read_settings
from app.terminal import Output
from engine.artifacts import FileCheck, Verification, verify
from engine.artifacts.manifest import HASHES_DISAGREE
from engine.code import code_version
from engine.errors import ConfigError, DatasetNotFound, Fault, VerificationError
from engine.execution import load_kernel
from engine.pipeline import PreparedRun, RunContext, prepare
from engine.plugins import LoadedPlugins, load_plugins


@dataclass(frozen=True)
class VerifyRequest:
    """What was asked for on the command line."""

    run_or_dir: str
    rerun: bool = False
    candles: Path | None = None
    timezone: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    data_dir: Path | None = None
    plugins: tuple[Path, ...] = ()


def verify_command(request: VerifyRequest) -> None:
    """Print each file's verdict.

    Raises
        ConfigError for a flag that says nothing; DataError where there is no such run;
        VerificationError where anything does not match.
    """
    _refuse_unheeded(request)
    settings = read_settings({"data_dir": request.data_dir, "plugins": request.plugins or None})
    folder = find_run(request.run_or_dir, settings)
    verification = verify(folder)
    console = Output()
    width = max((len(check.name) for check in verification.files), default=0)
    for check in verification.files:
        _say(console, check, "as the manifest says", width)
    if not verification.ok:
        raise VerificationError(_failures(folder, verification))
    if request.rerun:
        keep_font_cache(settings.data_dir)
        load_plugins(settings.plugins)
        for check in _rerun(folder, request, settings, verification):
            _say(console, check, "the same bytes again", width)
            if not check.ok:
                message = f"{check.name} came out different when the run was made again"
                raise VerificationError(message)
    done = "and running it again gave the same bytes" if request.rerun else "and the manifest holds"
    console.print(Text(f"Verified: {len(verification.files)} files, {done}.", style="bold green"))


def _refuse_unheeded(request: VerifyRequest) -> None:
    """Say which flags are for something that was not asked for."""
    what = {"--candles": request.candles, "--plugins": request.plugins}
    reading = reading_flags(request)
    again = [*(flag for flag, value in what.items() if value), *reading]
    if again and not request.rerun:
        raise ConfigError.of("", go_with(again, "--rerun"))
    if reading and request.candles is None:
        raise ConfigError.of("", go_with(reading, "--candles"))


def _say(console: Output, check: FileCheck, praise: str, width: int) -> None:
    style, word = ("green", "ok") if check.ok else ("bold red", "FAILED")
    line = Text(f"{word:<7}", style=style)
    line.append(f"{check.name:<{width}}  {praise if check.ok else check.reason}", style="default")
    console.print(line)


def _failures(folder: Path, verification: Verification) -> str:
    wrong = [f"{check.name} {check.reason}" for check in verification.files if not check.ok]
    if not verification.manifest_ok:
        wrong.insert(0, HASHES_DISAGREE)
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"{folder} does not verify: {'; '.join(wrong[:3])}{more}."


def _rerun(
    folder: Path, request: VerifyRequest, settings: Settings, verification: Verification
) -> list[FileCheck]:
    """Run the configuration again, elsewhere, and compare every file."""
    manifest = verification.manifest
    raw = read_config(folder / "config.json")
    provider = provider_for(raw, request.candles, read_options(request, settings), settings)
    with closing(mapper_for(settings)) as mapper:
        context = RunContext(
            limits=settings.limits,
            provider=provider,
            kernel=load_kernel(settings.kernel),
            mapper=mapper,
        )
        return _compared(folder, _prepared(raw, context, manifest, request), manifest)


def _prepared(
    raw: Mapping[str, Any],
    context: RunContext,
    manifest: Mapping[str, Any],
    request: VerifyRequest,
) -> PreparedRun:
    """Return the run, ready to be made again; what it lacks and a flag can give is said."""
    try:
        return prepare(raw, context)
    except DatasetNotFound as fault:
        if request.candles is not None or raw.get("provider") != "local":
            raise
        message = f"{fault}, or name the file with --candles"
        raise DatasetNotFound(message) from None
    except ConfigError as fault:
        if set(manifest["plugins"]) <= LoadedPlugins.here().sources.keys():
            raise
        hint = Fault("", "the run used a plugin; name it with --plugins")
        raise ConfigError([*fault.faults, hint]) from None


def _compared(folder: Path, prepared: PreparedRun, manifest: Mapping[str, Any]) -> list[FileCheck]:
    if prepared.identity.candle_digest != manifest["candle_digest"]:
        message = "the candles are not those of the run: their digest differs"
        raise VerificationError(message)
    if manifest["code_version"] != code_version():
        message = (
            f"the run was made by {manifest['code_version']}, this is {code_version()}: "
            "other code or libraries may give other bytes"
        )
        raise VerificationError(message)
    with tempfile.TemporaryDirectory(prefix="studio-verify-") as scratch:
        again = Path(scratch) / "again"
        prepared.execute(again)
        names = [entry["name"] for entry in manifest["files"]]
        checks = [_compare(folder / name, again / name) for name in names]
        hashes = [_manifest_hash(place) for place in (folder, again)]
    checks.append(
        FileCheck("manifest.json", ok=hashes[0] == hashes[1], reason="came out different")
    )
    return checks


def _compare(before: Path, after: Path) -> FileCheck:
    same = after.is_file() and before.read_bytes() == after.read_bytes()
    return FileCheck(before.name, ok=same, reason="came out different")


def _manifest_hash(folder: Path) -> str:
    manifest_hash: str = json.loads((folder / "manifest.json").read_bytes())["manifest_hash"]
    return manifest_hash
