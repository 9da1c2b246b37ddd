"""Changes of DuckLakes whose catalogs are in databases of every kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse.engine import load_extension
from headrace.exports.sources import Source, VersionPlace
from tests.component.postgresql.server import Server
from tests.component.warehouse.copies import CHANGES, Copy, content_of, latest
from tests.component.warehouse.places import a_table_of, loaders_engine


@contextmanager
def a_lake(place: str, data: str, **options: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A loader's connection to the lake, made if need be."""
    with loaders_engine() as connection:
        for name in ("postgres_scanner", "sqlite_scanner", "ducklake"):
            load_extension(connection, name)
        given = {"DATA_PATH": data} | options
        listed = ", ".join(f"{name} {literal(value)}" for name, value in given.items())
        connection.execute(f"ATTACH {literal(f'ducklake:{place}')} AS lake ({listed})")
        connection.execute("USE lake")
        yield connection


def test_a_catalog_in_postgresql(postgresql: Server, tmp_path: Path) -> None:
    database = postgresql.new_database()
    postgresql.run('CREATE SCHEMA "the lake"', database)
    place = f"postgres:host={postgresql.folder} dbname={database} user=postgres"
    options = {
        "catalog": f"postgres:{database}",
        "host": str(postgresql.folder),
        "user": "postgres",
        "data_path": f"{tmp_path}/data/",
    }
    with a_lake(place, f"{tmp_path}/data/", META_SCHEMA="the lake") as connection:
        goes_on(connection, Source("lake", "ducklake", options | {"metadata_schema": "the lake"}))
    with a_lake(place, f"{tmp_path}/data/") as connection:
        goes_on(connection, Source("lake", "ducklake", options))


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_catalog_in_a_file(tmp_path: Path, kind: str) -> None:
    file, data = f"{tmp_path}/catalog.{kind}", f"{tmp_path}/data/"
    place = file if kind == "duckdb" else f"sqlite:{file}"
    source = Source("lake", "ducklake", {"catalog": f"{kind}:{file}", "data_path": data})
    # A DuckDB file has one writer or readers, never both.
    with a_lake(place, data) as connection:
        begins(connection)
    table = replace(a_table_of(source, "main.t"), primary_key=("id",))
    copy = Copy(source, table)
    copy.take_all(latest(source))
    with a_lake(place, data) as connection:
        changes(connection)
    comes_along(copy)


def begins(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE t AS SELECT i AS id, 'v' || i AS v FROM range(1000) r(i)")
    connection.execute("CREATE TABLE other AS FROM t")


def changes(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE t SET v = 'new' WHERE id % 10 = 0")
    connection.execute("DELETE FROM other")
    connection.execute("DELETE FROM t WHERE id % 7 = 0")
    connection.execute("INSERT INTO t VALUES (7, 'again'), (2000, 'inlined')")
    connection.execute("ALTER TABLE other ADD COLUMN x INTEGER")


def goes_on(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    begins(connection)
    table = replace(a_table_of(source, "main.t"), primary_key=("id",))
    copy = Copy(source, table)
    copy.take_all(latest(source))
    changes(connection)
    comes_along(copy)


def comes_along(copy: Copy) -> None:
    """The copy by an increment, and why it could not after the table is altered."""
    since, version = copy.version, latest(copy.source)
    assert CHANGES.resync_reason(copy.source, since, version, copy.table) is None
    window = CHANGES.window(copy.source, (copy.table,), since)
    assert (window.latest, window.oldest.partition("@")[0]) == (version, "0")
    assert window.place is VersionPlace.HELD
    lists = copy.take_changes(version)
    assert {name: len(rows) for name, rows in lists.items()} == {
        "inserted": 1,
        "updated": 86,
        "deleted": 142,
    }
    assert copy.content() == content_of(copy.source, copy.table, version)
