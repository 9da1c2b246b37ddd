"""Tables and columns as a catalog's publish sees them."""

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.adapters.warehouse.engine import load_extension
from headrace.exports.model import FileFormat
from headrace.exports.sources import Column, ColumnType, Source, Table
from headrace.kernel.errors import SchemaChanged, SourceUnavailable
from tests.builders import a_source
from tests.component.warehouse.places import (
    SPLITTING,
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    rows_of,
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


def test_whole_numbers_that_a_lake_keeps_as_doubles_are_refused(tmp_path: Path) -> None:
    source = a_lake(
        tmp_path / "lake",
        "CALL lake.set_option('data_inlining_row_limit', 0)",
        "CREATE TABLE t(huge HUGEINT, unsigned UHUGEINT, long UBIGINT)",
        "INSERT INTO t VALUES (9007199254740993, 9007199254740993, 9007199254740993)",
    )
    columns = {column.name: column for column in WAREHOUSE.describe(source, "main.t")}
    assert "DOUBLE" in str(columns["huge"].reason)
    assert "DOUBLE" in str(columns["unsigned"].reason)
    assert [name for name, column in columns.items() if column.type is not None] == ["long"]
    made = document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    assert rows_of(made.stored, FileFormat.CSV) == [{"long": "9007199254740993"}]


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
    ("one", "other"),
    [
        ("9007199254740993::BIGINT", "1.5::DOUBLE"),
        ("18446744073709551615::UBIGINT", "NULL::FLOAT"),
        ("16777217::INTEGER", "1.5::FLOAT"),
        ("1.1::DECIMAL(38,2)", "1.12345::DECIMAL(10,5)"),
        ("1.1234567890123456789::DECIMAL(38,19)", "1.5::DOUBLE"),
        ("true", "2::INTEGER"),
        ("TIMESTAMP '2024-01-31 12:00:00'", "TIMESTAMPTZ '2024-01-31 12:00:00Z'"),
        ("DATE '2024-01-31'", "'31 January'"),
        ("{'a': [true]}", "{'a': [2::INTEGER]}"),
    ],
)
def test_a_column_that_the_files_of_a_table_have_in_types_that_no_other_holds_is_refused(
    tmp_path: Path, one: str, other: str
) -> None:
    for number, (first, second) in enumerate(((one, other), (other, one))):
        source = a_parquet_folder(
            tmp_path / str(number), t=[f"SELECT {first} AS v, 1 AS id", f"SELECT {second} AS v"]
        )
        column, beside = WAREHOUSE.describe(source, "main.t")
        assert column.type is None
        assert column.reason is not None
        assert "does not hold exactly" in column.reason
        assert (beside.type, beside.reason) == (ColumnType.INTEGER, None)
        published = Table("things", "main.t", (Column("v", "v", ColumnType.DOUBLE, True),))
        with pytest.raises(SchemaChanged):
            document(source, published, FileFormat.CSV)


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("2147483647::INTEGER", "1.5::DOUBLE", ["2147483647.0", "1.5"]),
        ("18446744073709551615::UBIGINT", "(-1)::BIGINT", ["18446744073709551615", "-1"]),
        ("9007199254740993::BIGINT", "0.5::DECIMAL(4,1)", ["9007199254740993.0", "0.5"]),
        ("1.25::DECIMAL(5,2)", "12345::DECIMAL(9,0)", ["1.25", "12345.00"]),
        ("9007199254740993::BIGINT", "'A-1'", ["9007199254740993", "A-1"]),
        (
            "DATE '2024-01-31'",
            "TIMESTAMP '2024-01-31 12:00:00'",
            ["2024-01-31T00:00:00.000000", "2024-01-31T12:00:00.000000"],
        ),
        ("{'a': 1}", "{'a': 2, 'b': [3]}", ['{"a":1,"b":null}', '{"a":2,"b":[3]}']),
    ],
)
def test_a_column_that_the_files_have_in_types_of_which_one_holds_both_is_exact(
    tmp_path: Path, one: str, other: str, shown: list[str | None]
) -> None:
    source = a_parquet_folder(tmp_path, t=[f"SELECT {one} AS v", f"SELECT {other} AS v"])
    made = document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    assert [row["v"] for row in rows_of(made.stored, FileFormat.CSV)] == shown


def test_what_the_engine_would_read_less_exactly_than_a_parquet_file_has_it_is_refused(
    tmp_path: Path,
) -> None:
    instants = pa.array([1704110400123456789], pa.timestamp("ns", "UTC"))
    columns = {
        "instant": instants,
        "time": pa.array([1123456789], pa.time64("ns")),
        "long": pa.array([Decimal("1" * 40)], pa.decimal256(45, 2)),
        "nested": pa.StructArray.from_arrays([pa.array([1])], ["instant"]),
        "late": instants.cast(pa.timestamp("us", "UTC"), safe=False),
    }
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "t" / "a.parquet")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t" / "b.parquet")
    source = Source("folder", "parquet", {"path": str(tmp_path)})
    reasons = {c.name: c.reason for c in WAREHOUSE.describe(source, "main.t")}
    assert [name for name, reason in reasons.items() if reason is None] == ["nested", "late", "id"]
    assert "nanoseconds" in str(reasons["instant"])
    assert "nanoseconds" in str(reasons["time"])
    assert "45 digits" in str(reasons["long"])


def test_columns_without_values_take_the_type_that_other_files_have(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"v": pa.nulls(2), "w": [1, 2]}), tmp_path / "t" / "a.parquet")
    pq.write_table(pa.table({"v": [b"x"], "w": [3]}), tmp_path / "t" / "b.parquet")
    source = Source("folder", "parquet", {"path": str(tmp_path)})
    assert [c.type for c in WAREHOUSE.describe(source, "main.t")] == [
        ColumnType.BINARY,
        ColumnType.BIGINT,
    ]


def test_names_that_differ_in_case_are_not_taken_for_each_other_in_another_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"a": [1], "A": [2], "b": [3]}), tmp_path / "t" / "1.parquet")
    pq.write_table(pa.table({"A": [2], "a": [1], "b": [3]}), tmp_path / "t" / "2.parquet")
    source = Source("folder", "parquet", {"path": str(tmp_path)})
    types = {c.name: c.type for c in WAREHOUSE.describe(source, "main.t")}
    assert types == {"a": None, "A_1": None, "b": ColumnType.BIGINT}


@pytest.mark.parametrize("other", ["d[1]", "d?", "d*", "[a-z]1"])
def test_a_file_is_read_as_itself_however_its_name_looks_to_a_pattern(
    tmp_path: Path, other: str
) -> None:
    folder = tmp_path / "a[b]"
    source = a_parquet_folder(folder, t=["SELECT 1 AS id", "SELECT 2 AS id FROM range(3)"])
    (folder / "t" / "000.parquet").rename(folder / "t" / "d1.parquet")
    (folder / "t" / "001.parquet").rename(folder / "t" / f"{other}.parquet")
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    whole = document(source, table, FileFormat.CSV)
    ids = sorted(row["id"] for row in rows_of(whole.stored, FileFormat.CSV))
    assert ids == ["1", "2", "2", "2"]
    ranges = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=1, max_ranges=4)
    assert len(ranges) == 4
    assert document(source, table, FileFormat.CSV, ranges=ranges) == whole


@pytest.mark.parametrize(
    "names", [("t.parquet", "t/x.parquet"), ("t/x.parquet", "t.parquet/x.parquet")]
)
def test_a_table_has_one_place_in_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": [1]}), tmp_path / name)
    with pytest.raises(SourceUnavailable, match="table t"):
        WAREHOUSE.tables(Source("folder", "parquet", {"path": str(tmp_path)}))


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
