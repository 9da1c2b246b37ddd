"""What recurs is started here: once for each time that it is due, by the rules for any caller."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from headrace.exports.increments import StartIncrement
from headrace.exports.model import Baseline, Operation, OperationKind, Status
from headrace.exports.ports import Baselines, PublishedSchedules, ScheduleRuns
from headrace.exports.schedules import (
    WITHDRAWN,
    Cursor,
    Reason,
    RunState,
    Schedule,
    ScheduledRun,
    begun,
    caught_up,
)
from headrace.exports.usecases import Export, StartExport
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Fenced,
    HeadraceError,
    OperationActive,
    QuotaExhausted,
    ResyncRequired,
    SyncVersionExpired,
    SyncVersionUnknown,
    Unavailable,
)

_NEEDS_FULL = frozenset({"resync_required", "sync_version_expired"})
"""What an increment fails with that no other increment from the same version mends."""

_PAGE = 20
_SHOWN = 20


@dataclass(frozen=True)
class Looked:
    """What a look at the schedules did: runs started, put off, and given up."""

    started: int = 0
    waiting: int = 0
    missed: int = 0


@dataclass(frozen=True)
class RunSchedules:
    """Starts what is due.

    A run is claimed by moving the schedule's cursor past it, in one conditional write that also
    records the run; then it is started under a key of its own, and recorded as started. Whoever
    crashes in between, the next look finds the run waiting, and the same key finds what it started.
    ``start_increment`` is asked for only where an increment is due: it loads what reads sources.
    """

    export: Export
    schedules: PublishedSchedules
    runs: ScheduleRuns
    baselines: Baselines
    start: StartExport
    start_increment: Callable[[], StartIncrement]
    record: Callable[[Operation], None]
    """Writes down that an operation was started; the same one again changes nothing. Until it
    could, the run is not recorded as started, and the next look finds the operation."""
    base_url: str = ""
    """Where the API is, for links in what webhooks are told; empty if nothing says so."""

    def __call__(self) -> Looked:
        """Looks at all schedules. One schedule's trouble does not keep the others waiting.

        Raises ExceptionGroup of what went wrong, after all that could be done was done.
        """
        now = self.export.clock.now()
        published = self.schedules.published()
        left = {cursor.key: cursor for cursor in self.runs.cursors()}
        counts: Counter[str] = Counter()
        troubles: list[Exception] = []

        def attempt(work: Callable[[], Counter[str]]) -> None:
            try:
                counts.update(work())
            except Fenced:
                return  # somebody else looks at it at the same time
            except Exception as trouble:
                troubles.append(trouble)

        if published is not None:
            published_at, schedules = published
            enabled = [one for one in schedules if one.enabled]
            # Those that ask a source come last: it may take its time to say that it is down.
            for one in sorted(enabled, key=lambda one: one.kind is OperationKind.INCREMENTAL):
                cursor = left.pop((one.tenant, one.client_id, one.name), None)
                attempt(_Look(self, one, published_at, now, cursor))
        for cursor in left.values():
            attempt(lambda cursor=cursor: self._forget(cursor, now))  # type: ignore[misc]
        if troubles:
            raise ExceptionGroup(f"{len(troubles)} schedules could not be looked at", troubles)
        return Looked(**{state: counts[state] for state in RunState})

    def _forget(self, cursor: Cursor, now: datetime) -> Counter[str]:
        runs = []
        if cursor.waiting is not None:
            runs.append(self.ended(cursor, cursor.waiting.missed(WITHDRAWN)))
        self.runs.forget(cursor, runs, now)
        return Counter(str(run.state) for run in runs)

    def ended(self, cursor: Cursor, run: ScheduledRun) -> ScheduledRun:
        """A run that waited and is missed now; started, if it was, and a crash hid it."""
        found = self.operation_of(cursor, run)
        return run if found is None else self.started(run, found)

    def started(
        self, run: ScheduledRun, operation: Operation, reason: Reason | None = None
    ) -> ScheduledRun:
        """The run, as it started this operation. Raises Unavailable: it cannot be written down."""
        self.record(operation)
        return run.started(operation.operation_id, operation.kind, reason)

    def operation_of(self, cursor: Cursor, run: ScheduledRun) -> Operation | None:
        """The operation that was started for a run, if there is one."""
        before: str | None = None
        operations = self.export.operations
        while page := operations.page(cursor.tenant, cursor.client_id, _PAGE, before):
            for operation in page:
                if operation.occasion == run.occasion:
                    return operation
            before = page[-1].operation_id
            if page[-1].created_at < run.due:
                return None
        return None


@dataclass
class _Look:
    """One look at one schedule."""

    work: RunSchedules
    schedule: Schedule
    published_at: datetime
    now: datetime
    known: Cursor | None

    def __call__(self) -> Counter[str]:
        """Catches up, then tries what is to be tried; how many runs came to which state."""
        cursor = self.known or begun(self.schedule, self.published_at)
        later, runs = caught_up(cursor, self.schedule, self.published_at, self.now)
        if cursor.waiting is not None:
            runs = [
                self.work.ended(cursor, run) if run.due == cursor.waiting.due else run
                for run in runs
            ]
        counts = Counter(str(run.state) for run in runs if run.state is not RunState.WAITING)
        claimed = later.waiting is not None and later.waiting != cursor.waiting
        if later != self.known:
            later = self.work.runs.advance(later, runs, self.now)
        run = later.tries_at(self.now)
        if run is None:
            return counts
        tried = self._tried(later, run, claimed=claimed)
        if tried.state is RunState.WAITING:
            later = later.put_off(tried, self.now)
        else:
            later = later.settled()
        self.work.runs.advance(later, [tried], self.now)
        counts[str(tried.state)] += 1
        return counts

    def _tried(self, cursor: Cursor, run: ScheduledRun, *, claimed: bool) -> ScheduledRun:
        """The run after another try; ``claimed``: nobody can have tried it before."""
        found = None if claimed else self.work.operation_of(cursor, run)
        if found is not None:
            return self.work.started(run, found)
        try:
            return self._started(run)
        except HeadraceError as error:
            tried = run.refused(Reason(error.code, error.detail))
            if isinstance(error, (OperationActive, QuotaExhausted, Unavailable)):
                return tried
            return self.work.ended(cursor, tried.missed())

    def _started(self, run: ScheduledRun) -> ScheduledRun:
        schedule = self.schedule
        caller = Caller(schedule.tenant, schedule.client_id, frozenset())
        reason = None
        if schedule.kind is OperationKind.INCREMENTAL:
            baseline = self._baseline()
            reason = self._in_full(baseline)
            if baseline is not None and reason is None:
                try:
                    return self._increment(caller, baseline, run)
                except (SyncVersionExpired, SyncVersionUnknown, ResyncRequired) as error:
                    reason = Reason(error.code, error.detail)
        start = self.work.start
        standing = replace(start, start=replace(start.start, occasion=run.occasion))(
            caller,
            schedule.configuration_id,
            schedule.file_format,
            schedule.compression,
            schedule.entity,
            run.key,
            webhook=schedule.webhook,
            base_url=self.work.base_url,
        )
        return self.work.started(run, standing.operation, reason)

    def _increment(self, caller: Caller, baseline: Baseline, run: ScheduledRun) -> ScheduledRun:
        schedule, start = self.schedule, self.work.start_increment()
        standing = replace(start, start=replace(start.start, occasion=run.occasion))(
            caller,
            baseline.version,
            schedule.configuration_id,
            schedule.file_format,
            schedule.compression,
            schedule.entity,
            run.key,
            webhook=schedule.webhook,
            base_url=self.work.base_url,
        )
        return self.work.started(run, standing.operation)

    def _baseline(self) -> Baseline | None:
        one = self.schedule
        return self.work.baselines.latest(
            one.tenant, one.client_id, one.configuration_id, one.entity
        )

    def _in_full(self, baseline: Baseline | None) -> Reason | None:
        """Why an increment cannot be had now, if that is known."""
        if baseline is None:
            return Reason("no_baseline", "No export of this had been completed before.")
        one, operations = self.schedule, self.work.export.operations
        runs = self.work.runs.latest(one.tenant, one.client_id, one.name, _SHOWN)
        last = next((run for run in runs if run.operation_id is not None), None)
        if last is None or last.operation_id is None:
            return None
        operation = operations.find(one.tenant, one.client_id, last.operation_id)
        if operation is None or operation.status is not Status.FAILED:
            return None
        if operation.request.since != baseline.version:
            return None
        failures = [job.failure for job in operation.jobs if job.failure is not None]
        return next(
            (Reason(one.code, one.detail) for one in failures if one.code in _NEEDS_FULL), None
        )


@dataclass(frozen=True)
class ScheduleStanding:
    """A schedule, when it is due next, and its last runs, latest due first."""

    schedule: Schedule
    next_due: datetime | None
    runs: tuple[ScheduledRun, ...]


@dataclass(frozen=True)
class ListSchedules:
    """A client's schedules, by name."""

    schedules: PublishedSchedules
    runs: ScheduleRuns
    clock: Clock

    def __call__(self, tenant: str, client_id: str, limit: int = _SHOWN) -> list[ScheduleStanding]:
        """Each with up to ``limit`` of its last runs."""
        now = self.clock.now()
        return [
            ScheduleStanding(
                one,
                one.next_due(now),
                self.runs.latest(tenant, client_id, one.name, limit),
            )
            for one in self.schedules.of_client(tenant, client_id)
        ]
