"""What a query says, and every fault of one that is refused."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from app.api_errors import as_query_error
from app.handlers.base import Handler
from app.operations import whole
from engine.errors import ConfigError, Fault

if TYPE_CHECKING:
    from app.backtests import Backtests


class QueryHandler(Handler):
    """A request whose query means something; it is checked before it is used."""

    def query_faults(self) -> list[Fault]:
        """Return what is wrong with the query by the table of operations."""
        return self.operations[self.asked].query_faults(self.request.query_arguments)

    def check_query(self, *others: Fault) -> None:
        """Refuse a query that has faults, or beside which the caller has found some.

        Raises
            ApiError with all of them.
        """
        faults = [*self.query_faults(), *others]
        if faults:
            raise as_query_error(ConfigError(faults))

    async def check_query_with(
        self, engine_faults: "Callable[[Backtests], Iterable[Fault]]", *others: Fault
    ) -> None:
        """Do the same; where something is wrong, the engine is asked what else is."""
        faults = [*self.query_faults(), *others]
        if faults:
            told = {each.field for each in faults}
            found = await self.services.engine.ask(engine_faults)
            self.check_query(
                *others, *(each for each in found if each.field.partition(".")[0] not in told)
            )

    def query(self, name: str) -> str | None:
        """Return a parameter, None where it is not given."""
        given = self.request.query_arguments.get(name)
        return given[0].decode("utf-8", "replace") if given else None

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """Return those of some parameters that are given."""
        values = {name: self.query(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def whole_number(self, name: str, default: int | None = None) -> int:
        """Return a parameter that is one; where it is not given a default, else the table's."""
        text = self.query(name)
        if text is not None:
            return whole(text) or 0
        table = self.operations[self.asked].query[name].schema
        return int(table["default"]) if default is None else default
