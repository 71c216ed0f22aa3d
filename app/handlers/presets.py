"""``/presets``: parts of configurations, kept under names."""

from app.handlers.base import Handler
from app.presets import no_such_preset, wrong_in
from engine.wording import is_portable_name


class Presets(Handler):
    """All of them, and new ones."""

    def get(self) -> None:
        """Send every preset, by name."""
        self.set_header("Cache-Control", "no-store")
        self.answer({"presets": self.services.presets.list()})

    async def post(self) -> None:
        """Store a preset, in the place of one of the same name."""
        body = self.json_body()
        if faults := wrong_in(body):
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
