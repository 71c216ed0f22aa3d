"""What a configuration means that does not say it, in the words of the engine."""

from app.config_file import COMPONENTS
from engine.plan import DEFAULTS


def test_the_components_that_are_meant() -> None:
    """They are those of the engine, which is too heavy to ask as a server starts."""
    assert DEFAULTS.items() >= {k: v for k, v in COMPONENTS.items() if v is not None}.items()
    assert COMPONENTS.keys() >= DEFAULTS.keys() - {"provider"}
