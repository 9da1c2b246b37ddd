"""What the audit needs of the world."""

from collections.abc import Iterator
from datetime import date
from typing import Protocol

from headrace.audit.model import Action, Day, Event, Failing, Span


class Trail(Protocol):
    """Events, in the order of their times. Nothing changes or removes one."""

    def append(self, event: Event) -> None:
        """Writes it down. Raises Unavailable: it is not written."""
        ...

    def of(self, day: date) -> Iterator[Event]:
        """Those of a day (UTC), oldest first."""
        ...


class Statistics(Protocol):
    """Counts and failings per service."""

    def count(self, service: str, day: date, action: Action) -> None:
        """One more of it. Raises Unavailable."""
        ...

    def note(self, failing: Failing) -> None:
        """Keeps it for as long as failings are kept. Raises Unavailable."""
        ...

    def days(self, service: str, span: Span) -> tuple[Day, ...]:
        """The days on which something was counted, in order."""
        ...

    def failings(
        self, service: str, limit: int, before: str | None
    ) -> tuple[tuple[Failing, ...], str | None]:
        """The newest first, older than the place ``before``; and the place to go on from."""
        ...
