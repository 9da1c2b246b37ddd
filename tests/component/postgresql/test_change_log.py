"""The change log is put into a database, kept up and taken away, and leaves no trace."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from headrace.adapters.postgresql import capturing
from headrace.adapters.postgresql.session import connect
from headrace.exports.sources import Table
from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.captured import (
    CHANGES,
    READER,
    SOURCE,
    Database,
    a_database,
    a_table,
    configured,
    install,
    told,
    uninstall,
)
from tests.component.postgresql.server import Server

MADE = """
CREATE TABLE one (id int PRIMARY KEY, tenant text, name text, more text);
CREATE TABLE two (id int PRIMARY KEY, name text);
INSERT INTO one VALUES (1, 'north', 'a', 'b');
"""

EVERYTHING = """
SELECT 'table', n.nspname, c.relname, c.relkind::text, c.relhastriggers::text, c.relacl::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, tgenabled::text, '', ''
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', pronamespace::regnamespace::text, proname, '', '', proacl::text
FROM pg_proc WHERE oid >= 16384
UNION ALL SELECT 'schema', nspname, '', '', '', nspacl::text FROM pg_namespace
ORDER BY 1, 2, 3
"""


@pytest.fixture(scope="module")
def place(postgresql: Server) -> Database:
    return a_database(postgresql, "")


@pytest.fixture
def database(place: Database) -> Database:
    uninstall(place.owner)
    place.run(f"DROP TABLE IF EXISTS one, two; {MADE}")
    return place


def one_of(database: Database, *columns: str) -> Table:
    return a_table(database.owner, "public.one", "id", tenant="north", columns=columns)


def test_installing_again_does_nothing(database: Database) -> None:
    table = one_of(database, "id", "name")
    assert install(database.owner, table) > 0
    before = database.run(EVERYTHING)
    assert install(database.owner, table) == 0
    assert database.run(EVERYTHING) == before


def test_uninstalling_leaves_the_database_as_it_was(database: Database) -> None:
    before = database.run(EVERYTHING).replace("relhastriggers", "")
    install(database.owner, one_of(database), a_table(database.owner, "public.two", "id"))
    database.run("UPDATE one SET name = 'x'")
    uninstall(database.owner)
    # A table that had a trigger once says so for ever.
    assert database.run(EVERYTHING).replace("|r|true|", "|r|false|") == before
    database.run("UPDATE one SET name = 'y'")


def test_what_changed_in_the_catalog_changes_in_the_log_and_nothing_else(
    database: Database,
) -> None:
    table, two = one_of(database, "id", "name"), a_table(database.owner, "public.two", "id")
    install(database.owner, table, two)
    since = SOURCE.current_version(database.reader)
    wider = one_of(database, "id", "name", "more")
    assert install(database.owner, wider, two) == 1
    now = SOURCE.current_version(database.reader)
    assert CHANGES.resync_reason(database.reader, since, now, wider)
    assert CHANGES.resync_reason(database.reader, since, now, two) is None
    database.run("UPDATE one SET more = 'z'")
    assert told(database.reader, now, wider) == [("updated", "1")]
    assert install(database.owner, wider) == 1  # two is captured no longer
    assert "two" not in database.run("SELECT tgrelid::regclass FROM pg_trigger")
    assert install(database.owner, wider, retention_days=30) == 1
    assert CHANGES.resync_reason(database.reader, now, now, wider) is None


def test_a_plan_is_sql_that_does_the_same(database: Database) -> None:
    table = one_of(database, "id", "name")
    with connect(database.owner) as connection:
        plan = capturing.installation(
            connection, configured(table), reader=READER, retention_days=14
        )
    script = "".join(step.script for step in plan.steps)
    assert database.run("SELECT to_regnamespace('headrace') IS NULL").strip() == "t"
    database.run(script)
    assert install(database.owner, table) == 0
    with connect(database.owner) as connection:
        script = "".join(step.script for step in capturing.uninstallation(connection).steps)
    database.run(script)
    assert database.run("SELECT to_regnamespace('headrace') IS NULL").strip() == "t"


def test_the_reader_may_read_and_maintain_and_no_more(database: Database) -> None:
    install(database.owner, one_of(database))
    rights = database.run(
        "SELECT c.relname, p.privilege_type FROM pg_class c, "
        "LATERAL aclexplode(c.relacl) p WHERE c.relnamespace = 'headrace'::regnamespace "
        f"AND p.grantee = '{READER}'::regrole ORDER BY 1"
    )
    assert rights.split() == ["captured|SELECT", "change_log|SELECT"]
    public = database.run(
        "SELECT count(*) FROM pg_proc p, LATERAL aclexplode(p.proacl) a "
        "WHERE p.pronamespace = 'headrace'::regnamespace AND a.grantee = 0"
    )
    assert public.strip() == "0"
    unpinned = database.run(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'headrace'::regnamespace AND NOT "
        "('search_path=pg_catalog, pg_temp' = ANY (proconfig) AND prosecdef)"
    )
    assert unpinned.strip() == "0"
    with connect(database.reader) as connection:
        capturing.maintain(connection)
        for statement in (
            "DELETE FROM headrace.change_log",
            "INSERT INTO headrace.captured SELECT * FROM headrace.captured",
            "DROP TABLE headrace.change_log_default",
            "CREATE TABLE headrace.mine ()",
            "SELECT nextval('headrace.change_seq')",
            "SELECT * FROM headrace.change_log_default",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_who_does_not_own_the_tables_is_told_so(database: Database) -> None:
    with connect(database.reader) as connection:
        plan = capturing.installation(
            connection, configured(one_of(database)), reader=READER, retention_days=14
        )
        with pytest.raises(SourceUnavailable, match="owns the tables"):
            capturing.run(connection, plan)
    assert database.run("SELECT to_regnamespace('headrace') IS NULL").strip() == "t"


# --- maintenance --------------------------------------------------------------------------------


def days(database: Database) -> list[str]:
    found = database.run(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent = 'headrace.change_log'::regclass ORDER BY 1"
    )
    return [name.removeprefix("headrace.change_log_") for name in found.split()]


def a_day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).strftime("%Y%m%d")


def an_old_day(database: Database, ago: int) -> None:
    """A day's partition with a row, as if the log were as old."""
    name, day = f"change_log_{a_day(-ago)}", f"(now() AT TIME ZONE 'UTC')::date - {ago}"
    database.run(
        f"""DO $$ BEGIN
        CREATE TABLE headrace.{name} (LIKE headrace.change_log INCLUDING DEFAULTS);
        EXECUTE format('ALTER TABLE headrace.change_log ATTACH PARTITION headrace.{name} '
            'FOR VALUES FROM (%L) TO (%L)', {day}, {day} + 1);
        INSERT INTO headrace.change_log (relation, day, op, nested, key, before)
        VALUES ('one'::regclass, {day}, 'D', false, '{{7}}', '{{north}}');
        END $$"""
    )


def maintained(database: Database) -> dict[str, object]:
    with connect(database.reader) as connection:
        return dict(capturing.maintain(connection))


def test_days_are_made_ahead_and_dropped_a_day_after_they_are_told(database: Database) -> None:
    install(database.owner, one_of(database))
    assert days(database) == [*map(a_day, range(8)), "default"]
    for ago in (14, 15, 16, 20):
        an_old_day(database, ago)
    assert maintained(database) == {"made": 0, "dropped": 2, "waiting": 0, "busy": False}
    assert days(database) == [a_day(-15), a_day(-14), *map(a_day, range(8)), "default"]
    assert maintained(database) == {"made": 0, "dropped": 0, "waiting": 0, "busy": False}
    database.run(f"DROP TABLE headrace.change_log_{a_day(7)}, headrace.change_log_{a_day(6)}")
    assert maintained(database)["made"] == 2


def test_a_day_without_a_partition_goes_into_the_net(database: Database) -> None:
    table = one_of(database)
    install(database.owner, table)
    since = SOURCE.current_version(database.reader)
    database.run(f"DROP TABLE headrace.change_log_{a_day(0)}")
    database.run("UPDATE one SET name = 'x'")
    assert database.run("SELECT count(*) FROM headrace.change_log_default").strip() == "1"
    assert maintained(database)["waiting"] == 1, "its rows stay where they are"
    assert told(database.reader, since, table) == [("updated", "1")]
    database.run("UPDATE headrace.change_log_default SET day = day - 20")
    assert maintained(database)["made"] == 1
    assert database.run("SELECT count(*) FROM headrace.change_log_default").strip() == "0"


def test_maintenance_waits_for_no_reader_and_holds_up_no_writer(database: Database) -> None:
    install(database.owner, one_of(database))
    an_old_day(database, 16)
    with database.session() as reader, database.session() as writer:
        reader.execute("BEGIN; SELECT count(*) FROM headrace.change_log")
        writer.execute("BEGIN; UPDATE one SET name = 'held'")
        assert maintained(database) == {"made": 0, "dropped": 0, "waiting": 1, "busy": False}
        writer.execute("SET lock_timeout = '2s'; UPDATE one SET name = 'x'; COMMIT")
        reader.execute("COMMIT")
    assert maintained(database)["dropped"] == 1


def test_maintenance_by_many_at_once_is_done_once(database: Database) -> None:
    install(database.owner, one_of(database))
    for ago in range(16, 22):
        an_old_day(database, ago)
    database.run(f"DROP TABLE headrace.change_log_{a_day(7)}")
    found: list[dict[str, object]] = []
    threads = [
        threading.Thread(target=lambda: found.append(maintained(database))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert sum(int(str(one["dropped"])) for one in found) == 6
    assert sum(int(str(one["made"])) for one in found) == 1


def test_who_reads_changes_maintains_the_log_when_it_is_due(database: Database) -> None:
    table = one_of(database)
    install(database.owner, table)
    an_old_day(database, 30)
    dropped = ", ".join(f"headrace.change_log_{a_day(ahead)}" for ahead in range(2, 8))
    database.run(f"DROP TABLE {dropped}")
    now = SOURCE.current_version(database.reader)
    assert CHANGES.resync_reason(database.reader, now, now, table) is None
    assert days(database) == [*map(a_day, range(8)), "default"]


# --- status -------------------------------------------------------------------------------------


def test_the_status_says_what_is_captured_and_what_holds_it_up(database: Database) -> None:
    table, two = one_of(database, "id", "name"), a_table(database.owner, "public.two", "id")
    with connect(database.owner) as connection:
        assert not capturing.status(connection, configured(table)).installed
    install(database.owner, table)
    database.run("UPDATE one SET name = 'x'")
    with database.session() as long, connect(database.owner) as connection:
        long.execute("BEGIN; UPDATE one SET name = 'y'")
        stands = capturing.status(connection, configured(table, two))
        assert stands.holder is not None
        assert stands.holder.application == "a writer"
        assert stands.lag_s == stands.holder.age_s > 0
        long.execute("ROLLBACK")
        assert capturing.status(connection, configured(table, two)).holder is None
    assert (stands.rows, stands.days_ahead, stands.partitions) == (1, 7, 9)
    assert stands.oldest == stands.newest == datetime.now(UTC).date()
    assert stands.size_bytes > 0
    assert [(one.name, one.rows, one.trouble) for one in stands.tables] == [
        ("public.one", 1, None),
        ("public.two", 0, "not captured"),
    ]
    database.run("ALTER TABLE one DISABLE TRIGGER headrace_delete")
    with connect(database.owner) as connection:
        (one,) = capturing.status(connection, configured(table)).tables
    assert "install again" in str(one.trouble)
