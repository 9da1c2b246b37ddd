"""Whatever several sessions do to a table, in whatever order: a full export, and increments after
it, are the table at every version that a copy comes to.
"""

from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.captured import (
    READER,
    Copy,
    Database,
    Session,
    a_database,
    a_table,
    install,
)
from tests.component.postgresql.server import Server
from tests.examples import examples

KEYS = st.integers(1, 6)
TENANTS = st.sampled_from(["'north'", "'south'", "NULL"])
NAMES = st.sampled_from(["'a'", "'b'", "NULL"])
REGIONS = st.sampled_from(["'eu'", "'us'", "'x'"])
SESSIONS = 3
FOLLOW = "follow"


@dataclass(frozen=True)
class Step:
    """A statement in one of the sessions, or that the copies follow."""

    session: int
    statement: str


def _of(*parts: st.SearchStrategy[object] | str) -> st.SearchStrategy[str]:
    pieces = [st.just(part) if isinstance(part, str) else part.map(str) for part in parts]
    return st.tuples(*pieces).map("".join)


STATEMENTS = st.one_of(
    st.sampled_from(["BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT s"]),
    st.sampled_from(["ROLLBACK TO s", "RELEASE s", FOLLOW, FOLLOW]),
    _of("INSERT INTO {} VALUES (", KEYS, ", ", REGIONS, ", ", TENANTS, ", ", NAMES, ", 0)"),
    _of(
        *("INSERT INTO {} VALUES (", KEYS, ", ", REGIONS, ", ", TENANTS, ", ", NAMES, ", 0) "),
        "ON CONFLICT (id, region) DO UPDATE SET name = excluded.name, tenant = excluded.tenant",
    ),
    _of("UPDATE {} SET name = ", NAMES, " WHERE id = ", KEYS),
    _of("UPDATE {} SET id = ", KEYS, ", name = ", NAMES, " WHERE id = ", KEYS),
    _of("UPDATE {} SET region = ", REGIONS, " WHERE id = ", KEYS),
    _of("UPDATE {} SET tenant = ", TENANTS, " WHERE id <= ", KEYS),
    _of("UPDATE {} SET id = id + ", KEYS, " WHERE tenant = ", TENANTS),
    _of("UPDATE {} SET seen = seen + 1 WHERE id >= ", KEYS),
    _of("DELETE FROM {} WHERE id = ", KEYS),
    _of("DELETE FROM {} WHERE tenant = ", TENANTS, " AND id > ", KEYS),
    _of(
        *("MERGE INTO {} t USING (VALUES (", KEYS, ", ", REGIONS, ")) AS v(id, region) "),
        "ON t.id = v.id WHEN MATCHED AND t.tenant = 'north' THEN DELETE ",
        *("WHEN MATCHED THEN UPDATE SET id = ", KEYS, ", tenant = 'north' "),
        "WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.region, 'south', 'm', 0)",
    ),
    st.just("TRUNCATE {}"),
)

HISTORIES = st.lists(
    st.builds(Step, st.integers(0, SESSIONS - 1), STATEMENTS), min_size=4, max_size=30
)

MADE = """
CREATE TABLE plain (id int, region text, tenant text, name text, seen int,
                    PRIMARY KEY (id, region));
CREATE TABLE split (id int, region text, tenant text, name text, seen int,
                    PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE split_eu PARTITION OF split FOR VALUES IN ('eu');
CREATE TABLE split_us PARTITION OF split FOR VALUES IN ('us');
CREATE TABLE split_rest PARTITION OF split DEFAULT;
"""


@pytest.fixture(scope="module")
def database(postgresql: Server) -> Database:
    made = a_database(postgresql, MADE)
    tables = [a_table(made.owner, f"public.{name}", "id", "region") for name in ("plain", "split")]
    install(
        made.owner,
        *(
            a_table(made.owner, one.source, "id", "region", tenant="north", columns=COLUMNS)
            for one in tables
        ),
    )
    return made


COLUMNS = ("id", "region", "name")

REFUSED = (
    psycopg.errors.IntegrityError,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.InvalidSavepointSpecification,
    psycopg.errors.NoActiveSqlTransaction,
    psycopg.errors.InFailedSqlTransaction,
)


@dataclass
class World:
    """Sessions that write, and copies that follow them."""

    sessions: list[Session]
    copies: list[Copy]
    truncated: int = 0

    def run(self, session: int, statement: str) -> None:
        """What a lock or a rule refuses is undone with its transaction, as an application does."""
        try:
            self.sessions[session].execute(statement.encode())
        except REFUSED:
            self.sessions[session].execute("ROLLBACK")
            return
        self.truncated += statement.startswith("TRUNCATE")

    def follow(self, *, at_rest: bool = False) -> None:
        """Each copy, unless a TRUNCATE under way is in its way, which then is tried again later."""
        for copy in self.copies:
            try:
                copy.follow()
            except SourceUnavailable:
                assert not at_rest
                assert self.truncated
            assert copy.resyncs <= self.truncated


@pytest.mark.parametrize("name", ["plain", "split"])
def test_full_and_increments_are_the_source_at_every_version(database: Database, name: str) -> None:
    tables = [
        a_table(database.owner, f"public.{name}", "id", "region", tenant=tenant, columns=COLUMNS)
        for tenant in ("north", "south")
    ]

    reader = database.server.source(database.name, user=READER, lock_timeout="0.1")
    merges = database.server.version >= 15

    @settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=HISTORIES)
    def follows(history: list[Step]) -> None:
        with (
            database.session() as one,
            database.session() as two,
            database.session() as three,
        ):
            sessions = [one, two, three]
            for session in sessions:
                session.execute("SET lock_timeout = '3ms'; SET synchronous_commit = off")
            one.execute(
                f"DELETE FROM {name}; INSERT INTO {name} SELECT i, 'eu', "
                "CASE i % 3 WHEN 0 THEN 'north' WHEN 1 THEN 'south' END, 'a', 0 "
                "FROM generate_series(1, 6) i".encode()
            )
            world = World(sessions, [Copy(reader, table) for table in tables])
            for copy in world.copies:
                copy.begin()
            known = [step for step in history if merges or "MERGE" not in step.statement]
            for step in known:
                if step.statement == FOLLOW:
                    world.follow()
                else:
                    world.run(step.session, step.statement.format(name))
            world.follow()
            for session in sessions:
                session.execute("COMMIT")
            world.follow(at_rest=True)
            if not world.truncated:
                assert [copy.resyncs for copy in world.copies] == [0, 0]

    follows()


def test_updates_of_other_columns_alone_are_never_told(database: Database) -> None:
    table = a_table(database.owner, "public.plain", "id", "region", tenant="north", columns=COLUMNS)
    database.run(
        "DELETE FROM plain; "
        "INSERT INTO plain SELECT i, 'eu', 'north', 'a', 0 FROM generate_series(1, 99) i"
    )
    copy = Copy(database.reader, table)
    copy.begin()
    for n in range(5):
        database.run(f"UPDATE plain SET seen = {n}; UPDATE plain SET name = name, id = id")
        copy.follow()
    assert copy.seen == 0
