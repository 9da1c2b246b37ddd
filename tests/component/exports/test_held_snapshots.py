"""Tables of PostgreSQL are read in one snapshot: of each job, or of the whole operation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.holding import Ending, HoldSnapshot
from headrace.exports.model import Compression, FileFormat, Operation, Snapshot, Status
from headrace.exports.slices import KeyRange
from headrace.exports.sources import SnapshotScope
from headrace.kernel.errors import (
    Fenced,
    SnapshotLost,
    SourceUnavailable,
    Unavailable,
)
from tests.component.exports.database import ROWS, TRANSFER, Deployment
from tests.component.warehouse.places import ONLY, a_table_of, rows_of


def at_range(index: int, act: Callable[[], object]) -> Callable[[Any], object]:
    """Does that before the range with this number."""
    return lambda event: act() if event["range"] == index else None


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_the_ranges_of_a_table_show_one_snapshot_whoever_commits_between_them(
    deployment: Deployment, file_format: FileFormat
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    deployment.before["ExportRangeFunctionArn"] = at_range(1, lambda: deployment.sql(TRANSFER))
    done = deployment.run(deployment.world.start(file_format=file_format))
    assert done.status is Status.SUCCEEDED, done.jobs
    assert (done.jobs[0].ranges, len(done.jobs[0].slices)) == (2, 2)
    assert deployment.balances(done, "accounts") == {0}
    assert deployment.endings == [Ending.READ]
    assert deployment.holders() == 0


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSON, FileFormat.NDJSON])
def test_a_document_is_whole_whose_last_slice_has_lost_its_rows(
    deployment: Deployment, file_format: FileFormat
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    operation = deployment.world.start(file_format=file_format)

    def deleted(_: object) -> None:
        """What the plan had for the last slice goes before the snapshot is taken."""
        last = deployment.world.status(operation).jobs[0].slices[-1]
        assert isinstance(last, KeyRange)
        assert last.after is not None
        deployment.sql(f"DELETE FROM accounts WHERE id > {last.after[0]}")
        deployment.before.clear()

    deployment.before["HoldSnapshotFunctionArn"] = deleted
    done = deployment.run(operation)
    assert done.status is Status.SUCCEEDED, done.jobs
    kept = int(deployment.sql("SELECT count(*) FROM accounts"))
    assert 0 < kept < ROWS
    [job] = done.jobs
    rows = rows_of(deployment.world.stored()[job.key or ""], file_format)
    assert sorted(int(str(row["id"])) for row in rows) == list(range(1, kept + 1))
    assert job.rows == kept
    assert (len(job.slices) == 1) is (file_format is FileFormat.JSON)


def test_all_tables_of_an_operation_show_one_snapshot_where_the_configuration_asks_for_it(
    deployment: Deployment,
) -> None:
    deployment.publish("accounts", "ledger", scope=SnapshotScope.OPERATION)
    deployment.before["ExportRangeFunctionArn"] = at_range(0, lambda: deployment.sql(TRANSFER))
    done = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert done.status is Status.SUCCEEDED, done.jobs
    [accounts] = deployment.balances(done, "accounts")
    [ledger] = deployment.balances(done, "ledger")
    assert (accounts, ledger) in {(0, 0), (-1, 1)}
    assert done.snapshot is not None
    assert done.sync_version == done.snapshot.version
    assert deployment.endings == [Ending.READ]
    assert deployment.holders() == 0


def test_tables_in_snapshots_of_their_own_are_each_as_of_another_moment(
    deployment: Deployment,
) -> None:
    deployment.publish("accounts", "ledger", scope=SnapshotScope.JOB)
    deployment.before["CompleteJobFunctionArn"] = lambda _: deployment.sql(TRANSFER)
    done = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert deployment.balances(done, "accounts") == {0}
    assert deployment.balances(done, "ledger") == {1}
    # The small table goes in one range, for which nobody has to hold anything.
    assert deployment.endings == [Ending.READ]
    assert [job.held for job in done.jobs] == [True, False]


def test_a_job_whose_snapshot_is_lost_is_planned_anew_and_reads_another(
    deployment: Deployment,
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)

    def lose() -> None:
        deployment.sql(TRANSFER)
        deployment.end_holders()
        deployment.before.clear()

    deployment.before["ExportRangeFunctionArn"] = at_range(1, lose)
    done = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert done.status is Status.SUCCEEDED, done.jobs
    assert (done.jobs[0].attempt, done.jobs[0].claims) == (2, 2)
    assert deployment.balances(done, "accounts") == {-1}
    assert sorted(deployment.endings) == [Ending.LOST, Ending.READ]
    assert deployment.world.open_uploads() == 0
    assert len(deployment.world.stored()) == 1


def test_a_job_that_loses_every_snapshot_fails_and_says_what_to_do(
    deployment: Deployment,
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    deployment.before["ExportRangeFunctionArn"] = at_range(1, deployment.end_holders)
    failed = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    [job] = failed.jobs
    assert (failed.status, job.status, job.claims) == (Status.FAILED, Status.FAILED, 3)
    assert job.failure is not None
    assert job.failure.code == "snapshot_lost"
    assert "retry" in job.failure.detail
    assert deployment.world.stored() == {}
    assert deployment.world.open_uploads() == 0

    deployment.before.clear()
    again = deployment.run(deployment.world.retry(failed))
    assert again.status is Status.SUCCEEDED
    assert again.jobs[0].claims == 1


def test_an_operation_that_loses_its_snapshot_fails_and_a_retry_reads_all_of_it_anew(
    deployment: Deployment,
) -> None:
    deployment.publish("ledger", "accounts", scope=SnapshotScope.OPERATION)
    deployment.before["CompleteJobFunctionArn"] = lambda _: deployment.end_holders()
    failed = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert failed.status is Status.FAILED
    ledger, accounts = failed.jobs
    assert (ledger.status, accounts.status) == (Status.SUCCEEDED, Status.FAILED)
    assert accounts.failure is not None
    assert (accounts.failure.code, accounts.claims) == ("snapshot_lost", 1)

    deployment.before.clear()
    deployment.sql(TRANSFER)
    again = deployment.run(deployment.world.retry(failed))
    assert again.status is Status.SUCCEEDED, again.jobs
    assert again.sync_version != failed.sync_version
    assert deployment.balances(again, "ledger") == {1}
    assert deployment.balances(again, "accounts") == {-1}
    assert len(deployment.world.stored()) == 2


def test_a_database_that_lets_nobody_in_fails_the_operation_with_that_reason(
    deployment: Deployment,
) -> None:
    deployment.publish("accounts", "ledger", scope=SnapshotScope.OPERATION)
    deployment.before["HoldSnapshotFunctionArn"] = lambda _: deployment.server.run(
        f"ALTER DATABASE {deployment.database} ALLOW_CONNECTIONS false"
    )
    failed = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "source_unavailable"
    assert deployment.world.lock() is None
    assert [failing.code for failing in deployment.failings()] == ["source_unavailable"]


# --- one snapshot, held for one attempt -------------------------------------------------------


def a_held_job(deployment: Deployment, **changes: Any) -> tuple[Operation, str, int, HoldSnapshot]:
    """A job that waits to be read in two ranges, and what holds its snapshot."""
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    world = deployment.world
    operation = world.start(file_format=FileFormat.CSV)
    [job_id] = world.plan(operation)
    job_attempt, ranges = world.plan_job(operation, job_id)
    assert ranges == 2
    hold = HoldSnapshot(world.extraction, world.warehouse, **{"pause": world.pass_time, **changes})
    return operation, job_id, job_attempt, hold


def test_a_snapshot_is_held_no_longer_than_one_may_be(deployment: Deployment) -> None:
    operation, job_id, job_attempt, hold = a_held_job(deployment)
    began = deployment.world.clock.now()
    assert hold(deployment.world.attempt(operation), job_id, job_attempt) is Ending.OVERDUE
    assert deployment.world.clock.now() - began == deployment.world.limits.longest_hold
    assert deployment.holders() == 0
    with pytest.raises(SnapshotLost):
        deployment.world.export_range(operation, job_id, job_attempt)


def test_no_attempt_is_read_in_two_snapshots(deployment: Deployment) -> None:
    world = deployment.world
    operation, job_id, job_attempt, hold = a_held_job(deployment)
    hold(world.attempt(operation), job_id, job_attempt)
    with pytest.raises(Fenced):
        hold(world.attempt(operation), job_id, job_attempt)
    running = world.status(operation)
    with pytest.raises(Fenced):
        world.operations.record_snapshot(running, running.jobs[0], Snapshot("another", "one"))
    # The next attempt of the job has one of its own.
    job_attempt, _ = world.plan_job(operation, job_id, anew=True)
    assert hold(world.attempt(operation), job_id, job_attempt) is Ending.OVERDUE


def test_a_snapshot_is_let_go_when_its_job_counts_no_more(deployment: Deployment) -> None:
    world, seen = deployment.world, list[int]()

    def cancel(_: float) -> None:
        seen.append(deployment.holders())
        world.cancel(operation)

    operation, job_id, job_attempt, hold = a_held_job(deployment, pause=cancel)
    with pytest.raises(Fenced):
        hold(world.attempt(operation), job_id, job_attempt)
    assert seen == [1]
    assert deployment.holders() == 0


@dataclass
class Busy:
    """Operations that can be asked once how one of them stands."""

    operations: Any
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operations, name)

    def get(self, tenant: str, client_id: str, operation_id: str) -> Operation:
        """Answers, and is busy from then on."""
        self.asked += 1
        if self.asked > 1:
            raise Unavailable("The database is busy; try again.")
        return cast("Operation", self.operations.get(tenant, client_id, operation_id))


def test_a_holder_that_cannot_ask_how_the_job_stands_holds_on(deployment: Deployment) -> None:
    world = deployment.world
    operation, job_id, job_attempt, hold = a_held_job(deployment)
    busy = Busy(world.operations)
    hold = replace(hold, extraction=replace(world.extraction, operations=busy))
    assert hold(world.attempt(operation), job_id, job_attempt) is Ending.OVERDUE
    assert busy.asked > 2


def test_a_reader_waits_for_the_snapshot_but_not_for_ever(deployment: Deployment) -> None:
    world = deployment.world
    operation, job_id, job_attempt, _ = a_held_job(deployment)
    world.snapshots = replace(world.snapshots, pause=lambda s: world.pass_time(20 * s))
    with pytest.raises(Unavailable):
        world.export_range(operation, job_id, job_attempt)


def test_a_reader_stops_waiting_when_its_attempt_counts_no_more(deployment: Deployment) -> None:
    world = deployment.world
    operation, job_id, job_attempt, _ = a_held_job(deployment)
    world.snapshots = replace(
        world.snapshots, pause=lambda _: cast("None", world.plan_job(operation, job_id, anew=True))
    )
    with pytest.raises(Fenced):
        world.export_range(operation, job_id, job_attempt)


# --- the source -------------------------------------------------------------------------------


def test_a_snapshot_shows_the_same_version_to_all_and_no_other_by_its_name(
    deployment: Deployment,
) -> None:
    source = deployment.source
    warehouse = PostgresqlWarehouse()
    table = a_table_of(source, "public.ledger")

    def read(version: str, name: str) -> bytes:
        with warehouse.stream(
            source, version, table, None, FileFormat.CSV, Compression.NONE, ONLY, name
        ) as stream:
            return b"".join(stream)

    with warehouse.hold(source) as held:
        before = read(held.version, held.name)
        deployment.sql(TRANSFER)
        held.check()
        assert read(held.version, held.name) == before
        # As after a restart of the server, which hands out the same names again.
        with pytest.raises(SnapshotLost):
            read("of another server's life", held.name)
        deployment.end_holders()
        with pytest.raises(SnapshotLost):
            held.check()
        with pytest.raises(SnapshotLost):
            read(held.version, held.name)


def test_a_source_that_cannot_be_reached_holds_nothing(deployment: Deployment) -> None:
    nowhere = replace(deployment.source, options={"host": "/nowhere", "database": "x"})
    with pytest.raises(SourceUnavailable), PostgresqlWarehouse().hold(nowhere):
        pass
