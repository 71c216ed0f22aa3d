"""What has been freed goes back to the system, also from between what is still in use."""

import ctypes
import subprocess
import sys

import pytest

from app import memory

HOLES = """
import ctypes
import sys
from pathlib import Path
from app.memory import give_back_memory

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
give_back_memory()
print(full - before, resident() - before)
"""


def test_holes_are_given_back() -> None:
    """Of 230 MB, half of them freed, half stay."""
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    full, left = map(int, done.stdout.split())
    assert 200 < full < 260
    assert 100 < left < 140


def test_no_more_often_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after it was done, and while another thread does it, nothing is done."""
    calls: list[int] = []
    monkeypatch.setattr(memory, "_found", lambda: calls.append)
    freed = memory._Freed()
    freed.give_back()
    freed.give_back()
    assert calls == [0]
    monkeypatch.setattr(memory, "LEAST_S", 0.0)
    freed.give_back()
    assert calls == [0, 0]
    with freed._lock:
        freed.give_back()
    assert calls == [0, 0]


def test_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library knows no such thing, nothing happens."""

    def without(_: None) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", without)
    assert memory._found() is None
    memory._Freed().give_back()
