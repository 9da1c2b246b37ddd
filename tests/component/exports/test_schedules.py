"""Recurring exports over DynamoDB (moto): each due run is one operation, whatever happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from headrace.adapters.dynamodb.schedules import DynamoScheduleRuns
from headrace.adapters.dynamodb.table import Table
from headrace.exports.increments import StartIncrement
from headrace.exports.model import Occasion, Operation, OperationKind, Status
from headrace.exports.schedules import Cursor, Reason, RunState, Schedule, ScheduledRun
from headrace.exports.scheduling import ListSchedules, Looked, RunSchedules
from headrace.exports.sources import ChangeWindow
from headrace.exports.usecases import StartExport
from headrace.exports.views import OperationSummary
from headrace.exports.webhooks import Endpoint
from headrace.kernel.errors import Fenced, SourceUnavailable, Unavailable
from tests.builders import a_configuration, a_schedule
from tests.fakes import with_quota
from tests.world import World

EVENING = datetime(2026, 3, 1, 20, tzinfo=UTC)
DUE = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""02:00 in Amsterdam."""
DAY = timedelta(days=1)


class Crash(BaseException):
    """The function dies."""


@dataclass
class FakeSchedules:
    """Published schedules in memory."""

    schedules: tuple[Schedule, ...] = field(default_factory=lambda: (a_schedule(),))
    published_at: datetime = EVENING

    def published(self) -> tuple[datetime, tuple[Schedule, ...]] | None:
        """See the port."""
        return self.published_at, self.schedules

    def of_client(self, tenant: str, client_id: str) -> tuple[Schedule, ...]:
        """See the port."""
        return tuple(
            one for one in self.schedules if (one.tenant, one.client_id) == (tenant, client_id)
        )


@dataclass(frozen=True)
class InterruptedRuns(DynamoScheduleRuns):
    """The real thing, and something that happens before or after the n-th of its writes."""

    before: dict[int, Callable[[], object]] = field(default_factory=dict)
    after: dict[int, Callable[[], object]] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)

    def advance(self, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime) -> Cursor:
        """See the port."""
        number = len(self.writes) + 1
        self.writes.append(number)
        self.before.get(number, lambda: None)()
        moved = super().advance(cursor, runs, moment)
        self.after.get(number, lambda: None)()
        return moved


@dataclass
class Scheduler:
    """A deployment with the nightly schedule of ``bureau``, and what is done to it."""

    world: World
    published: FakeSchedules = field(default_factory=FakeSchedules)
    written_down: list[str] = field(default_factory=list)
    unwritable: int = 0
    """How many starts cannot be written down, from now on."""

    def __post_init__(self) -> None:
        self.table = Table(self.world.clients["dynamodb"], "OperationsTable", pause=lambda _: None)
        self.runs = DynamoScheduleRuns(self.table)
        self.world.clock.moment = EVENING

    def look(self, runs: DynamoScheduleRuns | None = None) -> Looked:
        """One look at the schedules."""
        return RunSchedules(
            self.world.export,
            self.published,
            runs or self.runs,
            self.world.baselines,
            StartExport(self.world.export, self.world.starter),
            lambda: StartIncrement(self.world.increments, self.world.starter),
            self._write_down,
            "https://api.example",
        )()

    def _write_down(self, operation: Operation) -> None:
        if self.unwritable:
            self.unwritable -= 1
            raise Unavailable("The trail does not answer.")
        self.written_down.append(operation.operation_id)

    def at(self, moment: datetime, runs: DynamoScheduleRuns | None = None) -> Looked:
        """A look at a moment."""
        self.world.clock.moment = moment
        return self.look(runs)

    def interrupted(self, when: str, write: int, happens: Callable[[], object]) -> InterruptedRuns:
        """The runs, with something that happens before or after the n-th of their writes."""
        moments = {write: happens}
        if when == "before":
            return InterruptedRuns(self.table, before=moments)
        return InterruptedRuns(self.table, after=moments)

    def recorded(self, name: str = "nightly") -> list[tuple[datetime, str, str | None]]:
        """Due time, state and reason of each run, earliest first."""
        found = self.runs.latest("north", "bureau", name, 100)[::-1]
        return [(run.due, str(run.state), run.reason.code if run.reason else None) for run in found]

    def operations(self) -> list[Operation]:
        """All of the client's, newest first."""
        return list(self.world.operations.page("north", "bureau", 100, None))

    def full_run(self) -> Operation:
        """Runs the workflow of the newest operation."""
        return self.world.run(self.operations()[0])


@pytest.fixture
def scheduler(world: World) -> Scheduler:
    """A scheduler that has seen its schedule."""
    made = Scheduler(world)
    made.look()
    return made


def crash() -> None:
    """Dies."""
    raise Crash


@pytest.mark.parametrize("kind", list(OperationKind))
def test_the_clients_default_webhook_is_told_of_a_run(
    scheduler: Scheduler, kind: OperationKind
) -> None:
    world = scheduler.world
    world.run(world.start())
    world.configurations.webhooks = (Endpoint("hooks", "https://hooks.example/", default=True),)
    scheduler.published.schedules = (a_schedule(kind=kind),)
    assert scheduler.at(DUE) == Looked(started=1)
    done = scheduler.full_run()
    [owed] = done.deliveries
    assert (owed.endpoint, owed.completion.kind) == ("hooks", kind)
    assert owed.completion.manifest.startswith("https://api.example/data/v1/")


def test_a_due_run_is_an_operation_like_any_other(scheduler: Scheduler) -> None:
    assert scheduler.at(DUE - timedelta(seconds=1)) == Looked()
    assert scheduler.operations() == []
    assert scheduler.at(DUE + timedelta(seconds=20)) == Looked(started=1)
    [operation] = scheduler.operations()
    assert operation.occasion == Occasion("nightly", DUE)
    assert OperationSummary.of(operation, "").schedule == "nightly"
    assert scheduler.world.used() == 1
    assert scheduler.world.lock() == operation.operation_id
    assert scheduler.world.workflows.executions == {operation.execution_name: True}
    assert scheduler.full_run().status is Status.SUCCEEDED
    [run] = scheduler.runs.latest("north", "bureau", "nightly", 10)
    assert (run.state, run.operation_id, run.kind) == (
        RunState.STARTED,
        operation.operation_id,
        OperationKind.FULL,
    )


@pytest.mark.parametrize("kind", list(OperationKind))
def test_the_end_is_told_to_the_webhook_that_the_schedule_names(
    scheduler: Scheduler, kind: OperationKind
) -> None:
    scheduler.world.configurations.webhooks = tuple(
        Endpoint(name, f"https://hooks.bureau.example/{name}", default=name == "all")
        for name in ("all", "ends")
    )
    scheduler.world.run(scheduler.world.start())
    scheduler.published.schedules = (a_schedule(kind=kind, webhook="ends"),)
    scheduler.at(DUE)
    operation = scheduler.operations()[0]
    assert operation.kind is kind
    assert operation.request.notice is not None
    assert operation.request.notice.endpoint == "ends"


def test_what_a_call_started_is_no_schedules(world: World) -> None:
    assert world.start().occasion is None


def test_looking_again_starts_nothing_again(scheduler: Scheduler) -> None:
    scheduler.at(DUE)
    scheduler.full_run()
    for minutes in range(1, 5):
        assert scheduler.at(DUE + timedelta(minutes=minutes)) == Looked()
    assert len(scheduler.operations()) == 1
    scheduler.at(DUE + DAY)
    assert len(scheduler.operations()) == 2


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2])
def test_of_two_that_look_at_once_one_starts_the_run(
    scheduler: Scheduler, when: str, write: int, ended: bool
) -> None:
    looks: list[Looked] = []

    def another_look() -> None:
        looks.append(scheduler.look())
        if ended:  # its operation is through before the first one goes on
            scheduler.full_run()

    looks.append(scheduler.at(DUE, scheduler.interrupted(when, write, another_look)))
    assert len(looks) == 2
    assert len(scheduler.operations()) == 1
    assert scheduler.recorded() == [(DUE, "started", None)]
    assert scheduler.world.used() == 1


def test_two_that_see_a_new_schedule_at_once_begin_it_once(world: World) -> None:
    scheduler = Scheduler(world)
    scheduler.look(scheduler.interrupted("before", 1, scheduler.look))
    [cursor] = scheduler.runs.cursors()
    assert (cursor.next_due, cursor.revision) == (DUE, 1)
    with pytest.raises(Fenced):
        scheduler.runs.advance(replace(cursor, revision=0), [], EVENING)


def test_a_cursor_moves_from_the_revision_that_it_was_read_at_or_not_at_all(
    scheduler: Scheduler,
) -> None:
    [read] = scheduler.runs.cursors()
    moved = scheduler.runs.advance(replace(read, next_due=DUE + DAY), [], DUE)
    assert scheduler.runs.cursors() == (moved,)
    late = ScheduledRun("nightly", DUE)
    with pytest.raises(Fenced):
        scheduler.runs.advance(replace(read, waiting=late), [late], DUE)
    with pytest.raises(Fenced):
        scheduler.runs.forget(read, [late.missed()], DUE)
    assert scheduler.runs.cursors() == (moved,)
    assert scheduler.recorded() == [], "what was refused recorded nothing"
    scheduler.runs.forget(moved, [], DUE)
    assert scheduler.runs.cursors() == ()


@pytest.mark.parametrize(
    "crashes",
    [
        ("before", 1),
        ("after", 1),
        ("before", 2),
        ("after", 2),
    ],
    ids=["before the claim", "before the start", "before the record", "at the end"],
)
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(hours=20)])
def test_a_crash_anywhere_neither_loses_the_run_nor_doubles_it(
    scheduler: Scheduler, crashes: tuple[str, int], later: timedelta
) -> None:
    with pytest.raises(Crash):
        scheduler.at(DUE, scheduler.interrupted(*crashes, crash))
    scheduler.at(DUE + later)
    scheduler.at(DUE + later + timedelta(minutes=1))
    assert len(scheduler.operations()) == 1
    assert scheduler.recorded() == [(DUE, "started", None)]


@pytest.mark.parametrize("later", [timedelta(days=3), timedelta(days=7), timedelta(days=8)])
def test_a_start_that_a_crash_hid_is_found_after_its_key_has_run_out(
    scheduler: Scheduler, later: timedelta
) -> None:
    scheduler.published.schedules = (a_schedule(cron="0 2 * * MON"),)
    scheduler.look()
    with pytest.raises(Crash):
        scheduler.at(DUE, scheduler.interrupted("before", 2, crash))
    hidden = scheduler.full_run()
    scheduler.at(DUE + later)
    first, *others = scheduler.runs.latest("north", "bureau", "nightly", 10)[::-1]
    assert (first.state, first.operation_id) == (RunState.STARTED, hidden.operation_id)
    assert [run.due for run in others] == ([DUE + 7 * DAY] if later >= 7 * DAY else [])
    assert len(scheduler.operations()) == 1 + len(others)


def test_while_another_operation_runs_the_run_waits(scheduler: Scheduler) -> None:
    scheduler.world.clock.moment = DUE - timedelta(hours=1)
    own = scheduler.world.start()
    assert scheduler.at(DUE) == Looked(waiting=1)
    assert scheduler.recorded() == [(DUE, "waiting", "operation_active")]
    assert scheduler.at(DUE + timedelta(seconds=30)) == Looked(), "it pauses"
    assert scheduler.at(DUE + timedelta(minutes=1)) == Looked(waiting=1)
    scheduler.world.run(own)
    assert scheduler.at(DUE + timedelta(minutes=3)) == Looked(started=1)
    assert scheduler.recorded() == [(DUE, "started", None)]
    assert scheduler.operations()[0].occasion == Occasion("nightly", DUE)


def test_a_run_that_could_not_be_started_until_the_next_is_missed(scheduler: Scheduler) -> None:
    scheduler.world.clock.moment = DUE - timedelta(hours=1)
    own = scheduler.world.start()
    scheduler.at(DUE)
    scheduler.at(DUE + timedelta(hours=12))
    scheduler.world.run(own)
    assert scheduler.at(DUE + DAY) == Looked(started=1, missed=1)
    assert scheduler.recorded() == [
        (DUE, "missed", "operation_active"),
        (DUE + DAY, "started", None),
    ]


def test_a_run_beyond_the_quota_waits_for_the_new_day(scheduler: Scheduler) -> None:
    with_quota(scheduler.world.configurations, 1)
    scheduler.world.clock.moment = DUE - timedelta(hours=1)
    scheduler.world.run(scheduler.world.start())
    assert scheduler.at(DUE) == Looked(waiting=1)
    assert scheduler.recorded() == [(DUE, "waiting", "quota_exhausted")]
    midnight = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert scheduler.at(midnight - timedelta(minutes=1)) == Looked(waiting=1)
    assert scheduler.at(midnight + timedelta(minutes=15)) == Looked(started=1)
    assert scheduler.world.used() == 1


def test_what_no_trying_helps_is_missed_at_once(scheduler: Scheduler) -> None:
    scheduler.published.schedules = (a_schedule(entity="gone"),)
    assert scheduler.at(DUE) == Looked(missed=1)
    assert scheduler.recorded() == [(DUE, "missed", "not_found")]


def test_after_an_outage_the_latest_run_is_started_and_the_earlier_are_missed(
    scheduler: Scheduler,
) -> None:
    assert scheduler.at(DUE + 2 * DAY + timedelta(hours=7)) == Looked(started=1, missed=2)
    assert scheduler.recorded() == [
        (DUE, "missed", "scheduler_outage"),
        (DUE + DAY, "missed", "scheduler_outage"),
        (DUE + 2 * DAY, "started", None),
    ]
    assert len(scheduler.operations()) == 1


def test_what_falls_due_while_a_schedule_is_disabled_is_not_missed(scheduler: Scheduler) -> None:
    scheduler.published.schedules = (a_schedule(enabled=False),)
    scheduler.at(DUE - timedelta(hours=1))
    assert scheduler.runs.cursors() == ()
    scheduler.at(DUE + 2 * DAY)
    scheduler.published.schedules = (a_schedule(),)
    scheduler.published.published_at = DUE + 2 * DAY + timedelta(hours=1)
    scheduler.at(DUE + 2 * DAY + timedelta(hours=2))
    assert scheduler.recorded() == []
    scheduler.at(DUE + 3 * DAY)
    assert scheduler.recorded() == [(DUE + 3 * DAY, "started", None)]


def test_a_run_that_waits_when_its_schedule_goes_is_missed(scheduler: Scheduler) -> None:
    scheduler.world.clock.moment = DUE - timedelta(hours=1)
    scheduler.world.start()
    scheduler.at(DUE)
    scheduler.published.schedules = ()
    assert scheduler.at(DUE + timedelta(minutes=1)) == Looked(missed=1)
    assert scheduler.recorded() == [(DUE, "missed", "schedule_withdrawn")]
    assert scheduler.runs.cursors() == ()


def test_one_schedules_trouble_does_not_keep_the_others_waiting(scheduler: Scheduler) -> None:
    broken = a_schedule(name="broken", time_zone="Nowhere/Land")
    scheduler.published.schedules = (broken, a_schedule())
    with pytest.raises(ExceptionGroup) as raised:
        scheduler.at(DUE)
    assert len(raised.value.exceptions) == 1
    assert scheduler.recorded() == [(DUE, "started", None)]


def test_schedules_of_one_client_take_turns(scheduler: Scheduler) -> None:
    scheduler.published.schedules = (a_schedule(), a_schedule(name="other", entity="absences"))
    assert scheduler.at(DUE) == Looked(started=1, waiting=1)
    scheduler.full_run()
    assert scheduler.at(DUE + timedelta(minutes=1)) == Looked(started=1)
    assert [
        operation.occasion and operation.occasion.schedule for operation in (scheduler.operations())
    ] == ["other", "nightly"]


# --- increments -----------------------------------------------------------------------------


@pytest.fixture
def incremental(scheduler: Scheduler) -> Scheduler:
    """Its schedule is incremental; the source is at version 7 and keeps changes from 3 on."""
    scheduler.published.schedules = (a_schedule(kind=OperationKind.INCREMENTAL),)
    return scheduler


def run_of(scheduler: Scheduler, due: datetime) -> ScheduledRun:
    """The run that was due then."""
    found = scheduler.runs.latest("north", "bureau", "nightly", 100)
    return next(run for run in found if run.due == due)


def test_an_incremental_schedule_begins_in_full_and_goes_on_from_there(
    incremental: Scheduler,
) -> None:
    incremental.at(DUE)
    assert incremental.full_run().kind is OperationKind.FULL
    first = run_of(incremental, DUE)
    assert (first.kind, first.reason and first.reason.code) == (OperationKind.FULL, "no_baseline")
    incremental.at(DUE + DAY)
    [operation, full] = incremental.operations()
    assert (operation.kind, operation.request.since) == (
        OperationKind.INCREMENTAL,
        full.sync_version,
    )
    assert operation.occasion == Occasion("nightly", DUE + DAY)
    second = run_of(incremental, DUE + DAY)
    assert (second.kind, second.reason) == (OperationKind.INCREMENTAL, None)


def test_it_goes_on_from_what_the_client_completed_itself(incremental: Scheduler) -> None:
    own = incremental.world.run(incremental.world.start())
    incremental.at(DUE)
    assert incremental.operations()[0].request.since == own.sync_version


def test_while_the_source_is_down_the_run_waits(
    incremental: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    incremental.world.run(incremental.world.start())

    def down(*_: object) -> ChangeWindow:
        raise SourceUnavailable("The source does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(incremental.world.changes, "window", down)
        assert incremental.at(DUE) == Looked(waiting=1)
    assert incremental.recorded() == [(DUE, "waiting", "source_unavailable")]
    assert incremental.at(DUE + timedelta(minutes=1)) == Looked(started=1)


def test_where_the_changes_are_no_longer_kept_it_is_a_full_one(incremental: Scheduler) -> None:
    incremental.world.run(incremental.world.start())
    incremental.world.changes.oldest = incremental.world.changes.latest + 5
    incremental.world.changes.latest += 9
    assert incremental.at(DUE) == Looked(started=1)
    assert incremental.operations()[0].kind is OperationKind.FULL
    assert incremental.recorded() == [(DUE, "started", "sync_version_expired")]


def test_after_an_increment_that_needed_a_resync_the_next_is_a_full_one(
    incremental: Scheduler,
) -> None:
    incremental.world.run(incremental.world.start())
    incremental.world.changes.reasons["employees"] = "The table was emptied by TRUNCATE."
    incremental.at(DUE)
    failed = incremental.full_run()
    assert failed.status is Status.FAILED
    assert "resync_required" in {job.failure.code for job in failed.jobs if job.failure}
    incremental.world.changes.reasons.clear()
    incremental.at(DUE + DAY)
    full = incremental.full_run()
    assert (full.kind, full.status) == (OperationKind.FULL, Status.SUCCEEDED)
    assert incremental.recorded()[-1] == (DUE + DAY, "started", "resync_required")
    incremental.at(DUE + 2 * DAY)
    assert incremental.operations()[0].kind is OperationKind.INCREMENTAL


def test_a_start_that_a_crash_hid_is_found_though_the_baseline_has_moved(
    incremental: Scheduler,
) -> None:
    incremental.world.run(incremental.world.start())
    with pytest.raises(Crash):
        incremental.at(DUE, incremental.interrupted("before", 2, crash))
    hidden = incremental.full_run()
    incremental.at(DUE + timedelta(minutes=5))
    assert run_of(incremental, DUE).operation_id == hidden.operation_id
    assert [operation.kind for operation in incremental.operations()] == [
        OperationKind.INCREMENTAL,
        OperationKind.FULL,
    ]


def test_what_asks_a_source_comes_after_what_does_not(
    incremental: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = a_schedule(name="other", client_id="rival")
    configuration = replace(a_configuration(), client_id="rival")
    incremental.world.configurations.publish(a_configuration(), configuration)
    incremental.world.run(incremental.world.start())
    incremental.published.schedules = (*incremental.published.schedules, other)

    def killed(*_: object) -> ChangeWindow:
        raise Crash

    monkeypatch.setattr(incremental.world.changes, "window", killed)
    with pytest.raises(Crash):
        incremental.at(DUE)
    [run] = incremental.runs.latest("north", "rival", "other", 10)
    assert run.state is RunState.STARTED


# --- what is shown --------------------------------------------------------------------------


def test_a_client_sees_its_own_schedules_with_their_runs(scheduler: Scheduler) -> None:
    other = a_schedule(client_id="rival", name="theirs")
    scheduler.published.schedules = (a_schedule(), other)
    scheduler.at(DUE)
    [standing] = ListSchedules(scheduler.published, scheduler.runs, scheduler.world.clock)(
        "north", "bureau"
    )
    assert standing.schedule.name == "nightly"
    assert standing.next_due == DUE + DAY
    assert [(run.due, run.state) for run in standing.runs] == [(DUE, RunState.STARTED)]


def test_the_last_runs_come_latest_first(scheduler: Scheduler) -> None:
    scheduler.at(DUE + 9 * DAY)
    runs = scheduler.runs.latest("north", "bureau", "nightly", 3)
    assert [run.due for run in runs] == [DUE + n * DAY for n in (9, 8, 7)]
    assert all(isinstance(run.reason, Reason) for run in runs[1:])


def test_what_a_schedule_starts_is_written_down(scheduler: Scheduler) -> None:
    scheduler.at(DUE)
    scheduler.at(DUE + timedelta(minutes=1))
    assert scheduler.written_down == [one.operation_id for one in scheduler.operations()]


def test_a_start_that_cannot_be_written_down_is_once_it_can(scheduler: Scheduler) -> None:
    scheduler.unwritable = 1
    assert scheduler.at(DUE) == Looked(waiting=1)
    assert scheduler.at(DUE + timedelta(hours=1)) == Looked(started=1)
    assert scheduler.written_down == [one.operation_id for one in scheduler.operations()]
    assert len(scheduler.written_down) == 1


def test_a_start_is_written_down_whatever_crashed_after_it(scheduler: Scheduler) -> None:
    with pytest.raises(Crash):
        scheduler.at(DUE, scheduler.interrupted("before", 2, crash))
    scheduler.at(DUE + timedelta(hours=1))
    (operation,) = scheduler.operations()
    assert set(scheduler.written_down) == {operation.operation_id}
