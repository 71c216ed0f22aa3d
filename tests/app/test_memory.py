"""What has been freed goes back to the system, also from between what is still in use."""

import asyncio
import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import pytest

from app import memory

HOLES = """
import ctypes
import sys
from pathlib import Path
from app.memory import _of_glibc

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
before = resident()
held, freed = [], []
for _ in range(2000):  # small enough for the heap, so that each other one leaves a hole
    for blocks in (held, freed):
        blocks.append(libc.malloc(60_000))
        ctypes.memset(blocks[-1], 1, 60_000)
for block in freed:
    libc.free(block)
full = resident()
_of_glibc("malloc_trim")(0)
print(full - before, resident() - before)
"""

SHARED = """
import ctypes
import re
import threading
from pathlib import Path
from app.memory import use_one_heap

use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
held = []
def take():
    held.extend(libc.malloc(10_000) for _ in range(1000))

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
maps = Path("/proc/self/maps").read_text()
start, end = (int(x, 16) for x in re.search(r"(\\w+)-(\\w+) .*\\[heap\\]", maps).groups())
print(len(held), sum(start <= place < end for place in held))
"""

LARGE = """
import ctypes
import re
import sys
from pathlib import Path
from app.memory import use_one_heap

if sys.argv[1] == "ours":
    use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(3):
    libc.free(libc.malloc(8 << 20))
place = libc.malloc(1 << 20)
maps = Path("/proc/self/maps").read_text()
start, end = (int(x, 16) for x in re.search(r"(\\w+)-(\\w+) .*\\[heap\\]", maps).groups())
print(start <= place < end)
"""


def test_holes_are_given_back() -> None:
    """Of 230 MB, half of them freed, half stay."""
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    full, left = map(int, done.stdout.split())
    assert 200 < full < 260
    assert 100 < left < 140


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Queue[str]:
    """Return what is done, in order: "trim", and "look" for garbage."""
    done: Queue[str] = Queue()
    monkeypatch.setattr(memory, "_of_glibc", lambda _: lambda _: done.put("trim"))
    monkeypatch.setattr(memory, "look_for_garbage", lambda: done.put("look"))
    monkeypatch.setattr(memory, "AFTER_S", 0.01)
    monkeypatch.setattr(memory, "AT_REST_S", 60.0)
    return done


@pytest.mark.asyncio
async def test_once_for_much_work(calls: Queue[str]) -> None:
    """However much has ended meanwhile, it is done once; what ends later has its own time."""
    with ThreadPoolExecutor(1) as threads:
        freed = memory.FreedMemory(threads)
        for _ in range(2):
            freed.give_back_soon()
            freed.give_back_soon()
            assert await asyncio.to_thread(calls.get, timeout=10) == "trim"
            assert calls.empty()
    freed.give_back_soon()  # too late for these threads
    await asyncio.sleep(0.05)
    assert calls.empty()


@pytest.mark.asyncio
async def test_garbage_at_rest(monkeypatch: pytest.MonkeyPatch, calls: Queue[str]) -> None:
    """Garbage is looked for after the last work, not between, and what was free of it goes too."""
    monkeypatch.setattr(memory, "AFTER_S", 60.0)
    monkeypatch.setattr(memory, "AT_REST_S", 0.5)
    with ThreadPoolExecutor(1) as threads:
        freed = memory.FreedMemory(threads)
        loop = asyncio.get_running_loop()
        for n in range(10):
            loop.call_later(0.1 * n, freed.give_back_soon)
        until = loop.time() + 0.9
        assert await asyncio.to_thread(calls.get, timeout=10) == "look"
        assert loop.time() > until + 0.45
        assert await asyncio.to_thread(calls.get, timeout=10) == "trim"
        assert calls.empty()
        freed.give_back_soon()
        assert await asyncio.to_thread(calls.get, timeout=10) == "look"


@pytest.mark.asyncio
async def test_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library knows no such thing, garbage is looked for all the same."""
    looked: Queue[str] = Queue()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(memory, "look_for_garbage", lambda: looked.put("look"))
    monkeypatch.setattr(memory, "AT_REST_S", 0.01)
    with ThreadPoolExecutor(1) as threads:
        freed = memory.FreedMemory(threads)
        freed.give_back_soon()
        assert await asyncio.to_thread(looked.get, timeout=10) == "look"
    memory.use_one_heap()


def test_threads_share_the_heap() -> None:
    """What any thread asks for lies in the heap that the kernel knows as such."""
    done = subprocess.run(
        [sys.executable, "-c", SHARED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["4000", "4000"]


@pytest.mark.parametrize(("whose", "in_the_heap"), [("glibc's", "True"), ("ours", "False")])
def test_large_blocks_lie_outside(whose: str, in_the_heap: str) -> None:
    """A large block stays outside of the heap however many there were; by itself glibc learns."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, whose], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [in_the_heap]


def test_arrow_shares_the_heap() -> None:
    """A server's Arrow has the allocator of the C library, unless the user has named another."""
    code = "from app.memory import use_one_heap; use_one_heap(); import pyarrow as pa; print(pa.default_memory_pool().backend_name)"
    for named, used in (({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")):
        environment = {**os.environ, **named}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        assert done.stdout.strip() == used
