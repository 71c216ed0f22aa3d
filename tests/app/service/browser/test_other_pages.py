"""Pages that are none of ours, in a browser that can reach the server."""

import json
from collections.abc import Callable
from typing import Any

import pytest

FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
# What a page may try; each says how it ended.
FETCH = """
const [address, options] = arguments;
return fetch(address, options).then(answer => answer.type, fault => fault.name);
"""
FORM = """
const [action, body] = arguments, frame = document.createElement("iframe");
const form = document.createElement("form"), field = document.createElement("input");
Object.assign(frame, {name: "answer"});
Object.assign(form, {action, method: "post", enctype: "text/plain", target: "answer"});
Object.assign(field, {name: body.slice(0, -1) + ', "x": "', value: '"}'});
form.append(field);
document.body.append(frame, form);
form.submit();
"""


@pytest.mark.parametrize("tokens_are_added", [False, True])
def test_a_page_of_another_origin(
    serve: Callable[..., Any],
    site: Any,
    proxy: Any,
    page: Any,
    until: Callable[..., Any],
    *,
    tokens_are_added: bool,
) -> None:
    """It reads nothing and changes nothing, even where it has the token or a proxy adds it."""
    server = serve(cors_origins=["http://127.0.0.1:1"])
    run_id = server.completed()["run_id"]
    before = server.get("/runs").json, server.get("/datasets").json
    until(lambda: len(access(server)) >= len(server.answers))
    n_before = len(access(server))
    line = proxy(server.port, server.token if tokens_are_added else None)
    page.expected.append("net::ERR_|blocked by CORS policy|status of 40[13]|frame-ancestors")
    page.open(site().origin + "/blank.html")
    body = json.dumps(FAST | {"seed": 7})
    auth = {"Authorization": f"Bearer {server.token}"}
    kind = {"Content-Type": "application/json"}

    def fetched(path: str, **options: Any) -> Any:
        return page.run(FETCH, line.url + path, options)

    assert fetched("/runs") == "TypeError"
    assert fetched("/runs", headers=auth) == "TypeError"
    assert fetched("/runs", method="POST", headers=auth | kind, body=body) == "TypeError"
    assert fetched(f"/runs/{run_id}", method="DELETE", headers=auth) == "TypeError"
    assert fetched("/runs", method="POST", body=body) == "TypeError"
    for path in ("/runs", f"/runs/{run_id}/cancel", "/presets"):
        assert fetched(path, method="POST", mode="no-cors", body=body) in {"opaque", "TypeError"}
    n = len(line.asked)
    page.run(FORM, f"{line.url}/runs", body)
    until(lambda: [each.method for each in line.asked[n:]] == ["POST"])

    reached = [each.method for each in line.asked]
    assert "POST" in reached  # a simple request is sent, and refused
    assert "DELETE" not in reached  # another one is asked for first, and never sent
    until(lambda: len(access(server)) >= n_before + len(reached))
    told = access(server)[n_before:]
    assert {status for method, status in told if method != "GET"} == {403}
    assert (server.get("/runs").json, server.get("/datasets").json) == before
    assert server.get("/presets").json == {"presets": []}


def access(server: Any) -> list[tuple[str, int]]:
    """Return method and status of each request in the server's log."""
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [(line["method"], line["status"]) for line in lines if line["logger"].endswith("access")]
