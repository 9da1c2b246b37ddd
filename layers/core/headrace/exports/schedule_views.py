"""What callers see of schedules. Field names, in camel case, are the JSON of the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.exports.model import Compression, FileFormat, OperationKind
from headrace.exports.schedules import Reason, RunState, ScheduledRun
from headrace.exports.scheduling import ScheduleStanding
from headrace.kernel.view import View


@dataclass(frozen=True)
class ReasonView(View):
    """Why a run is as it is."""

    code: str
    """A stable code."""
    detail: str
    """A sentence for people; its words may change."""

    @classmethod
    def of(cls, reason: Reason | None) -> "ReasonView | None":
        """The view of a reason, if there is one."""
        return None if reason is None else cls(reason.code, reason.detail)


@dataclass(frozen=True)
class ScheduledRunView(View):
    """A run of a schedule."""

    due_at: datetime
    """When it was due."""
    state: RunState
    """`waiting`: it is tried until the next one is due; `started`; `missed`: it will not be."""
    operation_id: str | None
    """The operation that was started; null until one is."""
    kind: OperationKind | None
    """What that exports: an incremental schedule begins in full, and again where it must."""
    tries: int
    """How often it was tried in vain."""
    reason: ReasonView | None
    """Why it waits, was missed, or exports in full."""

    @classmethod
    def of(cls, run: ScheduledRun) -> "ScheduledRunView":
        """The view of a run."""
        return cls(
            due_at=run.due,
            state=run.state,
            operation_id=run.operation_id,
            kind=run.kind,
            tries=run.tries,
            reason=ReasonView.of(run.reason),
        )


@dataclass(frozen=True)
class ScheduleView(View):
    """A schedule of yours, as its operator set it up."""

    name: str
    configuration_id: str
    """The configuration that is exported."""
    entity: str | None
    """The one table that is exported; null if all of the configuration's are."""
    kind: OperationKind
    """`full`, all rows; `incremental`, what changed since your last completed export of it."""
    file_format: FileFormat
    compression: Compression
    webhook: str | None
    """Your webhook that is told of each end; null if it is your default one, if you have any."""
    cron: str
    """When: minute, hour, day of the month, month, day of the week."""
    time_zone: str
    """The time zone whose clock is meant."""
    enabled: bool
    """Whether it is at work."""
    next_run: datetime | None
    """When it is due next; null if it is not enabled."""
    runs: tuple[ScheduledRunView, ...]
    """Its last runs, latest first."""

    @classmethod
    def of(cls, standing: ScheduleStanding) -> "ScheduleView":
        """The view of a schedule and its runs."""
        one = standing.schedule
        return cls(
            name=one.name,
            configuration_id=one.configuration_id,
            entity=one.entity,
            kind=one.kind,
            file_format=one.file_format,
            compression=one.compression,
            webhook=one.webhook,
            cron=one.cron,
            time_zone=one.time_zone,
            enabled=one.enabled,
            next_run=standing.next_due,
            runs=tuple(ScheduledRunView.of(run) for run in standing.runs),
        )


@dataclass(frozen=True)
class ScheduleList(View):
    """All schedules of the caller, by name."""

    schedules: tuple[ScheduleView, ...]

    @classmethod
    def of(cls, standings: Sequence[ScheduleStanding]) -> "ScheduleList":
        """The view of all of them."""
        return cls(tuple(ScheduleView.of(one) for one in standings))
