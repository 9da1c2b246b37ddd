"""What changed in a PostgreSQL source between two versions, told by its change log."""

import json
from collections.abc import Sequence

import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Table, VersionPlace
from headrace.kernel.errors import IncrementsUnavailable, ResyncRequired, SyncVersionExpired
from tests.component.postgresql.captured import (
    CHANGES,
    SOURCE,
    Copy,
    Database,
    a_database,
    a_table,
    changes,
    exported,
    install,
    told,
    uninstall,
)
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import parsed, rows_of, unpacked

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, tenant text, name text, pay numeric(8,2), seen int);
INSERT INTO people SELECT i, CASE WHEN i < 90 THEN 'north' ELSE 'south' END, 'p' || i, i, 0
FROM generate_series(1, 99) i;
"""


@pytest.fixture(scope="module")
def place(postgresql: Server) -> Database:
    return a_database(postgresql, "")


@pytest.fixture
def people(place: Database) -> Database:
    """A captured table of its own for each test, in a database that is the module's."""
    place.run(f"DROP TABLE IF EXISTS people, gone CASCADE; {PEOPLE}")
    install(place.owner, of_north(place))
    return place


@pytest.fixture
def bare(place: Database) -> Database:
    """The same, without a change log."""
    uninstall(place.owner)
    place.run(f"DROP TABLE IF EXISTS people, gone CASCADE; {PEOPLE}")
    return place


def of_north(database: Database, columns: Sequence[str] = ("id", "name", "pay")) -> Table:
    return a_table(database.owner, "public.people", "id", tenant="north", columns=columns)


def now(database: Database) -> str:
    return SOURCE.current_version(database.reader)


# --- long transactions --------------------------------------------------------------------------


def test_a_change_that_a_long_transaction_commits_late_is_told(people: Database) -> None:
    """The other way, a cursor over a number that counts up, loses it: shown beside it."""
    table, copy = of_north(people), Copy(people.reader, of_north(people))
    with people.session() as long, people.session() as quick:
        long.execute("BEGIN")
        long.execute("UPDATE people SET name = 'late' WHERE id = 1")
        quick.execute("UPDATE people SET name = 'early' WHERE id = 2")
        copy.begin()
        cursor = int(people.run("SELECT max(seq) FROM headrace.change_log"))
        assert copy.rows[("1",)]["name"] == "p1"
        assert copy.rows[("2",)]["name"] == "early"
        quick.execute("UPDATE people SET name = 'between' WHERE id = 3")
        copy.follow()
        long.execute("COMMIT")
    by_cursor = people.run(f"SELECT key FROM headrace.change_log WHERE seq > {cursor}").split()
    assert by_cursor == ["{3}"], "a cursor never comes back to the row of the long transaction"
    assert told(people.reader, copy.version, table) == [("updated", "1")]
    copy.follow()
    assert copy.rows[("1",)]["name"] == "late"
    assert copy.resyncs == 0


def test_a_change_that_is_rolled_back_is_never_told(people: Database) -> None:
    since = now(people)
    with people.session() as session:
        session.execute("BEGIN")
        session.execute("DELETE FROM people WHERE id = 1")
        session.execute("SAVEPOINT a")
        session.execute("UPDATE people SET name = 'x' WHERE id = 2")
        session.execute("ROLLBACK TO a")
        session.execute("ROLLBACK")
    assert told(people.reader, since, of_north(people)) == []


def test_what_a_subtransaction_did_belongs_to_the_whole_transaction(people: Database) -> None:
    table = of_north(people)
    with people.session() as session:
        session.execute("BEGIN")
        session.execute("UPDATE people SET name = 'outer' WHERE id = 1")
        session.execute("SAVEPOINT a")
        session.execute("UPDATE people SET name = 'inner' WHERE id = 2")
        session.execute("RELEASE a")
        session.execute("SAVEPOINT b")
        session.execute("UPDATE people SET name = 'undone' WHERE id = 3")
        session.execute("ROLLBACK TO b")
        since = now(people)
        session.execute("COMMIT")
    assert told(people.reader, since, table) == [("updated", "1"), ("updated", "2")]


def test_changes_are_those_up_to_the_version_and_not_of_later(people: Database) -> None:
    table, since = of_north(people), now(people)
    people.run("UPDATE people SET name = 'in' WHERE id = 1")
    with SOURCE.hold(people.reader) as held:
        people.run("UPDATE people SET name = 'out' WHERE id IN (1, 2)")
        found = changes(people.reader, since, held.version, table, held.name)
        assert [(row["id"], row["name"]) for row in found] == [("1", "in")]
    assert told(people.reader, held.version, table) == [("updated", "1"), ("updated", "2")]


# --- net changes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("INSERT INTO people VALUES (200, 'north', 'n', 1)", [("inserted", "200")]),
        ("INSERT INTO people VALUES (200, 'south', 'n', 1)", []),
        (
            "INSERT INTO people VALUES (200, 'north', 'n', 1); DELETE FROM people WHERE id = 200",
            [],
        ),
        (
            "DELETE FROM people WHERE id = 1; INSERT INTO people VALUES (1, 'north', 'p1', 1)",
            [("updated", "1")],
        ),
        ("UPDATE people SET id = 300 WHERE id = 1", [("deleted", "1"), ("inserted", "300")]),
        (
            "UPDATE people SET id = 300 WHERE id = 1; UPDATE people SET id = 1 WHERE id = 300",
            [("updated", "1")],
        ),
        ("UPDATE people SET tenant = 'south' WHERE id = 1", [("deleted", "1")]),
        ("UPDATE people SET tenant = NULL WHERE id = 1", [("deleted", "1")]),
        ("UPDATE people SET tenant = 'north' WHERE id = 95", [("inserted", "95")]),
        (
            "UPDATE people SET tenant = NULL WHERE id = 95; "
            "UPDATE people SET tenant = 'north' WHERE id = 95",
            [("inserted", "95")],
        ),
        (
            "UPDATE people SET tenant = 'south' WHERE id = 1; "
            "UPDATE people SET tenant = 'north' WHERE id = 1",
            [],
        ),
        (
            "UPDATE people SET tenant = 'north' WHERE id = 95; DELETE FROM people WHERE id = 95",
            [],
        ),
        ("UPDATE people SET name = 'x' WHERE id = 95; DELETE FROM people WHERE id = 96", []),
        ("UPDATE people SET seen = seen + 1", []),
        ("UPDATE people SET name = name", []),
        ("UPDATE people SET name = NULL WHERE id = 1", [("updated", "1")]),
        ("UPDATE people SET name = 'x' WHERE false; DELETE FROM people WHERE false", []),
    ],
)
def test_changes_are_net_per_key(
    people: Database, statements: str, expected: list[tuple[str, str]]
) -> None:
    since = now(people)
    people.run(statements)
    assert told(people.reader, since, of_north(people)) == expected


def test_a_change_of_a_column_that_another_configuration_has_is_not_told(bare: Database) -> None:
    one, other = of_north(bare), of_north(bare, ("id", "seen"))
    install(bare.owner, one, other)
    since = now(bare)
    bare.run("UPDATE people SET seen = 7 WHERE id = 1; UPDATE people SET pay = 7 WHERE id = 2")
    assert told(bare.reader, since, one) == [("updated", "2")]
    assert told(bare.reader, since, other) == [("updated", "1")]


def test_a_table_of_more_columns_than_a_mask_has_bits_in_a_word(postgresql: Server) -> None:
    columns = ", ".join(f"c{n} int" for n in range(70))
    database = a_database(
        postgresql,
        f"CREATE TABLE wide (id int PRIMARY KEY, {columns}); INSERT INTO wide VALUES (1)",
    )
    tables = [
        a_table(database.owner, "public.wide", "id", columns=("id", f"c{n}")) for n in (3, 69)
    ]
    whole = a_table(database.owner, "public.wide", "id")
    install(database.owner, whole, *tables)
    since = now(database)
    database.run("UPDATE wide SET c69 = 1")
    assert [told(database.reader, since, one) for one in (whole, *tables)] == [
        [("updated", "1")],
        [],
        [("updated", "1")],
    ]


# --- documents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("file_format", FileFormat)
def test_documents_say_what_became_of_each_row(
    people: Database, file_format: FileFormat, compression: Compression
) -> None:
    table, since = of_north(people), now(people)
    people.run(
        "INSERT INTO people VALUES (200, 'north', E'two\\nlines, \"quoted\"', 1.50); "
        "UPDATE people SET name = NULL WHERE id = 1; DELETE FROM people WHERE id = 2"
    )
    version = now(people)
    with CHANGES.stream_changes(
        people.reader, since, version, table, file_format, compression
    ) as stream:
        stored = b"".join(stream)
        assert stream.rows == 3
    text = 'two\nlines, "quoted"'
    match file_format:
        case FileFormat.JSON:
            document = parsed(unpacked(stored, compression))
            assert document == {
                "syncVersion": version,
                "inserted": [{"id": "200", "name": text, "pay": "1.50"}],
                "updated": [{"id": "1", "name": None, "pay": "1.00"}],
                "deleted": [{"id": "2"}],
            }
            assert list(document) == ["syncVersion", "inserted", "updated", "deleted"]
        case FileFormat.NDJSON:
            rows = rows_of(stored, file_format, compression)
            assert sorted(rows, key=lambda row: int(row["id"])) == [
                {"_change": "updated", "id": "1", "name": None, "pay": "1.00"},
                {"_change": "deleted", "id": "2"},
                {"_change": "inserted", "id": "200", "name": text, "pay": "1.50"},
            ]
        case _:
            rows = rows_of(stored, file_format, compression)
            assert next(iter(rows[0])) == "_change"
            plain = [{name: None if v is None else str(v) for name, v in r.items()} for r in rows]
            assert sorted(plain, key=lambda row: int(row["id"] or 0)) == [
                {"_change": "updated", "id": "1", "name": None, "pay": "1.00"},
                {"_change": "deleted", "id": "2", "name": None, "pay": None},
                {"_change": "inserted", "id": "200", "name": text, "pay": "1.50"},
            ]


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_document_of_no_changes_is_whole(people: Database, file_format: FileFormat) -> None:
    version = now(people)
    with CHANGES.stream_changes(
        people.reader, version, version, of_north(people), file_format, Compression.NONE
    ) as stream:
        stored = b"".join(stream)
        assert stream.rows == 0
    if file_format is FileFormat.JSON:
        empty = {"syncVersion": version, "inserted": [], "updated": [], "deleted": []}
        assert json.loads(stored) == empty
    else:
        assert rows_of(stored, file_format) == []


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_document_can_be_left_in_the_middle(people: Database, file_format: FileFormat) -> None:
    since = now(people)
    people.run(
        "INSERT INTO people SELECT i, 'north', repeat(md5(i::text), 40), 1 "
        "FROM generate_series(1000, 31000) i"
    )
    with CHANGES.stream_changes(
        people.reader, since, now(people), of_north(people), file_format, Compression.NONE
    ) as stream:
        next(iter(stream))
    left = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ 'COPY.*span'"
    assert people.run(f"{left} AND pid <> pg_backend_pid()").strip() == "0"


# --- windows ------------------------------------------------------------------------------------


def test_the_window_says_where_a_version_stands(people: Database) -> None:
    table, version = of_north(people), now(people)
    window = CHANGES.window(people.reader, [table], version)
    assert window.place is VersionPlace.HELD
    assert window.latest == version
    assert CHANGES.window(people.reader, [table], window.oldest).place is VersionPlace.HELD
    cluster, first, end, _ = version.split(":")
    places = {
        "1234:5:5:": VersionPlace.FOREIGN,
        "41": VersionPlace.FOREIGN,
        "": VersionPlace.FOREIGN,
        f"{cluster}:{first}:{int(end) + 1000}:": VersionPlace.FUTURE,
        f"{cluster}:3:3:": VersionPlace.EXPIRED,
    }
    for asked, place in places.items():
        assert CHANGES.window(people.reader, [table], asked).place is place, asked
    assert CHANGES.window(people.reader, [table], None).place is None


def test_a_database_that_took_anothers_place_tells_no_increments_since_before(
    postgresql: Server,
) -> None:
    """Transactions are numbered by the server: to those that a version saw in the one database
    belong some that nobody saw in the other.
    """
    database = a_database(postgresql, PEOPLE)
    table = of_north(database)
    install(database.owner, table)
    fresh = postgresql.new_name()
    postgresql.run(f"CREATE DATABASE {fresh} TEMPLATE {database.name}")
    postgresql.run("UPDATE people SET name = 'of the new one' WHERE id = 1", fresh)
    database.run("UPDATE people SET name = 'of the old one' WHERE id = 2")
    copy = Copy(database.reader, table)
    copy.begin()
    copy.follow()
    assert CHANGES.window(database.reader, [table], copy.version).place is VersionPlace.HELD
    postgresql.run(
        f"ALTER DATABASE {database.name} RENAME TO {postgresql.new_name()}; "
        f"ALTER DATABASE {fresh} RENAME TO {database.name}"
    )
    since = copy.version
    assert CHANGES.window(database.reader, [table], since).place is VersionPlace.FOREIGN
    assert not SOURCE.holds_version(database.reader, since)
    copy.follow()
    assert copy.resyncs == 1
    database.run("UPDATE people SET name = 'later' WHERE id = 3")
    copy.follow()
    assert copy.resyncs == 1


def test_a_version_of_an_earlier_release_which_names_no_database_is_gone_on_with(
    people: Database,
) -> None:
    table, copy = of_north(people), Copy(people.reader, of_north(people))
    copy.begin()
    cluster, _, snapshot = copy.version.partition(":")
    copy.version = f"{cluster.partition('.')[0]}:{snapshot}"
    people.run("UPDATE people SET name = 'new' WHERE id = 1")
    assert CHANGES.window(people.reader, [table], copy.version).place is VersionPlace.HELD
    copy.follow()
    assert copy.resyncs == 0


def test_a_version_before_the_capture_has_expired(bare: Database) -> None:
    table, before = of_north(bare), now(bare)
    install(bare.owner, table)
    window = CHANGES.window(bare.reader, [table], before)
    assert window.place is VersionPlace.EXPIRED
    assert window.retained_since is not None


def test_a_baseline_taken_while_a_writer_waits_for_the_installation_misses_nothing(
    bare: Database,
) -> None:
    table = of_north(bare)
    with bare.session() as old:
        old.execute("BEGIN")
        old.execute("SELECT txid_current()")  # an id from before the installation
        install(bare.owner, table)
        since = now(bare)
        old.execute("UPDATE people SET name = 'x' WHERE id = 1")
        old.execute("COMMIT")
    assert CHANGES.window(bare.reader, [table], since).place is VersionPlace.HELD
    assert told(bare.reader, since, table) == [("updated", "1")]


def test_tables_without_a_record_have_no_increments(people: Database) -> None:
    people.run("DROP TABLE IF EXISTS others; CREATE TABLE others (id int PRIMARY KEY, name text)")
    others = a_table(people.owner, "public.others", "id")
    with pytest.raises(IncrementsUnavailable) as raised:
        CHANGES.window(people.reader, [of_north(people), others], None)
    assert raised.value.members["tables"] == ["things"]
    more = of_north(people, ("id", "name", "pay", "seen"))
    with pytest.raises(IncrementsUnavailable, match="other columns"):
        CHANGES.window(people.reader, [more], None)
    all_rows = a_table(people.owner, "public.people", "id", columns=("id", "name"))
    assert CHANGES.window(people.reader, [all_rows], now(people)).place is VersionPlace.HELD


def test_a_source_without_a_log_has_no_increments(bare: Database) -> None:
    with pytest.raises(IncrementsUnavailable):
        CHANGES.window(bare.reader, [of_north(bare)], None)


# --- what cannot be told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        "TRUNCATE people",
        "ALTER TABLE people ALTER COLUMN name TYPE text USING name || '!'",
        "ALTER TABLE people ALTER COLUMN tenant TYPE text USING 'north'",
        "ALTER TABLE people DISABLE TRIGGER headrace_update",
        "ALTER TABLE people DISABLE TRIGGER ALL; ALTER TABLE people ENABLE TRIGGER ALL",
        "ALTER TABLE people DISABLE TRIGGER headrace_update; UPDATE people SET name = 'x'; "
        "ALTER TABLE people ENABLE ALWAYS TRIGGER headrace_update",
        "DROP TRIGGER headrace_delete ON people",
        "ALTER TABLE people DROP COLUMN name CASCADE; ALTER TABLE people ADD COLUMN name text",
        "BEGIN; SAVEPOINT a; ALTER TABLE people DISABLE TRIGGER headrace_update; "
        "UPDATE people SET name = 'x'; "
        "ALTER TABLE people ENABLE ALWAYS TRIGGER headrace_update; RELEASE a; COMMIT",
        "CREATE TABLE kid () INHERITS (people)",
    ],
)
def test_what_leaves_a_gap_is_said(people: Database, statements: str) -> None:
    table, since = of_north(people), now(people)
    assert CHANGES.resync_reason(people.reader, since, since, table) is None
    people.run(statements)
    people.run("UPDATE people SET pay = 5 WHERE id = 7")  # writers go on
    assert CHANGES.resync_reason(people.reader, since, now(people), table)
    with pytest.raises(ResyncRequired):
        changes(people.reader, since, now(people), table)


TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'fine'); CREATE DOMAIN feeling AS mood;
CREATE TYPE state AS (since date, felt feeling[]);
CREATE TABLE moods (
    id int PRIMARY KEY, one mood, several feeling[], whole state, whole_again state[]
);
INSERT INTO moods VALUES
    (1, 'sad', '{sad}', ROW(NULL, '{sad}'), NULL),
    (2, 'fine', NULL, NULL, ARRAY[ROW(NULL, '{fine}')]::state[]);
"""


@pytest.mark.parametrize("column", ["one", "several", "whole", "whole_again"])
@pytest.mark.parametrize(
    "statements",
    ["ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", "ALTER TYPE mood ADD VALUE 'calm'"],
)
def test_values_that_an_altered_type_shows_otherwise_ask_for_a_resync(
    postgresql: Server, column: str, statements: str
) -> None:
    """Nobody wrote the rows. Whether a label was renamed or added, no catalog of the server's says
    afterwards.
    """
    database = a_database(postgresql, TYPES)
    table = a_table(database.owner, "public.moods", "id", columns=("id", column))
    assert install(database.owner, table)
    copy = Copy(database.reader, table)
    copy.begin()
    database.run(f"UPDATE moods SET {column} = NULL WHERE id = 2")
    copy.follow()
    assert copy.resyncs == 0
    database.run(statements)
    copy.follow()
    assert copy.resyncs == 1
    database.run("DELETE FROM moods WHERE id = 2")
    copy.follow()
    assert copy.resyncs == 1
    assert install(database.owner, table) == 0, "what is captured is captured as before"


@pytest.mark.parametrize("change", ["ADD ATTRIBUTE more int", "DROP ATTRIBUTE since"])
def test_values_of_a_row_type_that_is_altered_ask_for_a_resync(
    postgresql: Server, change: str
) -> None:
    database = a_database(postgresql, TYPES)
    table = a_table(database.owner, "public.moods", "id", columns=("id", "whole"))
    install(database.owner, table)
    copy = Copy(database.reader, table)
    copy.begin()
    database.run(f"ALTER TYPE state {change}")
    copy.follow()
    assert copy.resyncs == 1


@pytest.mark.parametrize(
    "statements",
    [
        "DROP TABLE people; CREATE TABLE people (id int PRIMARY KEY, tenant text, name text, "
        "pay numeric(8,2))",
        "ALTER TABLE people RENAME TO gone; CREATE TABLE people (LIKE gone INCLUDING ALL)",
    ],
)
def test_another_table_by_the_name_has_no_increments(people: Database, statements: str) -> None:
    since = now(people)
    table = of_north(people)
    people.run(statements)
    with pytest.raises(IncrementsUnavailable):
        CHANGES.resync_reason(people.reader, since, since, table)


def test_after_a_gap_increments_go_on_from_the_next_baseline(people: Database) -> None:
    copy = Copy(people.reader, of_north(people))
    copy.begin()
    people.run("TRUNCATE people; INSERT INTO people VALUES (1, 'north', 'again', 1)")
    copy.follow()
    assert copy.resyncs == 1
    people.run(
        "ALTER TABLE people DISABLE TRIGGER headrace_update; UPDATE people SET name = 'unseen'; "
        "ALTER TABLE people ENABLE ALWAYS TRIGGER headrace_update"
    )
    copy.follow()
    assert copy.resyncs == 2
    people.run("UPDATE people SET name = 'seen'")
    copy.follow()
    assert copy.resyncs == 2
    assert copy.rows[("1",)]["name"] == "seen"


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE people ADD COLUMN more text DEFAULT 'x'",
        "ALTER TABLE people ALTER COLUMN seen TYPE bigint",
        "VACUUM FULL people",
        "ANALYZE people",
        "CREATE INDEX ON people (name)",
        "GRANT SELECT ON people TO public",
        "CLUSTER people USING people_pkey",
        "REINDEX TABLE people; VACUUM FREEZE people; VACUUM FULL pg_trigger",
    ],
)
def test_what_leaves_no_gap_is_not_in_the_way(people: Database, statements: str) -> None:
    table, since = of_north(people), now(people)
    for statement in statements.split("; "):
        people.run(statement)
    people.run("UPDATE people SET pay = 5 WHERE id = 7")
    assert CHANGES.resync_reason(people.reader, since, now(people), table) is None
    assert told(people.reader, since, table) == [("updated", "7")]


def test_a_table_truncated_while_it_is_read_never_makes_a_document(people: Database) -> None:
    """TRUNCATE takes the rows away from older snapshots as well."""
    table, since = of_north(people), now(people)
    people.run("UPDATE people SET pay = 5")
    with SOURCE.hold(people.reader) as held:
        people.run("TRUNCATE people")
        with pytest.raises(ResyncRequired):
            changes(people.reader, since, held.version, table, held.name)


def test_a_log_purged_while_it_is_read_never_makes_a_document(people: Database) -> None:
    table, since = of_north(people), now(people)
    people.run("UPDATE people SET pay = 5")
    with SOURCE.hold(people.reader) as held:
        people.run("UPDATE headrace.change_log SET day = day - 16; SELECT headrace.maintain();")
        with pytest.raises(SyncVersionExpired):
            changes(people.reader, since, held.version, table, held.name)
    assert exported(people.reader, table, None, "")


def test_what_is_older_than_retained_is_not_told_though_it_is_kept_a_day_longer(
    people: Database,
) -> None:
    table, since = of_north(people), now(people)
    people.run("UPDATE people SET pay = 5 WHERE id = 1")
    later = now(people)
    people.run("UPDATE headrace.change_log SET day = day - 15; SELECT headrace.maintain();")
    assert CHANGES.window(people.reader, [table], since).place is VersionPlace.EXPIRED
    window = CHANGES.window(people.reader, [table], later)
    assert window.place is VersionPlace.HELD
    # An operation that began before still reads it.
    assert CHANGES.resync_reason(people.reader, since, later, table) is None
    assert told(people.reader, since, table) == [("updated", "1")]
    people.run("UPDATE headrace.change_log SET day = day - 1; SELECT headrace.maintain();")
    with pytest.raises(SyncVersionExpired):
        CHANGES.resync_reason(people.reader, since, later, table)
    assert CHANGES.window(people.reader, [table], window.oldest).place is VersionPlace.HELD
