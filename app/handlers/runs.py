"""``/runs`` and what can be done with one."""

import hashlib
import json
import re
from typing import Any

import rfc8785

from app.api_errors import ApiError
from app.creation import Key
from app.handlers.base import Handler, etag_of, to_json
from app.handlers.query import QueryHandler
from app.run_records import Selection, from_cursor
from engine.code import canonical_hash

KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")


class Runs(QueryHandler):
    """The list, and new runs."""

    def get(self) -> None:
        """Send a page of runs."""
        self.check_query()
        cursor = self.query("cursor")
        selection = Selection(
            limit=self.whole_number("limit"),
            status=self.query("status"),
            symbol=self.query("symbol"),
            after=None if cursor is None else from_cursor(cursor),
        )
        self.set_header("Cache-Control", "no-store")
        self.answer(self.services.runs.list(selection))

    async def post(self) -> None:
        """Queue a run, or say which one it is already."""
        body = self.json_body()
        created = await self.services.runs.create(body, self._key(body))
        location = f"/runs/{created.run_id}"
        self.set_header("Location", location)
        answer = {
            "run_id": created.run_id,
            "hash": created.run_hash,
            "status": created.status,
            "attempt": created.attempt,
            "reused": created.reused,
        }
        self.answer(answer, 200 if created.reused else 201)

    def _key(self, body: Any) -> Key | None:
        given = self.request.headers.get_list("Idempotency-Key")
        if not given:
            return None
        if len(given) > 1 or KEY_PATTERN.fullmatch(given[0]) is None:
            message = "Idempotency-Key should be 1 to 255 visible ASCII characters"
            raise ApiError("INVALID_IDEMPOTENCY_KEY", message)
        return Key(given[0], _body_hash(body))


def _body_hash(body: Any) -> str:
    try:
        return canonical_hash(body)
    except rfc8785.CanonicalizationError:  # a number that no configuration can hold
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Run(Handler):
    """One run."""

    def get(self, run_id: str) -> None:
        """Send the run, or that the client knows this state of it."""
        run = self.services.runs.get(run_id)
        self.answer_unless_known(run, etag_of(to_json(run)))

    async def delete(self, run_id: str) -> None:
        """Remove it."""
        await self.services.runs.delete(run_id)
        self.set_status(204)


class Cancel(Handler):
    """The end of a run before its own."""

    async def post(self, run_id: str) -> None:
        """Cancel it, or ask it to stop."""
        _, after = await self.services.runs.cancel(run_id)
        self.answer({"run_id": run_id, "status": after}, 202 if after == "cancelling" else 200)


class Verify(Handler):
    """Whether a run's files are what its manifest says."""

    async def get(self, run_id: str) -> None:
        """Send the verdict on each file."""
        self.set_header("Cache-Control", "no-store")
        self.answer(await self.services.runs.verify(run_id))
