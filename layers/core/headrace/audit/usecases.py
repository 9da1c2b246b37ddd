"""Writing down what was done, and reading it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.audit.model import Day, Event, Failing, Span
from headrace.audit.ports import Statistics, Trail
from headrace.kernel.clock import Clock

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordEvent:
    """Writes an event down, before the caller gets its answer: what the trail does not have was
    not handed out. Counting it is worth less, and fails no call."""

    trail: Trail
    statistics: Statistics

    def __call__(self, event: Event) -> None:
        """Raises Unavailable: it is not written down."""
        self.trail.append(event)
        try:
            self.statistics.count(event.service, event.at.date(), event.action)
        except Exception:
            # Whatever it was: what was done has been done, and is in the trail.
            _log.exception("an event was not counted")


@dataclass(frozen=True)
class NoteFailing:
    """Counts a failing and keeps it for those who run the service."""

    statistics: Statistics

    def __call__(self, failing: Failing) -> None:
        """Raises Unavailable."""
        self.statistics.count(failing.service, failing.at.date(), failing.action)
        self.statistics.note(failing)


@dataclass(frozen=True)
class ReadStatistics:
    """What was done by a service, and what came to nothing."""

    statistics: Statistics
    clock: Clock

    def days(self, service: str, span: Span) -> tuple[Day, ...]:
        """Every day of the span, also those on which nothing was done."""
        counted = {day.day: day for day in self.statistics.days(service, span)}
        return tuple(counted.get(day, Day(day, {})) for day in span.days())

    def failings(
        self, service: str, limit: int, before: str | None
    ) -> tuple[tuple[Failing, ...], str | None]:
        """One page, newest first, and the place of the next page if there is one."""
        return self.statistics.failings(service, limit, before)


@dataclass(frozen=True)
class ReadTrail:
    """The operator's export of the trail."""

    trail: Trail

    def __call__(self, span: Span, service: str | None = None) -> Iterator[Event]:
        """The events of the days, oldest first; of one service, if it is named."""
        for day in span.days():
            for event in self.trail.of(day):
                if service in {None, event.service}:
                    yield event
