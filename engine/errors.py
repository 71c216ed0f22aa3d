"""Every error that the engine raises on purpose.

StudioError                 code
├── ConfigError             INVALID_PARAM       a configuration's faults, each with its dotted field
│   └── LimitError          LIMIT_EXCEEDED      nothing but limits is wrong
├── DataError               INVALID_DATA        candles that cannot be used
│   └── DatasetNotFound     DATASET_NOT_FOUND
├── LookaheadError          LOOKAHEAD           something knew bars that were still to come
├── PluginError             PLUGIN_FAILED       a user's own component failed
├── RunCancelled            CANCELLED           asked to stop
├── ClusterError            CLUSTER_UNAVAILABLE the cluster named is away, died, or does not match
├── StorageError            STORAGE_FULL        no space, or a place that cannot be written
├── OutputError             INVALID_OUTPUT      the place asked for holds something else
└── VerificationError       VERIFICATION_FAILED files that do not match their manifest

Messages are plain sentences for a person; none holds a traceback.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self


class StudioError(Exception):
    """The base of every expected error; ``code`` is stable, the message is for a person."""

    code: ClassVar[str] = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a configuration: its dotted field and what is wrong there."""

    field: str
    message: str

    def __str__(self) -> str:
        """Return ``field: message``."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ConfigError(StudioError):
    """A configuration that cannot be run; ``faults`` lists everything wrong with it."""

    code = "INVALID_PARAM"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Fault, ...]]]:
        """Return how it is made again: an exception is pickled by its message otherwise."""
        return type(self), (self.faults,)

    @classmethod
    def of(cls, field: str, message: str) -> Self:
        """Return the error for a single fault."""
        return cls([Fault(field, message)])


class LimitError(ConfigError):
    """A configuration that is well formed but asks for more than the limits allow."""

    code = "LIMIT_EXCEEDED"


def faults_from(check: Callable[..., object], *arguments: Any) -> tuple[Fault, ...]:
    """Return the faults for which ``check`` refuses its arguments: none where it does not."""
    try:
        check(*arguments)
    except ConfigError as refusal:
        return refusal.faults
    return ()


class DataError(StudioError):
    """Candles that cannot be used as they are."""

    code = "INVALID_DATA"


class DatasetNotFound(DataError):  # noqa: N818  # "not found" is the outcome's usual name
    """No data set of that provider, symbol and timeframe."""

    code = "DATASET_NOT_FOUND"


class LookaheadError(StudioError):
    """A feature, signal or weight depends on bars after the one it belongs to."""

    code = "LOOKAHEAD"


class PluginError(StudioError):
    """A user's own component failed or returned something it may not return."""

    code = "PLUGIN_FAILED"


class RunCancelled(StudioError):  # noqa: N818  # it is an outcome, not a fault
    """The run was asked to stop and did; nothing was published."""

    code = "CANCELLED"


class ClusterError(StudioError):
    """The cluster that was asked for the replicates cannot give them."""

    code = "CLUSTER_UNAVAILABLE"


class StorageError(StudioError):
    """A place that is full or cannot be written."""

    code = "STORAGE_FULL"

    @classmethod
    def from_os_error(cls, what: str, fault: OSError) -> Self:
        """Return the plain sentence for an operating system's refusal to write ``what``."""
        if fault.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return cls(f"No space is left to write {what}; nothing was kept.")
        reason = (fault.strerror or "the place cannot be used").lower()
        return cls(f"{what[:1].upper()}{what[1:]} could not be written: {reason}.")


class OutputError(StudioError):
    """The place asked for already holds something that is not this very run."""

    code = "INVALID_OUTPUT"


class VerificationError(StudioError):
    """Files that do not match their manifest."""

    code = "VERIFICATION_FAILED"
