"""The way to the server, over real connections."""

import errno
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gui.client import Client, GoneError, RefusedError

FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
CSV = b"date,open,high,low,close\n2024-01-02,10,12,9,11\n2024-01-03,11,12,10,12\n"


def test_questions_and_answers(server: Any, tmp_path: Path) -> None:
    """Paths are asked for, files sent, runs made and removed, tables downloaded."""
    client = server.client
    assert client.get("/health")["status"] == "ok"
    file = tmp_path / "ACME_1d.csv"
    file.write_bytes(CSV)
    assert client.put_file("/datasets/ACME/1d", {"tz": None}, file)["bars"] == 2
    run = client.post("/runs", FAST)
    *_, last = client.follow(run["run_id"], 0, threading.Event())
    assert last["type"] == "completed"
    assert client.download(f"/runs/{run['run_id']}/artifact/equity.parquet").startswith(b"PAR1")
    client.delete(f"/runs/{run['run_id']}")
    assert client.get("/runs", {"limit": 5, "symbol": None})["runs"] == []


def test_a_refusal_names_its_fields(server: Any) -> None:
    """What the server refuses comes with status, code, and each field's fault."""
    with pytest.raises(RefusedError) as caught:
        server.client.post("/runs", FAST | {"seed": -1, "sed": 1})
    assert (caught.value.status, caught.value.code) == (422, "INVALID_PARAM")
    assert {fault.field for fault in caught.value.faults} == {"seed", "sed"}


def test_nobody_answers(tmp_path: Path) -> None:
    """A server that is not there, or that is none, is gone; a file that is not there is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", "token")
    with pytest.raises(GoneError):
        client.get("/health")
    with pytest.raises(FileNotFoundError):
        client.put_file("/datasets/A/1d", {}, tmp_path / "none.csv")


class Cutting:
    """Passes connections on to a server, and cuts the first few after a number of bytes."""

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self._port, self._cuts, self._after = port, cuts, after
        self.cut = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self._port)) as server:
                request = client.recv(65_536)
                own = f"127.0.0.1:{self.port}".encode()
                request = request.replace(own, f"127.0.0.1:{self._port}".encode())
                server.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                left = self._after if self.cut < self._cuts else 1 << 30
                while left > 0 and (part := server.recv(min(left, 4_096))):
                    client.sendall(part)
                    left -= len(part)
                self.cut += left <= 0

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(30)


@pytest.fixture
def cutting(server: Any) -> Iterator[Cutting]:
    made = Cutting(int(server.started.url.rpartition(":")[2]), cuts=3, after=1_500)
    yield made
    made.close()


def test_a_stream_that_is_cut(server: Any, cutting: Cutting) -> None:
    """A run is followed through lost connections without a gap or a repeat."""
    run_id = server.client.post("/runs", FAST)["run_id"]
    client = Client(f"http://127.0.0.1:{cutting.port}", server.client.token)
    events = [
        each for each in client.follow(run_id, 0, threading.Event()) if each["type"] != "heartbeat"
    ]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "completed"
    assert cutting.cut > 0


def test_following_ends_when_told(server: Any) -> None:
    """Nothing is asked for once the stop is set, and a run that is not there ends it too."""
    stop = threading.Event()
    assert list(server.client.follow("0" * 20, 0, stop)) == []
    stop.set()
    assert list(server.client.follow("0" * 20, 0, stop)) == []


def test_a_run_that_was_started_once_more(server: Any) -> None:
    """An end in the middle of a run's events, of its first attempt, does not end their reading."""
    client = server.client
    config = FAST | {"validation": {"permutation": {"n": 20_000}}}
    run_id = client.post("/runs", config)["run_id"]
    client.post(f"/runs/{run_id}/cancel")
    first = [each["type"] for each in client.follow(run_id, 0, threading.Event())]
    assert first[-1] == "cancelled"
    assert client.post("/runs", config)["attempt"] == 2
    events = [
        each for each in client.follow(run_id, 0, threading.Event()) if each["type"] != "heartbeat"
    ]
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    types = [each["type"] for each in events]
    assert types.index("cancelled") < len(types) - 1
    assert types[-1] == "completed"


def test_a_file_that_is_too_large(server: Any, tmp_path: Path) -> None:
    """The server refuses it before all of it has been sent, and its words arrive."""
    file = tmp_path / "x.csv"
    with file.open("wb") as opened:
        opened.truncate(300 << 20)
    for _ in range(3):
        with pytest.raises(RefusedError, match="256 MiB") as caught:
            server.client.put_file("/datasets/X/1d", {}, file)
        assert caught.value.status == 413


def test_a_file_that_cannot_be_read(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the file is told as that, not as one of the server."""

    class Broken(io.BytesIO):
        def fileno(self) -> int:
            return fine.fileno()

        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, f"no {size} bytes")

    (tmp_path / "x.csv").write_bytes(CSV)
    with (tmp_path / "x.csv").open("rb") as fine:
        monkeypatch.setattr(Path, "open", lambda *_, **__: Broken())
        with pytest.raises(OSError, match="bytes") as caught:
            server.client.put_file("/datasets/X/1d", {}, tmp_path / "x.csv")
        assert caught.value.errno == errno.EIO


def test_an_error_without_a_body() -> None:
    """An answer of 500 with nothing in it is a failure like any other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(GoneError):
            Client(f"http://127.0.0.1:{listening.getsockname()[1]}", "").download("/x")
        thread.join()
