"""Background processing around imports, over the sample application's own functions."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from headrace.adapters.postgresql.task_processing import PostgresqlTaskProcessing
from headrace.datasets.definitions import Application
from headrace.datasets.model import Process, Result
from headrace.datasets.running import Ran
from headrace.datasets.task_processing import (
    LONGEST_WAIT,
    ControlTaskProcessing,
    PauseTaskProcessing,
    ResumeTaskProcessing,
    TaskState,
)
from headrace.kernel.caller import Caller
from headrace.kernel.errors import Fenced, NotFound, SourceUnavailable
from tests.component.datasets.applications import ApplicationDatabase, a_claims_database
from tests.component.datasets.registry import KeptProcesses, OneApplication, an_import
from tests.component.postgresql.server import Server
from tests.unit.identity.tokens_made import StoppedClock

TENANT = "northwind-care"
CALLER = Caller(TENANT, "carrier", frozenset())


@dataclass
class KeptPauses:
    """``Pauses`` in memory."""

    process: str | None = None

    def of(self, tenant: str) -> str | None:
        """See the port."""
        return self.process

    def remember(self, process: Process) -> None:
        """See the port."""
        self.process = process.process_id

    def forget(self, process: Process) -> None:
        """See the port."""
        if self.process == process.process_id:
            self.process = None


@dataclass
class World:
    """Imports of the claims application. ``tasks``: what stands between us and its functions."""

    database: ApplicationDatabase
    processes: KeptProcesses = field(default_factory=KeptProcesses)
    pauses: KeptPauses = field(default_factory=KeptPauses)
    clock: StoppedClock = field(default_factory=StoppedClock)
    tasks: Any = field(default_factory=PostgresqlTaskProcessing)
    slept: list[TaskState] = field(default_factory=list)
    seconds_left: float = 900.0

    @property
    def application(self) -> Application:
        return self.database.application

    def begin(self, process_id: str = "import1", **request: Any) -> Process:
        begun = an_import(process_id, **request)
        process = replace(begun, tenant=TENANT, started_at=self.clock.now())
        self.processes.begin(process)
        return process

    def pause(self, process: Process) -> Ran:
        pause = PauseTaskProcessing(
            OneApplication(self.application),
            self.processes,
            self.tasks,
            self.pauses,
            self.clock,
            self.sleep,
        )
        return pause(TENANT, process.process_id, lambda: self.seconds_left)

    def sleep(self, seconds: float) -> None:
        """Time passes; tasks that were begun end after a while."""
        self.slept.append(self.state())
        self.clock.advance(seconds=seconds)
        if len(self.slept) == 3:
            self.end_tasks()

    def resume(self, process: Process) -> None:
        ResumeTaskProcessing(
            OneApplication(self.application), self.processes, self.tasks, self.pauses
        )(TENANT, process.process_id)

    def state(self) -> TaskState:
        return PostgresqlTaskProcessing().state(self.application)

    def begin_a_task(self) -> None:
        self.database.sql(
            "INSERT INTO claims.task_queue (what, begun_at) VALUES ('reprice', now())"
        )

    def end_tasks(self) -> None:
        self.database.sql("UPDATE claims.task_queue SET begun_at = NULL")

    def codes(self, process: Process) -> list[str]:
        return [message.code for message in self.processes.told[process.process_id]]


@pytest.fixture
def world(postgresql: Server) -> World:
    here = World(a_claims_database(postgresql))
    here.end_tasks()
    return here


def test_it_is_stopped_before_an_import_that_asks_for_it_and_started_after(world: World) -> None:
    process = world.begin(stopTaskProcessing=True)
    assert world.pause(process) == Ran(None)
    assert world.state() is TaskState.STOPPED
    world.resume(process)
    assert world.state() is TaskState.STARTED
    assert world.pauses.process is None
    assert world.codes(process) == ["task_processing_stopped", "task_processing_started"]


def test_it_is_started_again_after_a_failure_too(world: World) -> None:
    process = world.begin(stopTaskProcessing=True)
    world.pause(process)
    world.processes.end(process.ended(Result.FAILURE, world.clock.now(), {}))
    world.resume(process)
    assert (world.state(), world.pauses.process) == (TaskState.STARTED, None)


def test_an_import_that_does_not_ask_says_clearly_that_it_is_running(world: World) -> None:
    process = world.begin()
    assert world.pause(process) == Ran(None)
    assert world.state() is TaskState.STARTED
    [message] = world.processes.told[process.process_id]
    assert (message.code, message.severity) == ("task_processing_running", "Warning")
    assert "stopTaskProcessing" in message.text


def test_nothing_is_said_where_it_stands_still_anyway(world: World) -> None:
    world.tasks.stop(world.application)
    process = world.begin()
    world.pause(process)
    world.resume(process)
    assert (world.codes(process), world.state()) == ([], TaskState.STOPPED)


def test_what_an_operator_stopped_stays_stopped(world: World) -> None:
    world.tasks.stop(world.application)
    process = world.begin(stopTaskProcessing=True)
    world.pause(process)
    world.resume(process)
    assert world.state() is TaskState.STOPPED


def test_a_dry_run_neither_stops_it_nor_speaks_of_it(world: World) -> None:
    process = world.begin(stopTaskProcessing=True, dryRun=True)
    assert world.pause(process) == Ran(None)
    world.resume(process)
    assert (world.state(), world.codes(process)) == (TaskState.STARTED, [])


def test_tasks_that_were_begun_are_waited_for(world: World) -> None:
    world.begin_a_task()
    process = world.begin(stopTaskProcessing=True)
    assert world.pause(process) == Ran(None)
    assert world.slept == [TaskState.STOPPING] * 3
    assert world.state() is TaskState.STOPPED
    assert world.processes.renewals


def test_waiting_goes_on_by_another_worker(world: World) -> None:
    world.begin_a_task()
    world.seconds_left = 5.0
    process = world.begin(stopTaskProcessing=True)
    assert world.pause(process) == Ran(None, {"waits": True})
    world.end_tasks()
    assert world.pause(process) == Ran(None)
    world.resume(process)
    assert world.state() is TaskState.STARTED


def test_an_import_fails_when_tasks_never_end_and_they_are_started_again(world: World) -> None:
    world.begin_a_task()
    process = world.begin(stopTaskProcessing=True)
    world.clock.advance(seconds=LONGEST_WAIT.total_seconds() + 1)
    assert world.pause(process) == Ran(Result.FAILURE)
    assert world.codes(process) == ["task_processing_not_stopped"]
    world.resume(process)
    assert world.state() is TaskState.STARTED


@dataclass
class Dying:
    """A worker that dies right after it has called the application's function."""

    tasks: PostgresqlTaskProcessing = field(default_factory=PostgresqlTaskProcessing)

    def state(self, application: Application) -> TaskState:
        """See the port."""
        return self.tasks.state(application)

    def stop(self, application: Application) -> None:
        """Done, and dead."""
        self.tasks.stop(application)
        raise MemoryError

    def start(self, application: Application) -> None:
        """See the port."""
        self.tasks.start(application)


def test_a_worker_that_dies_as_it_stops_it_leaves_it_known_to_be_stopped(world: World) -> None:
    process = world.begin(stopTaskProcessing=True)
    world.tasks = Dying()
    with pytest.raises(MemoryError):
        world.pause(process)
    assert world.state() is TaskState.STOPPED
    world.tasks = PostgresqlTaskProcessing()
    world.resume(process)
    assert world.state() is TaskState.STARTED


def test_what_was_stopped_for_an_import_that_died_is_started_after_the_next(world: World) -> None:
    dead = world.begin(stopTaskProcessing=True)
    world.pause(dead)
    following = world.begin("import2", stopTaskProcessing=True)
    world.pause(following)
    world.resume(dead)
    assert world.state() is TaskState.STOPPED
    world.resume(following)
    assert world.state() is TaskState.STARTED


def test_a_process_that_has_ended_stops_nothing(world: World) -> None:
    process = world.begin(stopTaskProcessing=True)
    world.processes.end(process.ended(Result.FAILURE, world.clock.now(), {}))
    with pytest.raises(Fenced):
        world.pause(process)
    assert world.state() is TaskState.STARTED


def test_an_application_without_functions_is_said_to_have_none(world: World) -> None:
    world.database = world.database.restarted(task_processing={})
    process = world.begin(stopTaskProcessing=True)
    assert world.pause(process) == Ran(None)
    assert world.codes(process) == ["task_processing_unknown"]
    with pytest.raises(NotFound):
        control(world)(CALLER)


def control(world: World) -> ControlTaskProcessing:
    return ControlTaskProcessing(OneApplication(world.application), world.tasks, world.pauses)


def test_callers_stop_and_start_it_and_see_how_it_stands(world: World) -> None:
    assert control(world)(CALLER).state is TaskState.STARTED
    assert control(world)(CALLER, "stop").state is TaskState.STOPPED
    assert control(world)(CALLER, "start").state is TaskState.STARTED
    process = world.begin(stopTaskProcessing=True)
    world.pause(process)
    assert control(world)(CALLER).paused_for == "import1"


def test_another_tenant_has_none(world: World) -> None:
    with pytest.raises(NotFound):
        control(world)(Caller("south", "carrier", frozenset()), "stop")
    assert world.state() is TaskState.STARTED


def test_a_function_that_tells_other_words_is_a_fault_of_the_application(world: World) -> None:
    world.database.sql(
        "CREATE FUNCTION claims.odd() RETURNS text LANGUAGE sql AS $$ SELECT 'maybe' $$"
    )
    functions = {**world.application.task_processing, "status": "claims.odd"}
    world.database = world.database.restarted(task_processing=functions)
    with pytest.raises(SourceUnavailable, match="STARTED"):
        control(world)(CALLER)


def test_the_names_of_functions_are_names_and_no_sql(world: World) -> None:
    functions = {**world.application.task_processing, "stop": 'claims.x"(); DROP SCHEMA claims; --'}
    world.database = world.database.restarted(task_processing=functions)
    with pytest.raises(SourceUnavailable):
        control(world)(CALLER, "stop")
    assert world.state() is TaskState.STARTED
