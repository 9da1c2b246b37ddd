"""The status tells how far a table is while it is read."""

from dataclasses import replace

import pytest

from headrace.exports.sources import Column, ColumnType, Table
from local.sample.roster import ROLE, Roster
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import ACTIVE, Json, Platform, eventually

pytestmark = pytest.mark.system

ROWS = 10_000
SLOW = f"""
DROP VIEW IF EXISTS slow_readings;
CREATE VIEW slow_readings AS
SELECT n AS id, repeat(md5(n::text), 32) AS reading FROM generate_series(1, {ROWS}) n
WHERE pg_sleep(0.001)::text IS NOT NULL;
GRANT SELECT ON slow_readings TO {ROLE};
"""
"""A row of a kilobyte each millisecond and a bit: ten seconds at least, in one part."""


def test_rows_and_bytes_rise_while_a_part_is_read(platform: Platform, clients: Clients) -> None:
    roster = Roster(platform.home.roster)
    roster.run(SLOW)
    columns = (
        Column("id", "id", ColumnType.INTEGER, nullable=True),
        Column("reading", "reading", ColumnType.STRING, nullable=True),
    )
    table = Table("readings", "public.slow_readings", columns)
    integrator = clients.special(NORTHWIND, "cost_centres")
    clients.reconfigure(integrator, lambda one: replace(one, source="roster", tables=(table,)))
    seen: list[Json] = []

    def is_over() -> bool:
        seen.append(integrator.status(operation_id))
        return seen[-1]["status"] not in ACTIVE

    try:
        operation_id = integrator.start()["operationId"]
        eventually(is_over, within=120, what="the operation ended", every=0.3)
    finally:
        roster.run("DROP VIEW slow_readings")
    done = seen[-1]
    assert done["status"] == "succeeded", done
    [job] = done["jobs"]
    told = [(one["rows"], one["bytes"], one["percent"]) for one in seen]
    assert told == sorted(told)
    for one in seen:
        # There is one table, so it says what the operation does.
        [of_table] = one["jobs"]
        assert (one["rows"], one["bytes"]) == (of_table["rows"] or 0, of_table["bytes"] or 0)
    # More than once between nothing and all: a worker tells it every two seconds.
    between = sorted({rows for rows, _, _ in told} - {0, ROWS})
    assert len(between) >= 2, told
    assert all((rows > 0) == (size > 0) for rows, size, _ in told)
    guesses = [one["secondsLeft"] for one in seen if one["secondsLeft"] is not None]
    assert all(guess >= 0 for guess in guesses)
    assert guesses
    document = integrator.document(job["jobId"])
    assert (job["rows"], job["bytes"]) == (ROWS, len(document))
    assert done["secondsLeft"] is None
