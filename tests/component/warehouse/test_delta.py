"""Delta tables: what delta-rs writes, and what only the protocol says, written by hand."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse import logged_tables
from headrace.adapters.warehouse.deletion_vectors import DamagedVector, deleted_rows
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.sources import opened
from headrace.exports.model import FileFormat
from headrace.exports.sources import ColumnType, RowFilter, Source
from headrace.kernel.errors import SchemaChanged, SourceChanged, SourceUnavailable
from tests.component.warehouse.delta_logs import (
    HandWritten,
    a_column,
    a_vector,
    cut_checkpoint,
    in_any_order,
    inline,
    read_by_delta_rs,
)
from tests.component.warehouse.places import SPLITTING, WAREHOUSE, a_table_of, document, rows_of

N = 4000


def folder(path: Path | str) -> Source:
    return Source("delta", "delta", {"path": str(path)})


def rows(**more: pa.Array) -> pa.Table:
    """Rows that two tenants share, of most types that Delta has."""
    nested = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
    moment = datetime(2024, 2, 29, 12, 0, 0, 123456)
    return pa.table(
        {
            "id": pa.array(range(N), pa.int64()),
            "tenant": ["north" if i % 3 else "south" for i in range(N)],
            "day": [None if i % 7 == 0 else date(1900 + i % 3 * 100, 1, 1) for i in range(N)],
            "amount": pa.array([Decimal(i) / 100 for i in range(N)], pa.decimal128(12, 2)),
            "at": pa.array([moment.replace(tzinfo=UTC)] * N, pa.timestamp("us", "UTC")),
            "local": pa.array([moment] * N, pa.timestamp("us")),
            "tiny": pa.array([i % 100 for i in range(N)], pa.int8()),
            "ratio": [i / 3 for i in range(N)],
            "raw": [None if i % 5 == 0 else bytes([i % 256]) for i in range(N)],
            "nested": pa.array([{"a": i, "b": [None, str(i)]} for i in range(N)], nested),
            **more,
        }
    )


def check(source: Source, table_name: str, expected: list[dict[str, Any]], ranges: int = 5) -> None:
    """The table, whole and in ranges, has exactly these rows."""
    version = WAREHOUSE.current_version(source)
    table = a_table_of(source, table_name)
    cut = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=1, max_ranges=ranges)
    assert len(cut) == ranges
    assert WAREHOUSE.count(source, version, table) == len(expected)
    parquet = document(source, table, FileFormat.PARQUET, version=version)
    found = rows_of(parquet.stored, FileFormat.PARQUET)
    for row in found:
        for name, value in row.items():
            if isinstance(value, str) and value.startswith("{"):
                row[name] = json.loads(value)
    assert in_any_order(found) == in_any_order(expected)
    whole = document(source, table, FileFormat.CSV, version=version)
    split = document(source, table, FileFormat.CSV, version=version, ranges=cut)
    assert split == whole


# --- what delta-rs writes ------------------------------------------------------------------------


def test_a_table_is_read_as_delta_rs_reads_it(tmp_path: Path) -> None:
    place = str(tmp_path / "things")
    write_deltalake(place, rows(), partition_by=["tenant", "day"])
    DeltaTable(place).delete("id % 10 = 0")
    DeltaTable(place).update(predicate="id % 11 = 0", updates={"ratio": "0.5"})
    extra = rows(extra=pa.array(["new"] * N)).slice(0, 50)
    write_deltalake(place, extra, mode="append", schema_mode="merge")
    source = folder(tmp_path)
    assert WAREHOUSE.tables(source) == ("main.things",)
    assert WAREHOUSE.current_version(source) == "things=3"
    check(source, "main.things", read_by_delta_rs(place))


def test_columns_have_the_types_of_the_log(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "things"), rows(), partition_by=["day"])
    described = WAREHOUSE.describe(folder(tmp_path), "main.things")
    assert {c.name: c.type for c in described} == {
        "id": ColumnType.BIGINT,
        "tenant": ColumnType.STRING,
        "day": ColumnType.DATE,
        "amount": ColumnType.DECIMAL,
        "at": ColumnType.TIMESTAMPTZ,
        "local": ColumnType.TIMESTAMP,
        "tiny": ColumnType.INTEGER,
        "ratio": ColumnType.DOUBLE,
        "raw": ColumnType.BINARY,
        "nested": ColumnType.JSON,
    }
    assert all(column.nullable and not column.promised for column in described)
    assert (described[3].precision, described[3].scale) in {(12, 2), (None, None)}


def test_every_version_is_read_as_it_was_with_and_without_checkpoints(tmp_path: Path) -> None:
    place, source = str(tmp_path / "t"), folder(tmp_path)
    wanted: dict[str, list[str]] = {}
    for number in range(6):
        day = pa.table({"id": pa.array(range(number * 10, number * 10 + 10), pa.int64())})
        write_deltalake(place, day, mode="append")
        if number == 3:
            DeltaTable(place).delete("id % 10 = 3")
            DeltaTable(place).create_checkpoint()
        table = a_table_of(source, "main.t")
        version = WAREHOUSE.current_version(source)
        stored = document(source, table, FileFormat.CSV).stored
        wanted[version] = sorted(stored.decode().split())
    DeltaTable(place).create_checkpoint()
    assert list(wanted) == ["t=0", "t=1", "t=2", "t=4", "t=5", "t=6"]
    for version, lines in wanted.items():
        assert WAREHOUSE.holds_version(source, version)
        found = document(source, a_table_of(source, "main.t"), FileFormat.CSV, version=version)
        assert sorted(found.stored.decode().split()) == lines


def test_a_checkpoint_written_meanwhile_does_not_move_rows_between_ranges(tmp_path: Path) -> None:
    place, source = str(tmp_path / "t"), folder(tmp_path)
    for number in range(8):
        day = pa.table({"id": pa.array(range(number * 500, number * 500 + 500), pa.int64())})
        write_deltalake(place, day, mode="append")
    version, table = WAREHOUSE.current_version(source), a_table_of(source, "main.t")
    cut = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=900, max_ranges=7)
    before = document(source, table, FileFormat.CSV, version=version, ranges=cut)
    DeltaTable(place).create_checkpoint()
    for commit in range(7):
        (tmp_path / f"t/_delta_log/{commit:020d}.json").unlink()
    assert document(source, table, FileFormat.CSV, version=version, ranges=cut) == before
    assert len(set(before.stored.split())) == 4001


def test_a_version_names_every_table(tmp_path: Path) -> None:
    source = folder(tmp_path)
    for name in ("a b", "c&d=e", "plain"):
        write_deltalake(str(tmp_path / name), pa.table({"id": [1]}))
    (tmp_path / "no table").mkdir()
    (tmp_path / "file.parquet").touch()
    version = WAREHOUSE.current_version(source)
    assert WAREHOUSE.tables(source) == ("main.a b", "main.c&d=e", "main.plain")
    for name in ("a b", "c&d=e", "plain"):
        write_deltalake(str(tmp_path / name), pa.table({"id": [2]}), mode="append")
    assert WAREHOUSE.current_version(source) != version
    assert WAREHOUSE.holds_version(source, version)
    for name in ("a b", "c&d=e", "plain"):
        table = a_table_of(source, f"main.{name}")
        assert document(source, table, FileFormat.CSV, version=version).stored == b"id\n1\n"


@pytest.mark.parametrize("version", ["t=9", "t=-1", "t=x", "t=1;DROP", "t=" + "9" * 30])
def test_a_version_that_never_was_is_not_held(tmp_path: Path, version: str) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"id": [1]}))
    source = folder(tmp_path)
    table = a_table_of(source, "main.t")
    assert not WAREHOUSE.holds_version(source, version)
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)


def test_a_table_that_the_version_does_not_name_is_not_read(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"id": [1]}))
    source = folder(tmp_path)
    version = WAREHOUSE.current_version(source)
    write_deltalake(str(tmp_path / "late"), pa.table({"id": [1]}))
    late = a_table_of(source, "main.late")
    with pytest.raises(SchemaChanged, match="no table for things"):
        document(source, late, FileFormat.CSV, version=version)


def test_a_version_whose_files_were_vacuumed_is_not_held(tmp_path: Path) -> None:
    place, source = str(tmp_path / "t"), folder(tmp_path)
    write_deltalake(place, pa.table({"id": [1]}))
    version, table = WAREHOUSE.current_version(source), a_table_of(source, "main.t")
    write_deltalake(place, pa.table({"id": [2]}), mode="overwrite")
    assert WAREHOUSE.holds_version(source, version)
    DeltaTable(place).vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert not WAREHOUSE.holds_version(source, version)
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)


def test_rows_are_chosen_by_a_column_of_partitions(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), rows(), partition_by=["tenant"])
    source = folder(tmp_path)
    for tenant, wanted in (("north", N - N // 3 - 1), ("south", N // 3 + 1), ("' OR 1=1 --", 0)):
        table = a_table_of(source, "main.t", RowFilter("tenant", (tenant,), ColumnType.STRING))
        made = document(source, table, FileFormat.CSV)
        assert made.rows == wanted
        assert {row["tenant"] for row in rows_of(made.stored, FileFormat.CSV)} <= {tenant}


def test_a_table_without_rows(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"id": [1], "v": ["x"]}))
    DeltaTable(str(tmp_path / "t")).delete()
    source = folder(tmp_path)
    version, table = WAREHOUSE.current_version(source), a_table_of(source, "main.t")
    assert document(source, table, FileFormat.CSV).stored == b"id,v\n"
    plan = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=1, max_ranges=4)
    assert plan == ()


def test_a_column_called_as_the_engine_calls_a_rows_place(tmp_path: Path) -> None:
    names = {"filename": ["a"] * 100, "file_index": range(100), "p": ["x", "y"] * 50}
    place = str(tmp_path / "t")
    write_deltalake(place, pa.table({k: pa.array(v) for k, v in names.items()}), partition_by="p")
    check(folder(tmp_path), "main.t", read_by_delta_rs(place), ranges=1)


# --- what the protocol says -----------------------------------------------------------------------


def test_deletion_vectors_of_every_form(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), a_column("v", "string"), features=("deletionVectors",))
    sparse = range(5, 60_000, 7)
    dense = [i for i in range(60_000, 125_000) if i % 3]
    runs = [*range(130_000, 180_000), 199_999]
    select = "SELECT i AS id, 'v' || i AS v FROM range({}) r(i)"
    first, second = table.vector_file([*sparse, *dense, *runs], [0, 9], prefix="ab")
    table.commit(
        table.file("a.parquet", select.format(200_000), deleted=first),
        table.file("b.parquet", select.format(10), deleted=second),
        table.file("c.parquet", select.format(10), deleted=inline([3])),
        table.file("d.parquet", select.format(10)),
    )
    expected = read_by_delta_rs(table.folder)
    assert len(expected) == 200_030 - len([*sparse, *dense, *runs]) - 3
    check(folder(tmp_path), "main.t", expected)


def test_a_file_whose_vector_changes_is_another_file(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), features=("deletionVectors",))
    whole = table.file("a.parquet", "SELECT i AS id FROM range(10) r(i)")
    table.commit(whole)
    less = {"add": whole["add"] | {"deletionVector": inline([1, 2])}}
    gone = {"path": "a.parquet", "deletionTimestamp": 1, "dataChange": True}
    table.commit({"remove": gone}, less)
    source = folder(tmp_path)
    configured = a_table_of(source, "main.t")
    assert document(source, configured, FileFormat.CSV, version="t=1").rows == 10
    assert document(source, configured, FileFormat.CSV, version="t=2").rows == 8


@pytest.mark.parametrize("mode", ["name", "id"])
def test_columns_that_were_renamed_dropped_and_added(tmp_path: Path, mode: str) -> None:
    table = HandWritten(tmp_path / "t")
    before = (a_column("id", "long", 1, "col-1"), a_column("v", "string", 2, "col-2"))
    table.create(*before, features=("columnMapping",), mapping=mode)
    select = 'SELECT i AS "col-1", \'old\' AS "col-2" FROM range(100) r(i)'
    table.commit(table.file("a.parquet", select, "(FIELD_IDS {'col-1': 1, 'col-2': 2})"))
    # v is dropped, another v is added, and id is renamed.
    after = (a_column("key", "long", 1, "col-1"), a_column("v", "string", 3, "col-3"))
    table.commit({"metaData": table.metadata(*after, mapping=mode)})
    select = 'SELECT i AS "col-1", \'new\' AS "col-3" FROM range(100, 200) r(i)'
    table.commit(table.file("b.parquet", select, "(FIELD_IDS {'col-1': 1, 'col-3': 3})"))
    expected = [{"key": i, "v": None if i < 100 else "new"} for i in range(200)]
    assert in_any_order(read_by_delta_rs(table.folder)) == in_any_order(expected)
    check(folder(tmp_path), "main.t", expected)


def test_a_file_without_the_ids_that_the_table_goes_by_is_refused(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id", "long", 1, "c"), features=("columnMapping",), mapping="id")
    table.commit(table.file("a.parquet", "SELECT 1::BIGINT AS c"))
    source = folder(tmp_path)
    with pytest.raises(SourceUnavailable, match="ids"):
        document(source, a_table_of(source, "main.t"), FileFormat.CSV)


def test_a_type_that_was_widened(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id", "integer"), a_column("x", "float"), features=("typeWidening",))
    table.commit(table.file("a.parquet", "SELECT 7::INTEGER AS id, 0.5::FLOAT AS x"))
    table.commit({"metaData": table.metadata(a_column("id"), a_column("x", "double"))})
    table.commit(table.file("b.parquet", "SELECT 2::BIGINT ** 40 AS id, 0.1::DOUBLE AS x"))
    source = folder(tmp_path)
    made = document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    assert made.stored == b"id,x\n7,0.5\n1099511627776,0.1\n"


def test_values_of_partitions_are_the_logs(tmp_path: Path) -> None:
    kinds: dict[str, tuple[str, list[str | None], list[Any]]] = {
        "text": ("string", ["é /=%", "", None], ["é /=%", None, None]),
        "whole": ("integer", ["-5", "", None], [-5, None, None]),
        "exact": ("decimal(10,2)", ["1.50", "", None], [Decimal("1.50"), None, None]),
        "truth": ("boolean", ["true", "", None], [True, None, None]),
        "day": ("date", ["2024-02-29", "", None], [date(2024, 2, 29), None, None]),
        "at": (
            "timestamp",
            ["2024-02-29T12:00:00.123456Z", "", None],
            [datetime(2024, 2, 29, 12, 0, 0, 123456, ZoneInfo("UTC")), None, None],
        ),
    }
    table = HandWritten(tmp_path / "t")
    table.create(
        a_column("id"),
        *(a_column(name, kind) for name, (kind, _, _) in kinds.items()),
        partitions=tuple(kinds),
        reader=1,
    )
    table.commit(
        *(
            table.file(
                f"{index}.parquet",
                f"SELECT {index}::BIGINT AS id",
                partition={name: values[index] for name, (_, values, _) in kinds.items()},
            )
            for index in range(3)
        )
    )
    expected = [
        {"id": index} | {name: values[index] for name, (_, _, values) in kinds.items()}
        for index in range(3)
    ]
    check(folder(tmp_path), "main.t", expected, ranges=3)


def test_a_timestamp_as_spark_writes_it(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("at", "timestamp"), reader=1)
    moments = [datetime(year, 7, 1, 12, 30, 1, 654321, UTC) for year in (1950, 2024, 2200)]
    added = table.file("a.parquet", "SELECT 1 AS at")
    pq.write_table(
        pa.table({"at": pa.array(moments, pa.timestamp("us", "UTC"))}),
        table.folder / "a.parquet",
        use_deprecated_int96_timestamps=True,
    )
    table.commit(added)
    source = folder(tmp_path)
    made = document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    assert made.stored.decode().split() == [
        "at",
        *(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in moments),
    ]


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_checkpoint_with_sidecars(tmp_path: Path, form: str) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), features=("v2Checkpoint", "deletionVectors"))
    first = table.file("a.parquet", "SELECT i AS id FROM range(10) r(i)")
    second = table.file("b.parquet", "SELECT i AS id FROM range(10, 20) r(i)", deleted=inline([0]))
    table.commit(first, second)
    log = tmp_path / "t/_delta_log"
    kept = [json.loads(line) for line in (log / f"{0:020d}.json").read_text().splitlines()]
    kept += [{"checkpointMetadata": {"version": 1}}]
    kept += [{"sidecar": {"path": f"{n}.parquet", "sizeInBytes": 1}} for n in ("one", "two")]
    name = f"{1:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11"
    (log / f"{name}.json").write_text("\n".join(json.dumps(action) for action in kept))
    (log / "_sidecars").mkdir()
    with duckdb.connect() as connection:
        for sidecar, action in (("one", first), ("two", second)):
            (tmp_path / "action.json").write_text(json.dumps(action))
            source = literal(str(tmp_path / "action.json"))
            values = "{add: 'STRUCT(path VARCHAR, partitionValues MAP(VARCHAR, VARCHAR), %s)'}"
            vector = (
                "deletionVector STRUCT(storageType VARCHAR, pathOrInlineDv VARCHAR, "
                '"offset" INTEGER, sizeInBytes INTEGER, cardinality BIGINT)'
            )
            connection.execute(
                f"COPY (FROM read_json({source}, columns = {values % vector})) "
                f"TO '{log}/_sidecars/{sidecar}.parquet'"
            )
        if form == "parquet":
            connection.execute(
                f"COPY (FROM read_json('{log}/{name}.json', format = 'newline_delimited', "
                "map_inference_threshold = -1)) "
                f"TO '{log}/{name}.parquet'"
            )
            (log / f"{name}.json").unlink()
    for commit in range(2):
        (log / f"{commit:020d}.json").unlink()
    expected = [{"id": i} for i in range(20) if i != 10]
    check(folder(tmp_path), "main.t", expected, ranges=4)


def a_table_with_a_checkpoint(place: Path, commits: int = 9) -> Path:
    """Ten rows a commit in two partitions, every eighth row deleted, a checkpoint at the end."""
    for number in range(commits - 1):
        ids = range(number * 10, number * 10 + 10)
        day = pa.table({"id": pa.array(ids, pa.int64()), "p": [f"p{i % 2}" for i in ids]})
        write_deltalake(str(place), day, mode="append", partition_by=["p"])
    DeltaTable(str(place)).delete("id % 8 = 1")
    DeltaTable(str(place)).create_checkpoint()
    return place


def drop_commits(place: Path, upto: int) -> None:
    """The log's files up to this version, which a checkpoint made superfluous."""
    for commit in range(upto + 1):
        (place / f"_delta_log/{commit:020d}.json").unlink()


@pytest.mark.parametrize("parts", [2, 5])
def test_a_checkpoint_in_several_parts(tmp_path: Path, parts: int) -> None:
    place = a_table_with_a_checkpoint(tmp_path / "t")
    cut_checkpoint(place, 8, parts)
    write_deltalake(str(place), pa.table({"id": [1000], "p": ["p0"]}), mode="append")
    expected = read_by_delta_rs(place)
    assert {"id": 1000, "p": "p0"} in expected
    drop_commits(place, 8)
    assert WAREHOUSE.current_version(folder(tmp_path)) == "t=9"
    check(folder(tmp_path), "main.t", expected)


def test_a_checkpoint_of_which_a_part_is_missing_does_not_count(tmp_path: Path) -> None:
    place, source = a_table_with_a_checkpoint(tmp_path / "t"), folder(tmp_path)
    table = a_table_of(source, "main.t")
    expected = document(source, table, FileFormat.CSV, version="t=8")
    parts = cut_checkpoint(place, 8, 3)
    parts[1].unlink()
    # The commits say the same.
    assert document(source, table, FileFormat.CSV, version="t=8") == expected
    drop_commits(place, 8)
    assert not WAREHOUSE.holds_version(source, "t=8")
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version="t=8")


def test_two_writers_of_one_checkpoint_leave_it_in_different_parts(tmp_path: Path) -> None:
    place, source = a_table_with_a_checkpoint(tmp_path / "t"), folder(tmp_path)
    expected = read_by_delta_rs(place)
    whole = place / f"_delta_log/{8:020d}.checkpoint.parquet"
    content = whole.read_bytes()
    cut_checkpoint(place, 8, 3)
    whole.write_bytes(content)
    missing, *_ = cut_checkpoint(place, 8, 2)
    missing.unlink()  # the second writer died half way
    drop_commits(place, 8)
    check(source, "main.t", expected)


def test_an_older_checkpoint_is_read_on_where_the_last_one_is_not_whole(tmp_path: Path) -> None:
    place, source = a_table_with_a_checkpoint(tmp_path / "t"), folder(tmp_path)
    cut_checkpoint(place, 8, 2)
    write_deltalake(str(place), pa.table({"id": [1000], "p": ["p0"]}), mode="append")
    expected = read_by_delta_rs(place)
    DeltaTable(str(place)).create_checkpoint()
    missing, *_ = cut_checkpoint(place, 9, 4)
    missing.unlink()
    drop_commits(place, 8)
    check(source, "main.t", expected)


# --- what is refused -----------------------------------------------------------------------------


def refusals(path: Path) -> set[str | None]:
    described = WAREHOUSE.describe(folder(path), "main.t")
    assert described
    assert all(column.type is None for column in described)
    return {column.reason for column in described}


@pytest.mark.parametrize(
    ("feature", "reader", "told"),
    [
        ("catalogManaged", 3, "the table uses catalogManaged of Delta, which is not read here"),
        ("variantType", 3, "the table uses variantType of Delta, which is not read here"),
        ("", 4, "the table asks for readers of version 4 of Delta"),
    ],
)
def test_a_table_that_asks_for_more_is_refused_with_the_reason(
    tmp_path: Path, feature: str, reader: int, told: str
) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), features=(feature,) if feature else (), reader=reader)
    assert refusals(tmp_path) == {told}


@pytest.mark.parametrize(
    "path", ["s3://other/x.parquet", "file:///etc/x", "/etc/x", "../x.parquet", "a%2F..%2Fx", "a*"]
)
def test_a_file_outside_the_tables_folder_is_not_read(tmp_path: Path, path: str) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), reader=1)
    added = table.file("a.parquet", "SELECT 1::BIGINT AS id")["add"]
    table.commit({"add": added | {"path": path}})
    (reason,) = refusals(tmp_path)
    assert reason is not None
    assert "outside its folder" in reason


def test_columns_that_cannot_be_exact_are_refused_alone(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(
        a_column("id"),
        a_column("at", "timestamp"),
        a_column("raw", "binary"),
        a_column("any", "variant"),
        partitions=("at", "raw"),
        reader=1,
    )
    values = {"at": "2024-01-01 00:00:00", "raw": "x"}
    table.commit(table.file("a.parquet", "SELECT 1::BIGINT AS id", partition=values))
    source = folder(tmp_path)
    described = {c.name: c for c in WAREHOUSE.describe(source, "main.t")}
    assert [c.name for c in described.values() if c.type is not None] == ["id"]
    assert described["at"].reason == (
        "the log has its values, by which the table is partitioned, without a zone"
    )
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).stored == b"id\n1\n"


def test_a_damaged_vector_ends_the_export(tmp_path: Path) -> None:
    table = HandWritten(tmp_path / "t")
    table.create(a_column("id"), features=("deletionVectors",))
    (vector,) = table.vector_file([1, 2, 3])
    table.commit(table.file("a.parquet", "SELECT i AS id FROM range(10) r(i)", deleted=vector))
    source = folder(tmp_path)
    configured = a_table_of(source, "main.t")
    assert document(source, configured, FileFormat.CSV).rows == 7
    (file,) = table.folder.glob("*.bin")
    content = file.read_bytes()
    for damaged in (content[:-9], content[:-1] + b"\x00", b""):
        file.write_bytes(damaged)
        with pytest.raises(SourceUnavailable, match="deletion vector"):
            document(source, configured, FileFormat.CSV)
    file.unlink()
    with pytest.raises(SourceChanged):
        document(source, configured, FileFormat.CSV)


def test_a_vector_of_another_number_of_rows_is_damaged() -> None:
    vector = a_vector([1, 2, 2**33])
    assert list(deleted_rows(vector, 3)) == [1, 2, 2**33]
    for damaged, cardinality in ((vector, 2), (vector[:-1], 3), (b"x" * 20, 0), (b"", 0)):
        with pytest.raises(DamagedVector):
            deleted_rows(damaged, cardinality)


def test_a_log_with_a_gap_is_not_read(tmp_path: Path) -> None:
    place, source = tmp_path / "t", folder(tmp_path)
    for _ in range(3):
        write_deltalake(str(place), pa.table({"id": [1]}), mode="append")
    (place / f"_delta_log/{1:020d}.json").unlink()
    assert not WAREHOUSE.holds_version(source, "t=2")
    assert WAREHOUSE.holds_version(source, "t=0")


def test_a_folder_without_tables_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no delta table"):
        WAREHOUSE.current_version(folder(tmp_path / "nowhere"))


def test_too_many_tables_for_a_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"id": [1]}))
    monkeypatch.setattr(logged_tables, "_MAX_VERSION_CHARACTERS", 2)
    with pytest.raises(SourceUnavailable, match="several folders"):
        WAREHOUSE.current_version(folder(tmp_path))


# --- in S3 ----------------------------------------------------------------------------------------


def uploaded(place: Path, bucket: str, prefix: str) -> None:
    s3 = boto3.client("s3")
    for file in place.rglob("*"):
        if file.is_file():
            s3.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(place).as_posix()}")


def test_tables_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    place = tmp_path / "lake/things"
    write_deltalake(str(place), rows(), partition_by=["tenant"])
    DeltaTable(str(place)).delete("id % 10 = 0")
    DeltaTable(str(place)).create_checkpoint()
    table = HandWritten(tmp_path / "lake/by hand")
    table.create(a_column("id"), features=("deletionVectors",))
    (vector,) = table.vector_file(range(0, 1000, 2))
    table.commit(table.file("a b.parquet", "SELECT i AS id FROM range(1000) r(i)", deleted=vector))
    uploaded(tmp_path / "lake", bucket, "deep/lake")
    source = folder(f"s3://{bucket}/deep/lake")
    assert WAREHOUSE.current_version(source) == "by+hand=1&things=1"
    check(source, "main.things", read_by_delta_rs(place))
    check(source, "main.by hand", [{"id": i} for i in range(1, 1000, 2)])


def test_a_loader_commits_while_a_bucket_is_read(tmp_path: Path, bucket: str) -> None:
    place = tmp_path / "t"
    write_deltalake(str(place), rows())
    uploaded(tmp_path, bucket, "lake")
    source = folder(f"s3://{bucket}/lake")
    version, table = WAREHOUSE.current_version(source), a_table_of(source, "main.t")
    cut = SPLITTING.plan(source, version, table, FileFormat.CSV, target_bytes=2000, max_ranges=3)
    before = document(source, table, FileFormat.CSV, version=version, ranges=cut)
    DeltaTable(str(place)).delete("id < 1000")
    write_deltalake(str(place), rows(), mode="append")
    uploaded(tmp_path, bucket, "lake")
    assert document(source, table, FileFormat.CSV, version=version, ranges=cut) == before
    assert WAREHOUSE.holds_version(source, version)
    assert document(source, table, FileFormat.CSV).rows == 2 * N - 1000


def test_only_the_sources_folder_is_in_reach(tmp_path: Path, bucket: str) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"id": [1]}))
    uploaded(tmp_path, bucket, "lake")
    with opened(folder(f"s3://{bucket}/lake"), None, Limits()) as reader:
        for place in ("s3://other/x.parquet", f"s3://{bucket}/lakes/x.parquet", "/etc/passwd"):
            with pytest.raises(duckdb.PermissionException):
                reader.connection.execute(f"FROM read_parquet('{place}')")


def test_a_bucket_that_is_not_there_is_unavailable(bucket: str) -> None:
    with pytest.raises(SourceUnavailable):
        WAREHOUSE.tables(folder("s3://nowhere/lake"))


def test_without_credentials_a_bucket_is_unavailable(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceUnavailable, match="credentials"):
        WAREHOUSE.tables(folder(f"s3://{bucket}/lake"))
