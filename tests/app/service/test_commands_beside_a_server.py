"""Commands that change something: through the server that holds the data directory, or by hand."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.data_dir import HeldError
from app.local_client import LocalClient
from app.runtime_file import RuntimeFile
from app.settings import Settings
from engine.data import store
from engine.errors import ConfigError, StudioError

Server = Any
Studio = Callable[..., Any]


@pytest.fixture
def user_mask() -> Iterator[int]:
    """Give the process the mask that most users have."""
    before = os.umask(0o022)
    yield 0o022
    os.umask(before)


def preset(tmp_path: Path, config: Any, name: str = "mine") -> Path:
    path = tmp_path / "preset.json"
    path.write_text(json.dumps({"name": name, "config": config}), encoding="utf-8")
    return path


def test_presets_without_a_server(studio: Studio, tmp_path: Path) -> None:
    """Presets are kept, listed, exported and imported again where no server runs."""
    assert "There are no presets" in studio("presets", "list").out
    assert studio("presets", "import", preset(tmp_path, {"seed": 3})).code == 0
    assert '{"seed": 3}' in studio("presets", "list").out
    listed = json.loads(studio("presets", "list", "--json").out)["presets"]
    assert [(each["name"], each["config"]) for each in listed] == [("mine", {"seed": 3})]
    assert json.loads(studio("presets", "export", "mine").out) == {
        "name": "mine", "config": {"seed": 3}
    }  # fmt: skip
    kept = studio("presets", "export", "mine", "--out", "-").out
    assert studio("presets", "export", "mine", "--out", "kept.json").code == 0
    assert (tmp_path / "kept.json").read_text(encoding="utf-8") == kept
    assert not (tmp_path / "-").exists()
    assert studio("presets", "export", "mine", "--out", "kept.json").code == 2
    assert studio("presets", "import", "kept.json", "--name", "again").code == 0
    assert len(json.loads(studio("presets", "list", "--json").out)["presets"]) == 2


def test_a_damaged_database_is_told(studio: Studio, tmp_path: Path) -> None:
    """Where the command sets the database aside it says so, as a server does."""
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/studio.db").write_bytes(b"rubbish" * 1000)
    ended = studio("presets", "import", preset(tmp_path, {"seed": 3}))
    (aside,) = (tmp_path / "data").glob("studio.db.corrupt-*")
    assert (ended.code, ended.out) == (0, "The preset mine is kept.\n")
    assert f"studio: The database was damaged; it lies beside its new one as {aside.name}." in (
        ended.err
    )
    assert studio("presets", "import", preset(tmp_path, {"seed": 3})).err == ""


def test_what_commands_write_is_private(
    studio: Studio, candles: Path, tmp_path: Path, user_mask: int
) -> None:
    """The data directory and all in it is closed to others; a file elsewhere is the user's own."""
    (tmp_path / "data").mkdir()
    told = "studio: The data directory was open to other users of this machine; it is now closed"
    assert studio("import", candles).err.startswith(told)
    assert studio("presets", "import", preset(tmp_path, {"seed": 3})).err == ""
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert studio("presets", "export", "mine", "--out", "kept.json").code == 0
    assert stat.S_IMODE((tmp_path / "kept.json").stat().st_mode) == 0o666 & ~user_mask
    assert os.umask(user_mask) == user_mask


def test_presets_keep_to_the_settings(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preset that asks for more than the settings allow is refused without a server too."""
    monkeypatch.setenv("STUDIO_MAX_INDICATORS", "0")
    ended = studio("presets", "import", preset(tmp_path, {"indicators": [{"name": "sma"}]}))
    assert (ended.code, ended.err) == (
        2,
        "studio: indicators: 1 are more than the limit of 0 (max_indicators)\n",
    )


def test_presets_through_a_server(server: Server, studio: Studio, tmp_path: Path) -> None:
    """While a server runs it keeps what the command brings, and the command reads what it keeps."""
    place = ("--data-dir", server.data_dir)
    assert studio("presets", "import", preset(tmp_path, {"seed": 4}), *place).code == 0
    assert server.get("/presets/mine").json["config"] == {"seed": 4}
    assert json.loads(studio("presets", "export", "mine", *place).out)["config"] == {"seed": 4}
    bare = tmp_path / "bare.json"
    bare.write_text('{"seed": 5}', encoding="utf-8")
    assert studio("presets", "import", bare, "--name", "bare", *place).code == 0
    assert server.get("/presets/bare").json["config"] == {"seed": 5}


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ({"seed": 3}, None, "preset.json is a configuration; name the preset with --name"),
        ({"seed": 3}, "nul", "name: should be"),
        ({"config": {}}, None, "name: is required"),
        ({"name": "a", "config": {}, "more": 1}, "b", "more: unknown field"),
        ({"name": "a", "seed": 3}, "b", "name: unknown field"),
        ({}, None, "preset.json is a configuration; name the preset with --name"),
    ],
)
def test_what_is_no_preset(
    studio: Studio, tmp_path: Path, content: Any, name: str | None, words: str
) -> None:
    """A file that is not {name, config}, and no configuration either, is told by its own fault."""
    (tmp_path / "preset.json").write_text(json.dumps(content), encoding="utf-8")
    ended = studio("presets", "import", "preset.json", *(("--name", name) if name else ()))
    assert (ended.code, ended.out, ended.err.startswith(f"studio: {words}")) == (2, "", True)


@pytest.mark.parametrize("beside", [False, True])
def test_what_cannot_be_kept(serve: Any, studio: Studio, tmp_path: Path, *, beside: bool) -> None:
    """A wrong field or name is named, with and without a server; nothing is kept."""
    place: tuple[Any, ...] = ("--data-dir", tmp_path / "data")
    if beside:
        serve()
    wrong = studio("presets", "import", preset(tmp_path, {"seed": -1}), *place)
    assert (wrong.code, "seed: should be greater than or equal to 0" in wrong.err) == (2, True)
    assert studio("presets", "import", preset(tmp_path, []), *place).code == 2
    assert studio("presets", "import", preset(tmp_path, {}, "nul"), *place).code == 2
    half = studio("presets", "import", preset(tmp_path, {"validation": {"x\ud800": None}}), *place)
    assert (half.code, "is half a character" in half.err) == (2, True)
    assert studio("presets", "import", tmp_path / "none.json", *place).code == 2
    assert studio("presets", "export", "mine", *place).code == 3
    assert json.loads(studio("presets", "list", "--json", *place).out) == {"presets": []}


def test_import_through_a_server(server: Server, studio: Studio, candles: Path) -> None:
    """Candles are imported by the server that holds the directory, as by the command alone."""
    place = ("--data-dir", server.data_dir)
    ended = studio("import", candles, "--calendar", "XNYS", *place)
    assert (ended.code, "Imported TEST 1d: 6 bars" in ended.out) == (0, True)
    listed = server.get("/datasets").json["datasets"][0]
    assert (listed["symbol"], listed["bars"], listed["calendar"]) == ("TEST", 6, "XNYS")
    kept = server.data_dir / "candles" / "TEST_1d.parquet"
    told = store.read_metadata(kept)
    assert (told["timezone"], told["source"]) == ("UTC", candles.name)


def test_an_import_that_the_server_refuses(
    serve: Any, studio: Studio, candles: Path, plugin: Any
) -> None:
    """What a live run uses is not replaced by the command either."""
    server = serve(plugins=(plugin.path,))
    place = ("--data-dir", server.data_dir)
    assert studio("import", candles, *place).code == 0
    body = {"symbol": "TEST", "plot": False, "strategy": {"name": "waits"}}
    server.wait_for(server.post("/runs", body).json["run_id"], "running")
    text = candles.read_text(encoding="utf-8").replace("2024-01-08,96", "2024-01-08,96.5")
    candles.write_text(text, encoding="utf-8")
    ended = studio("import", candles, *place)
    assert (ended.code, "is needed by a run as it is" in ended.err) == (3, True)
    plugin.gate.touch()


def test_the_token_is_in_a_file_of_its_own(
    serve: Any, studio: Studio, candles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands show a server the token that the setting names, and never make one of their own."""
    token_file = tmp_path / "kept-elsewhere"
    token_file.write_text("t" * 40, encoding="ascii")
    server = serve(token_file=token_file)
    place = ("--data-dir", server.data_dir)
    run_id = server.completed()["run_id"]
    commands = (
        ("import", candles, *place),
        ("presets", "import", preset(tmp_path, {"seed": 4}), *place),
        ("report", run_id, *place),
    )
    for command in commands:
        ended = studio(*command)
        assert (ended.code, f":{server.port} with another token" in ended.err) == (4, True)
        with monkeypatch.context() as environment:
            environment.setenv("STUDIO_TOKEN", "o" * 40)
            assert studio(*command).err == ended.err
        with monkeypatch.context() as environment:
            environment.setenv("STUDIO_TOKEN_FILE", str(token_file))
            assert studio(*command).code == 0
    assert not (server.data_dir / "token").exists()


def test_refusals_mean_the_same_beside_a_server(
    server: Server, studio: Studio, candles: Path, tmp_path: Path
) -> None:
    """What a server refuses ends a command as its own refusal would: a wrong name, wrong data."""
    place = ("--data-dir", server.data_dir)
    assert studio("import", candles, *place).code == 0
    for where in (place, ("--data-dir", tmp_path / "other")):
        assert studio("import", candles, "--symbol", "con", *where).code == 2
        assert studio("import", candles, *where).code == 0
        ended = studio("import", candles, "--symbol", "Test", *where)
        assert (ended.code, "differs only in case" in ended.err) == (3, True)
    holder = RuntimeFile(f"http://127.0.0.1:{server.port}", 1, "0", "x")
    client = LocalClient(Settings(data_dir=server.data_dir), HeldError("held", holder))
    with pytest.raises(ConfigError, match=r"symbol: should be .*no device's name"):
        client.put_file("/datasets/com9/1d", {}, candles)


def test_a_holder_that_cannot_be_asked(tmp_path: Path) -> None:
    """One that is no server, or has gone, is said to be what it is."""
    (tmp_path / "token").write_text("t" * 40, encoding="ascii")
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(HeldError, match="held by"):
        LocalClient(settings, HeldError("held by another"))
    gone = RuntimeFile("http://127.0.0.1:9", 1, "0", "x")
    client = LocalClient(settings, HeldError("held", gone))
    with pytest.raises(StudioError, match="does not answer"):
        client.call("POST", "/presets", {})
