"""Named points at which a test lets the process die or the disk fail.

``STUDIO_FAULT=point:action[:first[-last]]``, several between commas: at the first passage of
``point`` (or from the ``first`` to the ``last``) ``kill`` ends the process as a power cut would,
``enospc`` and ``erofs`` raise what a full and a read-only disk do. Nobody else sets it.

At ``queued`` the disk fails while a requested run is written; the process dies once it is stored,
before anyone has heard of it.
"""

import errno
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import ConfigError

VARIABLE = "STUDIO_FAULT"
KILL = "kill"
POINTS = ("queued", "running", "artifact_write", "renamed", "trimming", "group_commit")
DISK_FAULTS = {"enospc": errno.ENOSPC, "erofs": errno.EROFS}
FORM = re.compile(r"(?P<point>\w+):(?P<action>\w+)(:(?P<first>\d+)(-(?P<last>\d+))?)?")
FOREVER = 1 << 62


@dataclass(frozen=True)
class _Fault:
    action: str
    first: int
    last: int


class FaultPoints:
    """The faults that were asked for; without any, passing a point costs next to nothing.

    May be used from any thread.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._faults: dict[str, list[_Fault]] = {}
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()
        for text in filter(None, ((environment or {}).get(VARIABLE) or "").split(",")):
            found = FORM.fullmatch(text.strip())
            if found is None or found["point"] not in POINTS:
                raise ConfigError.of(VARIABLE, f"{text!r} is not point:action[:first[-last]]")
            if found["action"] != KILL and found["action"] not in DISK_FAULTS:
                raise ConfigError.of(VARIABLE, f"there is no action {found['action']!r}")
            first = int(found["first"] or 1)
            last = int(found["last"] or (first if found["first"] else FOREVER))
            fault = _Fault(found["action"], first, last)
            self._faults.setdefault(found["point"], []).append(fault)

    def passing(self, point: str, *actions: str) -> None:
        """Let happen what was asked for at ``point``; where ``actions`` are named, of these alone.

        A point whose actions happen in different places is counted in each of them by itself.

        Raises
            OSError where the disk is to fail there.
        """
        faults = self._faults.get(point)
        if faults is None:
            return
        place = ":".join((point, *actions))
        with self._lock:
            self._passed[place] += 1
            n = self._passed[place]
        for fault in faults:
            if fault.first <= n <= fault.last and fault.action in (actions or (*DISK_FAULTS, KILL)):
                if fault.action == KILL:
                    os.kill(os.getpid(), signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
                code = DISK_FAULTS[fault.action]
                raise OSError(code, os.strerror(code))
