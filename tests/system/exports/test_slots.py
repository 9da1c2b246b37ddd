"""A fan-out never floods a database: no more workers read from it at once than it has slots."""

import threading
from dataclasses import replace

import pytest

from headrace.exports.sources import Column, ColumnType, SnapshotScope, Source, Table
from local.sample.roster import ROLE, Roster
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Platform

pytestmark = pytest.mark.system

COPIES = f"""
    SELECT count(*) FROM pg_stat_activity
    WHERE usename = '{ROLE}' AND state = 'active' AND query LIKE 'COPY%'
"""


def test_an_operation_of_many_tables_has_no_more_readers_than_slots(
    platform: Platform, clients: Clients
) -> None:
    roster = Roster(platform.home.roster)
    pattern = next(one for one in clients.base.sources if one.name == "roster")
    source = Source(f"one-at-a-time-{clients.run}", pattern.kind, {**pattern.options})
    source = replace(source, options={**source.options, "max_connections": "1"})
    clients.sources.append(source)
    columns = tuple(
        Column(public, name, ColumnType.INTEGER, nullable=False)
        for public, name in (("wardId", "ward_id"), ("employeeId", "employee_id"))
    )
    tables = tuple(Table(f"shifts{n}", "public.shifts", columns) for n in range(5))
    integrator = clients.special(NORTHWIND, "cost_centres")
    clients.reconfigure(
        integrator,
        lambda one: replace(one, source=source.name, snapshot=SnapshotScope.JOB, tables=tables),
    )

    seen: list[int] = []
    over = threading.Event()

    def count() -> None:
        while not over.is_set():
            seen.append(int(roster.run(COPIES)))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        done = integrator.export()
    finally:
        over.set()
        counting.join()
    assert max(seen) == 1
    assert {job["rows"] for job in done["jobs"]} == {int(roster.run("SELECT count(*) FROM shifts"))}
    slots = [
        item
        for item in platform.items(platform.outputs["OperationsTableName"])
        if item["pk"]["S"] == f"-source#{source.name}" and item["sk"]["S"].startswith("slot#")
    ]
    assert slots == []
