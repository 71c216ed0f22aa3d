"""Every status that the contract knows, of every operation, with every code: each is answered."""

from collections.abc import Iterator
from typing import Any

import pytest
from asked_runs import FAST
from contract_check import declared
from contract_world import CSV, DATASET, GENERAL, NO_RUN, Act, World

from app.api_errors import STATUS
from app.candle_files import Upload
from app.contract import operation_id
from app.operations import COMMON, OPERATIONS, PRIVATE, Operation
from engine.data import LocalProvider
from engine.errors import StorageError


@pytest.fixture
def world(serve: Any, plugin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Serve with the tests' own strategies, one worker, and narrow limits."""
    server = serve(
        plugins=[plugin.path], workers=1, queue_limit=1, max_streams=1, max_bars=6_000,
        max_body=4_096, max_import_bytes=8_192,
    )  # fmt: skip
    made = World(server, plugin, monkeypatch)
    assert made.put().status == 201
    assert server.post("/presets", {"name": "mine", "config": {"seed": 1}}).status == 201
    yield made
    server.server._faults._faults.clear()
    plugin.gate.touch()


def post(world: World, headers: dict[str, str] | None = None, **changes: Any) -> Any:
    return world.server.post("/runs", FAST | changes, headers)


def cancelling(world: World) -> Any:
    assert world.call("POST", f"/runs/{world.live}/cancel").status == 202
    return post(world, **world.waits)


def queue_is_full(world: World) -> Any:
    assert world.live
    assert post(world, seed=1).status == 201
    return post(world, seed=2)


def full(act: Act) -> Act:
    def work(world: World) -> Any:
        assert world.done
        world.disk_is_full()
        return act(world)

    return work


def while_stopping(act: Act) -> Act:
    def work(world: World) -> Any:
        assert world.done
        with world.stopping():
            return act(world)

    return work


def key_again(world: World) -> Any:
    key = {"Idempotency-Key": "k"}
    assert post(world, key, seed=1).status == 201
    return post(world, key, seed=2)


def second_stream(world: World) -> Any:
    with world.server.socket() as line:
        request = f"GET /runs/{world.live}/events/stream HTTP/1.1\r\nHost: 127.0.0.1:{world.server.port}\r\nAuthorization: Bearer {world.server.token}\r\n\r\n"
        line.sendall(request.encode())
        assert b"200 OK" in line.recv(4_096)
        return world.get(f"/runs/{world.live}/events/stream")


def stream_to_the_end(world: World) -> Any:
    return world.get(f"/runs/{world.done}/events/stream")


def known(path: str) -> Act:
    def work(world: World) -> Any:
        place = path.format(done=world.done)
        return world.get(place, If_None_Match=world.get(place).headers["ETag"])

    return work


def cannot_write(world: World) -> Any:
    def fail(*_: Any) -> None:
        raise StorageError("No space is left to write the file.")

    world.patch.setattr(Upload, "write", fail)
    return world.put(content=CSV + b"2024-02-01,10,12,9,10,100\n")


def cannot_remove(world: World) -> Any:
    def fail(*_: Any) -> None:
        raise StorageError("No space is left to write the directory.")

    world.patch.setattr(LocalProvider, "remove", fail)
    return world.call("DELETE", DATASET)


def in_use(act: Act) -> Act:
    def work(world: World) -> Any:
        assert world.live
        return act(world)

    return work


def after_the_last(world: World) -> Any:
    last = world.server.events(world.done)[-1].id
    return world.get(f"/runs/{world.done}/events/stream?after_id={last}")


def with_a_panel(world: World) -> Any:
    shown: list[bool] = []
    world.server.server._services.show_panel = lambda: shown.append(True)
    answer = world.call("POST", "/panel/show")
    assert shown == [True]
    return answer


OTHER = CSV.replace(b"12,9", b"13,8")
CHART = "symbol=SPX&provider=sample&limit=2"
CASES: dict[tuple[str, int | str], Act] = {
    ("get_health", 200): lambda w: w.get("/health"),
    ("get_health", "SHUTTING_DOWN"): while_stopping(lambda w: w.get("/health")),
    ("get_runs", 200): lambda w: w.get("/runs"),
    ("get_runs", "INVALID_CURSOR"): lambda w: w.get("/runs?cursor=x"),
    ("post_runs", 201): post,
    ("post_runs", 200): lambda w: (post(w), post(w))[1],
    ("post_runs", "INVALID_JSON"): lambda w: w.call("POST", "/runs", b"{", {"Content-Type": "application/json"}),
    ("post_runs", "INVALID_IDEMPOTENCY_KEY"): lambda w: post(w, {"Idempotency-Key": "a b"}),
    ("post_runs", "DATASET_NOT_FOUND"): lambda w: post(w, symbol="NONE"),
    ("post_runs", "PRESET_NOT_FOUND"): lambda w: post(w, preset_ref="none"),
    ("post_runs", "RUN_CANCELLING"): cancelling,
    ("post_runs", "INVALID_PARAM"): lambda w: post(w, seed=-1),
    ("post_runs", "INVALID_DATA"): lambda w: post(w, start="2040-01-01"),
    ("post_runs", "LIMIT_EXCEEDED"): lambda w: post(w, validation={"permutation": {"n": 100_001}}),
    ("post_runs", "IDEMPOTENCY_KEY_REUSED"): key_again,
    ("post_runs", "QUEUE_FULL"): queue_is_full,
    ("post_runs", "SHUTTING_DOWN"): while_stopping(post),
    ("post_runs", "STORAGE_FULL"): full(lambda w: post(w, seed=3)),
    ("get_runs_run_id", 200): lambda w: w.get(f"/runs/{w.done}"),
    ("get_runs_run_id", 304): known("/runs/{done}"),
    ("get_runs_run_id", "RUN_NOT_FOUND"): lambda w: w.get(f"/runs/{NO_RUN}"),
    ("delete_runs_run_id", 204): lambda w: w.call("DELETE", f"/runs/{w.done}"),
    ("delete_runs_run_id", "RUN_NOT_FOUND"): lambda w: w.call("DELETE", f"/runs/{NO_RUN}"),
    ("delete_runs_run_id", "RUN_NOT_FINISHED"): lambda w: w.call("DELETE", f"/runs/{w.live}"),
    ("delete_runs_run_id", "STORAGE_FULL"): full(lambda w: w.call("DELETE", f"/runs/{w.done}")),
    ("post_runs_run_id_cancel", 202): lambda w: w.call("POST", f"/runs/{w.live}/cancel"),
    ("post_runs_run_id_cancel", 200): in_use(lambda w: w.call("POST", f"/runs/{post(w).json['run_id']}/cancel")),
    ("post_runs_run_id_cancel", "RUN_NOT_FOUND"): lambda w: w.call("POST", f"/runs/{NO_RUN}/cancel"),
    ("post_runs_run_id_cancel", "RUN_ALREADY_FINISHED"): lambda w: w.call("POST", f"/runs/{w.done}/cancel"),
    ("post_runs_run_id_cancel", "STORAGE_FULL"): full(lambda w: w.call("POST", f"/runs/{w.done}/cancel")),
    ("get_runs_run_id_events", 200): lambda w: w.get(f"/runs/{w.done}/events"),
    ("get_runs_run_id_events", 304): known("/runs/{done}/events"),
    ("get_runs_run_id_events", "RUN_NOT_FOUND"): lambda w: w.get(f"/runs/{NO_RUN}/events"),
    ("get_runs_run_id_events", "EVENT_ID_AHEAD"): lambda w: w.get(f"/runs/{w.done}/events", Last_Event_ID="999"),
    ("get_runs_run_id_events_stream", 200): stream_to_the_end,
    ("get_runs_run_id_events_stream", 204): after_the_last,
    ("get_runs_run_id_events_stream", "RUN_NOT_FOUND"): lambda w: w.get(f"/runs/{NO_RUN}/events/stream"),
    ("get_runs_run_id_events_stream", "EVENT_ID_AHEAD"): lambda w: w.get(f"/runs/{w.done}/events/stream?after_id=999"),
    ("get_runs_run_id_events_stream", "TOO_MANY_STREAMS"): second_stream,
    ("get_runs_run_id_events_stream", "SHUTTING_DOWN"): while_stopping(stream_to_the_end),
    ("get_runs_run_id_artifact_name", 206): lambda w: w.get(f"/runs/{w.done}/artifact/metrics.json", Range="bytes=0-9"),
    ("get_runs_run_id_artifact_name", "RANGE_NOT_SATISFIABLE"): lambda w: w.get(f"/runs/{w.done}/artifact/metrics.json", Range="bytes=999999-"),
    ("get_presets", 200): lambda w: w.get("/presets"),
    ("post_presets", 200): lambda w: w.server.post("/presets", {"name": "mine", "config": {}}),
    ("post_presets", 201): lambda w: w.server.post("/presets", {"name": "new", "config": {}}),
    ("post_presets", "INVALID_JSON"): lambda w: w.call("POST", "/presets", b"{", {"Content-Type": "application/json"}),
    ("post_presets", "INVALID_PARAM"): lambda w: w.server.post("/presets", {"name": "x"}),
    ("post_presets", "LIMIT_EXCEEDED"): lambda w: w.server.post("/presets", {"name": "x", "config": {"validation": {"permutation": {"n": 100_001}}}}),
    ("post_presets", "STORAGE_FULL"): full(lambda w: w.server.post("/presets", {"name": "x", "config": {}})),
    ("get_presets_name", 200): lambda w: w.get("/presets/mine"),
    ("get_presets_name", "PRESET_NOT_FOUND"): lambda w: w.get("/presets/none"),
    ("delete_presets_name", 204): lambda w: w.call("DELETE", "/presets/mine"),
    ("delete_presets_name", "PRESET_NOT_FOUND"): lambda w: w.call("DELETE", "/presets/none"),
    ("delete_presets_name", "STORAGE_FULL"): full(lambda w: w.call("DELETE", "/presets/mine")),
    ("post_panel_show", 204): with_a_panel,
    ("post_panel_show", "NOT_FOUND"): lambda w: w.call("POST", "/panel/show"),
    ("get_catalog", 200): lambda w: w.get("/catalog"),
    ("get_catalog", 304): known("/catalog"),
    ("get_datasets", 200): lambda w: w.get("/datasets"),
    ("put_datasets_symbol_timeframe", 200): lambda w: w.put(),
    ("put_datasets_symbol_timeframe", 201): lambda w: w.put("/datasets/OTHER/1d"),
    ("put_datasets_symbol_timeframe", "INVALID_DATA"): lambda w: w.put(content=b"nothing,of\nuse,1\n"),
    ("put_datasets_symbol_timeframe", "DATASET_NOT_FOUND"): lambda w: w.put("/datasets/con/1d"),
    ("put_datasets_symbol_timeframe", "DATASET_IN_USE"): in_use(lambda w: w.put(content=OTHER)),
    ("put_datasets_symbol_timeframe", "SHUTTING_DOWN"): while_stopping(lambda w: w.put()),
    ("put_datasets_symbol_timeframe", "STORAGE_FULL"): cannot_write,
    ("delete_datasets_symbol_timeframe", 204): lambda w: w.call("DELETE", DATASET),
    ("delete_datasets_symbol_timeframe", "DATASET_NOT_FOUND"): lambda w: w.call("DELETE", "/datasets/NONE/1d"),
    ("delete_datasets_symbol_timeframe", "DATASET_IN_USE"): in_use(lambda w: w.call("DELETE", DATASET)),
    ("delete_datasets_symbol_timeframe", "STORAGE_FULL"): cannot_remove,
}  # fmt: skip


def of_runs(path: str) -> dict[int | str, Act]:
    """Return the cases of what a completed run has."""
    return {
        200: lambda w: w.get(f"/runs/{w.done}/{path}"),
        304: known(f"/runs/{{done}}/{path}"),
        "RUN_NOT_FOUND": lambda w: w.get(f"/runs/{NO_RUN}/{path}"),
        "ARTIFACT_NOT_FOUND": lambda w: w.get(f"/runs/{w.failed}/{path}"),
        "ARTIFACT_NOT_READY": lambda w: w.get(f"/runs/{w.live}/{path}"),
    }


def of_charts(path: str) -> dict[int | str, Act]:
    """Return the cases of bars to draw."""
    year = "start=2020-01-01&end=2020-12-31"
    return {
        200: lambda w: w.get(f"{path}?{CHART}"),
        304: known(f"{path}?{CHART}"),
        "DATASET_NOT_FOUND": lambda w: w.get(f"{path}?symbol=NONE"),
        "INVALID_DATA": lambda w: w.get(f"{path}?{CHART}&start=2040-01-01"),
        "LIMIT_EXCEEDED": lambda w: w.get(
            f"{path}?symbol=SEED-1&provider=synthetic&timeframe=1m&{year}"
        ),
    }


for name, cases in {
    "get_runs_run_id_artifacts": of_runs("artifacts"),
    "get_runs_run_id_artifact_name": of_runs("artifact/metrics.json"),
    "get_runs_run_id_report": of_runs("report"),
    "get_runs_run_id_belief": of_runs("belief"),
    "get_runs_run_id_verify": of_runs("verify"),
    "get_candles": of_charts("/candles"),
    "get_features": of_charts("/features"),
}.items():
    CASES |= {(name, answer): act for answer, act in cases.items()}
del CASES["get_runs_run_id_verify", 304]

KNOWN = {(name, code or status): (name, status, code) for name, status, code in declared()}
EVERYWHERE = {*COMMON, *PRIVATE}


def test_nothing_is_left_out() -> None:
    """There is a case for each answer that the contract knows, and no other."""
    special = {key for key in KNOWN if key[1] not in EVERYWHERE}
    assert special == CASES.keys()
    assert GENERAL.keys() == EVERYWHERE


@pytest.mark.parametrize(("name", "answer"), list(CASES), ids=str)
def test_each_answer(world: World, name: str, answer: int | str) -> None:
    """Its request gets the status and the code, in the form that the contract says."""
    wanted = KNOWN[name, answer]
    got = CASES[name, answer](world)
    assert got.status == wanted[1]
    assert wanted[2] in {"", got.code if got.status >= 400 else ""}


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)
def test_what_every_operation_answers(world: World, operation: Operation) -> None:
    """Host, origin, token, query, size, encoding and our own errors are told alike everywhere."""
    for code in operation.all_codes:
        if code in EVERYWHERE:
            got = GENERAL[code](world, operation)
            assert got.status == STATUS[code]
            assert got.code == code
