"""PostgreSQL that is read from a hot standby, and what a standby does to its readers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.holding import Ending
from headrace.exports.model import FileFormat, Status
from headrace.exports.sources import SnapshotScope
from headrace.kernel.errors import SourceUnavailable
from tests.component.exports.database import HOLDERS, TRANSFER, Deployment, a_deployment
from tests.component.postgresql.replica import Replica, a_replica
from tests.component.postgresql.server import a_server
from tests.component.warehouse.places import ONLY, PLAIN, a_table_of

PATIENCE_S = 60.0
BOTH_WAYS = pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
"""The server's own COPY, and DuckDB's reading."""


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with a_server() as primary, a_replica(primary) as one:
        # Rows are removed when a test says so.
        primary.run("ALTER SYSTEM SET autovacuum = off")
        primary.run("SELECT pg_reload_conf()")
        yield one


@pytest.fixture
def deployment(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The exports product over moto, with a database that is read from the standby."""
    with a_deployment(replica.primary, monkeypatch) as one:
        replica.catch_up()
        one.world.configurations.origin = replica.source(one.database)
        yield one
        replica.set("max_standby_streaming_delay", "30s")


def holders(replica: Replica, deployment: Deployment) -> int:
    """How many sessions hold a snapshot on the standby."""
    return int(replica.run(f"SELECT count(*) {HOLDERS}", deployment.database))


def wait_for[T](look: Callable[[], T], otherwise: str) -> T:
    """What ``look`` gives as soon as it is true; ``otherwise`` is said after a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, otherwise
    return seen


@BOTH_WAYS
@pytest.mark.parametrize("scope", SnapshotScope)
def test_all_ranges_and_tables_show_one_snapshot_of_the_standby(
    deployment: Deployment, replica: Replica, file_format: FileFormat, scope: SnapshotScope
) -> None:
    deployment.publish("accounts", "ledger", scope=scope)
    held_by_the_primary: list[int] = []

    def transfer(event: Any) -> None:
        # Once: a second one would remove rows that are read, for which a standby waits, or not.
        deployment.before.clear()
        deployment.sql(TRANSFER)
        replica.catch_up()
        wait_for(
            lambda: holders(replica, deployment) == 1, "the standby does not hold the snapshot"
        )
        held_by_the_primary.append(deployment.holders())

    deployment.before["ExportRangeFunctionArn"] = transfer
    done = deployment.run(deployment.world.start(file_format=file_format))
    assert done.status is Status.SUCCEEDED, done.jobs
    [accounts] = deployment.balances(done, "accounts")
    [ledger] = deployment.balances(done, "ledger")
    if scope is SnapshotScope.OPERATION:
        assert accounts == -ledger
        assert done.snapshot is not None
        assert done.snapshot.version.partition(":")[0].endswith("-replica")
    assert held_by_the_primary == [0]
    assert deployment.endings == [Ending.READ]
    assert holders(replica, deployment) == 0


def test_a_standby_that_removes_what_is_read_costs_a_try_and_no_row(
    deployment: Deployment, replica: Replica
) -> None:
    deployment.publish("accounts", scope=SnapshotScope.JOB)
    replica.set("max_standby_streaming_delay", "0")

    def overtake(event: Any) -> None:
        if event["range"] == 1:
            deployment.before.clear()
            [holder] = wait_for(
                # It is idle but for the moments in which it says that it is there still.
                lambda: replica.run(f"SELECT pid {HOLDERS}", deployment.database).split(),
                "nobody holds the snapshot",
            )
            deployment.sql(TRANSFER)

            def has_gone() -> bool:
                # Rows go once no session of the primary's could see them any more.
                deployment.sql("VACUUM accounts")
                replica.catch_up()
                of = f"FROM pg_stat_activity WHERE pid = {holder} AND backend_xmin IS NOT NULL"
                return replica.run(f"SELECT count(*) {of}", deployment.database).strip() == "0"

            wait_for(has_gone, "the standby goes on holding the snapshot")

    deployment.before["ExportRangeFunctionArn"] = overtake
    done = deployment.run(deployment.world.start(file_format=FileFormat.CSV))
    assert done.status is Status.SUCCEEDED, done.jobs
    assert (done.jobs[0].attempt, done.jobs[0].claims) == (2, 2)
    assert deployment.balances(done, "accounts") == {-1}
    assert sorted(deployment.endings) == [Ending.LOST, Ending.READ]


@BOTH_WAYS
def test_a_read_that_a_standby_cancels_says_what_to_set(
    deployment: Deployment, replica: Replica, file_format: FileFormat
) -> None:
    source = replica.source(deployment.database)
    table = a_table_of(source, "public.accounts")
    replica.set("max_standby_streaming_delay", "0")
    warehouse = PostgresqlWarehouse()
    # More than lies on the way, so that the server is still at it when its rows go.
    deployment.sql(
        "INSERT INTO accounts SELECT n, 0, repeat(md5(n::text), 999) "
        "FROM generate_series(100001, 102000) n"
    )
    replica.catch_up()
    with (
        pytest.raises(SourceUnavailable, match="max_standby_streaming_delay"),
        warehouse.stream(source, "", table, None, file_format, PLAIN, ONLY) as stream,
    ):
        chunks = iter(stream)
        next(chunks)
        deployment.sql("UPDATE accounts SET balance = 1")
        replica.catch_up()
        deployment.sql("VACUUM accounts")
        removed = replica.written()
        # A server that waits for its client cannot be told to stop, so the client goes on.
        for _ in chunks:
            replica.has(removed)
