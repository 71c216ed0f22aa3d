"""Hashes: of JSON, of a run, and of the code that made it."""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import engine
from engine import code, identity
from engine.plan import make_plan
from engine.registry import Params, Registry

RAW = {"symbol": "SPX", "provider": "sample"}


def test_canonical_hash_follows_rfc_8785() -> None:
    """Keys are sorted, numbers have their shortest form, and the digest is that of these bytes."""
    value = {"b": [1.0, 1e21, 0.000001, -0.0], "a": "é"}
    text = '{"a":"é","b":[1,1e+21,0.000001,0]}'
    assert code.canonical_hash(value) == hashlib.sha256(text.encode()).hexdigest()


def test_json_artifacts_are_written_one_way() -> None:
    """Sorted keys, two spaces, shortest round-trip numbers, a final newline; never NaN."""
    written = identity.json_bytes({"b": 0.1, "a": [1, None, True]})
    assert written == b'{\n  "a": [\n    1,\n    null,\n    true\n  ],\n  "b": 0.1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity.json_bytes({"a": math.nan})


def test_run_hash_is_what_the_agreement_says() -> None:
    """The run hash is SHA-256 over schema, configuration, digest, code version and plugins."""
    config = make_plan(RAW).config
    found = identity.identify(config, "d" * 64, ("b" * 64, "a" * 64))
    whole = {
        "schema": 1,
        "config": config.to_json(),
        "candle_digest": "d" * 64,
        "code_version": code.code_version(),
        "plugins": ["a" * 64, "b" * 64],
    }
    assert found.run_hash == code.canonical_hash(whole)
    assert found.config_hash == code.canonical_hash(config.to_json())
    assert found.run_id == found.run_hash[:20]
    assert json.loads(json.dumps(whole)) == whole


def test_anything_that_decides_a_result_changes_the_hash() -> None:
    """Another seed, another digest or another way to write a value tell runs apart, or do not."""
    config = make_plan(RAW).config
    one = identity.identify(config, "0" * 64)
    assert identity.identify(make_plan(RAW | {"seed": 1}).config, "0" * 64) != one
    assert identity.identify(config, "1" * 64).run_hash != one.run_hash
    same = make_plan(RAW | {"execution": {"initial_cash": 100000, "lot_size": -0.0}}).config
    assert identity.identify(same, "0" * 64) == one


def test_code_version_names_sources_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code version changes with the engine's sources and with a library's version."""
    before = code.code_version()
    assert before.startswith(f"{engine.__version__}+")
    monkeypatch.setattr(code, "sources_digest", lambda: "other")
    code.code_version.cache_clear()
    changed = code.code_version()
    monkeypatch.undo()
    versions = dict(code.library_versions()) | {"numpy": "0"}
    monkeypatch.setattr(code, "library_versions", lambda: versions)
    code.code_version.cache_clear()
    assert len({before, changed, code.code_version()}) == 3
    monkeypatch.undo()
    code.code_version.cache_clear()
    assert code.code_version() == before


def test_library_versions_are_those_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Versions are what the libraries say of themselves, also where no folder on the path tells."""
    found = code.library_versions()
    assert found["numpy"] == np.__version__
    assert set(found) == set(code.LIBRARIES)
    monkeypatch.setattr("sys.path", [str(tmp_path / "missing"), *sys.path[::-1]])
    code.library_versions.cache_clear()
    assert code.library_versions() == found
    monkeypatch.setattr(code, "LIBRARIES", ("pytest",))
    code.library_versions.cache_clear()
    assert code.library_versions() == {"pytest": pytest.__version__}
    code.library_versions.cache_clear()


def test_registry_refuses_a_name_twice() -> None:
    """Two components of one name are a mistake in the program."""
    registry: Registry[object] = Registry("thing")
    registry.register("a", Params)(lambda params: params)
    with pytest.raises(ValueError, match="the thing 'a' is registered twice"):
        registry.register("a", Params)(lambda params: params)
    assert list(registry) == ["a"]
