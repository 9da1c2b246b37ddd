"""What managers of a service are shown of what it did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from headrace.audit.model import Action, Day, Failing
from headrace.kernel.view import View


@dataclass(frozen=True)
class DayView(View):
    """What was done on a day."""

    day: str
    """The day, UTC."""
    counts: dict[str, int]
    """How often, by action; what is not named was not done."""


@dataclass(frozen=True)
class StatisticsView(View):
    """What a service did, day by day."""

    service: str
    """The service."""
    days: tuple[DayView, ...]
    """Every day of the span, oldest first."""

    @classmethod
    def of(cls, service: str, days: Iterable[Day]) -> "StatisticsView":
        """Of these days."""
        return cls(
            service,
            tuple(
                DayView(
                    day.day.isoformat(),
                    {str(action): day.counts[action] for action in Action if action in day.counts},
                )
                for day in days
            ),
        )


@dataclass(frozen=True)
class ErrorView(View):
    """A call or an operation that came to nothing."""

    at: datetime
    """When."""
    action: Action
    """`failure`: the caller has to change something. `error`: it failed on our side."""
    what: str
    """The route that was called, or `operation`."""
    status: int
    """The HTTP status that was answered."""
    code: str
    """The stable code of the problem."""
    correlation_id: str
    """Of the answer; of an operation, its id."""
    credential: str | None
    """The id of the API key that was used, if one was."""


@dataclass(frozen=True)
class ErrorPage(View):
    """Errors of a service."""

    errors: tuple[ErrorView, ...]
    """Newest first."""
    next: str | None
    """The `cursor` of the next page; null on the last."""

    @classmethod
    def of(cls, failings: Iterable[Failing], following: str | None) -> "ErrorPage":
        """Of these."""
        return cls(
            tuple(
                ErrorView(
                    at=one.at,
                    action=one.action,
                    what=one.what,
                    status=one.status,
                    code=one.code,
                    correlation_id=one.correlation_id,
                    credential=one.credential,
                )
                for one in failings
            ),
            following,
        )
