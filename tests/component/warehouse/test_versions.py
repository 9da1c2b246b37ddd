"""Reading at a version, while the source moves on."""

import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.adapters.warehouse.engine import Limits
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import AccountColumn, ColumnType, RowFilter, SharedRows
from headrace.kernel.errors import SchemaChanged, SourceChanged, SourceUnavailable
from tests.component.warehouse.places import (
    ONLY,
    PLAIN,
    SPLITTING,
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    lake_source,
    loader,
    part,
    rows_of,
)

MANY_CHANGES = (
    "CREATE TABLE t(id BIGINT, tenant VARCHAR, v VARCHAR)",
    *(
        "INSERT INTO t SELECT i, 'abc'[1 + i % 3], 'v' || i "
        f"FROM range({n * 3000}, {n * 3000 + 3000}) r(i)"
        for n in range(6)
    ),
    "DELETE FROM t WHERE id % 7 = 0",
    "UPDATE t SET v = v || 'u' WHERE id % 11 = 0",
    *(f"INSERT INTO t VALUES ({100000 + n}, 'a', 'inlined')" for n in range(25)),
    "DELETE FROM t WHERE id = 100003",
    "UPDATE t SET v = 'changed' WHERE id IN (100005, 12)",
    "ALTER TABLE t ADD COLUMN extra INTEGER DEFAULT 5",
    "INSERT INTO t VALUES (200000, 'a', 'with extra', 7)",
    "DELETE FROM t WHERE id BETWEEN 4000 AND 4999",
    "UPDATE t SET tenant = 'b' WHERE id BETWEEN 5000 AND 5100",
)


def test_a_lake_of_many_small_changes_reads_whole_and_in_ranges(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *MANY_CHANGES)
    with loader(folder) as connection:
        truth = Counter(
            connection.execute("SELECT id::VARCHAR, tenant, v, extra::VARCHAR FROM t").fetchall()
        )
    version = WAREHOUSE.current_version(source)
    table = a_table_of(source, "main.t")
    ranges = SPLITTING.plan(
        source, version, table, FileFormat.CSV, target_bytes=20_000, max_ranges=20
    )
    assert len(ranges) > 10
    for split in (None, ranges):
        made = document(source, table, FileFormat.CSV, ranges=split)
        rows = rows_of(made.stored, FileFormat.CSV)
        assert Counter(tuple(row.values()) for row in rows) == truth
        assert made.rows == truth.total() == WAREHOUSE.count(source, version, table)


def test_each_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *MANY_CHANGES[:3])
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    before = document(source, table, FileFormat.NDJSON, version=version)
    a_lake(folder, *MANY_CHANGES[3:])
    assert WAREHOUSE.current_version(source) != version
    assert WAREHOUSE.holds_version(source, version)
    assert document(source, table, FileFormat.NDJSON, version=version) == before
    assert document(source, table, FileFormat.NDJSON).rows != before.rows


def test_an_expired_snapshot_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *MANY_CHANGES[:4])
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    snapshot, _, _ = version.partition("@")
    a_lake(
        folder, MANY_CHANGES[4], f"CALL ducklake_expire_snapshots('lake', versions => [{snapshot}])"
    )
    assert not WAREHOUSE.holds_version(source, version)
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)


@pytest.mark.parametrize("version", ["999", "-1", "x", "1; DROP TABLE t", ""])
def test_a_version_that_never_was_is_not_held(tmp_path: Path, version: str) -> None:
    source = a_lake(tmp_path / "lake", *MANY_CHANGES[:2])
    assert not WAREHOUSE.holds_version(source, version)


LOADER = """
import sys
from pathlib import Path
from tests.component.warehouse.places import loader
with loader(Path(sys.argv[1])) as connection:
    for n in range(20):
        connection.execute("INSERT INTO t SELECT i, 'a', 'late' FROM range(50) r(i)")
"""


def test_a_loader_commits_while_an_export_reads(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *MANY_CHANGES[:7])
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    alone = document(source, table, FileFormat.CSV, version=version)
    rows = WAREHOUSE.count(source, version, table)
    with WAREHOUSE.stream(source, version, table, None, FileFormat.CSV, PLAIN, ONLY) as stream:
        chunks = iter(stream)
        # The first bytes are read: the COPY is under way while another process commits 20 times.
        read = [next(chunks)]
        done = subprocess.run(
            [sys.executable, "-c", LOADER, str(folder)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        read += chunks
    assert done.returncode == 0, done.stderr
    assert b"".join(read) == alone.stored
    table_now = a_table_of(source, "main.t")
    now = WAREHOUSE.current_version(source)
    assert WAREHOUSE.count(source, now, table_now) == rows + 1000


def test_a_lake_held_by_a_writer_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, *MANY_CHANGES[:2])
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys\n"
            "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "c.execute('PRAGMA locking_mode = EXCLUSIVE')\n"
            "c.execute('BEGIN EXCLUSIVE')\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()\n",
            f"{folder}/catalog.sqlite",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SourceUnavailable):
            DuckdbWarehouse(Limits(patience_s=0.1)).tables(source)
        release = threading.Timer(1.0, holder.stdin.close)
        release.start()
        assert WAREHOUSE.tables(source) == ("main.t",)
        release.join()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_changed_duckdb_file_is_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    source = a_duckdb_file(path, "CREATE TABLE t AS SELECT range AS i FROM range(500000)")
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    assert WAREHOUSE.holds_version(source, version)
    with (
        WAREHOUSE.stream(source, version, table, None, FileFormat.CSV, PLAIN, ONLY) as stream,
        pytest.raises(SourceChanged),
    ):
        for index, _ in enumerate(stream):
            if index == 0:
                os.utime(path, ns=(1, 1))
    assert not WAREHOUSE.holds_version(source, version)
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)


def test_a_new_file_in_a_folder_is_another_version(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    source = a_parquet_folder(folder, t=["SELECT range AS i FROM range(5)"])
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    assert document(source, table, FileFormat.CSV, version=version).rows == 5
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 7::BIGINT AS i) TO '{folder}/t/zzz.parquet'")
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)
    assert document(source, table, FileFormat.CSV).rows == 6


def test_a_column_that_changed_its_type_ends_the_export(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, "CREATE TABLE t(id INTEGER, v INTEGER)", "INSERT INTO t VALUES (1, 2)")
    table = a_table_of(source, "main.t")
    a_lake(folder, "ALTER TABLE t ALTER COLUMN v SET DATA TYPE BIGINT")
    with pytest.raises(SchemaChanged, match=r"things\.v"):
        document(source, table, FileFormat.CSV)
    a_lake(folder, "ALTER TABLE t DROP COLUMN v")
    with pytest.raises(SchemaChanged, match=r"things\.v"):
        document(source, table, FileFormat.CSV)
    a_lake(folder, "DROP TABLE t")
    with pytest.raises(SchemaChanged, match="things"):
        document(source, table, FileFormat.CSV)


def test_filters_keep_other_tenants_out(tmp_path: Path) -> None:
    source = a_lake(tmp_path / "lake", *MANY_CHANGES)
    sneaky = "b' OR 'a' = 'a"
    for values, tenants in (
        (("b",), {"b"}),
        (("a", "c"), {"a", "c"}),
        ((sneaky,), set()),
        ((), set()),
    ):
        row_filter = RowFilter("tenant", values, ColumnType.STRING)
        table = a_table_of(source, "main.t", row_filter)
        made = document(source, table, FileFormat.CSV)
        assert {row["tenant"] for row in rows_of(made.stored, FileFormat.CSV)} == tenants
        assert made.rows == WAREHOUSE.count(source, WAREHOUSE.current_version(source), table)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("BIGINT", 2**53 + 1),
        ("BOOLEAN", True),
        ("UUID", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("ENUM('x', 'other')", "x"),
        ("DATE", "2024-02-29"),
    ],
)
def test_a_filter_is_of_its_columns_type(tmp_path: Path, kind: str, value: str | int) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        f"CREATE TABLE t AS SELECT CAST('{value}' AS {kind}) AS k UNION ALL SELECT NULL",
    )
    (column,) = WAREHOUSE.describe(source, "main.t")
    assert column.type is not None
    found = a_table_of(source, "main.t", RowFilter("k", (value,), column.type))
    assert document(source, found, FileFormat.CSV).rows == 1
    if kind.startswith("ENUM"):
        none = a_table_of(source, "main.t", RowFilter("k", ("unheard of",), column.type))
        assert document(source, none, FileFormat.CSV).rows == 0


def test_a_lake_that_forgets_which_rows_were_deleted_when_is_not_read_wrongly(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CALL lake.set_option('data_inlining_row_limit', 0)",
        "CALL lake.set_option('write_deletion_vectors', true)",
        "CREATE TABLE t AS SELECT i AS id FROM range(100) r(i)",
        "CREATE TABLE other AS SELECT i AS id FROM range(100) r(i)",
        "DELETE FROM t WHERE id % 10 = 1",
        "DELETE FROM other WHERE id % 10 = 1",
    )
    t, other = a_table_of(source, "main.t"), a_table_of(source, "main.other")
    query = replace(other, query="SELECT * FROM main.other WHERE id IN (SELECT id FROM main.t)")
    version = WAREHOUSE.current_version(source)
    assert WAREHOUSE.counts(source, version, (t, other, query)) == (90, 90, 90)
    a_lake(folder, "DELETE FROM t WHERE id % 10 = 2")
    for table in (t, query):
        with pytest.raises(SourceChanged, match="deletion vectors"):
            document(source, table, FileFormat.CSV, version=version)
        with pytest.raises(SourceChanged, match="deletion vectors"):
            WAREHOUSE.counts(source, version, (other, table))
    assert document(source, other, FileFormat.CSV, version=version).rows == 90
    assert document(source, t, FileFormat.CSV).rows == 80


@pytest.mark.parametrize("collation", ["NOCASE", "NOACCENT", "de"])
def test_a_filter_takes_texts_that_are_the_same_whatever_the_columns_collation(
    tmp_path: Path, collation: str
) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        f"CREATE TABLE t(id INTEGER, tenant VARCHAR COLLATE {collation})",
        "INSERT INTO t VALUES (1, 'ürth'), (2, 'ÜRTH'), (3, 'urth'), (4, 'u\u0308rth')",
    )
    filtered = a_table_of(source, "main.t", RowFilter("tenant", ("ürth",), ColumnType.STRING))
    told = replace(
        a_table_of(source, "main.t"),
        account=AccountColumn("tenant", ColumnType.STRING),
        shared=SharedRows(("ürth",)),
    )
    for table in (filtered, told):
        made = document(source, table, FileFormat.CSV)
        assert [row["id"] for row in rows_of(made.stored, FileFormat.CSV)] == ["1"]
        assert WAREHOUSE.count(source, WAREHOUSE.current_version(source), table) == 1


def test_parts_of_compressed_documents_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    source = a_lake(tmp_path / "lake", *MANY_CHANGES)
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    for compression in Compression:
        for file_format in FileFormat:
            made = {
                part(source, version, table, None, file_format, compression).stored
                for _ in range(3)
            }
            assert len(made) == 1


def test_the_source_is_known_by_its_lake_folder(tmp_path: Path) -> None:
    # A warehouse that was moved: the data path of the source counts, not the one it was made with.
    a_lake(tmp_path / "old", *MANY_CHANGES[:3])
    (tmp_path / "old").rename(tmp_path / "new")
    source = lake_source(tmp_path / "new")
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).rows == 6000


def test_files_outside_the_data_path_are_out_of_reach(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS id) TO '{elsewhere}'")
    source = a_lake(
        tmp_path / "lake",
        "CREATE TABLE t(id INTEGER)",
        f"CALL ducklake_add_data_files('lake', 't', '{elsewhere}')",
    )
    with pytest.raises(SourceUnavailable, match="outside its data path") as caught:
        document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    assert str(tmp_path) not in caught.value.detail
