"""The same configuration gives the same bytes, whatever surrounds it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.execution import load_kernel
from engine.pipeline import RunContext, run

Process = Callable[..., Any]

CONFIG: dict[str, Any] = {
    "symbol": "SPX",
    "provider": "sample",
    "start": "2005-01-01",
    "indicators": [{"name": "rsi"}, {"name": "realized_vol", "params": {"length": 10}}],
    "risk": {"name": "volatility_target"},
    "execution": {"commission_bps": 5, "slippage_model": {"name": "spread_pct"}},
    "validation": {
        "permutation": {"n": 20},
        "block_bootstrap": {"n": 40},
        "monte_carlo": {"n": 20},
        "walk_forward": {},
    },
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the manifest hash of the run in this process."""
    result = run(CONFIG, out=tmp_path_factory.mktemp("reference") / "r")
    assert result.manifest is not None
    return str(result.manifest["manifest_hash"])


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"},
        {"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "2"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "America/St_Johns"},
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "svg"},
        {"STUDIO_KERNEL": "interpreted", "PYTHONHASHSEED": "3"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2"},
        {"SOURCE_DATE_EPOCH": "1", "PYTHONOPTIMIZE": "1"},
        {"STUDIO_THREADS": "1", "PYTHONMALLOC": "debug"},
        {"STUDIO_THREADS": "8"},
    ],
    ids="-".join,
)
def test_surroundings_do_not_matter(
    process: Process, tmp_path: Path, reference: str, environment: dict[str, str]
) -> None:
    """Time zone, locale, hash seed, threads, directory, settings of libraries, kernel: one hash."""
    somewhere = tmp_path / "some where else"
    somewhere.mkdir()
    # A user's own matplotlib settings lie in the working directory.
    (somewhere / "matplotlibrc").write_text(
        "figure.dpi: 31\nfont.size: 20\ntimezone: Asia/Tokyo\n", encoding="utf-8"
    )
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    ended = process("run", config, "--out", "r", cwd=somewhere, **environment)
    assert ended.code == 0, ended.err
    manifest = json.loads((somewhere / "r/manifest.json").read_bytes())
    assert manifest["manifest_hash"] == reference
    interpreted = environment.get("STUDIO_KERNEL") == "interpreted"
    assert manifest["environment"]["kernel"] == ("interpreted" if interpreted else "compiled")


def test_threads_do_not_matter(tmp_path: Path, reference: str) -> None:
    """Runs at the same time in several threads give the same bytes as one alone."""
    hashes: list[str] = []

    def work(number: int) -> None:
        context = RunContext(kernel=load_kernel("interpreted" if number % 2 else "auto"))
        result = run(CONFIG, context, tmp_path / str(number))
        assert result.manifest is not None
        hashes.append(result.manifest["manifest_hash"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hashes == [reference] * 4


def test_no_artifact_tells_when_or_where(tmp_path: Path, reference: str) -> None:
    """No file but the manifest's environment says anything of the machine, the place or the time."""
    result = run(CONFIG, out=tmp_path / "telltale")
    assert result.manifest is not None
    assert result.manifest["manifest_hash"] == reference
    for path in (tmp_path / "telltale").iterdir():
        assert b"telltale" not in path.read_bytes(), path.name
        assert str(Path.home()).encode() not in path.read_bytes(), path.name
