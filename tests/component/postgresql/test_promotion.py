"""A standby that takes over lacks what the primary had not sent it, and gives its ids out anew."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headrace.adapters.postgresql.changes import PostgresqlChanges
from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.kernel.errors import IncrementsUnavailable, ResyncRequired
from tests.component.postgresql.captured import (
    a_database,
    a_table,
    changes,
    install,
)
from tests.component.postgresql.replica import a_replica
from tests.component.postgresql.server import a_server

CHANGES = PostgresqlChanges()
SOURCE = PostgresqlWarehouse()


@contextmanager
def stopped(process: str) -> Iterator[None]:
    """A process of a server's does nothing for as long as this is not left."""
    os.kill(int(process), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(process), signal.SIGCONT)


SENDER = "SELECT pid FROM pg_stat_replication"
CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"


def test_a_server_that_has_just_taken_over_tells_no_increments_since_before() -> None:
    with a_server() as primary:
        database = a_database(primary, "CREATE TABLE people (id int PRIMARY KEY, name text)")
        table = a_table(database.owner, "public.people", "id")
        install(database.owner, table)
        with a_replica(primary) as replica:
            replica.catch_up()
            there = replica.source(database.name)
            with pytest.raises(IncrementsUnavailable):
                CHANGES.resync_reason(there, "", "", table)
            # What the client has is of the primary, and the standby never came to know it.
            # And the first checkpoint of a server that took over takes minutes.
            with stopped(primary.run(SENDER)), stopped(replica.run(CHECKPOINTER)):
                database.run("INSERT INTO people VALUES (1, 'lost')")
                since = SOURCE.current_version(database.reader)
                replica.run("SELECT pg_promote()")
                replica.run("INSERT INTO people VALUES (2, 'ours')", database.name)
                replica.run("INSERT INTO people VALUES (3, 'ours')", database.name)
                now = SOURCE.current_version(there)
                assert CHANGES.resync_reason(there, since, now, table)
                with pytest.raises(ResyncRequired):
                    changes(there, since, now, table)
            replica.run("CHECKPOINT")
            assert CHANGES.resync_reason(there, since, now, table)
            install(there, table)
            begun = SOURCE.current_version(there)
            replica.run("DELETE FROM people WHERE id = 2", database.name)
            assert CHANGES.resync_reason(there, begun, SOURCE.current_version(there), table) is None
