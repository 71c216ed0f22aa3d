"""``/presets``: parts of configurations, kept under names."""

from typing import Any

from app.handlers.base import Handler
from app.presets import check_name, no_such_preset
from engine.errors import ConfigError, Fault, faults_from
from engine.wording import is_portable_name

FIELDS = {"name", "config"}


class Presets(Handler):
    """All of them, and new ones."""

    def get(self) -> None:
        """Send every preset, by name."""
        self.set_header("Cache-Control", "no-store")
        self.answer({"presets": self.services.presets.list()})

    async def post(self) -> None:
        """Store a preset, in the place of one of the same name."""
        body = self.json_body()
        if faults := _faults(body):
            await self.services.presets.refuse(faults, body.get("config"))
        made = await self.services.presets.put(body["name"], body["config"])
        self.answer(body, 201 if made else 200)


class Preset(Handler):
    """One of them."""

    def get(self, name: str) -> None:
        """Send it."""
        self.set_header("Cache-Control", "no-store")
        self.answer(self.services.presets.get(_known(name)))

    async def delete(self, name: str) -> None:
        """Remove it."""
        await self.services.presets.delete(_known(name))
        self.set_status(204)


def _known(name: str) -> str:
    if not is_portable_name(name):
        raise no_such_preset()
    return name


def _faults(body: Any) -> list[Fault]:
    """Return what keeps a body from being ``{name, config}``, but for what the latter holds."""
    if not isinstance(body, dict):
        raise ConfigError.of("", "should be an object")
    faults = [Fault(field, "unknown field") for field in sorted(body.keys() - FIELDS)]
    faults += [Fault(field, "is required") for field in sorted(FIELDS - body.keys())]
    if "config" in body and not isinstance(body["config"], dict):
        faults.append(Fault("config", "should be an object"))
    if "name" in body:
        faults += faults_from(check_name, body["name"])
    return faults
