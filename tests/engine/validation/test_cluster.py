"""The same replicates on a cluster: two workers on loopback, and what goes wrong with them."""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.errors import ClusterError, PluginError, RunCancelled
from engine.identity import json_bytes
from engine.pipeline import RunContext, Silent, run
from engine.plugins import LoadedPlugins, load_plugins
from engine.validation import ClusterMapper, ThreadMapper, cluster

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:distributed")
RAW: dict[str, Any] = {
    "symbol": "SEED-7",
    "provider": "synthetic",
    "end": "2012-12-31",
    "plot": False,
    "execution": {"commission_bps": 5, "slippage_bps": 2},
    "validation": {
        "permutation": {"n": 60},
        "block_bootstrap": {"n": 60},
        "monte_carlo": {"n": 60},
    },
}
PLUGIN = """
from dataclasses import dataclass
import numpy as np
from engine.records import ValidationReport
from engine.registry import Params
from engine.strategy import strategies
from engine.validation import validation_tests

@strategies.register("up_days", Params)
class UpDays:
    \"\"\"Long after an up day.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view): return (view.candles.close > view.candles.open).astype(int)

@dataclass(frozen=True)
class Numbers:
    fails: bool
    def run(self, numbers, check_cancelled):
        if self.fails and 7 in numbers: open("/no/such/factors.csv")
        return np.array([[float(number)] for number in numbers])

@validation_tests.register("numbers", Params)
class Sum:
    \"\"\"Adds numbers up.\"\"\"
    def __init__(self, params): pass
    def run(self, subject, replicates):
        fails = subject.seed == 13
        return ValidationReport({"sum": float(replicates(Numbers(fails), 20).sum())})
"""


@dataclass
class Cluster:
    """A scheduler and two workers, processes of their own."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def add_worker(self) -> None:
        self.workers.append(start("worker", self.address, "--nthreads", "1", "--no-nanny"))


def start(what: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler on a free port of loopback, and two workers with a thread each."""
    file = tmp_path / "scheduler.json"
    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))  # fmt: skip
    while not file.exists() or '"address"' not in file.read_text(encoding="utf-8"):
        assert scheduler.poll() is None
        time.sleep(0.05)
    address = file.read_text(encoding="utf-8").split('"address": "')[1].partition('"')[0]
    cluster = Cluster(address, scheduler, [])
    cluster.add_worker()
    cluster.add_worker()
    try:
        yield cluster
    finally:
        for process in (scheduler, *cluster.workers):
            process.kill()
            process.wait()


@pytest.fixture
def connect(dask: Cluster) -> Iterator[Callable[..., ClusterMapper]]:
    """Return a mapper on the cluster once both workers are there."""
    mappers = []

    def call(*arguments: Any) -> ClusterMapper:
        mapper = ClusterMapper(dask.address, *arguments)
        mappers.append(mapper)
        mapper._client.wait_for_workers(2, timeout=60)
        return mapper

    yield call
    for mapper in mappers:
        mapper.close()


def documents(raw: dict[str, Any], mapper: Any) -> list[bytes]:
    result = run(raw, RunContext(mapper=mapper))
    return [json_bytes(report.document) for report in result.validation.values()]


def locally(raw: dict[str, Any]) -> list[bytes]:
    with ThreadMapper(2) as mapper:
        return documents(raw, mapper)


class Counting(Silent):
    """Notes progress, and does something at the first of it."""

    def __init__(self, first: Callable[[], None] = lambda: None) -> None:
        self.told: list[tuple[str, int, int]] = []
        self._first = first

    def validation(self, test: str, completed: int, total: int) -> None:
        if not self.told:
            self._first()
        self.told.append((test, completed, total))


def test_a_cluster_gives_the_same_bytes(connect: Callable[..., ClusterMapper]) -> None:
    """Two workers give what threads give, to the byte, and tell how far they are."""
    observer = Counting()
    result = run(RAW, RunContext(mapper=connect(), observer=observer))
    found = [json_bytes(report.document) for report in result.validation.values()]
    assert found == locally(RAW)
    for test in RAW["validation"]:
        done = [completed for name, completed, _ in observer.told if name == test]
        assert done == sorted(done)
        assert done[-1] == 60


def test_plugins_go_along(connect: Callable[..., ClusterMapper], tmp_path: Path) -> None:
    """Workers load the run's plugins, edited ones too; a task's error is told with its line."""
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN, encoding="utf-8")
    (plugin,) = load_plugins([file])
    try:
        raw = RAW | {"strategy": {"name": "up_days"}, "validation": {"permutation": {"n": 8}, "numbers": {}}}  # fmt: skip
        mapper = connect(LoadedPlugins.here())
        assert documents(raw, mapper) == locally(raw)
        assert b'"sum": 190.0' in documents(raw, mapper)[1]
        with pytest.raises(PluginError, match=r"mine.py, line 20: FileNotFoundError"):
            documents(raw | {"seed": 13}, mapper)
        plugin.unload()
        file.write_text(PLUGIN.replace('"sum": ', '"edited": '), encoding="utf-8")
        (plugin,) = load_plugins([file])
        edited = documents(raw, connect(LoadedPlugins.here()))
        assert b'"edited": 190.0' in edited[1]
    finally:
        plugin.unload()


def test_a_worker_that_dies_changes_nothing(
    dask: Cluster, connect: Callable[..., ClusterMapper]
) -> None:
    """What a killed worker had is computed again by the other one."""
    raw = RAW | {"validation": {"permutation": {"n": 3_000}}}
    observer = Counting(dask.workers[0].kill)
    result = run(raw, RunContext(mapper=connect(), observer=observer))
    assert [json_bytes(report.document) for report in result.validation.values()] == locally(raw)


def test_a_cluster_that_dies_is_a_plain_error(
    dask: Cluster, connect: Callable[..., ClusterMapper], tmp_path: Path
) -> None:
    """Without its scheduler a run fails by name, and leaves nothing behind."""
    raw = RAW | {"validation": {"permutation": {"n": 3_000}}}
    observer = Counting(dask.scheduler.kill)
    with pytest.raises(ClusterError, match=f"the cluster at {dask.address} was lost"):
        run(raw, RunContext(mapper=connect(), observer=observer), tmp_path / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["scheduler.json"]


def test_all_workers_gone_is_a_plain_error(
    dask: Cluster, connect: Callable[..., ClusterMapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler without workers fails a run after a while, or at once before it begins."""
    monkeypatch.setattr(cluster, "PATIENCE_S", 1.0)
    killed: list[int] = []

    def kill_all() -> None:
        for worker in dask.workers:
            worker.kill()
            killed.append(worker.wait())

    mapper = connect()
    raw = RAW | {"validation": {"permutation": {"n": 3_000}}}
    with pytest.raises(ClusterError, match=r"lost|no workers"):
        run(raw, RunContext(mapper=mapper, observer=Counting(kill_all)))
    assert killed
    with pytest.raises(ClusterError, match=r"lost|no workers"):
        run(raw, RunContext(mapper=mapper))


def test_another_machine_is_refused(
    connect: Callable[..., ClusterMapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with another version, lock or platform refuses, and the run names it."""
    other = cluster.fingerprint() | {"code_version": "0+other"}
    monkeypatch.setattr(cluster, "fingerprint", lambda: other)
    with pytest.raises(ClusterError, match="is not like this machine: it has code_version"):
        run(RAW, RunContext(mapper=connect()))


def test_a_cluster_run_can_be_cancelled(connect: Callable[..., ClusterMapper]) -> None:
    """A cancel ends the wait for the cluster at once, and the cluster stays usable."""
    cancelled: list[bool] = []
    observer = Counting(lambda: cancelled.append(True))
    mapper = connect()
    raw = RAW | {"validation": {"permutation": {"n": 20_000}}}
    with pytest.raises(RunCancelled):
        run(raw, RunContext(mapper=mapper, observer=observer, cancelled=lambda: bool(cancelled)))
    assert observer.told[-1][1] < 20_000
    assert documents(RAW, mapper) == locally(RAW)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a scheduler is a plain error, once a test needs it and not before."""
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    mapper = ClusterMapper("tcp://127.0.0.1:9")
    bare = run(RAW | {"validation": {}}, RunContext(mapper=mapper))
    assert bare.validation == {}
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127.0.0.1:9"):
        run(RAW, RunContext(mapper=mapper))
    for address in ("nonsense://x", "not an address"):
        with pytest.raises(ClusterError, match="no scheduler answers"):
            run(RAW, RunContext(mapper=ClusterMapper(address)))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dask a scheduler's name is a plain error that says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match="the extra 'cluster' is not installed"):
        ClusterMapper("tcp://127.0.0.1:9").map(Never(), 1, lambda: None, lambda _: None)


UNTOUCHED = """
import logging
from engine.validation import cluster

names = ("tornado", "tornado.access", "tornado.application", "tornado.general")
def state():
    loggers = map(logging.getLogger, names)
    return [(each.level, each.propagate, list(each.handlers)) for each in loggers]

before = state()
assert cluster._distributed().Client
assert state() == before
"""


def test_the_loggers_of_others_stay_as_they_are() -> None:
    """What the server logs is not silenced, nor told anywhere else, for the sake of a cluster."""
    subprocess.run([sys.executable, "-c", UNTOUCHED], check=True)


class Ready:
    """A preparation that notes when it is made, and who works meanwhile."""

    made: ClassVar[list[str]] = []
    working: ClassVar[set[str]] = set()

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> None:
        assert not self.working
        self.made.append(self.name)

    def explain(self, fault: BaseException) -> str | None:
        return f"explained {fault}" if self.name else None


def test_a_worker_is_ready_for_one_version_at_a_time() -> None:
    """Portions that need other plugins wait for each other; those that need the same do not."""
    worker, together = cluster._Worker(), threading.Barrier(2, timeout=20)

    def work(name: str) -> None:
        with worker.ready(pickle.dumps(Ready(name))):
            Ready.working.add(name)
            together.wait()  # both of one version are inside at once
            assert Ready.working == {name}
            together.wait()
            Ready.working.discard(name)

    for _ in range(3):
        threads = [threading.Thread(target=work, args=(name,)) for name in "abab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert len(Ready.made) <= 6
    assert set(Ready.made) == {"a", "b"}


class Never:
    """A task that nobody comes to run."""

    def run(self, numbers: range, check_cancelled: Callable[[], None]) -> Any:
        check_cancelled()
        return np.zeros((len(numbers), 1))
