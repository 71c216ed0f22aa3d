"""When garbage is looked for in a process of our own, and in one that is not."""

import gc
import subprocess
import sys

from app.process import AS_USUAL, RARELY, all_is_imported


def said_by(code: str) -> list[str]:
    """Return the words that a program prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_command_looks_for_garbage_seldom() -> None:
    """Next to no search while a command comes up, and nothing left to walk at its end."""
    words = said_by(
        "import gc, sys; from app.__main__ import main\n"
        "before = gc.get_stats()\n"
        "sys.argv = ['studio', 'catalog', '--json']\n"
        "code = main()\n"
        "print()\n"
        "print(code, gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count() > 50_000,"
        " len(gc.get_objects()) < 100,"
        " sum(s['collections'] - b['collections'] for s, b in zip(gc.get_stats(), before)))"
    )
    *_, code, enabled, threshold, frozen, nothing_left, n_searches = words
    assert (code, enabled, int(threshold)) == ("0", "True", RARELY)
    assert (frozen, nothing_left) == ("True", "True")
    assert int(n_searches) < 10


def test_a_failure_ends_the_same_way() -> None:
    """An error does not leave the program walking through all its modules either."""
    words = said_by(
        "import gc; from app.process import own_process\n"
        "try:\n"
        "    with own_process():\n"
        "        raise SystemExit(3)\n"
        "except SystemExit as end:\n"
        "    print(end.code, gc.get_freeze_count() > 1_000)"
    )
    assert words == ["3", "True"]


def test_a_server_looks_as_usual_once_all_is_there() -> None:
    """What comes after the imports is searched by Python's own thresholds; what stays is not."""
    words = said_by(
        "import gc; from pathlib import Path; from tempfile import mkdtemp\n"
        "from app.process import own_process\n"
        "from app.settings import read_settings\n"
        "from app.server import _load_backtests\n"
        "with own_process():\n"
        "    settings = read_settings({'data_dir': Path(mkdtemp())}, {})\n"
        "    print(*gc.get_threshold())\n"
        "    backtests = _load_backtests(settings)\n"
        "    print(*gc.get_threshold(), gc.get_freeze_count() > 50_000, gc.isenabled())"
    )
    usual = [str(n) for n in AS_USUAL]
    assert words == [str(RARELY), *usual[1:], *usual, "True", "True"]


def test_anothers_process_is_left_alone() -> None:
    """Where the server is only a part, as in a test, nothing of how garbage is found changes."""
    before = gc.get_threshold(), gc.get_freeze_count()
    all_is_imported()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_garbage_in_a_process_of_our_own() -> None:
    """It is looked for where the imports are set apart, and where Python may look by itself."""
    words = said_by(
        "import gc, weakref; from app.process import look_for_garbage\n"
        "class Ring: pass\n"
        "def goes():\n"
        "    ring = Ring(); ring.itself = ring; left = weakref.ref(ring); del ring\n"
        "    look_for_garbage()\n"
        "    return left() is None\n"
        "print(goes())\n"
        "gc.freeze(); print(goes())\n"
        "gc.disable(); print(goes())"
    )
    assert words == ["False", "True", "False"]
