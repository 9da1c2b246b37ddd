"""What is remembered of calls: events, failings, and counts per service and day.

Ids only: neither a secret nor a name, an address or a value of anybody's data gets in here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum


class Action(StrEnum):
    """What was done (seed 002, statistics). Those of the trail, then what only counts."""

    TOKEN = "token"  # noqa: S105 - what was given, not a secret
    LOGIN = "login"
    REFRESH = "refresh"
    GRANT = "grant"
    REVOKE = "revoke"
    EXPORT = "export"
    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"
    DOWNLOAD = "download"
    DATA_SET = "data_set"
    """A data set was created or changed."""
    BUILD = "build"
    IMPORT = "import"
    UNDO = "undo"
    CONFIGURE = "configure"
    """A property, a credential or the task processing of an environment was set."""
    ACCESS_REQUEST = "access_request"
    """A request for access was recorded, opened or rejected; ``GRANT``: approved."""
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    """The operator let a tenant's partners read a template, or no more."""
    REDIRECT = "redirect"
    """A user was told where a profile is shown."""
    PERSON_EXPORT = "person_export"
    """The operator wrote down, for a person, what is kept of them."""
    STORY = "story"
    """The operator read what happened to an operation or a process."""
    ERASE = "erase"
    """The operator erased a person's profile."""
    FAILURE = "failure"
    """A call that was refused: the caller has to change something."""
    ERROR = "error"
    """A call or an operation that failed on our side."""


@dataclass(frozen=True)
class Event:
    """One thing done. ``service``: the client it was done by, or for, or to.

    ``concerns``: the ids of what it was done to, by what they are ids of.
    """

    at: datetime
    action: Action
    tenant: str
    service: str
    correlation_id: str
    user: str | None = None
    organisation: str | None = None
    credential: str | None = None
    concerns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failing:
    """A call or operation of a service that came to nothing. ``what``: the route, or the task."""

    at: datetime
    action: Action
    service: str
    what: str
    status: int
    code: str
    correlation_id: str
    credential: str | None = None


@dataclass(frozen=True)
class Day:
    """The counts of one day, UTC; an action that is not there was not done."""

    day: date
    counts: Mapping[Action, int]


MOST_DAYS = 366
PLACE = re.compile(r"[0-9TZ:.-]{24}#[ -~]{1,128}")
"""Where a page of failings ends: the time and the correlation id of its last."""


@dataclass(frozen=True)
class Span:
    """The days from ``first`` to ``last``, both of them included."""

    first: date
    last: date

    @classmethod
    def of(cls, first: date | None, last: date | None, today: date) -> "Span":
        """Of what a caller named; the last 30 days if nothing. Raises ValueError."""
        last = last or today
        first = first or last - timedelta(days=29)
        if not 0 <= (last - first).days < MOST_DAYS:
            raise ValueError(f"name one to {MOST_DAYS} days, the first before the last")
        return cls(first, last)

    def days(self) -> tuple[date, ...]:
        """Each of them, in order."""
        return tuple(
            self.first + timedelta(days=number)
            for number in range((self.last - self.first).days + 1)
        )
