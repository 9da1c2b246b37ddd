"""Texts that the source's collation takes for the same are not the same to those who get them.

Such a collation takes a server with ICU, as those of `make postgresql-versions` are; on that of the
wheel, which has none, the same must hold of a plain one.
"""

from dataclasses import replace

import pytest

from headrace.adapters.postgresql.relations import condition, relation_of
from headrace.adapters.postgresql.session import session
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ColumnType, RowFilter
from tests.component.postgresql.captured import (
    SOURCE,
    Copy,
    Database,
    a_database,
    a_table,
    install,
    told,
)
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import a_table_of, document, rows_of

ROWS = "(1, 'north', 'a'), (2, 'NORTH', 'of others'), (3, 'south', '=c')"


@pytest.fixture
def people(postgresql: Server) -> Database:
    """A table whose texts are compared without their case, where the server can."""
    made = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
    if (
        postgresql.run("SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'").strip()
        == "0"
    ):
        made = "locale = 'C'"
    return a_database(
        postgresql,
        f"CREATE COLLATION loose ({made}); "
        "CREATE TABLE people (id int PRIMARY KEY, tenant text COLLATE loose, "
        f"name varchar(20) COLLATE loose); INSERT INTO people VALUES {ROWS}; "
        "CREATE TABLE keyed (name text COLLATE loose PRIMARY KEY, n int); "
        "INSERT INTO keyed VALUES ('bob', 1), ('al', 2)",
    )


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_rows_are_chosen_by_the_very_text(people: Database, file_format: FileFormat) -> None:
    table = a_table(people.owner, "public.people", "id", tenant="north")
    made = document(people.owner, table, file_format, Compression.NONE)
    assert [row["name"] for row in rows_of(made.stored, file_format)] == ["a"]
    assert SOURCE.count(people.owner, "", table) == 1


def test_changes_are_those_of_rows_of_the_very_text(people: Database) -> None:
    table = a_table(people.owner, "public.people", "id", tenant="north")
    install(people.owner, table)
    since = SOURCE.current_version(people.reader)
    people.run("UPDATE people SET name = 'x'")
    assert told(people.reader, since, table) == [("updated", "1")]
    since = SOURCE.current_version(people.reader)
    people.run("UPDATE people SET tenant = upper(tenant)")
    assert told(people.reader, since, table) == [("deleted", "1")]


def test_an_index_serves_the_choice_by_the_columns_own_collation(people: Database) -> None:
    people.run(
        "INSERT INTO people SELECT n, 'tenant ' || n, 'x' FROM generate_series(4, 9999) n; "
        "CREATE INDEX by_tenant ON people (tenant); ANALYZE people"
    )
    table = a_table_of(people.owner, "public.people")
    chosen = RowFilter("tenant", ("north",), ColumnType.STRING)
    with session(people.owner) as connection:
        relation = relation_of(connection, table)
        loose = {n: replace(column, exact=False) for n, column in relation.columns.items()}
        for columns in (relation.columns, loose):
            found = condition(chosen, replace(relation, columns=columns), '"tenant"')
            plan = connection.execute(f"EXPLAIN SELECT FROM people WHERE {found}".encode())
            assert "by_tenant" in str(plan.fetchall())


def test_texts_that_a_spreadsheet_would_run_are_escaped(people: Database) -> None:
    table = replace(a_table(people.owner, "public.people", "id"), escape_formulas=True)
    rows = rows_of(document(people.owner, table, FileFormat.CSV).stored, FileFormat.CSV)
    assert {row["name"] for row in rows} == {"a", "of others", "'=c"}


def test_a_key_of_another_case_is_another_key(people: Database) -> None:
    table = a_table(people.owner, "public.keyed", "name")
    install(people.owner, table)
    copy = Copy(people.reader, table)
    copy.begin()
    for statement in (
        "UPDATE keyed SET name = 'Bob' WHERE name = 'bob'",
        "UPDATE keyed SET n = 7",
        "DELETE FROM keyed WHERE name = 'Bob'; INSERT INTO keyed VALUES ('bob', 1)",
        "DELETE FROM keyed",
    ):
        people.run(statement)
        copy.follow()
    assert (copy.resyncs, copy.rows) == (0, {})
