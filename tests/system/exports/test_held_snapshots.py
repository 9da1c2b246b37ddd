"""Tables of PostgreSQL are read in one snapshot, which a worker of the workflow holds open."""

import csv
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from headrace.exports.sources import Column, ColumnType, SnapshotScope, Table
from local.sample.roster import ROLE, Roster
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually

pytestmark = pytest.mark.system

ROWS = 45_000
"""Of ``accounts``: more than one slice of the local platform's holds."""
MADE = f"""
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL, filler text NOT NULL);
INSERT INTO accounts SELECT n, 0, repeat(md5(n::text), 32) FROM generate_series(1, {ROWS}) n;
CREATE TABLE ledger (id integer PRIMARY KEY, balance integer NOT NULL);
INSERT INTO ledger VALUES (1, 0);
GRANT SELECT ON accounts, ledger TO {ROLE};
ANALYZE accounts, ledger;
"""
GONE = "DROP TABLE IF EXISTS accounts, ledger;"
TRANSFER = f"""
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE id IN (1, {ROWS});
UPDATE ledger SET balance = balance + 1;
COMMIT;
"""
"""Of one snapshot the first and the last account, which no worker reads both of, show the same."""


def _table(name: str, *columns: str) -> Table:
    return Table(
        name=name,
        source=f"public.{name}",
        columns=tuple(
            Column(one, one, ColumnType.STRING if one == "filler" else ColumnType.INTEGER, False)
            for one in columns
        ),
        primary_key=("id",),
    )


TABLES = (_table("accounts", "id", "balance", "filler"), _table("ledger", "id", "balance"))


@pytest.fixture(scope="module")
def roster(platform: Platform) -> Iterator[Roster]:
    """The platform's database, with two tables of these tests' own."""
    database = Roster(platform.home.roster)
    database.run(GONE + MADE)
    yield database
    database.run(GONE)


def a_client(clients: Clients, scope: SnapshotScope, *tables: Table) -> Integrator:
    """A client that takes these tables of the roster's database."""
    made = clients.special(NORTHWIND, "cost_centres")
    clients.reconfigure(
        made,
        lambda one: replace(one, source="roster", snapshot=scope, tables=tables or TABLES),
    )
    return made


@contextmanager
def transfers(roster: Roster) -> Iterator[None]:
    """Somebody commits one transfer after the other meanwhile."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            roster.run(TRANSFER)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def balances(integrator: Integrator, operation: Json, table: str) -> dict[int, int]:
    """The balances in the table's document, by id; each row is there once."""
    [job] = [job for job in operation["jobs"] if job["table"] == table]
    csv.field_size_limit(2**20)
    rows = list(csv.DictReader(io.StringIO(integrator.document(job["jobId"]).decode(), newline="")))
    found = {int(row["id"]): int(row["balance"]) for row in rows}
    assert len(rows) == job["rows"]
    assert sorted(found) == list(range(1, len(rows) + 1))
    return found


def nobody_holds_anything(roster: Roster) -> None:
    """Fails if a session of Headrace's stays in a transaction."""
    asked = f"""
        SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND state <> 'idle'
    """
    eventually(lambda: roster.run(asked).strip() == "0", within=30, what="all sessions ended")


def snapshot_is_held(integrator: Integrator, kind: str) -> list[Any]:
    """The snapshots that are recorded with operations or jobs of the client."""
    return [
        item
        for key, item in integrator.items().items()
        if key.startswith(f"{kind}#") and "held_snapshot" in item
    ]


def start_and_kill_the_holder(
    platform: Platform, integrator: Integrator, kind: str, before: str, roster: Roster
) -> str:
    """The id of an operation whose snapshot was lost before a worker read in it.

    The snapshot is the operation's or the job's (``kind``); ``before`` it goes, this is done in
    the database.
    """
    integrator.export()
    with platform.frozen("ExportRange") as frozen:
        operation_id: str = integrator.start()["operationId"]
        eventually(
            lambda: len(snapshot_is_held(integrator, kind)) == 2 and frozen.given_work(),
            within=60,
            what="the snapshot was held and a worker given work",
        )
        roster.run(before)
        assert platform.kill("HoldSnapshot")
    return operation_id


def test_workers_of_one_table_show_one_snapshot_while_others_commit(
    clients: Clients, roster: Roster
) -> None:
    integrator = a_client(clients, SnapshotScope.JOB)
    with transfers(roster):
        done = integrator.export()
    found = balances(integrator, done, "accounts")
    assert len(found) == ROWS
    assert found[1] == found[ROWS]
    # Of the small table nobody held one: it went in one slice.
    [held] = snapshot_is_held(integrator, "job")
    assert held["ranges"] == {"N": "2"}
    nobody_holds_anything(roster)


def test_all_tables_show_one_snapshot_where_the_configuration_asks_for_it(
    clients: Clients, roster: Roster
) -> None:
    integrator = a_client(clients, SnapshotScope.OPERATION)
    with transfers(roster):
        done = integrator.export()
    accounts, ledger = (balances(integrator, done, name) for name in ("accounts", "ledger"))
    assert accounts[1] == accounts[ROWS] == -ledger[1]
    assert done["syncVersion"]
    nobody_holds_anything(roster)


def test_a_holder_that_is_killed_costs_a_plan_and_no_row(
    platform: Platform, clients: Clients, roster: Roster
) -> None:
    integrator = a_client(clients, SnapshotScope.JOB, TABLES[0])
    operation_id = start_and_kill_the_holder(platform, integrator, "job", TRANSFER, roster)
    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded", done
    assert done["jobs"][0]["attempt"] == 2
    found = balances(integrator, done, "accounts")
    now = int(roster.run("SELECT balance FROM accounts WHERE id = 1"))
    assert found[1] == found[ROWS] == now
    integrator.leaves(documents=2)
    nobody_holds_anything(roster)


def test_an_operation_that_loses_its_snapshot_says_so_and_a_retry_reads_all_anew(
    platform: Platform, clients: Clients, roster: Roster
) -> None:
    integrator = a_client(clients, SnapshotScope.OPERATION)
    operation_id = start_and_kill_the_holder(platform, integrator, "operation", "", roster)
    failed = integrator.ended(operation_id)
    assert failed["status"] == "failed"
    codes = {job["error"]["code"] for job in failed["jobs"] if job["status"] == "failed"}
    assert codes == {"snapshot_lost"}

    roster.run(TRANSFER)
    assert integrator.retry(operation_id).status_code == 202
    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded", done
    assert done["syncVersion"] != failed["syncVersion"]
    accounts, ledger = (balances(integrator, done, name) for name in ("accounts", "ledger"))
    assert accounts[1] == accounts[ROWS] == -ledger[1]
    nobody_holds_anything(roster)


def test_a_cancelled_operation_lets_its_snapshot_go(clients: Clients, roster: Roster) -> None:
    integrator = a_client(clients, SnapshotScope.OPERATION)
    operation_id = integrator.start()["operationId"]
    eventually(
        lambda: snapshot_is_held(integrator, "operation"), within=60, what="it held a snapshot"
    )
    assert integrator.cancel(operation_id).status_code == 200
    nobody_holds_anything(roster)
