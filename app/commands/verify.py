"""``studio verify``: whether a run's files are what its manifest says, and can be made again."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from app.commands.run import RUNS, provider_for, read_options
from app.config_file import read_config
from app.frozen import keep_font_cache
from app.replicates import mapper_for
from app.settings import Settings, read_settings
from app.terminal import Output
from engine.artifacts import FileCheck, Verification, verify
from engine.artifacts.manifest import HASHES_DISAGREE
from engine.code import code_version
from engine.errors import VerificationError
from engine.execution import load_kernel
from engine.pipeline import PreparedRun, RunContext, prepare
from engine.plugins import load_plugins


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
        VerificationError where anything does not match.
    """
    settings = read_settings({"data_dir": request.data_dir, "plugins": request.plugins or None})
    folder = find_run(request.run_or_dir, settings)
    verification = verify(folder)
    console = Output()
    for check in verification.files:
        _say(console, check, "as the manifest says")
    if not verification.ok:
        raise VerificationError(_failures(folder, verification))
    if request.rerun:
        keep_font_cache(settings.data_dir)
        load_plugins(settings.plugins)
        for check in _rerun(folder, request, settings, verification):
            _say(console, check, "the same bytes again")
            if not check.ok:
                message = f"{check.name} came out different when the run was made again"
                raise VerificationError(message)
    done = "and running it again gave the same bytes" if request.rerun else "and the manifest holds"
    console.print(Text(f"Verified: {len(verification.files)} files, {done}.", style="bold green"))


def find_run(run_or_dir: str, settings: Settings) -> Path:
    """Return the directory of a run, named by its path or by its id.

    Raises
        VerificationError where there is none.
    """
    path = Path(run_or_dir)
    if not is_folder(path) and path.name == run_or_dir:
        for runs in (RUNS, settings.data_dir / "runs"):
            if is_folder(runs / run_or_dir):
                return runs / run_or_dir
    if not is_folder(path):
        message = f"there is no run {run_or_dir}"
        raise VerificationError(message)
    return path


def is_folder(path: Path) -> bool:
    """Tell whether there is such a directory; a name that is too long for one is nobody's."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _say(console: Output, check: FileCheck, praise: str) -> None:
    style, word = ("green", "ok") if check.ok else ("bold red", "FAILED")
    line = Text(f"{word:<7}", style=style)
    line.append(f"{check.name:<20} {praise if check.ok else check.reason}", style="default")
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
    provider = provider_for(raw, request.candles, read_options(request), settings)
    with closing(mapper_for(settings)) as mapper:
        context = RunContext(
            limits=settings.limits,
            provider=provider,
            kernel=load_kernel(settings.kernel),
            mapper=mapper,
        )
        return _compared(folder, prepare(raw, context), manifest)


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
