"""What the panel knows, by topic; its parts show a topic and are told when it changes.

Belongs to Tk's thread.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

Topic = Literal["online", "catalog", "datasets", "presets", "runs", "selected", "events"]
Listener = Callable[[Any], None]


class State:
    """The last known value of each topic.

    ``online`` whether the server answers; ``catalog``, ``datasets``, ``presets``, ``runs`` as the
    server says them; ``selected`` the id of the run that is looked at; ``events`` what has happened
    to it, oldest first.
    """

    def __init__(self) -> None:
        self._values: dict[Topic, Any] = {
            "online": True, "catalog": {}, "datasets": [], "presets": [], "runs": [],
            "selected": None, "events": [],
        }  # fmt: skip
        self._listeners: dict[Topic, list[Listener]] = {topic: [] for topic in self._values}

    def __getitem__(self, topic: Topic) -> Any:
        """Return what is known of a topic."""
        return self._values[topic]

    def __setitem__(self, topic: Topic, value: Any) -> None:
        """Learn something; who listens is told where it is new.

        One that raises keeps it from nobody; its error is raised when all have been told.
        """
        if value != self._values[topic]:
            self._values[topic] = value
            faults: list[Exception] = []
            for listener in tuple(self._listeners[topic]):
                try:
                    listener(value)
                except Exception as fault:  # noqa: BLE001  # raised once the others know
                    faults.append(fault)
            if faults:
                raise faults[0]

    def on(self, topic: Topic, listener: Listener) -> None:
        """Tell ``listener`` the value of a topic whenever it changes."""
        self._listeners[topic].append(listener)

    def run(self, run_id: str | None) -> Mapping[str, Any] | None:
        """Return a run of the list, None where it is not there."""
        return next((run for run in self["runs"] if run["run_id"] == run_id), None)
