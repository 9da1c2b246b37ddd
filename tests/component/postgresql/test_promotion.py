"""A standby that takes over lacks what the primary had not sent it, and gives its ids out anew."""

import os
import signal
import time
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
from tests.component.postgresql.replica import Replica, a_replica
from tests.component.postgresql.server import a_server

CHANGES = PostgresqlChanges()
SOURCE = PostgresqlWarehouse()


@contextmanager
def no_checkpoints(replica: Replica) -> Iterator[None]:
    """As long as this is not left: the first of a server that took over takes minutes."""
    checkpointer = int(
        replica.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    )
    os.kill(checkpointer, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(checkpointer, signal.SIGCONT)


def follows_no_more(replica: Replica) -> None:
    """Comes back when nothing that the primary writes arrives any more."""
    deadline = time.monotonic() + 60
    while replica.run("SELECT count(*) FROM pg_stat_wal_receiver").strip() != "0":
        assert time.monotonic() < deadline, "the standby goes on following"
        time.sleep(0.02)


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
            replica.set("primary_conninfo", "")
            follows_no_more(replica)
            database.run("INSERT INTO people VALUES (1, 'lost')")
            since = SOURCE.current_version(database.reader)
            with no_checkpoints(replica):
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
