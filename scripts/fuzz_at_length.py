"""What the long fuzzers share: hypothesis for so many minutes, and what it found.

Hypothesis goes in rounds, each from a seed of its own, so that a time can be kept and a round can
be repeated. What it finds it shrinks; a finding is told once, with its smallest case, and the next
rounds go on.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

MOST_FINDINGS = 20
# What exchange_calendars uses of pandas and numpy, and they deprecate; as the tests ignore it.
FOREIGN: tuple[tuple[str, type[Warning]], ...] = (
    ("Series.values returning an ndarray", DeprecationWarning),
    ("DatetimeIndex.weekday is deprecated", DeprecationWarning),
    ("The 'generic' unit for NumPy timedelta", DeprecationWarning),
)


@dataclass
class Outcome:
    """What so many cases came to; ``kinds`` counts what they ended as."""

    seed: int
    minutes: float = 0.0
    cases: int = 0
    rounds: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)


def fuzz(
    cases: SearchStrategy[Any],
    check: Callable[[Any, Path], str],
    *,
    minutes: float,
    first_seed: int,
    examples: int = 200,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Check cases until the time is over, one round at least.

    ``check`` is given a case and an empty directory, and returns in a word what came of it; what it
    raises is a finding.
    """
    outcome = Outcome(first_seed)
    began = time.monotonic()
    while outcome.rounds == 0 or time.monotonic() - began < 60 * minutes:
        found = _round(cases, check, first_seed + outcome.rounds, examples, outcome)
        if found is not None and found[0] not in outcome.findings:
            outcome.findings[found[0]] = found[1]
            say(f"FINDING with --seed {first_seed + outcome.rounds}: {found[0]}\n{found[1]}")
        outcome.rounds += 1
        if outcome.rounds % 20 == 0:
            say(f"{outcome.cases} cases, {len(outcome.findings)} findings")
        if len(outcome.findings) >= MOST_FINDINGS:
            break
    outcome.minutes = round((time.monotonic() - began) / 60, 1)
    return outcome


def _round(
    cases: SearchStrategy[Any],
    check: Callable[[Any, Path], str],
    number: int,
    examples: int,
    outcome: Outcome,
) -> tuple[str, str] | None:
    """Check some cases; return where something was found, and the smallest case of it."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target, Phase.shrink),
        print_blob=False,
    )
    @given(cases)
    def each(case: Any) -> None:
        outcome.cases += 1
        with tempfile.TemporaryDirectory(prefix="studio-fuzz-") as folder, no_warnings():
            ended = check(case, Path(folder))
        outcome.kinds[ended] += 1

    try:
        each()
    except BaseException as fault:
        if isinstance(fault, KeyboardInterrupt):
            raise
        return _where(fault), _words(fault)
    return None


@contextmanager
def no_warnings() -> Iterator[None]:
    """Let every warning be an error, but those of other people's libraries about each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message, kind in FOREIGN:
            warnings.filterwarnings("ignore", message, kind)
        yield


def _where(fault: BaseException) -> str:
    """Return what was raised and where, by which findings are told apart."""
    if isinstance(fault, BaseExceptionGroup):
        return "; ".join(sorted(_where(each) for each in fault.exceptions))
    frames = traceback.extract_tb(fault.__traceback__)
    last = frames[-1]
    return (
        f"{type(fault).__name__} in {last.name}, line {last.lineno} of {Path(last.filename).name}"
    )


def _words(fault: BaseException) -> str:
    """Return what was raised, with the falsifying example that hypothesis notes."""
    return "".join(traceback.format_exception(fault))[-6000:]


def command(
    description: str | None,
    cases: Callable[[], SearchStrategy[Any]],
    check: Callable[[Any, Path], str],
    examples: int = 200,
) -> int:
    """Parse the arguments, fuzz, and say what was found; 1 where it was anything."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each adds one")
    parser.add_argument("--json", type=Path, help="where to keep the outcome")
    given_ = parser.parse_args()
    outcome = fuzz(
        cases(),
        check,
        minutes=given_.minutes,
        first_seed=given_.seed,
        examples=examples,
        say=lambda words: print(words, flush=True),
    )
    if given_.json is not None:
        figures = vars(outcome) | {"kinds": dict(outcome.kinds)}
        given_.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"{outcome.cases} cases in {outcome.minutes} minutes, {len(outcome.findings)} findings")
    for kind, count in outcome.kinds.most_common():
        print(f"{kind}: {count}")
    sys.stdout.flush()
    return 1 if outcome.findings else 0
