"""A browser's own ``EventSource``, through a proxy that adds the token which it cannot send."""

import time
from collections.abc import Callable
from typing import Any

RETRY_S = 2.0  # what the server tells a browser to wait
START = """
window.seen = [];
window.source = new EventSource(arguments[0]);
for (const type of arguments[1])
  source.addEventListener(type, event => seen.push([Number(event.lastEventId), type]));
"""
TYPES = (
    "queued", "stage", "progress", "validation_progress", "warning", "completed", "failed",
    "cancelled", "requeued",
)  # fmt: skip
CLOSED = 2


def test_an_event_source(
    serve: Callable[..., Any],
    site: Any,
    proxy: Any,
    page: Any,
    plugin: Any,
    until: Callable[..., Any],
) -> None:
    """It follows a run, comes back by itself where it was cut, and stops for good at the end."""
    origin = site().origin
    server = serve(plugins=(plugin.path,), cors_origins=[origin])
    line = proxy(server.port, server.token)
    run_id = server.new_run(strategy={"name": "waits", "params": {}})
    until(lambda: len(server.events(run_id)) >= 4)
    n = len(server.events(run_id))
    page.open(f"{origin}/blank.html")
    page.expected.append("net::ERR_")
    page.run(START, f"{line.url}/runs/{run_id}/events/stream", TYPES)
    until(lambda: len(page.run("return seen")) == n)

    line.refusing = True
    line.cut()
    plugin.gate.touch()
    server.wait_for(run_id)
    until(lambda: line.n_refused >= 1)
    line.refusing = False
    until(lambda: page.run("return source.readyState") == CLOSED)
    events = [[event.id, event.type] for event in server.events(run_id)]
    assert page.run("return seen") == events
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    resumed = [each.headers.get("Last-Event-ID") for each in line.streams()]
    assert resumed == [None, str(n), str(len(events))]
    n_asked = len(line.asked)
    time.sleep(RETRY_S + 0.5)
    assert len(line.asked) == n_asked
    assert page.run("return source.readyState") == CLOSED
