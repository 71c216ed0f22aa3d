"""How a command ends: what a person reads about an error, and the exit code."""

from enum import IntEnum
from typing import Any

import typer

from app.data_dir import StartError
from app.process import INTERRUPTED, INTERRUPTED_CODE
from engine.errors import (
    ConfigError,
    DataError,
    OutputError,
    RunCancelled,
    StudioError,
    VerificationError,
)

MAX_LISTED = 10  # faults of a configuration


class Exit(IntEnum):
    """How a command ends."""

    DONE = 0
    USAGE = 2
    DATA = 3
    FAILED = 4
    VERIFICATION = 5
    NOT_STARTED = 6
    INTERRUPTED = INTERRUPTED_CODE


EXIT_CODES: tuple[tuple[type[StudioError], Exit], ...] = (
    (ConfigError, Exit.USAGE),
    (OutputError, Exit.USAGE),
    (DataError, Exit.DATA),
    (VerificationError, Exit.VERIFICATION),
    (RunCancelled, Exit.INTERRUPTED),
    (StartError, Exit.NOT_STARTED),
    (StudioError, Exit.FAILED),
)


def explain(fault: BaseException, command: str = "studio") -> tuple[str, Exit]:
    """Return what a person should read about an error of ``command``, and the exit code for it."""
    if isinstance(fault, StudioError):
        said = _listed(fault) if isinstance(fault, ConfigError) else str(fault)
        return said, next(code for kind, code in EXIT_CODES if isinstance(fault, kind))
    if isinstance(fault, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED, Exit.INTERRUPTED
    if isinstance(fault, typer.TyperException):
        return _usage(fault, command), Exit.USAGE
    if isinstance(fault, OSError):
        reason = (fault.strerror or "a file cannot be used").lower()
        return f"The output could not be written: {reason}.", Exit.FAILED
    if isinstance(fault, MemoryError):
        return "There is not enough memory for this run.", Exit.FAILED
    return f"An error inside Studio ({type(fault).__name__}); please report it.", Exit.FAILED


def _listed(fault: ConfigError) -> str:
    """Return what is wrong with a configuration; of much the first, and how much more."""
    n = len(fault.faults)
    if n <= MAX_LISTED:
        return str(fault)
    first = "\n".join(map(str, fault.faults[:MAX_LISTED]))
    return f"{first}\nand {n - MAX_LISTED:,} more"


def _usage(fault: Any, command: str) -> str:
    """Return what is wrong with a command line, and where it is told how it should be."""
    said = " ".join(fault.format_message().split())
    if not said.endswith((".", "?")):
        said += "."
    context = getattr(fault, "ctx", None)
    if context is not None:
        command = context.command_path
        takes_fields = any("--set" in option.opts for option in context.command.params)
        if takes_fields and hasattr(fault, "possibilities"):  # an option that there is not
            said += " A field of the configuration is set with --set field=value."
    return f"{said} See '{command} --help'."
