"""``/panel``: the window beside the server, where there is one."""

from app.api_errors import ApiError
from app.handlers.base import Handler


class Show(Handler):
    """The window, brought to the front: what a second start of the program asks for."""

    def post(self) -> None:
        """Show it."""
        if self.services.show_panel is None:
            raise ApiError("NOT_FOUND", "this server has no panel")
        self.services.show_panel()
        self.set_status(204)
