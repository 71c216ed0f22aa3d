"""How long the bundle and the sources take from their start to the first answer of ``/health``.

Each start has a data directory of its own; the first of each program, which fills the system's
cache of files, does not count.
"""

import argparse
import contextlib
import http.client
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "dist" / "studio" / "studio-cli"
WAIT_S, PAUSE_S = 60.0, 0.001


def seconds_to_health(command: list[str]) -> float:
    """Start a server and return how long it took until it answered; it is stopped again."""
    with tempfile.TemporaryDirectory(prefix="studio-start-") as place:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--data-dir", place],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            url = _url(Path(place) / "server.json", process)
            _ask(url)
            return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT_S)


def _url(runtime: Path, process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads(runtime.read_text(encoding="utf-8"))["url"])
        assert process.poll() is None, "the server did not start"
        assert time.monotonic() < until, "the server did not start in time"
        time.sleep(PAUSE_S)


def _ask(url: str) -> None:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200


def main() -> None:
    """Measure both, in turns, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=15, help="starts of each that count")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="the program studio-cli")
    chosen = parser.parse_args()
    programs = {"bundle": [str(chosen.bundle)], "source": [sys.executable, "-m", "app"]}
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(chosen.n + 1):
        for name, command in programs.items():
            taken[name].append(seconds_to_health(command))
    figures = {
        name: {
            "median_s": round(statistics.median(seconds[1:]), 3),
            "least_s": round(min(seconds[1:]), 3),
            "most_s": round(max(seconds[1:]), 3),
        }
        for name, seconds in taken.items()
    }
    print(json.dumps({"starts": chosen.n, "first_health": figures}, indent=2))


if __name__ == "__main__":
    main()
