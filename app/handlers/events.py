"""``/runs/{id}/events``: what has happened, at once; ``…/events/stream``: and what will."""

import asyncio
import json

from tornado.iostream import StreamClosedError

from app.api_errors import ApiError
from app.data_dir import RUN_ID
from app.events import LogState, Tail
from app.handlers.query import QueryHandler
from app.operations import AFTER_ID, whole
from app.runs import no_such_run
from app.writer import now_ms
from engine.errors import Fault
from engine.wording import counted

EVENT_STREAM = "text/event-stream; charset=utf-8"
FLUSH_S = 10.0
FIRST = b"retry: 2000\n: events of a run; resume with Last-Event-ID\n\n"


class _EventHandler(QueryHandler):
    def log_state(self, run_id: str) -> LogState:
        """Return where the run's log stands."""
        state = self.services.events.state(run_id) if RUN_ID.fullmatch(run_id) else None
        if state is None:
            raise no_such_run()
        return state

    def cursor(self, state: LogState) -> int:
        """Return the number after which the client wants events; its header wins.

        Raises
            ApiError where it is no number, with what else the query has, or beyond the last event.
        """
        listed = self.request.headers.get_list("Last-Event-ID")
        words = AFTER_ID.fault([each.encode() for each in listed]) if listed else None
        self.check_query(*([] if words is None else [Fault("Last-Event-ID", words)]))
        after = (whole(listed[0]) or 0) if listed else self.whole_number("after_id")
        if after > state.last_seq:
            message = f"the last event is {state.last_seq}"
            raise ApiError("EVENT_ID_AHEAD", message)
        return after

    async def send(self, chunk: bytes) -> None:
        """Write and wait until the client has taken it, ten seconds at most.

        Raises
            StreamClosedError where it has gone, or does not read.
        """
        self.write(chunk)
        flushed = self.flush()
        if not flushed.done():
            try:
                await asyncio.wait_for(flushed, FLUSH_S)
            except TimeoutError:
                self.hang_up()
                raise StreamClosedError from None
        flushed.result()


class Events(_EventHandler):
    """Every stored event after a cursor."""

    async def get(self, run_id: str) -> None:
        """Send them and close."""
        state = self.log_state(run_id)
        after = self.cursor(state)
        etag = f'"{run_id}-{state.created_ts}-{after}-{state.last_seq}-{state.status}"'
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Vary", "Origin, Last-Event-ID")
        if self.matches(etag):
            self.set_status(304)
            return
        self.set_header("Content-Type", EVENT_STREAM)
        if self.asked == "HEAD":
            if after < state.last_seq:
                await self.flush()  # no length is known, and so none is claimed
            return
        while after < state.last_seq:
            frames, last = self.services.events.page(run_id, after, state.last_seq)
            if last == after:  # the run has been removed meanwhile
                return
            after = last
            try:
                await self.send(frames)
            except StreamClosedError:
                return


class Stream(_EventHandler):
    """A run as it happens."""

    async def get(self, run_id: str) -> None:
        """Send what is stored after the cursor, then what comes, until the run has ended."""
        state = self.log_state(run_id)
        after = self.cursor(state)
        heartbeat_ms = self.whole_number("heartbeat_ms", self.services.heartbeat_ms)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        if state.final and after == state.last_seq:
            self.set_status(204)
            return
        if self.services.closing:
            raise ApiError("SHUTTING_DOWN", "Studio is stopping; resume with the last event's id")
        streams = self.services.streams
        if len(streams) >= self.services.max_streams:
            message = f"at most {counted(self.services.max_streams, 'stream')} may be open at once"
            raise ApiError("TOO_MANY_STREAMS", message, headers={"Retry-After": "2"})
        self.set_header("Content-Type", EVENT_STREAM)
        if self.asked == "HEAD":
            await self.flush()
            return
        streams.add(self)
        self._waker: asyncio.Future[bool] | None = None
        self._gone = False
        tail = self.services.events.follow(run_id, state, self._wake)
        try:
            await self._follow(run_id, after, tail, heartbeat_ms / 1000)
        except StreamClosedError:
            return
        finally:
            streams.discard(self)
            self.services.events.leave(run_id, tail, self._wake)

    def on_connection_close(self) -> None:
        """Notice that the client has gone."""
        super().on_connection_close()
        self._gone = True
        if getattr(self, "_waker", None) is not None:
            self._wake()

    def _wake(self) -> None:
        if self._waker is not None:
            _settle(self._waker, True)  # noqa: FBT003  # a future's value

    async def _follow(self, run_id: str, after: int, tail: Tail, heartbeat_s: float) -> None:
        pending = FIRST
        while not self._gone:
            frames = tail.after(after)
            if frames is None and not tail.removed:
                frames, after = self.services.events.page(run_id, after)
            elif frames:
                after = tail.last_seq
            if pending or frames:
                await self.send(pending + (frames or b""))
                pending = b""
                continue
            if tail.ended or tail.removed or self.services.closing:
                return
            if not await self._changed(heartbeat_s):
                pending = heartbeat(run_id, after)

    async def _changed(self, timeout_s: float) -> bool:
        """Wait for something to happen; False where nothing did."""
        loop = asyncio.get_running_loop()
        waker: asyncio.Future[bool] = loop.create_future()
        self._waker = waker
        silent = loop.call_later(timeout_s, _settle, waker, False)  # noqa: FBT003  # a future's value
        try:
            return await waker
        finally:
            silent.cancel()
            self._waker = None


def _settle(waker: "asyncio.Future[bool]", happened: bool) -> None:  # noqa: FBT001  # as above
    if not waker.done():
        waker.set_result(happened)


def heartbeat(run_id: str, seq: int) -> bytes:
    """Return the frame that says nothing has happened; it has no id and is never stored."""
    body = {"run_id": run_id, "seq": seq, "ts": now_ms(), "type": "heartbeat"}
    return f"event: heartbeat\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()
