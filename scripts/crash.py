"""Kill the server at random moments, again and again, and look whether anything was lost or torn.

A real server is given runs, killed, examined while it is dead, and started again. In the end
everything is left to finish. Every acknowledged run must have completed, as if nothing had been.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.artifacts import verify
from engine.errors import VerificationError
from engine.records import STAGES

WAIT_S = 60.0
POLL_S = 0.02
# The fifth crash of a run in a row ends it, by design; so one that had three is left to complete.
CRASHES_ALLOWED = 3
EARLY_KILLS = 0.2  # the share of the kills while the server still starts
STARTING_S, SERVING_S = 0.4, 1.6
LIVE = ("queued", "running", "cancelling")
GONE = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Server:
    """A server's process and how to speak to it."""

    process: "subprocess.Popen[bytes]"
    port: int
    token: str

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send one request; raises one of ``GONE`` where nobody answers."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path: str) -> Any:
        """Return a JSON answer."""
        return json.loads(self.call("GET", path)[1])


@dataclass(frozen=True)
class Snapshot:
    """What the database of a dead server holds."""

    runs: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, list[dict[str, Any]]]

    def having(self, *statuses: str) -> dict[str, Mapping[str, Any]]:
        """Return the runs in one of the states."""
        return {name: run for name, run in self.runs.items() if run["status"] in statuses}


def read_snapshot(data_dir: Path) -> Snapshot:
    """Read a copy of the database, so that the next start finds it as the crash left it."""
    with tempfile.TemporaryDirectory() as folder:
        for path in data_dir.glob("studio.db*"):
            if not path.name.endswith("-shm"):  # made anew from the -wal
                shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / "studio.db")) as connection:
            connection.row_factory = sqlite3.Row
            if not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
                return Snapshot({}, {})
            runs = {row["run_id"]: dict(row) for row in connection.execute("SELECT * FROM runs")}
            events: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
            for row in connection.execute("SELECT run_id, body FROM events ORDER BY run_id, seq"):
                events.setdefault(row["run_id"], []).append(json.loads(row["body"]))
    return Snapshot(runs, events)


def configuration(number: int) -> dict[str, Any]:
    """Return a configuration like no other: quick, some with a test, a few with the plot."""
    config: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": number % 15 == 7}
    if number % 3 == 1:
        config["validation"] = {"permutation": {"n": 2000}}
    return config | {"seed": number}


@dataclass
class Campaign:
    """One data directory, the servers that died on it, and what was found."""

    data_dir: Path
    seed: int = 0
    retention: int = 100
    kills: int = 0
    violations: list[str] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)  # run → its configuration's number
    finished: dict[str, int] = field(default_factory=dict)  # every run seen completed → finished_ts
    interrupted: set[tuple[str, int]] = field(default_factory=set)
    most_attempts: int = 0
    _verified: set[str] = field(default_factory=set)
    _unanswered: list[int] = field(default_factory=list)
    _endangered: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1 << 31)))
    _left_in_tmp: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # moments, not secrets
        self.stderr = self.data_dir.with_name(f"{self.data_dir.name}.stderr")

    def check(self, fine: object, what: str) -> None:
        """Note a violation unless all is well."""
        if not fine:
            self.violations.append(f"after {self.kills} kills: {what}")

    def launch(self, fault: str = "") -> "subprocess.Popen[bytes]":
        """Start the server's process; ``fault`` is a named point at which it is to die."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        environment |= {"STUDIO_FAULT": fault, "STUDIO_RETENTION": str(self.retention)}
        with self.stderr.open("ab") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", self.data_dir],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def reach(self, process: "subprocess.Popen[bytes]") -> Server | None:
        """Return the server once it listens, None where it has died before."""
        until = time.monotonic() + WAIT_S
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError, ValueError):
                runtime = json.loads((self.data_dir / "server.json").read_text(encoding="utf-8"))
                if runtime["pid"] == process.pid:
                    token = (self.data_dir / "token").read_text(encoding="ascii").strip()
                    left = self._left_in_tmp & names(self.data_dir / "tmp")
                    self.check(not left, f"tmp/ still holds {left} after a start")
                    return Server(process, int(runtime["url"].rpartition(":")[2]), token)
            time.sleep(0.002)
        return None

    def serving(self) -> Server:
        """Start a server that is not to die yet."""
        server = self.reach(self.launch())
        if server is None:
            raise SystemExit("the server does not start: " + self.complaints())
        return server

    def complaints(self) -> str:
        """Return what the servers wrote on standard error."""
        return self.stderr.read_text(encoding="utf-8")

    def bury(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill the process if it lives, and examine what it left."""
        process.kill()
        process.wait()
        self.kills += 1
        self.examine()

    def crash_at_random(self) -> None:
        """Start, post, and kill at a random moment, perhaps before the server listens."""
        process = self.launch()
        if not self._endangered and self.random.random() < EARLY_KILLS:
            time.sleep(self.random.uniform(0.0, STARTING_S))
        elif (server := self.reach(process)) is not None:
            self.await_runs(server, self._endangered)
            pauses = [self.random.uniform(0.0, 0.1) for _ in range(self.random.randint(1, 6))]
            poster = threading.Thread(target=self.post_some, args=(server, pauses))
            poster.start()
            time.sleep(self.random.uniform(0.0, SERVING_S))
            process.kill()
            poster.join()
        else:
            self.check(fine=False, what="a server did not start: " + self.complaints()[-400:])
        self.bury(process)

    def crash_at(self, fault: str) -> None:
        """Start with a named point at which to die, and post one by one until that happens."""
        process = self.launch(fault)
        server = self.reach(process)
        until = time.monotonic() + WAIT_S
        while server is not None and process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(*GONE, ValueError):
                self.post_some(server, [0.0])
                self.await_runs(server, set(self.acknowledged))
        self.check(process.poll() == -signal.SIGKILL, f"{fault}: it ended with {process.poll()}")
        self.bury(process)

    def post_some(self, server: Server, pauses: list[float]) -> None:
        """Post as many runs as there are pauses; what got no answer is posted again next time."""
        for pause in pauses:
            number = self._unanswered.pop(0) if self._unanswered else next(self._numbers)
            try:
                status, body = server.call("POST", "/runs", configuration(number))
                answer = json.loads(body)
            except (*GONE, ValueError):
                self._unanswered.append(number)
                return
            if status in {200, 201}:
                self.acknowledged[answer["run_id"]] = number
            else:
                self._unanswered.append(number)
                self.check(status == 429, f"POST answers {status} {body[:200]!r}")
            time.sleep(pause)

    def await_runs(self, server: Server, run_ids: set[str]) -> None:
        """Wait until the runs have ended, noting every run that has completed meanwhile."""
        until = time.monotonic() + WAIT_S
        while server.process.poll() is None:
            listed = self.listed(server)
            self.note_finished(listed)
            if not any(run["status"] in LIVE for run in listed if run["run_id"] in run_ids):
                return
            if time.monotonic() > until:
                raise SystemExit("; ".join([*self.violations, "the runs do not end"]))
            time.sleep(POLL_S)

    def listed(self, server: Server) -> list[dict[str, Any]]:
        """Return all runs that the server lists; retention and the queue fit into one page."""
        runs: list[dict[str, Any]] = server.get("/runs?limit=200")["runs"]
        return runs

    def note_finished(self, runs: list[dict[str, Any]]) -> None:
        """Remember when runs have completed; that must never change."""
        for run in runs:
            if run["status"] == "completed":
                known = self.finished.setdefault(run["run_id"], run["finished_ts"])
                self.check(known == run["finished_ts"], f"{run['run_id']} has completed twice")

    def examine(self) -> None:
        """Look at the data directory of a dead server."""
        self._left_in_tmp = names(self.data_dir / "tmp")
        if not (self.data_dir / "studio.db").exists():
            self.check(not self.acknowledged, "the database has gone")
            return
        found = read_snapshot(self.data_dir)
        completed = found.having("completed")
        self.note_finished(list(map(dict, completed.values())))
        self.check_events(found)
        self.check_directories(found)
        self.check_retained(completed, set(found.having("completed", "failed", "cancelled", *LIVE)))
        running = found.having("running")
        self.interrupted |= {(name, run["attempt"]) for name, run in running.items()}
        self.check(not found.having("failed", "cancelled"), "a run has failed or was cancelled")
        self.most_attempts = max([self.most_attempts, *(r["attempt"] for r in found.runs.values())])
        self._endangered = {
            name
            for name, run in found.having(*LIVE).items()
            if run["crashes"] + (name in running) >= CRASHES_ALLOWED
        }

    def check_events(self, found: Snapshot) -> None:
        """Check that no event is missing, none without its run."""
        self.check(found.events.keys() == found.runs.keys(), "events of no run, or a run of none")
        for name, run in found.runs.items():
            seqs = [event["seq"] for event in found.events[name]]
            gapless = seqs == list(range(1, run["last_seq"] + 1))
            self.check(gapless, f"{name} has the events {seqs} of {run['last_seq']}")

    def check_directories(self, found: Snapshot) -> None:
        """Check that rows and directories agree, and each new run's files with its manifest."""
        runs, completed = self.data_dir / "runs", found.having("completed")
        there = names(runs)
        self.check(there <= set(found.runs), f"no rows for {there - set(found.runs)}")
        self.check(set(completed) <= there, f"no directories for {set(completed) - there}")
        self.check(not names(self.data_dir / "orphans"), "orphans/ is not empty")
        for name in (set(completed) & there) - self._verified:
            self._verified.add(name)
            with contextlib.suppress(VerificationError):
                checked = verify(runs / name)
                same = checked.manifest["manifest_hash"] == completed[name]["manifest_hash"]
                if checked.ok and same:
                    continue
            self.check(fine=False, what=f"{name} is completed but does not verify")

    def check_retained(self, completed: Mapping[str, Any], present: set[str]) -> None:
        """Check that what was acknowledged is there, or older than all that retention keeps."""
        oldest = min(((self.finished[name], name) for name in completed), default=(0, ""))
        for name in self.acknowledged.keys() - present:
            older = (self.finished.get(name, 1 << 62), name) < oldest
            kept = len(completed) >= self.retention
            self.check(older and kept, f"{name} was acknowledged and is lost")

    def finish(self) -> dict[str, Any]:
        """Let everything complete, check all that is kept, and return the figures."""
        server = self.serving()
        self.await_runs(server, {run["run_id"] for run in self.listed(server)})
        until = time.monotonic() + WAIT_S
        while len(runs := self.listed(server)) > self.retention and time.monotonic() < until:
            time.sleep(POLL_S)  # retention follows each completion
        self.note_finished(runs)
        wanted = min(self.retention, len(self.finished))
        self.check(len(runs) == wanted, f"{len(runs)} runs are listed, not {wanted}")
        for run in runs:
            self.check_run(server, run)
        self.stop(server)
        self.examine()
        server = self.serving()
        self.check(not names(self.data_dir / "tmp"), "tmp/ is not empty after the last start")
        self.stop(server)
        self.check(not self.complaints(), "standard error: " + self.complaints()[-400:])
        self.check_log()
        return {
            "kills": self.kills,
            "acknowledged": len(self.acknowledged),
            "completed": len(self.finished),
            "kept": len(runs),
            "interrupted_attempts": len(self.interrupted),
            "most_attempts": self.most_attempts,
            "violations": self.violations,
        }

    def check_run(self, server: Server, run: Mapping[str, Any]) -> None:
        """Check over HTTP that a run completed as if nothing had been."""
        name = run["run_id"]
        self.check(run["status"] == "completed", f"{name} ended {run['status']} {run['error']}")
        text = server.call("GET", f"/runs/{name}/events")[1].decode()
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        seqs = [event["seq"] for event in events]
        self.check(seqs == list(range(1, len(seqs) + 1)), f"{name} streams the events {seqs}")
        stages = tuple(
            event["stage"]
            for event in events
            if event["type"] == "stage" and event["attempt"] == run["attempt"]
        )
        self.check(stages == STAGES, f"{name} went through {stages}")
        requeued = sum(event["type"] == "requeued" for event in events)
        crashes = sum(each == name for each, _ in self.interrupted)
        told = requeued == crashes == run["attempt"] - 1
        self.check(told, f"{name}: {crashes} crashes, {requeued} requeued, {run['attempt']}th")
        last = events[-1]["type"], events[-1].get("data")
        end = ("completed", {"manifest_hash": run["manifest_hash"]})
        self.check(last == end, f"{name} ends with {last}, not {end}")
        self.check(server.get(f"/runs/{name}/verify").get("ok"), f"{name} does not verify")
        manifest = server.get(f"/runs/{name}/artifacts").get("manifest_hash")
        self.check(manifest == run["manifest_hash"], f"{name} has another manifest than its row")

    def stop(self, server: Server) -> None:
        """End the server as a user does."""
        server.process.terminate()
        code = server.process.wait(WAIT_S)
        self.check(os.name == "nt" or code == 0, f"the server stopped with {code}")
        self.check(not (self.data_dir / "server.json").exists(), "server.json is left")

    def check_log(self) -> None:
        """Check that no server met an error that it had to log."""
        for line in (self.data_dir / "logs/studio.log").read_text(encoding="utf-8").splitlines():
            self.check('"level": "error"' not in line.lower(), f"the log says {line[:400]}")


def names(folder: Path) -> set[str]:
    """Return the names in a directory, none where there is no such."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def run_campaign(
    data_dir: Path, kills: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Kill a server so many times at random moments, and return the figures."""
    campaign = Campaign(data_dir, seed)
    for n in range(1, kills + 1):
        campaign.crash_at_random()
        if n % 20 == 0:
            figures = f"{len(campaign.acknowledged)} acknowledged, {len(campaign.finished)} done"
            say(f"{n} kills: {figures}, {len(campaign.violations)} violations")
    return campaign.finish()


def main() -> int:
    """Run a campaign in a temporary directory, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the figures only, as JSON")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="studio-crash-") as folder:
        say: Callable[[str], None] = (lambda _: None) if options.json else print
        figures = run_campaign(Path(folder) / "data", options.kills, options.seed, say)
    figures |= {"seed": options.seed, "seconds": round(time.monotonic() - began, 1)}
    lines = "\n".join(f"{name}: {value}" for name, value in figures.items())
    print(json.dumps(figures) if options.json else lines)
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
