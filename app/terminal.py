"""What the commands print through: results on standard output, a progress bar on a terminal."""

import os
import sys
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine.pipeline import Silent

WIDTH_OF_A_PIPE = 160
STAGE_NAMES = {
    "data_loading": "loading candles",
    "feature_compute": "computing features",
    "strategy": "signals",
    "risk_sizing": "sizing",
    "execution": "executing",
    "metrics": "measuring",
    "validation": "validating",
    "artifacts": "writing artifacts",
}


class Output(Console):
    """Standard output, in colour where it is a terminal."""

    def __init__(self) -> None:
        # In a pipe only COLUMNS tells a width, and a table should not be broken for want of one.
        width = None if sys.stdout.isatty() else int(_columns() or WIDTH_OF_A_PIPE)
        super().__init__(highlight=False, soft_wrap=True, width=width)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as ``Console`` does, but no blanks at the end of a line into a pipe or a file."""
        if self.is_terminal:
            super().print(*objects, **how)
            return
        with self.capture() as captured:
            super().print(*objects, **how)
        lines = captured.get().split("\n")
        try:
            self.file.write("\n".join(line.rstrip(" ") for line in lines))
            self.file.flush()
        except BrokenPipeError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Leave a reader that has gone to the one place that ends every command."""
        raise BrokenPipeError


def _columns() -> str:
    """Return the width that the environment asks for, nothing where it asks for none."""
    columns = os.environ.get("COLUMNS", "")
    return columns if columns.isascii() and columns.isdecimal() and int(columns) else ""


class RunProgress(Silent):
    """Shows stage and progress on standard error, and takes the bar away when the run is done."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """Name the stage beside the bar."""
        self._bar.update(self._task, description=STAGE_NAMES[name])

    def validation(self, test: str, completed: int, total: int) -> None:
        """Name the test beside the bar, and how many of its replicates are done."""
        name = test.replace("_", " ")
        self._bar.update(self._task, description=f"{name} {completed:,}/{total:,}")

    def progress(self, fraction: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=fraction)
