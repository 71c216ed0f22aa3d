"""The token: where it comes from, who may read it, and which headers hold it."""

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from app.cli_faults import Exit, explain
from app.data_dir import DataDir
from app.token_file import TokenError, TokenSource, Verifier, obtain_token
from engine.errors import StorageError

TOKEN = "correct-horse/battery+staple=~!0123456789"  # noqa: S105  # of these tests alone
OTHER = "another-token-of-forty-characters-ABCDEFG"

BAD = [
    b"",
    b"\n",
    b"x" * 31,
    b"x" * 257,
    b"x" * 100_000,
    TOKEN.encode() + b" ",
    b" " + TOKEN.encode(),
    TOKEN.replace("-", " ").encode(),
    TOKEN.encode() + b"\n\n",
    TOKEN.encode() + b"\r",
    b"0123456789abcdef\n0123456789abcdef",
    TOKEN.encode() + b"\x00",
    TOKEN.encode() + b"\x7f",
    TOKEN.encode() + "é".encode(),
    TOKEN.encode() + b"\xff",
    b"\xef\xbb\xbf" + TOKEN.encode(),
]


@pytest.fixture
def place(tmp_path: Path) -> DataDir:
    place = DataDir(tmp_path / "data")
    place.prepare()
    return place


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


def refused(environment: str | None, file: Path | None, place: DataDir) -> str:
    with pytest.raises(TokenError) as caught:
        obtain_token(environment, file, place)
    assert caught.value.code == "TOKEN_REFUSED"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_new_token_is_kept(place: DataDir) -> None:
    """The first start makes a random token in a private file, and later ones keep it."""
    source = obtain_token(None, None, place)
    assert source.path == place.token
    assert source.warnings == ()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", source.token)
    assert place.token.read_text(encoding="ascii") == source.token + "\n"
    assert stat.S_IMODE(place.token.stat().st_mode) == 0o600
    assert obtain_token(None, None, place) == source
    place.token.unlink()
    assert obtain_token(None, None, place).token != source.token
    assert not list(place.path.glob(".token*"))


def test_precedence(place: DataDir, tmp_path: Path) -> None:
    """The environment comes before the file asked for, and either leaves the data directory alone."""
    file = tmp_path / "mine"
    put(file, OTHER.encode())
    assert obtain_token(TOKEN, file, place) == TokenSource(TOKEN, None)
    assert obtain_token(None, file, place) == TokenSource(OTHER, file)
    assert not place.token.exists()


@pytest.mark.parametrize("length", [32, 256])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_lengths_and_ends(place: DataDir, length: int, end: bytes) -> None:
    """From 32 to 256 characters, with or without the end of a line, a file holds a token."""
    put(place.token, b"~" * length + end)
    assert obtain_token(None, None, place).token == "~" * length


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_bad_tokens(place: DataDir, tmp_path: Path, content: bytes) -> None:
    """A token of another form is refused wherever it stands, never shown and never replaced."""
    file = tmp_path / "mine"
    put(file, content)
    put(place.token, content)
    text = content.decode("utf-8", "surrogateescape")
    sentences = {
        refused(text, None, place): "The token in STUDIO_TOKEN is not 32 to 256 visible ASCII",
        refused(None, file, place): f"The token file {file} is not 32 to 256 visible ASCII",
        refused(
            None, None, place
        ): "The token in the data directory is not 32 to 256 visible ASCII",
    }
    for sentence, beginning in sentences.items():
        assert sentence.startswith(beginning)
        assert "0123456789" not in sentence
        assert "xxx" not in sentence
    assert place.token.read_bytes() == content


def test_the_environment_has_no_line_end(place: DataDir) -> None:
    """Only a file may end its token with a new line."""
    assert "STUDIO_TOKEN" in refused(TOKEN + "\n", None, place)


def test_no_regular_file(place: DataDir, tmp_path: Path) -> None:
    """A link, a pipe and a directory are refused by name of the fault, without waiting."""
    file = tmp_path / "mine"
    put(file, TOKEN.encode())
    what, remedy = "The token in the data directory", "remove it to have one made."
    for target in (file, tmp_path / "none"):
        place.token.symlink_to(target)
        assert refused(None, None, place) == f"{what} is a link; {remedy}"
        place.token.unlink()
    os.mkfifo(place.token)
    assert refused(None, None, place) == f"{what} is not a regular file; {remedy}"
    place.token.unlink()
    place.token.mkdir()
    assert refused(None, None, place) == f"{what} is not a regular file; {remedy}"
    assert not (tmp_path / "none").exists()
    (tmp_path / "link").symlink_to(file)
    asked = refused(None, tmp_path / "link", place)
    assert asked == f"The token file {tmp_path / 'link'} is a link; give another with --token-file."
    assert "does not exist; give another" in refused(None, tmp_path / "none", place)


def test_another_users_token(place: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that another user has put there is refused."""
    put(place.token, TOKEN.encode())
    monkeypatch.setattr(os, "geteuid", lambda: place.token.stat().st_uid + 1)
    assert "belongs to another user; remove it" in refused(None, None, place)


def test_open_modes(place: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that others could read is closed to them and told; so is one that stays open."""
    put(place.token, TOKEN.encode())
    place.token.chmod(0o644)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fchmod", refuse)
        (warning,) = obtain_token(None, None, place).warnings
    assert warning == (
        "The token in the data directory is open to other users of this machine "
        "and cannot be closed to them."
    )
    (warning,) = obtain_token(None, None, place).warnings
    assert warning.endswith("was open to other users of this machine; it is now closed to them.")
    assert stat.S_IMODE(place.token.stat().st_mode) == 0o600
    assert obtain_token(None, None, place).warnings == ()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ELOOP])
def test_unreadable(place: DataDir, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A token that cannot be read is refused with the reason."""
    put(place.token, TOKEN.encode())

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert f"could not be read: {os.strerror(number).lower()}; remove" in refused(None, None, place)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "No space is left to write the token"), (errno.EROFS, "read-only file system")],
)
def test_no_room_for_a_token(
    place: DataDir, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A new token that cannot be written is told in plain words, and no half of one is left."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match=words):
            obtain_token(None, None, place)
    assert not list(place.path.glob("*token*"))
    assert not list(place.path.glob(".token*"))


@pytest.mark.parametrize("name", ["Bearer", "bearer", "BEARER", "bEARER"])
def test_right_headers(name: str) -> None:
    """The scheme is read in either case, the token exactly."""
    assert Verifier(TOKEN).matches(f"{name} {TOKEN}")
    assert not Verifier(TOKEN).matches(f"{name} {TOKEN.upper()}")


@pytest.mark.parametrize(
    "header",
    [
        None, "", " ", "Bearer", "Bearer ", TOKEN, f"Bearer{TOKEN}", f"Bearer  {TOKEN}", f" Bearer {TOKEN}",
        f"Bearer {TOKEN} ", f"Bearer {TOKEN} {TOKEN}", f"Bearer\t{TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN}, x",
        f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", f"Bearer {OTHER}", f"Bearer {TOKEN}é", f"Beaſer {TOKEN}",
        f"Bearer {TOKEN}\udc80", "Bearer " + "x" * 100_000, "\x00",
    ],
)  # fmt: skip
def test_wrong_headers(header: str | None) -> None:
    """Whatever is not exactly one scheme and one token is wrong, and never an exception."""
    assert not Verifier(TOKEN).matches(header)


def test_nothing_shows_the_token(place: DataDir) -> None:
    """Neither the source nor the verifier shows the token or its hash when printed."""
    source = obtain_token(TOKEN, None, place)
    verifier = Verifier(TOKEN)
    for shown in (repr(source), str(source), repr(verifier), str(verifier)):
        assert TOKEN not in shown
        assert verifier._digest.hex() not in shown
        assert repr(verifier._digest) not in shown


def test_exit_code() -> None:
    """A refused token means that Studio could not start, which is exit code 6."""
    assert explain(TokenError("so")) == ("so", Exit.NOT_STARTED)
