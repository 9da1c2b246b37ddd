"""How far a standby is behind its primary, and a change log behind those who write."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.exports.sources import Freshness, Source
from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.captured import READER, a_database, a_table, install
from tests.component.postgresql.replica import Replica, a_replica
from tests.component.postgresql.server import Server, a_server

WAREHOUSE = WarehouseByKind()
NONE = timedelta()
_PATIENCE_S = 60.0


def freshness(source: Source) -> Freshness:
    return WAREHOUSE.freshness(
        source, datetime.max.replace(tzinfo=UTC)
    )  # it has a clock of its own


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- a standby ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with a_server() as primary, a_replica(primary) as one:
        primary.run("CREATE ROLE plain LOGIN; CREATE TABLE written (id integer)")
        yield one


@pytest.fixture(params=["postgres", "plain"])
def standby(replica: Replica, request: pytest.FixtureRequest) -> Source:
    """The standby as a source, read as a superuser and as who has no rights at all."""
    replica.catch_up()
    source = replica.source("postgres")
    return Source(source.name, source.kind, {**source.options, "user": request.param})


def write(replica: Replica) -> None:
    replica.primary.run("INSERT INTO written VALUES (1)")


def test_a_standby_that_has_replayed_all_is_not_behind_however_long_ago_that_was(
    replica: Replica, standby: Source
) -> None:
    write(replica)
    replica.catch_up()
    assert freshness(standby) == Freshness(NONE, NONE)
    time.sleep(1.1)  # in which nothing is committed: that is what is meant
    assert freshness(standby) == Freshness(NONE, NONE)


def test_a_standby_that_does_not_replay_is_as_far_behind_as_its_last_transaction(
    replica: Replica, standby: Source
) -> None:
    write(replica)
    replica.catch_up()
    replica.run("SELECT pg_wal_replay_pause()")
    try:
        write(replica)
        written = replica.written()
        until(
            lambda: replica.run(f"SELECT pg_last_wal_receive_lsn() >= '{written}'").strip() == "t"
        )
        first = freshness(standby)
        then = freshness(standby)
    finally:
        replica.run("SELECT pg_wal_replay_resume()")
    assert first.lag is not None
    assert then.lag is not None
    assert timedelta(seconds=1) <= first.lag < then.lag < timedelta(minutes=5)
    assert (first.age, then.age) == (first.lag, then.lag)
    replica.catch_up()
    assert freshness(standby) == Freshness(NONE, NONE)


@pytest.mark.postgresql(13)
def test_a_standby_that_lost_its_primary_is_behind_though_it_has_replayed_all_that_it_got(
    replica: Replica, standby: Source
) -> None:
    def follows() -> bool:
        return replica.run("SELECT count(*) FROM pg_stat_wal_receiver").strip() == "1"

    conninfo = replica.run("SHOW primary_conninfo").strip()
    until(follows)
    replica.set("primary_conninfo", "")
    try:
        until(lambda: not follows())
        write(replica)  # which it is not told
        assert (
            replica.run("SELECT pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()").strip()
            == "t"
        )
        told = freshness(standby)
    finally:
        replica.set("primary_conninfo", conninfo)
    assert told.lag == told.age
    assert told.lag is not None
    assert NONE < told.lag < timedelta(minutes=5)
    until(follows)
    replica.catch_up()
    assert freshness(standby) == Freshness(NONE, NONE)


# --- a primary ----------------------------------------------------------------------------------


def test_a_primary_without_a_change_log_is_never_behind(postgresql: Server) -> None:
    database = a_database(postgresql, "CREATE TABLE one (id integer PRIMARY KEY)")
    with database.session() as long:
        long.execute("BEGIN; INSERT INTO one VALUES (1)")
        assert freshness(database.owner) == Freshness(lag=NONE)


def test_a_change_log_is_behind_who_still_writes_as_far_as_the_role_may_see(
    postgresql: Server,
) -> None:
    database = a_database(postgresql, "CREATE TABLE one (id integer PRIMARY KEY)")
    other = a_database(postgresql, "CREATE TABLE two (id integer PRIMARY KEY)")
    install(database.owner, a_table(database.owner, "public.one", "id"))
    with other.session() as elsewhere, database.session() as reads, database.session() as writes:
        elsewhere.execute("BEGIN; INSERT INTO two VALUES (1)")
        reads.execute("BEGIN; SELECT FROM one")
        assert freshness(database.owner) == Freshness(lag=NONE)
        writes.execute("BEGIN; INSERT INTO one VALUES (1)")
        told = freshness(database.owner).lag
        assert told is not None
        assert NONE < told < timedelta(minutes=5)
        assert freshness(database.reader) == Freshness(lag=NONE)
        postgresql.run(f"GRANT pg_read_all_stats TO {READER}")
        try:
            seen = freshness(database.reader).lag
        finally:
            postgresql.run(f"REVOKE pg_read_all_stats FROM {READER}")
        assert seen is not None
        assert seen > told
        writes.execute("COMMIT")
        assert freshness(database.owner) == Freshness(lag=NONE)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = {"host": "/nowhere", "database": "postgres", "user": "postgres"}
    with pytest.raises(SourceUnavailable):
        freshness(Source("gone", "postgresql", nowhere))
