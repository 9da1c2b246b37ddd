"""What the check of a catalog is told of an application's database, by a real one."""

import pytest

from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.catalog.ports import (
    ApplicationDatabase,
    DatabaseColumn,
    ForeignKey,
    Kind,
    UniqueIndex,
)
from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.server import Server

pytestmark = pytest.mark.postgresql(16)
"""Data sets need it."""

SHOP = """
CREATE SCHEMA s;
CREATE DOMAIN s.weight AS numeric NOT NULL;
CREATE DOMAIN s.things AS regclass[];
CREATE TYPE s.pair AS (a int, b money);
CREATE TYPE s.mood AS ENUM ('glad', 'sad');
CREATE TABLE s.brands (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    code text NOT NULL,
    shelf text,
    parent_id bigint REFERENCES s.brands,
    weight s.weight,
    moods s.mood[],
    since timestamptz(0) NOT NULL DEFAULT now(),
    length int GENERATED ALWAYS AS (length(code)) STORED,
    prices money,
    things s.things,
    pairs s.pair[],
    spans int4multirange,
    UNIQUE NULLS NOT DISTINCT (code, shelf)
);
CREATE UNIQUE INDEX ON s.brands (shelf) WHERE shelf > 'm';
CREATE UNIQUE INDEX ON s.brands (lower(code));
CREATE UNIQUE INDEX ON s.brands (since) INCLUDE (code);
CREATE TABLE s.numbered (number serial, bare int, note text);
CREATE VIEW s.seen AS SELECT * FROM s.brands;
CREATE TABLE s.parted (id int, name text) PARTITION BY LIST (name);
CREATE FUNCTION s.stop() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION s.stop_some(n int) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION s.stop_any(n int DEFAULT 1) RETURNS void LANGUAGE sql AS '';
"""


@pytest.fixture(scope="module")
def shop(postgresql: Server) -> ApplicationDatabase:
    name = postgresql.new_database()
    postgresql.run(SHOP, name)
    return PostgresqlApplicationSchemas().describe(postgresql.source(name))


def test_columns_say_what_they_can_be_used_for(shop: ApplicationDatabase) -> None:
    columns = shop.tables["s.brands"].columns
    assert list(columns)[:4] == ["id", "uuid", "code", "shelf"]
    assert columns["id"] == DatabaseColumn(
        "id", "bigint", Kind.NUMBER, nullable=False, default=True, counted=True, computed=True
    )
    assert columns["uuid"] == DatabaseColumn("uuid", "uuid", Kind.UUID, nullable=False)
    assert not columns["weight"].nullable
    since = columns["since"]
    assert (since.kind, since.written, since.default) == (
        *(Kind.TIME, "timestamp(0) with time zone"),
        True,
    )
    assert columns["length"].computed
    number = shop.tables["s.numbered"].columns["number"]
    assert (number.counted, number.computed, number.default) == (True, False, True)
    assert not shop.tables["s.numbered"].columns["bare"].counted


def test_types_without_a_text_of_their_own_are_found_in_what_is_made_of_them(
    shop: ApplicationDatabase,
) -> None:
    columns = shop.tables["s.brands"].columns
    assert {name for name, column in columns.items() if column.no_text} == {
        *("prices", "things", "pairs")
    }
    assert "lc_monetary" in str(columns["pairs"].no_text)


def test_only_indexes_over_all_rows_and_plain_columns_tell_rows_apart(
    shop: ApplicationDatabase,
) -> None:
    assert set(shop.tables["s.brands"].unique) == {
        UniqueIndex(frozenset({"id"})),
        UniqueIndex(frozenset({"uuid"})),
        UniqueIndex(frozenset({"code", "shelf"}), nulls_alike=True),
        UniqueIndex(frozenset({"since"})),
    }
    assert shop.tables["s.brands"].foreign_keys == (ForeignKey("parent_id", "s.brands", "id"),)


def test_views_are_no_tables_and_partitioned_tables_are(shop: ApplicationDatabase) -> None:
    tables = {name for name, table in shop.tables.items() if table.is_table}
    assert tables == {"s.brands", "s.numbered", "s.parted"}
    assert "s.seen" in shop.tables


def test_functions_that_take_an_argument_are_left_out(shop: ApplicationDatabase) -> None:
    assert shop.functions == {"s.stop", "s.stop_any"}


def test_what_the_role_may_not_do_is_told(postgresql: Server) -> None:
    name = postgresql.new_database()
    role = f"reader_of_{name}"
    postgresql.run(
        f"CREATE ROLE {role} LOGIN; CREATE SCHEMA s; CREATE SCHEMA closed; GRANT USAGE ON SCHEMA s "
        f"TO {role}; CREATE TABLE s.open (id int); CREATE TABLE s.shut (id int); CREATE TABLE "
        f"closed.far (id int); CREATE TABLE s.hidden (id int); GRANT SELECT ON s.open, s.hidden TO "
        f"{role}; ALTER TABLE s.hidden ENABLE ROW LEVEL SECURITY; CREATE FUNCTION s.halt() RETURNS "
        "void LANGUAGE sql AS ''; REVOKE ALL ON FUNCTION s.halt FROM PUBLIC",
        name,
    )
    database = PostgresqlApplicationSchemas().describe(postgresql.source(name, user=role))
    assert {name: table.readable for name, table in database.tables.items()} == {
        **{"s.open": True, "s.shut": False},
        "s.hidden": True,
    }
    assert [name for name, table in database.tables.items() if table.rows_hidden] == ["s.hidden"]
    assert database.functions == frozenset()


def test_texts_of_unknown_encoding_are_refused(postgresql: Server) -> None:
    postgresql.run("CREATE DATABASE unknown_texts ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0")
    with pytest.raises(SourceUnavailable, match="SQL_ASCII"):
        PostgresqlApplicationSchemas().describe(postgresql.source("unknown_texts"))
