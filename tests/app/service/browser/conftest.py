"""Chromium, the pages it opens, and a way to the server that can be cut."""

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

DOCS = Path(__file__).resolve().parents[4] / "docs"
BLANK = '<!doctype html><title>a page</title><link rel="icon" href="data:,">'
WAIT_S = 60.0
CHUNK = 1 << 16
T = TypeVar("T")


def _until(condition: Callable[[], T]) -> T:
    end = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], T]], T]:
    """Return what a condition says once it is true."""
    return _until


def program(name: str) -> str:
    """Return where a program of the system is."""
    path = shutil.which(name)
    assert path is not None, f"{name} is missing: sh scripts/system_packages.sh python3"
    return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Start the browser once, with a home and a profile of its own."""
    home = tmp_path_factory.mktemp("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", f"user-data-dir={home}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(home))
    service = Service(
        program("chromedriver"), log_output=subprocess.DEVNULL, env=os.environ | homes
    )
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


class Page:
    """One tab, and what is done in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.expected: list[str] = []
        self._console: list[str] = []

    def open(self, address: str) -> None:
        """Go to a page."""
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page; a promise that it returns is awaited."""
        return self.driver.execute_script(script, *arguments)

    def one(self, selector: str) -> WebElement:
        """Return an element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return what an element shows."""
        return self.one(selector).text

    def fill(self, form: str, name: str, text: str) -> None:
        """Write into a field."""
        field = self.one(f"#{form} [name={name}]")
        if field.get_attribute("type") != "file":
            field.clear()
        field.send_keys(text)

    def choose(self, name: str, start: str) -> None:
        """Choose the option of the run's form whose text starts so, once it is there."""
        path = f"//form[@id='run']//select[@name='{name}']/option[starts-with(., '{start}')]"
        _until(lambda: self.driver.find_elements(By.XPATH, path))[0].click()

    def press(self, form: str) -> None:
        """Press a form's button."""
        self.one(f"#{form} button").click()

    def connect(self, address: str, token: str) -> None:
        """Tell the page which server it speaks to, and wait until it does."""
        self.fill("connect", "address", address)
        self.fill("connect", "secret", token)
        self.press("connect")
        _until(lambda: self.one("#run").is_displayed() or self.text("#message"))

    def started(self) -> str:
        """Press the button that starts a run; return its id."""
        before = self.run("return document.getElementById('name').textContent")
        self.press("run")
        name = "return document.getElementById('name').textContent"
        return str(_until(lambda: self.run(name) not in {"", before} and self.run(name)))

    def events(self) -> list[list[Any]]:
        """Return number and type of every event that the page lists."""
        script = "return [...document.querySelectorAll('#events li')]"
        return list(self.run(script + ".map(li => [li.value, li.textContent.split(' ')[0]])"))

    def metrics(self) -> dict[str, Any]:
        """Return the metrics that the page lists, in full."""
        script = "return [...document.querySelectorAll('#metrics dt')].map(dt =>"
        rows = self.run(script + "[dt.textContent, dt.nextSibling.title])")
        return {name: json.loads(value) for name, value in rows}

    def console(self) -> list[str]:
        """Return every line of the browser's console that no test expects."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own
        self._console += [str(entry["message"]) for entry in entries]
        return [
            line for line in self._console if not any(re.search(e, line) for e in self.expected)
        ]


@pytest.fixture
def page(chromium: webdriver.Chrome) -> Iterator[Page]:
    """Open a tab; what its console says unexpectedly fails the test."""
    before = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    made = Page(chromium)
    made.console()
    made._console.clear()  # what the tab before it said at its end
    yield made
    unexpected = made.console()
    chromium.close()
    chromium.switch_to.window(before)
    assert unexpected == []


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """A place that pages come from, which is not the server."""

    origin: str
    folder: Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Serve a folder as ``python -m http.server`` does; without one, a blank page is in it."""
    stops: list[Callable[[], None]] = []

    def start(folder: Path | None = None) -> Site:
        if folder is None:
            folder = tmp_path / "site"
            folder.mkdir(exist_ok=True)
            (folder / "blank.html").write_text(BLANK, encoding="utf-8")
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="site")
        thread.start()

        def stop() -> None:
            server.shutdown()
            thread.join(WAIT_S)
            server.server_close()

        stops.append(stop)
        return Site(f"http://127.0.0.1:{server.server_port}", folder)

    yield start
    for stop in stops:
        stop()


@dataclass(frozen=True)
class Asked:
    """A request as the browser sent it."""

    method: str
    path: str
    headers: dict[str, str]


class Proxy:
    """Stands before a server: one request a connection, each noted; every line can be cut.

    ``refusing`` resets whoever connects. ``body_limit`` is how much of a stream gets through on one
    connection before it stalls. ``token`` is added to every request.
    """

    def __init__(self, port: int, token: str | None) -> None:
        self.refusing = False
        self.n_refused = 0
        self.body_limit: int | None = None
        self.asked: list[Asked] = []
        self._server, self._token = port, token
        self._lines: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def cut(self) -> None:
        """Cut every line that is open."""
        with self._lock:
            for line in self._lines:
                _hang_up(line)

    def streams(self) -> list[Asked]:
        """Return the requests for a stream, in their order."""
        return [
            each
            for each in self.asked
            if each.method == "GET" and each.path.endswith("/events/stream")
        ]

    def close(self) -> None:
        """Take no more connections and end all."""
        _hang_up(self._listener)
        self.refusing = True
        self.cut()
        for thread in self._threads:
            thread.join(WAIT_S)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self.refusing:
                    self.n_refused += 1
                    line.close()
                    continue
                self._lines.add(line)
            self._start(self._serve, line)

    def _serve(self, line: socket.socket) -> None:
        with line:
            with contextlib.suppress(OSError):  # it has been cut
                self._forward(line)
            with self._lock:
                self._lines.discard(line)

    def _forward(self, line: socket.socket) -> None:
        head, rest = _head(line)
        if not head:
            return
        first, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(each.split(": ", 1) for each in fields)
        method, path, _ = first.split(" ")
        self.asked.append(Asked(method, path, headers))
        sent = headers | {"Host": f"127.0.0.1:{self._server}", "Connection": "close"}
        if self._token is not None:
            sent["Authorization"] = f"Bearer {self._token}"
        text = "\r\n".join([first, *(f"{name}: {value}" for name, value in sent.items())])
        with socket.create_connection(("127.0.0.1", self._server), WAIT_S) as server:
            server.settimeout(None)
            server.sendall(text.encode("latin-1") + b"\r\n\r\n" + rest)
            self._start(_pump, line, server, None)
            try:
                head, rest = _head(server)
                line.sendall(head + b"\r\n\r\n")
                is_stream = b"text/event-stream" in head
                _pump(server, line, self.body_limit if is_stream else None, rest)
            finally:
                _hang_up(server)
                _hang_up(line)


def _head(line: socket.socket) -> tuple[bytes, bytes]:
    """Read to the end of a head; return it and what has come of the body."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        if not (chunk := line.recv(CHUNK)):
            return b"", b""
        raw += chunk
    head, _, rest = raw.partition(b"\r\n\r\n")
    return head, rest


def _pump(
    source: socket.socket, target: socket.socket, limit: int | None, chunk: bytes = b""
) -> None:
    """Carry bytes until the source ends; beyond the limit they go nowhere until a line is cut."""
    with contextlib.suppress(OSError):  # it has been cut
        while chunk or (chunk := source.recv(CHUNK)):
            passed = chunk if limit is None else chunk[:limit]
            limit = None if limit is None else limit - len(passed)
            target.sendall(passed)
            chunk = b""
        if limit == 0:
            target.recv(1)  # nothing comes: it waits for the cut
    _hang_up(target)


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has gone already
        line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[Callable[..., Proxy]]:
    """Put a proxy before a server, perhaps one that adds the token."""
    made: list[Proxy] = []

    def start(port: int, token: str | None = None) -> Proxy:
        made.append(Proxy(port, token))
        return made[-1]

    yield start
    for each in made:
        each.close()
