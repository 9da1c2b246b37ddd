"""Tables and columns as a catalog's publish sees them."""

import re
from pathlib import Path

import duckdb
import pytest

from headrace.adapters.warehouse.engine import load_extension
from headrace.exports.sources import ColumnType
from headrace.kernel.errors import SourceUnavailable
from tests.builders import a_source
from tests.component.warehouse.places import (
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
)

TYPES = {
    "BOOLEAN": (ColumnType.BOOLEAN, None, None),
    "SMALLINT": (ColumnType.INTEGER, None, None),
    "INTEGER": (ColumnType.INTEGER, None, None),
    "UINTEGER": (ColumnType.BIGINT, None, None),
    "BIGINT": (ColumnType.BIGINT, None, None),
    "UBIGINT": (ColumnType.DECIMAL, 20, 0),
    "HUGEINT": (ColumnType.DECIMAL, 39, 0),
    "DECIMAL(12,2)": (ColumnType.DECIMAL, 12, 2),
    "FLOAT": (ColumnType.DOUBLE, None, None),
    "DOUBLE": (ColumnType.DOUBLE, None, None),
    "VARCHAR": (ColumnType.STRING, None, None),
    "ENUM('TIME', 'x')": (ColumnType.STRING, None, None),
    "BIT": (ColumnType.STRING, None, None),
    "UUID": (ColumnType.UUID, None, None),
    "BLOB": (ColumnType.BINARY, None, None),
    "DATE": (ColumnType.DATE, None, None),
    "TIME": (ColumnType.TIME, None, None),
    "TIMESTAMP": (ColumnType.TIMESTAMP, None, None),
    "TIMESTAMP_S": (ColumnType.TIMESTAMP, None, None),
    "TIMESTAMP_MS": (ColumnType.TIMESTAMP, None, None),
    "TIMESTAMPTZ": (ColumnType.TIMESTAMPTZ, None, None),
    "JSON": (ColumnType.JSON, None, None),
    "INTEGER[]": (ColumnType.JSON, None, None),
    "UUID[3]": (ColumnType.JSON, None, None),
    'STRUCT(a BOOLEAN, "DOUBLE" VARCHAR[])': (ColumnType.JSON, None, None),
    "MAP(VARCHAR, STRUCT(x UBIGINT))": (ColumnType.JSON, None, None),
}

REFUSED = {
    "TIMESTAMP_NS": "nanoseconds",
    "TIME WITH TIME ZONE": "offset",
    "INTERVAL": "months",
    "BIGNUM": "any size",
    "UNION(a INTEGER, b VARCHAR)": "no exact form",
    "DOUBLE[]": "DOUBLE",
    "STRUCT(a DECIMAL(4,2))": r"DECIMAL\(4,2\)",
    "STRUCT(a STRUCT(b JSON))": "JSON",
    "MAP(BIGINT, VARCHAR)": "keys of type BIGINT",
    "TIMESTAMP[][]": "TIMESTAMP",
}


@pytest.mark.parametrize("engine_type", TYPES)
def test_a_type_that_can_be_carried(tmp_path: Path, engine_type: str) -> None:
    source = a_duckdb_file(tmp_path / "x.duckdb", f'CREATE TABLE t("A b" {engine_type} NOT NULL)')
    (column,) = WAREHOUSE.describe(source, "main.t")
    assert (column.type, column.precision, column.scale) == TYPES[engine_type]
    assert (column.name, column.nullable, column.reason) == ("A b", False, None)


@pytest.mark.parametrize("engine_type", REFUSED)
def test_a_type_that_cannot_be_carried_says_why(tmp_path: Path, engine_type: str) -> None:
    source = a_duckdb_file(tmp_path / "x.duckdb", f"CREATE TABLE t(v {engine_type})")
    (column,) = WAREHOUSE.describe(source, "main.t")
    assert column.type is None
    assert column.nullable
    assert column.reason is not None

    assert re.search(REFUSED[engine_type], column.reason)


def test_tables_of_a_lake(tmp_path: Path) -> None:
    source = a_lake(
        tmp_path / "lake",
        "CREATE SCHEMA hr",
        'CREATE TABLE hr."People.of ""north"""(id INT NOT NULL, "Naam é" VARCHAR)',
        "CREATE TABLE b(i INT)",
        "CREATE VIEW v AS SELECT 1",
    )
    assert WAREHOUSE.tables(source) == ('hr.People.of "north"', "main.b")
    columns = WAREHOUSE.describe(source, 'hr.People.of "north"')
    assert [(c.name, c.nullable) for c in columns] == [("id", False), ("Naam é", True)]
    assert WAREHOUSE.describe(source, "hr.nothing") == ()
    assert WAREHOUSE.describe(source, "people") == ()


def test_tables_of_a_folder(tmp_path: Path) -> None:
    source = a_parquet_folder(
        tmp_path / "folder",
        people="SELECT 1 AS id",
        days=["SELECT 1 AS a", "SELECT 2 AS a, 3 AS b"],
    )
    (tmp_path / "folder" / "notes.txt").write_text("not a table")
    assert WAREHOUSE.tables(source) == ("main.days", "main.people")
    assert [c.name for c in WAREHOUSE.describe(source, "main.days")] == ["a", "b"]
    assert WAREHOUSE.describe(source, "main.notes") == ()
    assert WAREHOUSE.describe(source, "other.people") == ()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ducklake", {"catalog": "sqlite:{0}/none.sqlite"}),
        ("ducklake", {"catalog": "mysql:host"}),
        ("ducklake", {}),
        ("duckdb", {"path": "{0}/none.duckdb"}),
        ("duckdb", {"path": "{0}/text"}),
        ("parquet", {"path": "{0}/none"}),
        ("oracle", {}),
    ],
)
def test_a_source_that_is_not_there_is_unavailable(
    tmp_path: Path, kind: str, options: dict[str, str]
) -> None:
    (tmp_path / "text").write_text("this is no database, and says secret-canary")
    filled = {name: value.format(tmp_path) for name, value in options.items()}
    source = a_source(kind=kind, options=filled)
    with pytest.raises(SourceUnavailable) as caught:
        WAREHOUSE.tables(source)
    assert str(tmp_path) not in caught.value.detail
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize("catalog", ["sqlite:{0}/none.sqlite", "duckdb:{0}/none.duckdb"])
def test_a_lake_whose_catalog_is_not_there_is_told_from_one_that_is_busy(
    tmp_path: Path, catalog: str
) -> None:
    source = a_source(kind="ducklake", options={"catalog": catalog.format(tmp_path)})
    with pytest.raises(SourceUnavailable) as caught:
        WAREHOUSE.tables(source)
    assert caught.value.detail == "The DuckLake's catalog database cannot be opened."


def test_a_lake_that_would_be_read_from_the_working_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check in the operator's folder would find its files, and no worker would."""
    monkeypatch.chdir(tmp_path)
    lake = a_lake(Path("lake"), "CREATE TABLE t(id BIGINT)")
    catalog = f"sqlite:{tmp_path}/lake/catalog.sqlite"
    with pytest.raises(SourceUnavailable, match="data path is relative"):
        WAREHOUSE.tables(a_source(kind="ducklake", options={"catalog": catalog}))
    with pytest.raises(SourceUnavailable, match="data path is relative"):
        WAREHOUSE.tables(lake)
    whole = {"catalog": catalog, "data_path": str(tmp_path / "lake" / "data")}
    assert WAREHOUSE.tables(a_source(kind="ducklake", options=whole)) == ("main.t",)


@pytest.mark.parametrize("name", ["ducklake", "sqlite_scanner", "postgres_scanner", "httpfs"])
def test_the_extensions_bear_the_signature_of_duckdb(name: str) -> None:
    """The packages are not DuckDB's own: what they hold must be, at every change of a pin."""
    with duckdb.connect(config={"allow_unsigned_extensions": False}) as connection:
        load_extension(connection, name)
        row = connection.execute(
            "SELECT loaded FROM duckdb_extensions() WHERE extension_name = ?", [name]
        ).fetchone()
        assert row == (True,)
