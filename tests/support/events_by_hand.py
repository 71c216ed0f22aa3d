"""A run whose events a test writes itself, and the events that an answer holds."""

import json
from collections.abc import Callable
from typing import Any

from asked_runs import FAST

from app import transitions
from app.creation import create
from app.transitions import NewRun
from app.writer import Writer

RUN_ID = "ab" * 10


class ByHand:
    """A run whose every step the test takes itself, through a writer."""

    def __init__(self, writer: Writer, run_id: str = RUN_ID) -> None:
        self.writer, self.run_id, self.attempt = writer, run_id, 0
        self.queue()

    def queue(self) -> None:
        new = NewRun(self.run_id, (self.run_id * 4)[:64], "SPX", FAST, "c" * 64, "code")
        self.do(create(new, None, queue_limit=32, is_there=lambda _: True))
        claimed = self.do(transitions.claim)
        assert claimed.run_id == self.run_id
        self.attempt = claimed.attempt

    def do(self, work: Callable[..., Any]) -> Any:
        return self.writer.submit(work).result(30)

    def note(self, kind: str, n: int = 1, **fields: Any) -> None:
        work = transitions.note(self.run_id, self.attempt, kind, **fields)
        for each in [self.writer.submit(work) for _ in range(n)]:
            each.result(30)

    def complete(self) -> None:
        end = transitions.complete(
            self.run_id, self.attempt, metrics={}, validation=None, manifest_hash="d" * 64
        )
        assert self.do(end)


def data_lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]
