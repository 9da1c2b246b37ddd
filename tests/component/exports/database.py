"""A deployment whose source is a database in PostgreSQL, its workflow run state by state."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from headrace.adapters.dynamodb.statistics import DynamoStatistics
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.postgresql.changes import PostgresqlChanges
from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.audit.model import Failing
from headrace.audit.usecases import NoteFailing
from headrace.exports import ending, planning, ranges
from headrace.exports.holding import HoldSnapshot
from headrace.exports.model import Limits, Operation
from headrace.exports.snapshots import Snapshots
from headrace.exports.sources import SnapshotScope, Source
from headrace.runtime import auditing, wiring
from tests.builders import a_configuration
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import a_table_of, rows_of
from tests.fakes import FakeConfigurations
from tests.workflow import HANDLERS, Execution, TaskError, definition
from tests.world import World, a_world

MIB = 1024 * 1024
ROWS = 12_000
TABLES = f"""
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL, filler text NOT NULL);
INSERT INTO accounts SELECT n, 0, repeat(md5(n::text), 32) FROM generate_series(1, {ROWS}) n;
CREATE TABLE ledger (id integer PRIMARY KEY, balance integer NOT NULL);
INSERT INTO ledger SELECT n, 0 FROM generate_series(1, 10) n;
ANALYZE;
"""
TRANSFER = """
BEGIN;
UPDATE accounts SET balance = balance - 1;
UPDATE ledger SET balance = balance + 1;
COMMIT;
"""
"""After each of them all balances of a table are the same, and those of both add up to nothing."""
_END = """
DO $$
DECLARE
    those int[] := ARRAY(SELECT pid {});
BEGIN
    IF cardinality(those) = 0 THEN RAISE 'there is no such session'; END IF;
    PERFORM pg_terminate_backend(pid) FROM unnest(those) pid;
    FOR n IN 1..1000 LOOP
        -- What a transaction sees of the sessions first is else what it goes on seeing.
        PERFORM pg_stat_clear_snapshot();
        IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY(those)) THEN RETURN; END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE 'a session does not end';
END $$
"""
HOLDERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
)


@dataclass
class Deployment:
    """A deployment whose one source is a database of ``accounts`` (two ranges) and ``ledger``."""

    world: World
    server: Server
    database: str
    source: Source
    before: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    """What happens before a task is run, by its resource; it is told the task's event."""
    endings: list[Any] = field(default_factory=list)

    def publish(self, *tables: str, scope: SnapshotScope) -> None:
        """A catalog with these tables."""
        made = [
            replace(a_table_of(self.source, f"public.{name}"), name=name, primary_key=("id",))
            for name in tables
        ]
        self.world.configurations.publish(
            replace(a_configuration(), tables=tuple(made), snapshot=scope)
        )

    def sql(self, statements: str) -> str:
        """What psql prints for them."""
        return self.server.run(statements, self.database)

    def holders(self) -> int:
        """How many sessions hold a snapshot."""
        return int(self.sql(f"SELECT count(*) {HOLDERS}"))

    def end_holders(self) -> None:
        """Ends their sessions, as a failover does."""
        self.end_sessions(HOLDERS)

    def end_sessions(self, which: str) -> None:
        """Ends these (``FROM pg_stat_activity WHERE …``), and comes back when they are gone."""
        self.sql(_END.format(which))

    def run(self, operation: Operation) -> Operation:
        """The workflow from start to end."""
        attempt = self.world.attempt(operation)
        tasks = {name: self._task(name, handle) for name, handle in HANDLERS.items()}
        Execution(tasks).run(definition(), asdict(attempt))
        self.world.workflows.executions[operation.execution_name] = False
        return self.world.status(operation)

    def _task(self, name: str, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(event: Any) -> Any:
            self.before.get(name, lambda _: None)(event)
            for left in (3, 2, 1, 0):
                try:
                    result = handle(event)
                    break
                except TaskError as error:
                    # As the workflow retries: not what only another plan can mend.
                    if error.name == "SnapshotLost" or not left:
                        raise
            if name == "HoldSnapshotFunctionArn":
                self.endings.append(result.get("ending", result["outcome"]))
            return result

        return run

    def failings(self) -> tuple[Failing, ...]:
        """What those who run the service are told of."""
        return auditing.note_failing().statistics.failings("bureau", 10, None)[0]

    def balances(self, operation: Operation, table: str) -> set[int]:
        """The balances in the table's document, which has each row once."""
        [job] = [job for job in operation.jobs if job.table == table]
        assert job.key is not None
        rows = rows_of(self.world.stored()[job.key], operation.request.file_format)
        ids = [int(str(row["id"])) for row in rows]
        assert sorted(ids) == list(range(1, len(ids) + 1))
        assert len(ids) == (ROWS if table == "accounts" else 10)
        return {int(str(row["balance"])) for row in rows}


@contextmanager
def a_deployment(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment of its own, on a database of its own."""
    database = postgresql.new_database()
    postgresql.run(TABLES, database)
    source = postgresql.source(database)
    longest = timedelta(seconds=5)
    limits = Limits(range_bytes=7 * MIB, max_ranges=2, longest_hold=longest)
    with a_world(configurations=FakeConfigurations(origin=source), limits=limits) as world:
        warehouse = PostgresqlWarehouse(least_range_bytes=1, split_from_bytes=1)
        world.warehouse = cast("Any", warehouse)
        world.changes = cast("Any", PostgresqlChanges())
        work = world.extraction
        # A moment in which others get on, and the deployment's clock stands.
        snapshots = Snapshots(world.operations, world.clock, pause=lambda _: time.sleep(0.01))
        use_cases = {
            "plan_unload": lambda *_: None,
            "plan_export": planning.PlanExport(work, warehouse),
            "plan_job": planning.PlanJob(
                work, warehouse, world.changes, world.baselines, snapshots
            ),
            "export_range": ranges.ExportRange(
                work, warehouse, world.changes, world.upload, snapshots, world.slots
            ),
            "hold_snapshot": HoldSnapshot(work, warehouse, pause=lambda _: time.sleep(0.01)),
            "complete_job": ending.CompleteJob(work),
            "fail_job": ending.FailJob(work),
            "end_export": ending.EndExport(work, world.runs),
        }
        for name, use_case in use_cases.items():
            monkeypatch.setattr(wiring, name, lambda use_case=use_case: use_case)
        counts = DynamoStatistics(
            Table(world.clients["dynamodb"], "StatisticsTable"), timedelta(days=1)
        )
        monkeypatch.setattr(auditing, "note_failing", lambda: NoteFailing(counts))
        yield Deployment(world, postgresql, database, source)
