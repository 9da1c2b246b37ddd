"""Whatever becomes of rows and of consents: a service's copy has the rows of those that share."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.exports.model import AccountColumn, SharedRows, Table
from tests.component.postgresql.captured import (
    READER,
    SOURCE,
    Copy,
    Database,
    Session,
    a_database,
    a_table,
    bag,
    changes,
    exported,
    install,
)
from tests.component.postgresql.server import Server

ACCOUNTS = ("ann", "bob", "it's {c,}\\")
FOLLOW = "follow"

accounts = st.sampled_from([*ACCOUNTS, None])
ids = st.integers(1, 6)
names = st.sampled_from(["a", "b", None])
tenants = st.sampled_from(["north", "south"])


@dataclass(frozen=True)
class Write:
    """A statement with its parameters."""

    statement: str
    parameters: tuple[Any, ...]


@dataclass(frozen=True)
class Consent:
    """An account shares from now on, or no more."""

    account: str
    shares: bool


Step = Write | Consent | str


def _write(statement: str, *parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Write]:
    return st.builds(Write, st.just(statement), st.tuples(*parameters))


writes = st.one_of(
    _write(
        "INSERT INTO held VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO UPDATE "
        "SET account = excluded.account, name = excluded.name",
        ids,
        accounts,
        tenants,
        names,
    ),
    _write("UPDATE held SET account = %s WHERE id = %s", accounts, ids),
    _write("UPDATE held SET account = %s WHERE account = %s", accounts, accounts),
    _write("UPDATE held SET name = %s WHERE id <= %s", names, ids),
    _write("UPDATE held SET tenant = %s WHERE id = %s", tenants, ids),
    _write("UPDATE held SET id = 7 - id WHERE id <> %s", ids),
    _write("DELETE FROM held WHERE id = %s", ids),
    _write("DELETE FROM held WHERE account = %s", accounts),
)
consents = st.builds(Consent, st.sampled_from(ACCOUNTS), st.booleans())
histories: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(writes, writes, consents, st.just(FOLLOW)), min_size=3, max_size=25
)

MADE = """
CREATE TABLE held (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, account text, tenant text,
                   name text);
ALTER TABLE held DROP CONSTRAINT held_pkey, ADD PRIMARY KEY (id);
"""


@pytest.fixture(scope="module")
def database(postgresql: Server) -> Database:
    made = a_database(postgresql, MADE)
    table = a_table(made.owner, "public.held", "id", tenant="north", columns=("id", "name"))
    install(made.owner, of_accounts(table, public=False))
    return made


def of_accounts(table: Table, *, public: bool) -> Table:
    """The table as a service has it."""
    kind = next(iter(table.filters)).type
    return replace(table, account=AccountColumn("account", kind, with_public=public))


@dataclass
class Service:
    """A service's copy, and who shares with it."""

    copy: Copy
    sharing: tuple[str, ...] = ()

    def follow(self, session: Session) -> None:
        """By an increment, which makes it what those that share now have in the source."""
        before = self.copy.table.whose.accounts
        self.copy.table = replace(self.copy.table, shared=SharedRows(self.sharing, before, "m"))
        self.copy.follow()
        assert self.copy.resyncs == 0
        assert {row["id"]: row["name"] for row in self.copy.rows.values()} == self.truth(session)

    def truth(self, session: Session) -> dict[str, str | None]:
        """The rows that it may see, as the source itself tells."""
        rows = session.execute(
            "SELECT id::text, name FROM held WHERE tenant = 'north' "
            "AND (account = ANY (%s) OR (account IS NULL AND %s))",
            [list(self.sharing), self.copy.table.account.with_public],  # type: ignore[union-attr]
        )
        return dict(rows.fetchall())


def _row(identity: int, account: str | None) -> Write:
    return Write("INSERT INTO held VALUES (%s, %s, 'north', 'a')", (identity, account))


@pytest.mark.abuse(68)
def test_a_copy_kept_by_increments_has_the_rows_of_those_that_share(database: Database) -> None:
    table = a_table(database.owner, "public.held", "id", tenant="north", columns=("id", "name"))
    reader = database.server.source(database.name, user=READER)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=histories, public=st.booleans())
    @example(
        # Nobody touches the row, and it goes and comes with the consent.
        history=[_row(9, "ann"), Consent("ann", True), FOLLOW, Consent("ann", False), FOLLOW],
        public=False,
    )
    @example(
        # The row moves to another account in the same span as consents change.
        history=[
            _row(9, "ann"),
            Consent("ann", True),
            FOLLOW,
            Write("UPDATE held SET account = %s WHERE id = %s", ("bob", 9)),
            Consent("ann", False),
            Consent("bob", True),
            FOLLOW,
        ],
        public=True,
    )
    def follows(history: list[Step], public: bool) -> None:
        with database.session() as session:
            session.execute("SET synchronous_commit = off; DELETE FROM held")
            service = Service(Copy(reader, of_accounts(table, public=public)))
            service.copy.begin()
            for step in [*history, FOLLOW]:
                match step:
                    case Write(statement, parameters):
                        try:
                            session.execute(statement.encode(), parameters)
                        except Exception as error:
                            assert "held_pkey" in str(error)
                    case Consent(account, shares):
                        others = {*service.sharing} - {account}
                        service.sharing = tuple(sorted(others | ({account} if shares else set())))
                    case _:
                        service.follow(session)

    follows()


def test_a_hundred_thousand_accounts_are_looked_up(database: Database) -> None:
    table = of_accounts(
        a_table(database.owner, "public.held", "id", tenant="north", columns=("id", "name")),
        public=True,
    )
    database.run(
        "DELETE FROM held; INSERT INTO held SELECT i, 'account ' || i, 'north', 'a' "
        "FROM generate_series(1, 200000) i; ANALYZE held"
    )
    sharing = tuple(sorted(f"account {i}" for i in range(1, 200_001, 2)))
    version = SOURCE.current_version(database.reader)
    shared = replace(table, shared=SharedRows(sharing, (), "m"))
    rows = exported(database.reader, shared, None, version)
    assert len(rows) == 100_000
    gone = replace(table, shared=SharedRows((), sharing, "m"))
    told = changes(database.reader, version, SOURCE.current_version(database.reader), gone)
    assert bag([{"id": row["id"]} for row in told]) == bag([{"id": row["id"]} for row in rows])
