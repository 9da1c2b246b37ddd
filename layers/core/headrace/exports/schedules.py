"""What recurs: schedules that the catalog declares, their runs, and how far each has come.

A run is an operation that is due at a time. It *waits* until it can be started, and is *missed*
if it cannot be before the schedule's next one is due::

    waiting ──> started
       └──────> missed
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.exports.cron import Cron
from headrace.exports.model import Compression, FileFormat, Occasion, OperationKind

MOST_RECORDED = 25
"""So many missed runs are recorded one by one after an outage; how many more there were, the
oldest of them says."""

_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True)
class Schedule:
    """An operation that a client of a tenant is given over and over; ``name`` is the client's own.

    It is due by ``cron``, on the clock of ``time_zone``. ``webhook``: the client's that is told of
    each end; its default one if it has any and none is named.
    """

    name: str
    tenant: str
    client_id: str
    configuration_id: str
    cron: str
    time_zone: str
    kind: OperationKind = OperationKind.FULL
    file_format: FileFormat = FileFormat.CSV
    compression: Compression = Compression.NONE
    entity: str | None = None
    enabled: bool = True
    webhook: str | None = None

    @property
    def timing(self) -> str:
        """All that decides when it is due."""
        return f"{' '.join(self.cron.split())} {self.time_zone}"

    def next_due(self, after: datetime) -> datetime | None:
        """When it is due next after a moment; None if it never is again, or is not enabled."""
        return Cron(self.cron).after(after, self.time_zone) if self.enabled else None

    def due(self, first: datetime, upto: datetime) -> tuple[list[datetime], datetime | None]:
        """All times that it is due at from ``first`` (one of them) to ``upto``, and the next."""
        times = [first]
        for moment in Cron(self.cron).times(first, self.time_zone):
            if moment > upto:
                return times, moment
            times.append(moment)
        return times, None


class RunState(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"
    """It is due, and is tried until the schedule's next run is."""
    STARTED = "started"
    """Its operation was started."""
    MISSED = "missed"
    """It was not started, and will not be."""


@dataclass(frozen=True)
class Reason:
    """Why a run is as it is: a stable code, and a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True)
class ScheduledRun:
    """A run of a schedule. ``reason``: why it waits, was missed, or exports in full after all.

    ``tries``: how often it was tried in vain.
    """

    schedule: str
    due: datetime
    state: RunState = RunState.WAITING
    tries: int = 0
    reason: Reason | None = None
    operation_id: str | None = None
    kind: OperationKind | None = None

    @property
    def occasion(self) -> Occasion:
        """What its operation is started for."""
        return Occasion(self.schedule, self.due)

    @property
    def key(self) -> str:
        """What makes it one operation, however often it is tried.

        No caller's key can be this: theirs are printable.
        """
        return f"schedule\n{self.schedule}\n{self.due.isoformat()}"

    def started(
        self, operation_id: str, kind: OperationKind, reason: Reason | None = None
    ) -> "ScheduledRun":
        """It was started, as this operation."""
        return replace(
            self, state=RunState.STARTED, operation_id=operation_id, kind=kind, reason=reason
        )

    def missed(self, reason: Reason | None = None) -> "ScheduledRun":
        """It is not tried any more, for this reason, or the one it has waited for."""
        return replace(self, state=RunState.MISSED, reason=reason or self.reason or _NOT_TRIED)

    def refused(self, reason: Reason) -> "ScheduledRun":
        """It was tried in vain."""
        return replace(self, tries=self.tries + 1, reason=reason)


_NOT_TRIED = Reason("not_tried", "The next run was due before this one was tried.")
WITHDRAWN = Reason("schedule_withdrawn", "The schedule was disabled, or is no longer published.")
_CHANGED = Reason("schedule_changed", "The schedule was given other times before this run began.")
_OUTAGE = Reason(
    "scheduler_outage",
    "Nobody looked at the schedule when this run was due; of the runs that were, the latest is "
    "started.",
)


@dataclass(frozen=True)
class Cursor:
    """How far a schedule has come. ``next_due`` is the first time that is not dealt with yet.

    ``waiting``: the run that is due and not started, to be tried at ``try_at``. ``revision`` counts
    the writes; each is conditional on the one before.
    """

    tenant: str
    client_id: str
    schedule: str
    timing: str
    next_due: datetime | None
    waiting: ScheduledRun | None = None
    try_at: datetime | None = None
    revision: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Which schedule it is of."""
        return self.tenant, self.client_id, self.schedule

    def tries_at(self, moment: datetime) -> ScheduledRun | None:
        """The run that is to be tried at a moment."""
        ready = self.waiting is not None and (self.try_at is None or self.try_at <= moment)
        return self.waiting if ready else None

    def settled(self) -> "Cursor":
        """Nothing waits any more."""
        return replace(self, waiting=None, try_at=None)

    def put_off(self, run: ScheduledRun, moment: datetime) -> "Cursor":
        """The run was tried in vain at this moment; it waits a little longer each time."""
        pause = min(timedelta(minutes=run.tries), _LONGEST_PAUSE)
        return replace(self, waiting=run, try_at=moment + pause)


def begun(schedule: Schedule, published_at: datetime) -> Cursor:
    """The cursor of a schedule that was not looked at before: due from its publication on."""
    return Cursor(
        schedule.tenant,
        schedule.client_id,
        schedule.name,
        schedule.timing,
        schedule.next_due(published_at),
    )


def caught_up(
    cursor: Cursor, schedule: Schedule, published_at: datetime, now: datetime
) -> tuple[Cursor, Sequence[ScheduledRun]]:
    """The cursor with all that is due by now dealt with, and the runs that this makes.

    The latest time that is due is the one run that waits now; what waited before has missed its
    time, and so have the times between. If the schedule's times were changed, the new ones count
    from the catalog's publication on.
    """
    runs: list[ScheduledRun] = []
    if cursor.timing != schedule.timing:
        if cursor.next_due is not None and cursor.next_due <= published_at:
            runs.append(ScheduledRun(schedule.name, cursor.next_due).missed(_CHANGED))
        next_due = schedule.next_due(published_at)
        cursor = replace(cursor, timing=schedule.timing, next_due=next_due)
    if cursor.next_due is None or cursor.next_due > now:
        return cursor, runs
    times, next_due = schedule.due(cursor.next_due, now)
    if cursor.waiting is not None:
        runs.append(cursor.waiting.missed())
    runs += _missed(schedule, times[:-1])
    latest = ScheduledRun(schedule.name, times[-1])
    return replace(cursor, next_due=next_due, waiting=latest, try_at=now), [*runs, latest]


def _missed(schedule: Schedule, times: Sequence[datetime]) -> list[ScheduledRun]:
    recorded = times[-MOST_RECORDED:]
    runs = [ScheduledRun(schedule.name, due).missed(_OUTAGE) for due in recorded]
    if more := len(times) - len(recorded):
        said = f"{_OUTAGE.detail} {more} earlier ones were missed as well."
        runs[0] = runs[0].missed(Reason(_OUTAGE.code, said))
    return runs
