"""A log that tests start, and the lines in it."""

import errno
import json
from collections.abc import Callable
from typing import Any

from app.data_dir import DataDir

TOKEN = "correct-horse/battery+staple=~\"'\\0123456789"  # noqa: S105  # of these tests alone


def lines(place: DataDir, name: str = "studio.log") -> list[dict[str, Any]]:
    text = (place.logs / name).read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def refuse(path: object = None, *_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", path)


Start = Callable[[], Callable[[], None]]
