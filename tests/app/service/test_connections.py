"""How many connections a server takes follows from how many files it may open."""

import resource

import pytest

from app.connections import OWN_FILES, room_for

EVER = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("files", "most", "room", "raised"),
    [
        (1024, 4096, 700, None),
        (700 + OWN_FILES, 4096, 700, None),
        (EVER, EVER, 700, None),
        (256, EVER, 700, 700 + OWN_FILES),
        (256, 4096, 700, 700 + OWN_FILES),
        (256, 512, 512 - OWN_FILES, 512),
        (256, 256, 256 - OWN_FILES, 256),
        (8, 8, 1, 8),
    ],
)
def test_room_for_connections(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int, room: int, raised: int | None
) -> None:
    """The bound on open files is raised as far as it may be, and the connections stay below it."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, most))
    monkeypatch.setattr(resource, "setrlimit", lambda _, bounds: asked.append(bounds))
    assert room_for(700) == room
    assert asked == ([] if raised is None else [(raised, most)])


def test_a_bound_that_cannot_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses to raise the bound, there is room for fewer connections."""

    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, EVER))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert room_for(700) == 256 - OWN_FILES
