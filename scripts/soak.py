"""Use a server for 45 minutes in every way there is, and see whether what it holds stays level.

    python -m scripts.soak --json scripts/soak.json

Three visitors (``soak_visits``) ask from a seed: runs with tests and without, cancels, imports,
downloads, streams that are dropped and resumed, rubbish. One process has to live long enough for
its memory to be measured, so kills come in three places: the server is killed in full use in the
first tenth of the warm-up and started again; beside it a second one, with a directory of its own,
is killed once a minute to the end and examined each time (``crash``); and after the last sample
the first one is killed in full use once more, started again, and everything must end well.

Every half minute the visitors pause and the server works off its queue; a sample is taken in that
rest, and others at work. Before that a crowd asks without pauses for five minutes, and one visitor
fills the cache of features. The slopes go through the samples at rest from minute 10 on, when that
is full, that of candles holds every set there is, and retention is reached.
"""

import argparse
import contextlib
import json
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts import soak_samples
from scripts.crash import LIVE, WAIT_S, Campaign, Server
from scripts.soak_visits import ACTIONS, SYMBOLS, Shared, Visitor, chart, csv_import, parquet_import

MINUTES, WARM_MINUTES = 45.0, 10.0
RETENTION, VISITORS = 25, 3
# A cache of features that visitors with pauses fill still grows after minute 10. So one without
# pauses first makes what they make, several times what it holds: a chart's series (30 kB) and those
# of two new data sets (65 kB) in each round, so 16 MB are 170 rounds. Python's table of interned
# strings has a second such end: it doubles once, by 1.8 MB, after some 39,000 new names, as every
# part of a path is one; a round has 18, and the crowd has more.
ROUNDS, ROUND = 900, (chart, csv_import, parquet_import)
AT_WORK_S, AT_REST_S, KILL_S = 5.0, 30.0, 60.0
# What a heap has held at once it is never quite rid of; so as many as will ever ask at once come
# first, and what grows after them is a loss.
CROWD, CROWD_MINUTES = 9, 5.0
LEAST_RESTS = 4  # a slope needs three
SETTLE_S = 2.0  # what has ended is let go of by then, garbage too
SETTINGS = 'workers = 2\nthreads = 2\nmax_streams = 24\nqueue_limit = 16\nlog_level = "info"\n'


@dataclass
class Soak:
    """A server in use, and what was measured of it."""

    folder: Path
    minutes: float
    seed: int
    say: Callable[[str], None] = print
    samples: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.campaign = Campaign(self.folder / "data", self.seed, RETENTION)
        self.beside = Campaign(self.folder / "beside", self.seed + 1, RETENTION)
        self.campaign.data_dir.mkdir(mode=0o700)
        written = self.campaign.data_dir / "settings.toml"
        written.touch(mode=0o600)
        written.write_text(SETTINGS, encoding="utf-8")
        self.began = time.monotonic()
        self.share = self.minutes / MINUTES  # a short form has everything, in proportion
        self.shared = Shared(self.campaign.serving())
        self.visitors = [Visitor(self.shared, self.seed * 1000 + n) for n in range(VISITORS)]

    @property
    def minute(self) -> float:
        """Return how long it has gone on."""
        return (time.monotonic() - self.began) / 60

    @property
    def warm_minute(self) -> float:
        """Return when what is measured begins to count."""
        return WARM_MINUTES * self.share

    def go(self) -> dict[str, Any]:
        """Do all of it, and return the figures."""
        try:
            self.use()
            self.finish()
        finally:
            self.shared.stop.set()
            self.shared.leave_streams()
            self.shared.server.process.kill()
        return self.figures()

    def use(self) -> None:
        """Use the server, kill it, and measure it."""
        for visitor in self.visitors:
            visitor.start()
        time.sleep(60 * self.warm_minute / 10)
        self.kill()
        killer = threading.Thread(target=self.kill_beside, name="kills beside", daemon=True)
        killer.start()
        self.crowd()
        self.fill()
        self.watch()
        self.kill()
        self.shared.stop.set()
        killer.join()
        for visitor in self.visitors:
            visitor.join()

    def kill(self) -> None:
        """Kill the server while it is used, and start it again."""
        self.shared.down.set()
        self.shared.server.process.kill()
        self.shared.server.process.wait()
        with self.pause():
            self.shared.server = self.campaign.serving()
            self.shared.down.clear()
        self.shared.count("kill")

    def kill_beside(self) -> None:
        """Kill the second server again and again, until there is just time to look at the end."""
        while not self.shared.stop.wait(KILL_S * min(1.0, self.share)):
            self.beside.crash_at_random()
            self.shared.count("kill_beside")

    def crowd(self) -> None:
        """Let many visitors ask at once, without pauses."""
        gone = threading.Event()
        visitors = [Visitor(self.shared, self.seed * 1000 + 100 + n, gone) for n in range(CROWD)]
        for visitor in visitors:
            visitor.start()
        time.sleep(60 * CROWD_MINUTES * self.share)
        gone.set()
        for visitor in visitors:
            visitor.join()

    def fill(self) -> None:
        """Fill the cache of features as it will be filled, so that it does not grow any more."""
        visitor = Visitor(self.shared, self.seed + 7)
        for _ in range(max(2, int(ROUNDS * min(1.0, self.share**2)))):
            for act in ROUND:
                act(visitor)
            self.shared.count("fill")

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Keep all visitors from beginning anything, once they have ended what they do."""
        with contextlib.ExitStack() as held:
            for visitor in self.visitors:
                held.enter_context(visitor.busy)
            yield

    def watch(self) -> None:
        """Take samples to the end of the time."""
        next_rest = 0.0
        while self.minute < self.minutes or self.rests() < LEAST_RESTS:
            if 60 * self.minute >= next_rest:
                next_rest = 60 * self.minute + AT_REST_S * min(1.0, 10 * self.share)
                with self.pause():
                    self.shared.leave_streams()
                    self.await_rest()
                    time.sleep(SETTLE_S)
                    self.sample(at_rest=True)
            time.sleep(AT_WORK_S * min(1.0, 10 * self.share))
            self.sample(at_rest=False)

    def rests(self) -> int:
        """Return how many samples count so far."""
        return sum(
            bool(each["at_rest"] and each["minute"] >= self.warm_minute) for each in self.samples
        )

    def await_rest(self) -> None:
        """Wait until nothing is queued or at work."""
        until = time.monotonic() + 3 * WAIT_S
        while any(run["status"] in LIVE for run in self.campaign.listed(self.shared.server)):
            if time.monotonic() > until:
                raise SystemExit("the runs do not end")
            time.sleep(0.1)

    def sample(self, *, at_rest: bool) -> None:
        """Measure once."""
        pid = self.shared.server.process.pid
        minute = round(self.minute, 3)
        measured = soak_samples.measure(pid, self.campaign.data_dir)
        streams = self.shared.streams + len(self.shared.lingering)
        sample = {"minute": minute, "at_rest": float(at_rest), **measured, "streams": streams}
        self.samples.append(sample)
        if at_rest:
            words = ", ".join(f"{name} {value}" for name, value in measured.items())
            self.say(f"minute {minute:.1f}: {words}")

    def finish(self) -> None:
        """Let everything end, and check what is left."""
        server = self.shared.server
        self.await_rest()
        for run in self.campaign.listed(server):
            self.check_end(server, run)
        self.campaign.stop(server)
        self.campaign.check(not self.campaign.complaints(), self.campaign.complaints()[-400:])
        self.campaign.check_log()
        if self.beside.kills:
            self.beside.finish()
        found = [*self.campaign.violations, *(f"beside: {v}" for v in self.beside.violations)]
        self.shared.failures.extend(found)

    def check_end(self, server: Server, run: dict[str, Any]) -> None:
        """Check that a run did not fail, and that its files are whole.

        Candles that a visitor removed as another one's run was being made are no failure of ours.
        """
        removed = run["symbol"] in SYMBOLS and (run["error"] or {}).get("code") == "DATA_CHANGED"
        if run["status"] == "failed" and not removed:
            self.shared.fail(f"{run['run_id']} failed: {run['error']}")
        if run["status"] == "completed":
            verified = server.get(f"/runs/{run['run_id']}/verify").get("ok")
            self.campaign.check(verified, f"{run['run_id']} does not verify")

    def figures(self) -> dict[str, Any]:
        """Return what was done and measured, and whether it is level."""
        slopes = soak_samples.verdict(self.samples, self.warm_minute)
        level = all(each.get("level", True) for each in slopes.values())
        return {
            "minutes": self.minutes,
            "from_minute": round(self.warm_minute, 2),
            "seed": self.seed,
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "level": level,
            "failures": self.shared.failures,
            "slopes": slopes,
            "done": dict(sorted(self.shared.counts.items())),
            "answers": dict(sorted(self.shared.statuses.items())),
            "missed": sorted(set(ACTIONS) - set(self.shared.counts)),
            "beside": {
                "kills": self.beside.kills,
                "acknowledged": len(self.beside.acknowledged),
                "completed": len(self.beside.finished),
                "most_attempts": self.beside.most_attempts,
            },
            "samples": self.samples,
        }


def soak(minutes: float, seed: int, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Use a server for so long in a temporary directory; return the figures."""
    with tempfile.TemporaryDirectory(prefix="studio-soak-") as folder:
        return Soak(Path(folder), minutes, seed, say).go()


def as_table(figures: dict[str, Any]) -> str:
    """Return the figures as JSON, one sample a line."""
    samples = figures["samples"]
    names = list(samples[0]) if samples else []
    rows = ",\n".join("    " + json.dumps([each[name] for name in names]) for each in samples)
    rest = {name: value for name, value in figures.items() if name != "samples"}
    head = json.dumps(rest, indent=2).removesuffix("\n}")
    columns = json.dumps(names)
    return f'{head},\n  "columns": {columns},\n  "samples": [\n{rows}\n  ]\n}}\n'


def main() -> int:
    """Run, say what was found, and keep it where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    figures = soak(options.minutes, options.seed, lambda words: print(words, flush=True))
    if options.json is not None:
        options.json.write_text(as_table(figures), encoding="utf-8")
    soak_samples.told(figures["slopes"])
    for name, count in Counter(figures["done"]).most_common():
        print(f"{name}: {count}")
    for failure in figures["failures"]:
        print(f"FAILED: {failure}")
    print("level" if figures["level"] else "NOT level")
    return 0 if figures["level"] and not figures["failures"] else 1


if __name__ == "__main__":
    sys.exit(main())
