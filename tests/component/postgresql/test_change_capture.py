"""Whatever way rows are written, the change log has it, and no writer fails for the log's sake."""

from itertools import product
from typing import Any

import psycopg
import pytest

from headrace.adapters.postgresql.capturing import CaptureRefused, installation
from headrace.adapters.postgresql.session import connect
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Table
from headrace.kernel.errors import IncrementsUnavailable, ResyncRequired
from tests.component.postgresql.captured import (
    CHANGES,
    READABLE,
    READER,
    SOURCE,
    Background,
    Copy,
    Database,
    a_database,
    a_table,
    changes,
    configured,
    install,
    told,
    uninstall,
)
from tests.component.postgresql.server import Server
from tests.component.postgresql.test_plan import tables_of_no_sure_key
from tests.component.warehouse.places import rows_of


@pytest.fixture(scope="module")
def place(postgresql: Server) -> Database:
    return a_database(postgresql, "")


@pytest.fixture
def empty(place: Database) -> Database:
    """A database without tables and without a log."""
    uninstall(place.owner)
    place.run(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; "
        "GRANT USAGE, CREATE ON SCHEMA public TO public; "
        f"{READABLE}"
    )
    return place


def now(database: Database) -> str:
    return SOURCE.current_version(database.reader)


def followed(database: Database, table: Table, *statements: str) -> Copy:
    """A copy that followed each statement, by increments alone."""
    copy = Copy(database.reader, table)
    copy.begin()
    for statement in statements:
        database.run(statement)
        copy.follow()
    assert copy.resyncs == 0
    return copy


# --- statements ---------------------------------------------------------------------------------

STOCK = """
CREATE TABLE stock (id int PRIMARY KEY, tenant text, n int);
INSERT INTO stock SELECT i, 'north', i FROM generate_series(1, 9) i;
"""


@pytest.fixture
def stock(empty: Database) -> tuple[Database, Table]:
    empty.run(STOCK)
    table = a_table(empty.owner, "public.stock", "id", tenant="north")
    install(empty.owner, table)
    return empty, table


def merge(values: str, actions: str) -> Any:
    """A MERGE into the stock, for servers that know it."""
    return pytest.param(
        f"MERGE INTO stock s USING (VALUES {values}) AS v(id, n) ON s.id = v.id {actions}",
        marks=pytest.mark.postgresql(15),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO stock VALUES (1, 'north', 100), (50, 'north', 1), (2, 'south', 1) "
        "ON CONFLICT (id) DO UPDATE SET n = excluded.n, tenant = excluded.tenant",
        "INSERT INTO stock VALUES (1, 'north', 1), (51, 'north', 1) ON CONFLICT DO NOTHING",
        "INSERT INTO stock VALUES (1, 'north', 1), (1, 'north', 2) "
        "ON CONFLICT (id) DO UPDATE SET id = 60, n = 7",
        merge(
            "(1, 0), (2, 5), (70, 6)",
            "WHEN MATCHED AND v.n = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = v.n "
            "WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'north', v.n)",
        ),
        merge(
            "(1, 1), (90, 2)",
            "WHEN MATCHED THEN UPDATE SET id = 90 "
            "WHEN NOT MATCHED THEN INSERT VALUES (1, 'north', 8)",
        ),
        "WITH gone AS (DELETE FROM stock WHERE id < 4 RETURNING *) "
        "INSERT INTO stock SELECT id, 'north', n + 100 FROM gone",
        "WITH gone AS (DELETE FROM stock WHERE id < 4 RETURNING *) "
        "INSERT INTO stock SELECT id, 'north', n + 100 FROM gone LIMIT 1",
        "COPY stock FROM stdin;\n200\tnorth\t5\n201\tsouth\t6\n\\.\n",
        "UPDATE stock SET id = id + 1000",
        "UPDATE stock SET tenant = CASE WHEN id % 2 = 0 THEN 'south' END",
        "SET session_replication_role = replica; UPDATE stock SET n = 0; "
        "DELETE FROM stock WHERE id = 5; INSERT INTO stock VALUES (300, 'north', 1)",
        "UPDATE stock SET n = n + 1; UPDATE stock SET n = n - 1 WHERE id > 3",
        "BEGIN; DELETE FROM stock WHERE id = 1; INSERT INTO stock VALUES (1, 'north', 77); "
        "SAVEPOINT a; DELETE FROM stock WHERE id = 2; ROLLBACK TO a; "
        "UPDATE stock SET tenant = 'south' WHERE id = 1; COMMIT",
    ],
)
def test_every_way_to_write_is_told(stock: tuple[Database, Table], statement: str) -> None:
    followed(*stock, statement)


def test_a_writer_needs_no_right_on_the_log(stock: tuple[Database, Table]) -> None:
    database, table = stock
    database.run(
        "DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; "
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON stock TO clerk"
    )
    since = now(database)
    as_clerk = "SET ROLE clerk; "
    database.run(
        as_clerk + "UPDATE stock SET n = 0 WHERE id = 1; DELETE FROM stock WHERE id = 2; "
        "INSERT INTO stock VALUES (30, 'north', 1)"
    )
    assert told(database.reader, since, table) == [
        ("deleted", "2"),
        ("inserted", "30"),
        ("updated", "1"),
    ]
    for forbidden in (
        "SELECT * FROM headrace.change_log",
        "DELETE FROM headrace.change_log",
        "SELECT headrace.maintain()",
        "SELECT * FROM headrace.captured",
    ):
        with database.session() as session:
            session.execute("SET ROLE clerk")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(forbidden.encode())


def test_a_statement_that_touches_no_row_takes_no_transaction_id(
    stock: tuple[Database, Table],
) -> None:
    database, _ = stock
    with database.session() as session:
        before = session.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())").fetchone()
        session.execute("UPDATE stock SET n = 1 WHERE false")
        session.execute("DELETE FROM stock WHERE false")
        after = session.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())").fetchone()
    assert before == after


def test_two_writers_of_one_row_are_told_in_their_order(stock: tuple[Database, Table]) -> None:
    database, table = stock
    copy = Copy(database.reader, table)
    copy.begin()
    with database.session() as one, database.session() as other:
        one.execute("BEGIN")
        one.execute("DELETE FROM stock WHERE id = 1")
        waiting = Background(other, "INSERT INTO stock VALUES (1, 'north', 500)")
        copy.follow()
        one.execute("COMMIT")
        waiting.wait()
        copy.follow()
        one.execute("BEGIN")
        one.execute("UPDATE stock SET tenant = 'south' WHERE id = 1")
        waiting = Background(other, "UPDATE stock SET n = 501 WHERE id = 1")
        one.execute("COMMIT")
        waiting.wait()
    copy.follow()
    assert ("1",) not in copy.rows
    assert copy.resyncs == 0


# --- keys ---------------------------------------------------------------------------------------

TYPED = {
    "text": ("'a'", "'b,\"c'", "''", "'é\n'"),
    "varchar(5)": ("'x'", "'y '"),
    "char(3)": ("'ab'", "'abc'"),
    "numeric": ("1.50", "-0.001", "1e30", "'NaN'"),
    "double precision": ("0.1", "1e-300", "'Infinity'", "0.30000000000000004"),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-4000-8000-0000000000ff'"),
    "timestamptz": ("'2024-07-01 12:00:00.000001+02'", "'infinity'", "'0044-03-15 BC'"),
    "timestamp": ("'2024-07-01 12:00:00.5'", "'294276-01-01'"),
    "date": ("'2024-02-01'", "'0001-01-01 BC'", "'infinity'"),
    "time": ("'01:02:03.000004'", "'24:00'"),
    "interval": ("'1 year 2 mons -3 days 04:05:06.7'", "'-1 hour'"),
    "bytea": (r"'\x00ff'", "''"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "boolean": ("true", "false"),
    "money": ("'12.34'", "'-5'"),
    "mood": ("'so so'", "'fine'"),
    "label": ("'one'", "'two'"),
    "inet": ("'10.0.0.1'", "'::1/64'"),
    "int4range": ("'[1,5)'", "'empty'"),
    "int[]": ("'{1,NULL,3}'", "'{}'"),
}
"""Types of keys with values. Parquet does not carry all of them, so documents are CSV."""

ODD = (
    "SET DateStyle = 'German'; SET TimeZone = 'Asia/Kathmandu'; SET extra_float_digits = -15; "
    "SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; SET lc_monetary = 'C'; "
    "SET search_path = odd, public; SET standard_conforming_strings = on; "
)


@pytest.mark.parametrize("kind", TYPED)
def test_keys_come_back_whatever_the_writers_session_is_set_to(empty: Database, kind: str) -> None:
    values = TYPED[kind]
    rows = ", ".join(f"({value}, {n}, 0)" for n, value in enumerate(values))
    empty.run(
        "CREATE SCHEMA IF NOT EXISTS odd; CREATE TYPE mood AS ENUM ('so so', 'fine'); "
        "CREATE DOMAIN label AS text CHECK (VALUE <> ''); "
        f"CREATE TABLE things (k {kind}, second int, n int, PRIMARY KEY (k, second)); "
        f"INSERT INTO things VALUES {rows}"
    )
    table = a_table(empty.owner, "public.things", "k", "second")
    install(empty.owner, table)
    followed(
        empty,
        table,
        f"{ODD} UPDATE public.things SET n = 1 WHERE second = 0",
        f"{ODD} DELETE FROM public.things WHERE second = 1",
        f"{ODD} UPDATE public.things SET second = second + 10",
        f"{ODD} INSERT INTO public.things VALUES ({values[1]}, 1, 5)",
    )
    since = now(empty)
    empty.run(f"{ODD} DELETE FROM public.things")
    assert len(told(empty.reader, since, table)) == len(values)


def test_keys_that_are_equal_and_written_otherwise_are_one_key(empty: Database) -> None:
    empty.run(
        "CREATE TABLE amounts (k numeric PRIMARY KEY, n int); INSERT INTO amounts VALUES (1.0, 1); "
        'CREATE TABLE plain (k text COLLATE "C" PRIMARY KEY, n int); '
        "INSERT INTO plain VALUES ('ann', 1)"
    )
    tables = [a_table(empty.owner, f"public.{name}", "k") for name in ("amounts", "plain")]
    install(empty.owner, *tables)
    since = now(empty)
    empty.run("UPDATE amounts SET k = 1.000; UPDATE plain SET k = 'ANN'")
    found = [told(empty.reader, since, table) for table in tables]
    assert found == [
        [("updated", "1.000")],
        [("deleted", "ann"), ("inserted", "ANN")],
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("citext", "bob", "Bob"), ("interval", "1 mon", "30 days"), ("jsonb", "1.0", "1.00")],
)
def test_keys_that_are_equal_and_are_other_texts_in_documents_are_two(
    empty: Database, kind: str, before: str, after: str
) -> None:
    """Whoever keeps a copy would else have the row under both of them."""
    empty.run(
        "CREATE EXTENSION citext; CREATE TABLE people (k "
        f"{kind}, n int, tenant text, PRIMARY KEY (k, n)); "
        f"INSERT INTO people VALUES ('{before}', 1, 'north'), ('{before}', 2, 'south')"
    )
    table = a_table(empty.owner, "public.people", "k", "n", tenant="north")
    install(empty.owner, table)
    copy = followed(
        empty,
        table,
        f"UPDATE people SET k = '{after}'",
        f"UPDATE people SET k = '{before}'; UPDATE people SET k = '{after}', tenant = 'north'",
        f"DELETE FROM people WHERE n = 1; INSERT INTO people VALUES ('{before}', 1, 'north')",
        f"UPDATE people SET k = '{after}', n = 3 WHERE n = 1",
        f"UPDATE people SET k = '{before}', tenant = 'south' WHERE n = 3",
        "DELETE FROM people",
    )
    assert (copy.resyncs, copy.rows) == (0, {})
    since = now(empty)
    empty.run(f"INSERT INTO people VALUES ('{before}', 1, 'north')")
    between = now(empty)
    empty.run(f"UPDATE people SET k = '{after}'")
    assert [kind for kind, *_ in told(empty.reader, since, table)] == ["inserted"]
    assert [kind for kind, *_ in told(empty.reader, between, table)] == ["deleted", "inserted"]


def test_keys_that_are_swapped_are_updates(empty: Database) -> None:
    empty.run(
        "CREATE TABLE places (id int PRIMARY KEY DEFERRABLE, tenant text, who text); "
        "INSERT INTO places VALUES (1, 'north', 'a'), (2, 'south', 'b'), (3, 'north', 'c')"
    )
    table = a_table(empty.owner, "public.places", "id", tenant="north")
    install(empty.owner, table)
    followed(
        empty,
        table,
        "UPDATE places SET id = 4 - id WHERE id <> 2",
        "UPDATE places SET id = 3 - id WHERE id < 3",
    )


def test_keys_that_are_doubled_for_a_while_ask_for_a_resync(empty: Database) -> None:
    empty.run(
        "CREATE TABLE places (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, tenant text); "
        "INSERT INTO places VALUES (1, 'north'), (2, 'south')"
    )
    table = a_table(empty.owner, "public.places", "id", tenant="north")
    install(empty.owner, table)
    copy = followed(empty, table, "UPDATE places SET id = 7 WHERE id = 2")
    empty.run(
        "BEGIN; UPDATE places SET id = 7 WHERE tenant = 'north'; "
        "UPDATE places SET id = 1 WHERE tenant = 'south'; COMMIT"
    )
    copy.follow()
    assert copy.resyncs == 1


def test_names_that_are_not_plain_do_no_harm(empty: Database) -> None:
    names = (
        *('a"b', "it's", "%s {x} $headrace$", "today", "within", "change now", "key"),
        *("key_0", "column_1", "is_now", "was", "gone", "passed", "change", "seq", "op"),
    )
    columns = ", ".join('"' + name.replace('"', '""') + '" text' for name in names)
    empty.run(
        f'CREATE TABLE "O\'dd ""t" (id int, "Second key" text, {columns}, '
        'PRIMARY KEY ("Second key", id)); '
        "INSERT INTO \"O'dd \"\"t\" VALUES (1, 'x'), (2, 'y'), (3, 'z')"
    )
    table = a_table(empty.owner, "public.O'dd \"t", "id", "Second key")
    install(empty.owner, table)
    followed(
        empty,
        table,
        "UPDATE \"O'dd \"\"t\" SET today = 'a', within = 'b', key = 'c', "
        "\"%s {x} $headrace$\" = '1', \"change now\" = '2' WHERE id = 1",
        'DELETE FROM "O\'dd ""t" WHERE id = 2',
        'INSERT INTO "O\'dd ""t" VALUES (9, \'q\')',
    )


# --- triggers of others, constraints ------------------------------------------------------------


def test_rows_that_a_cascade_deletes_are_told(empty: Database) -> None:
    empty.run(
        "CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (1), (2); "
        "CREATE TABLE members (id int PRIMARY KEY, boss int REFERENCES members ON DELETE SET NULL, "
        "team int REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE, tenant text); "
        "INSERT INTO members SELECT i, NULL, 1 + i % 2, 'north' FROM generate_series(1, 10) i; "
        "UPDATE members SET boss = 1 WHERE id > 1"
    )
    table = a_table(empty.owner, "public.members", "id", tenant="north")
    install(empty.owner, table)
    followed(
        empty,
        table,
        "UPDATE teams SET id = 9 WHERE id = 1",
        "DELETE FROM members WHERE id = 1",
        "DELETE FROM teams WHERE id = 2",
    )


def test_what_triggers_of_others_write_is_told(empty: Database) -> None:
    """A trigger's own statement is logged before the one that fired it, and happened after it."""
    empty.run(
        STOCK
        + """
        CREATE FUNCTION forward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.tenant = 'by way of' THEN
                UPDATE stock SET tenant = 'south' WHERE id = NEW.id;
            ELSIF NEW.n = 666 THEN
                DELETE FROM stock WHERE id = NEW.id;
            ELSIF NEW.n = 7 THEN
                UPDATE stock SET n = 8 WHERE id = NEW.id;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER a_forward AFTER INSERT OR UPDATE ON stock
        FOR EACH ROW EXECUTE FUNCTION forward();
        CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            DELETE FROM stock WHERE id = NEW.id; RETURN NEW;
        END $$;
        CREATE TRIGGER a_replace BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION replace();
        """
    )
    table = a_table(empty.owner, "public.stock", "id", tenant="north")
    install(empty.owner, table)
    followed(
        empty,
        table,
        "UPDATE stock SET tenant = 'by way of' WHERE id = 1",
        "UPDATE stock SET n = 7 WHERE id = 2",
        "INSERT INTO stock VALUES (20, 'north', 7)",
        "UPDATE stock SET n = 666 WHERE id = 3",
        "INSERT INTO stock VALUES (21, 'north', 666)",
        "INSERT INTO stock VALUES (4, 'north', 44)",
        "INSERT INTO stock VALUES (5, 'south', 55)",
    )


def test_row_level_security_does_not_hide_changes_from_the_log(empty: Database) -> None:
    empty.run(
        STOCK
        + "DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; "
        "GRANT SELECT, UPDATE ON stock TO clerk; ALTER TABLE stock ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY few ON stock TO clerk USING (id < 5) WITH CHECK (true); "
        f"CREATE POLICY everything ON stock TO {READER} USING (true)"
    )
    table = a_table(empty.owner, "public.stock", "id", tenant="north")
    install(empty.owner, table)
    since = now(empty)
    empty.run("SET ROLE clerk; UPDATE stock SET n = n + 1")
    with pytest.raises(IncrementsUnavailable, match="security"):
        CHANGES.window(empty.reader, [table], since)
    empty.run("ALTER TABLE stock DISABLE ROW LEVEL SECURITY")
    assert len(told(empty.reader, since, table)) == 4


def test_generated_columns_change_with_what_they_are_made_of(
    empty: Database, postgresql: Server
) -> None:
    kinds = ("stored", "virtual") if postgresql.version >= 18 else ("stored",)
    generated = (
        f"{kind} int GENERATED ALWAYS AS ({'a + b' if kind == 'stored' else 'a * b'}) {kind}"
        for kind in kinds
    )
    empty.run(
        "CREATE TABLE sums (id int PRIMARY KEY, a int, b int, other int, "
        f"{', '.join(generated)}); "
        "INSERT INTO sums SELECT i, i, i, 0 FROM generate_series(1, 5) i"
    )
    whole = a_table(empty.owner, "public.sums", "id")
    computed = [a_table(empty.owner, "public.sums", "id", columns=("id", name)) for name in kinds]
    install(empty.owner, whole, *computed)
    followed(empty, whole, "UPDATE sums SET a = 10 WHERE id = 1", "DELETE FROM sums WHERE id = 5")
    since = now(empty)
    empty.run("UPDATE sums SET b = 7 WHERE id = 2")
    for table in computed:
        assert told(empty.reader, since, table) == [("updated", "2")]
    since = now(empty)
    empty.run("UPDATE sums SET other = 7 WHERE id = 2")
    assert told(empty.reader, since, computed[0]) == []


def test_values_that_are_equal_and_written_otherwise_are_changes(empty: Database) -> None:
    empty.run(
        "CREATE TABLE odd (id int PRIMARY KEY, n numeric, f float8, j json, p point, v interval, "
        "d numeric[]); INSERT INTO odd VALUES (1, 1.0, 0, '{\"a\": 1}', '(1,2)', '1 day', '{1.0}')"
    )
    table = a_table(empty.owner, "public.odd", "id")
    install(empty.owner, table)
    copy = followed(
        empty,
        table,
        "UPDATE odd SET n = 1.00",
        "UPDATE odd SET f = '-0'",
        "UPDATE odd SET j = '{\"a\":1}'",
        "UPDATE odd SET p = '(1,3)'",
        "UPDATE odd SET v = '24 hours'",
        "UPDATE odd SET d = '{1.00}'",
    )
    assert copy.seen == 6
    since = now(empty)
    empty.run("UPDATE odd SET n = n, f = f, j = j, p = p, v = v, d = d")
    assert told(empty.reader, since, table) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP COLUMN n",
        "RENAME COLUMN n TO m",
        "ALTER COLUMN n TYPE json USING to_json(n)",
        "ALTER COLUMN n TYPE point USING point(n, n)",
        "RENAME TO elsewhere",
        "SET SCHEMA aside",
    ],
)
def test_a_migration_makes_no_writer_fail(stock: tuple[Database, Table], change: str) -> None:
    database, table = stock
    database.run("CREATE SCHEMA IF NOT EXISTS aside; DROP TABLE IF EXISTS aside.stock")
    since = now(database)
    with database.session() as writer:
        writer.execute("SET search_path = public, aside")
        for statement in ("UPDATE {} SET tenant = 'a'", "DELETE FROM {} WHERE id = 1"):
            writer.execute(statement.format("stock").encode())
        database.run(f"ALTER TABLE stock {change}")
        name = "elsewhere" if "elsewhere" in change else "stock"
        for statement in (
            "UPDATE {} SET tenant = 'b'",
            "DELETE FROM {} WHERE id = 2",
            "INSERT INTO {} (id, tenant) VALUES (70, 'north')",
            "TRUNCATE {}",
        ):
            writer.execute(statement.format(name).encode())
    with pytest.raises(Exception) as raised:
        told(database.reader, since, table)
    assert type(raised.value).__name__ in ("SchemaChanged", "IncrementsUnavailable")


# --- partitions ---------------------------------------------------------------------------------

SPLIT = """
CREATE TABLE events (id int, region text, n int, tenant text, PRIMARY KEY (id, region))
PARTITION BY LIST (region);
CREATE TABLE events_eu PARTITION OF events FOR VALUES IN ('eu');
CREATE TABLE events_us (n int, tenant text, region text NOT NULL, id int NOT NULL, spare int);
ALTER TABLE events_us DROP COLUMN spare;
ALTER TABLE events ATTACH PARTITION events_us FOR VALUES IN ('us');
CREATE TABLE events_rest PARTITION OF events DEFAULT PARTITION BY HASH (id);
CREATE TABLE events_rest_0 PARTITION OF events_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_rest_1 PARTITION OF events_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO events SELECT i, (ARRAY['eu', 'us', 'x', 'y'])[1 + i % 4], i, 'north'
FROM generate_series(1, 40) i;
"""


@pytest.fixture
def split(empty: Database) -> tuple[Database, Table]:
    empty.run(SPLIT)
    table = a_table(empty.owner, "public.events", "id", "region", tenant="north")
    install(empty.owner, table)
    return empty, table


def test_a_partitioned_table_is_told_by_whichever_name_it_is_written(
    split: tuple[Database, Table],
) -> None:
    followed(
        *split,
        "UPDATE events SET n = n + 1 WHERE id < 9",
        "UPDATE events_us SET n = -1",
        "UPDATE events_rest SET n = -2 WHERE id % 3 = 0",
        "UPDATE events_rest_1 SET tenant = 'south' WHERE n > 20",
        "UPDATE events SET region = 'eu' WHERE region = 'us' AND id < 20",
        "UPDATE events SET region = 'x', id = id + 100 WHERE region = 'eu'",
        "DELETE FROM events WHERE id % 5 = 0",
        "DELETE FROM events_us WHERE id % 2 = 1",
        "INSERT INTO events VALUES (500, 'eu', 1, 'north'), (501, 'us', 1, 'north')",
        "INSERT INTO events_us (n, tenant, region, id) VALUES (1, 'north', 'us', 502)",
        "INSERT INTO events_rest VALUES (503, 'z', 1, 'north')",
        "INSERT INTO events VALUES (501, 'us', 9, 'south') "
        "ON CONFLICT (id, region) DO UPDATE SET n = 9, tenant = 'south'",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE events",
        "TRUNCATE events_us",
        "TRUNCATE events_rest_0",
        "ALTER TABLE events DETACH PARTITION events_us",
        "CREATE TABLE events_br PARTITION OF events FOR VALUES IN ('br')",
        "CREATE TABLE events_br (LIKE events); INSERT INTO events_br VALUES (1, 'br', 1, 'north'); "
        "ALTER TABLE events ATTACH PARTITION events_br FOR VALUES IN ('br')",
        "DROP TABLE events_us",
        "ALTER TABLE events_us DISABLE TRIGGER headrace_update",
    ],
)
def test_partitions_that_come_and_go_ask_for_a_resync(
    split: tuple[Database, Table], statement: str
) -> None:
    database, table = split
    since = now(database)
    database.run(statement)
    assert CHANGES.resync_reason(database.reader, since, now(database), table)
    with pytest.raises(ResyncRequired):
        changes(database.reader, since, now(database), table)
    if "TRUNCATE" in statement:
        return
    assert install(database.owner, table) == 1
    assert CHANGES.resync_reason(database.reader, since, now(database), table)
    followed(database, table, "UPDATE events SET n = 0", "INSERT INTO events VALUES (77, 'br', 1)")


def test_a_cascade_reaches_partitions(empty: Database) -> None:
    empty.run(
        SPLIT + "CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1), (2); "
        "ALTER TABLE events ADD COLUMN kind int REFERENCES kinds ON DELETE CASCADE; "
        "UPDATE events SET kind = 1 + id % 2"
    )
    table = a_table(empty.owner, "public.events", "id", "region", tenant="north")
    install(empty.owner, table)
    followed(empty, table, "DELETE FROM kinds WHERE id = 1")


# --- what is not captured -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("CREATE TABLE t (id int, name text)", "no unique index"),
        ("CREATE TABLE t (id int UNIQUE, name text)", "no unique index"),
        (
            "CREATE TABLE t (id int NOT NULL, name text); CREATE UNIQUE INDEX ON t (id) "
            "WHERE name IS NOT NULL",
            "no unique index",
        ),
        ("CREATE TABLE b (id int PRIMARY KEY); CREATE VIEW t AS SELECT * FROM b", "no table"),
        ("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE k () INHERITS (t)", "inheritance"),
    ],
)
def test_tables_that_cannot_be_captured_are_named(empty: Database, made: str, reason: str) -> None:
    empty.run(made)
    table = a_table(empty.owner, "public.t", "id")
    with connect(empty.owner) as connection:
        plan = installation(connection, configured(table), reader=READER, retention_days=14)
    assert [one.name for one in plan.refused] == ["public.t"]
    assert reason in plan.refused[0].reason


def test_a_key_that_may_be_null_for_all_its_constraint_says_is_not_captured(
    postgresql: Server,
) -> None:
    for name, made in tables_of_no_sure_key(postgresql.version).items():
        database = a_database(postgresql, f"{made}; CREATE UNIQUE INDEX ON {name} (id)")
        table = a_table(database.owner, f"public.{name}", "id")
        with connect(database.owner) as connection:
            plan = installation(connection, configured(table), reader=READER, retention_days=14)
        assert [one.name for one in plan.refused] == [f"public.{name}"]


def test_a_schema_of_somebody_elses_is_left_alone(empty: Database) -> None:
    empty.run(STOCK + "CREATE SCHEMA headrace; CREATE TABLE headrace.theirs (i int)")
    table = a_table(empty.owner, "public.stock", "id")
    try:
        with connect(empty.owner) as connection, pytest.raises(CaptureRefused):
            installation(connection, configured(table), reader=READER, retention_days=14)
    finally:
        empty.run("DROP SCHEMA headrace CASCADE")


def test_every_format_shows_the_same_of_a_composite_key(empty: Database) -> None:
    empty.run(
        "CREATE TABLE slots (at timestamptz, place uuid, n numeric(9,3), PRIMARY KEY (at, place)); "
        "INSERT INTO slots SELECT '2024-03-31 01:00+00'::timestamptz + i * '1 hour'::interval, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', i FROM generate_series(1, 4) i"
    )
    table = a_table(empty.owner, "public.slots", "at", "place")
    install(empty.owner, table)
    since = now(empty)
    empty.run("DELETE FROM slots WHERE n = 1; UPDATE slots SET n = 9 WHERE n = 2")
    found = {}
    for file_format, compression in product(
        (FileFormat.CSV, FileFormat.NDJSON), (Compression.GZIP, Compression.ZSTD)
    ):
        with CHANGES.stream_changes(
            empty.reader, since, now(empty), table, file_format, compression
        ) as stream:
            rows = rows_of(b"".join(stream), file_format, compression)
        found[file_format, compression] = sorted(
            (row["_change"], row["at"], row["place"], row.get("n")) for row in rows
        )
    (one,) = {str(rows) for rows in found.values()}
    assert "2024-03-31T02:00:00.000000Z" in one
