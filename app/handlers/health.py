"""``/health``: whether the server is there."""

from app.api_errors import ApiError
from app.handlers.base import Handler


class Health(Handler):
    """Answers anyone on this machine, without a token."""

    def get(self) -> None:
        """Say who answers; while the server stops, that it does."""
        if self.services.closing:
            raise ApiError("SHUTTING_DOWN", "Studio is stopping")
        self.set_header("Cache-Control", "no-store")
        self.answer(self.services.health)
