"""The bearer token: where it comes from, and how a request's is compared with it.

It is never part of a message, a representation, a command line or a log.
"""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from app.data_dir import DataDir, StartError
from app.runtime_file import NotPrivateError, is_open_to_others, opened_private, write_private
from engine.errors import StorageError

MIN_LENGTH, MAX_LENGTH = 32, 256

_TOKEN = re.compile(rf"[!-~]{{{MIN_LENGTH},{MAX_LENGTH}}}")
_LINE = re.compile(rf"({_TOKEN.pattern})(?:\r?\n)?")
OWN = ("The token in the data directory", "remove it to have one made")
_WANTED = f"{MIN_LENGTH} to {MAX_LENGTH} visible ASCII characters without spaces"


class TokenError(StartError):
    """A token that is not used, because it is weak or somebody else may know it."""

    code = "TOKEN_REFUSED"


@dataclass(frozen=True, slots=True)
class TokenSource:
    """The token, the file that keeps it (None: the environment), and what a person should know."""

    token: str = field(repr=False)
    path: Path | None
    warnings: tuple[str, ...] = ()


class Verifier:
    """Compares the token of a request in a time that tells nothing about it."""

    __slots__ = ("_digest",)

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode("ascii")).digest()

    def matches(self, header: str | None) -> bool:
        """Return whether the value of an ``Authorization`` header is ``Bearer <token>``."""
        if header is None or not header.isascii():
            return False
        scheme, _, credential = header.partition(" ")
        given = hashlib.sha256(credential.encode("ascii")).digest()
        return hmac.compare_digest(given, self._digest) and scheme.lower() == "bearer"


def obtain_token(
    environment_token: str | None, token_file: Path | None, data_dir: DataDir
) -> TokenSource:
    """Return the token that is known, else one that is made in the data directory, which is held.

    Raises
        TokenError where a token must not be used; StorageError where none can be written.
    """
    known = known_token(environment_token, token_file, data_dir)
    if known is not None:
        return known
    _make(data_dir.token)
    return _read(data_dir.token, *OWN)


def known_token(
    environment_token: str | None, token_file: Path | None, data_dir: DataDir
) -> TokenSource | None:
    """Return the token of the environment, else of the file asked for, else of the data directory.

    None where the last has none yet. Raises TokenError where a token must not be used.
    """
    if environment_token is not None:
        if not _TOKEN.fullmatch(environment_token):
            raise TokenError(
                f"The token in STUDIO_TOKEN is not {_WANTED}; set a longer random one, "
                "or unset it to have one made."
            )
        return TokenSource(environment_token, None)
    if token_file is not None:
        return _read(token_file, f"The token file {token_file}", "give another with --token-file")
    return _read(data_dir.token, *OWN) if os.path.lexists(data_dir.token) else None


def _make(path: Path) -> None:
    try:
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    except OSError as fault:
        raise StorageError.from_os_error("the token in the data directory", fault) from None


def _read(path: Path, what: str, remedy: str) -> TokenSource:
    """Return the token in a file, closed to others from here on."""
    try:
        with opened_private(path) as (descriptor, status):
            content = os.read(descriptor, MAX_LENGTH + 3)
            warnings = _tighten(descriptor, status, what)
    except NotPrivateError as fault:
        raise TokenError(f"{what} {fault}; {remedy}.") from None
    except FileNotFoundError:
        raise TokenError(f"{what} does not exist; {remedy}.") from None
    except OSError as fault:
        reason = (fault.strerror or "the file cannot be used").lower()
        raise TokenError(f"{what} could not be read: {reason}; {remedy}.") from None
    match = _LINE.fullmatch(content.decode("latin-1"))
    if match is None:
        raise TokenError(f"{what} is not {_WANTED}; {remedy}.")
    return TokenSource(match[1], path, warnings)


def _tighten(descriptor: int, status: os.stat_result, what: str) -> tuple[str, ...]:
    if not is_open_to_others(status):
        return ()
    try:
        os.fchmod(descriptor, 0o600)
    except OSError:  # such as a secret that is mounted read-only
        return (f"{what} is open to other users of this machine and cannot be closed to them.",)
    return (f"{what} was open to other users of this machine; it is now closed to them.",)
