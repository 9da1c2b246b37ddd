"""Whatever becomes of rows and of consents: a service's copy has the rows of those that share."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.sources import AccountColumn, ColumnType, SharedRows, Table
from tests.component.postgresql.captured import (
    CHANGES,
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
    told,
)
from tests.component.postgresql.server import Server
from tests.component.warehouse.copies import lists_of
from tests.component.warehouse.places import Document, rows_of
from tests.examples import examples

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

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
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
    went = changes(database.reader, version, SOURCE.current_version(database.reader), gone)
    assert bag([{"id": row["id"]} for row in went]) == bag([{"id": row["id"]} for row in rows])


KINDS = """
CREATE TYPE mood AS ENUM ('calm', 'merry');
CREATE DOMAIN patient AS text CHECK (value <> '');
CREATE TABLE kinds (id int PRIMARY KEY, whole int, big bigint, own uuid, fixed char(8),
                    word varchar(9), feeling mood, domain patient);
INSERT INTO kinds VALUES (1, 7, 7000000000, '9D1A0C5E-1111-4222-8333-00000000ABCD', 'ann', 'ann',
                          'calm', 'ann'),
                         (2, 8, 8, '9d1a0c5e-1111-4222-8333-00000000abce', 'ann x', 'Ann', 'merry',
                          'anna');
"""


@pytest.mark.parametrize(
    ("column", "account"),
    [
        ("whole", "7"),
        ("big", "7000000000"),
        ("own", "9d1a0c5e-1111-4222-8333-00000000abcd"),
        ("fixed", "ann"),
        ("word", "ann"),
        ("feeling", "calm"),
        ("domain", "ann"),
    ],
)
def test_accounts_are_told_by_the_text_of_the_column_now_and_before(
    postgresql: Server, column: str, account: str
) -> None:
    database = a_database(postgresql, KINDS)
    plain = a_table(database.owner, "public.kinds", "id", columns=("id",))
    table = replace(plain, account=AccountColumn(column, ColumnType.STRING))
    install(database.owner, table)
    version = SOURCE.current_version(database.reader)

    def ids(*accounts: str) -> list[str]:
        shared = replace(table, shared=SharedRows(accounts, (), "m"))
        return [row["id"] for row in exported(database.reader, shared, None, version)]

    assert ids(account) == ["1"]
    assert ids(f"0{account}", account + " ", account.upper() + "!", f"+{account}") == []

    # Of a row that is gone the log says whose it was.
    database.run("DELETE FROM kinds WHERE id = 1; UPDATE kinds SET id = 3 WHERE id = 2")
    shared = replace(table, shared=SharedRows((account,), (account,), "m"))
    assert told(database.reader, version, shared) == [("deleted", "1")]


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSON, FileFormat.NDJSON])
def test_parts_of_a_shared_table_have_each_of_its_rows_once(
    database: Database, file_format: FileFormat
) -> None:
    database.run(
        "DELETE FROM held; INSERT INTO held SELECT i, CASE i % 4 WHEN 0 THEN NULL ELSE "
        "'account ' || i % 10 END, 'north', 'row ' || i FROM generate_series(1, 20000) i; "
        "ANALYZE held"
    )
    plain = a_table(database.owner, "public.held", "id", tenant="north", columns=("id", "name"))
    sharing = SharedRows(("account 1", "account 6"), (), "m")
    table = replace(of_accounts(plain, public=True), shared=sharing)
    version = SOURCE.current_version(database.reader)
    splitting = PostgresqlWarehouse(least_range_bytes=1, split_from_bytes=1)
    ranges = splitting.plan(
        database.reader, version, table, file_format, target_bytes=20_000, max_ranges=5
    )
    assert len(ranges) > 1
    document = b""
    for number, one in enumerate(ranges):
        position = PartPosition(number == 0, number == len(ranges) - 1)
        with splitting.stream(
            database.reader, version, table, one, file_format, Compression.NONE, position
        ) as stream:
            document += b"".join(stream)
    found = sorted(int(row["id"]) for row in rows_of(document, file_format))
    assert found == [i for i in range(1, 20_001) if i % 4 == 0 or i % 10 in (1, 6)]


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_changes_of_consents_are_the_same_in_every_format(
    database: Database, file_format: FileFormat
) -> None:
    plain = a_table(database.owner, "public.held", "id", tenant="north", columns=("id", "name"))
    table = of_accounts(plain, public=True)
    database.run(
        "DELETE FROM held; INSERT INTO held VALUES (1, 'ann', 'north', 'a'), "
        "(2, 'bob', 'north', 'b'), (3, NULL, 'north', 'c'), (4, 'eve', 'north', 'd')"
    )
    version = SOURCE.current_version(database.reader)
    database.run("UPDATE held SET account = 'bob' WHERE id = 3; DELETE FROM held WHERE id = 4")
    many = tuple(f"account {i:06d}" for i in range(50_000))
    shared = SharedRows(("bob", *many), tuple(sorted(("ann", "eve", *many))), "mark")
    now = SOURCE.current_version(database.reader)
    with CHANGES.stream_changes(
        database.reader, version, now, replace(table, shared=shared), file_format, Compression.NONE
    ) as stream:
        made = Document(b"".join(stream), stream.rows)
    lists = lists_of(made, file_format)
    ids = {change: sorted(int(row["id"]) for row in rows) for change, rows in lists.items()}
    assert ids == {"inserted": [2], "updated": [], "deleted": [1, 4]}
    if file_format is FileFormat.JSON:
        assert f'"syncVersion":"{now}~mark"'.encode() in made.stored
