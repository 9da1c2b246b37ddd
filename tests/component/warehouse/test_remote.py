"""Sources whose files lie in S3, read through the engine's own client."""

from dataclasses import replace
from pathlib import Path

import boto3
import duckdb
import pytest

from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.engine import Limits, load_extension
from headrace.adapters.warehouse.sources import opened
from headrace.exports.model import FileFormat
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceChanged, SourceUnavailable
from tests.component.warehouse.copies import Copy, content_of
from tests.component.warehouse.places import (
    SPLITTING,
    WAREHOUSE,
    a_table_of,
    document,
    loaders_engine,
    rows_of,
)


def loaded(folder: Path, catalog: str, *statements: str) -> Source:
    """A DuckLake with its catalog in ``folder`` and its data in the bucket."""
    with loaders_engine() as connection:
        for name in ("sqlite_scanner", "ducklake"):
            load_extension(connection, name)
        engine.allow_s3(connection)
        connection.execute(f"ATTACH 'ducklake:{catalog}' AS lake (DATA_PATH 's3://lake/data/')")
        connection.execute("USE lake")
        for statement in statements:
            connection.execute(statement)
    shown = catalog if catalog.startswith("sqlite:") else f"duckdb:{catalog}"
    return Source("lake", "ducklake", {"catalog": shown, "data_path": "s3://lake/data"})


STATEMENTS = (
    "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS v FROM range(20000) r(i)",
    "DELETE FROM t WHERE i % 10 = 0",
    "INSERT INTO t VALUES (-1, 'inlined')",
)


def check(source: Source, table_name: str, rows: int) -> None:
    version = WAREHOUSE.current_version(source)
    table = a_table_of(source, table_name)
    ranges = SPLITTING.plan(
        source, version, table, FileFormat.CSV, target_bytes=100_000, max_ranges=3
    )
    assert len(ranges) == 3
    for split in (None, ranges):
        made = document(source, table, FileFormat.CSV, version=version, ranges=split)
        assert made.rows == len(rows_of(made.stored, FileFormat.CSV)) == rows
    assert WAREHOUSE.holds_version(source, version)


def test_changes_of_a_lake_with_its_data_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    catalog = f"sqlite:{tmp_path}/catalog.sqlite"
    source = loaded(tmp_path, catalog, *STATEMENTS[:2])
    copy = Copy(source, replace(a_table_of(source, "main.t"), primary_key=("i",)))
    copy.take_all(WAREHOUSE.current_version(source))
    loaded(
        tmp_path,
        catalog,
        STATEMENTS[2],
        "UPDATE t SET v = 'new' WHERE i % 100 = 1",
        "DELETE FROM t WHERE i < 1000",
    )
    version = WAREHOUSE.current_version(source)
    lists = copy.take_changes(version)
    assert {name: len(rows) for name, rows in lists.items()} == {
        "inserted": 0,
        "updated": 190,
        "deleted": 900,
    }
    assert copy.content() == content_of(source, copy.table, version)


def test_a_lake_with_its_data_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    source = loaded(tmp_path, f"sqlite:{tmp_path}/catalog.sqlite", *STATEMENTS)
    check(source, "main.t", 18_001)


def test_a_frozen_lake_wholly_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    loaded(tmp_path, f"{tmp_path}/meta.ducklake", *STATEMENTS)
    boto3.client("s3").upload_file(f"{tmp_path}/meta.ducklake", bucket, "meta.ducklake")
    source = Source("lake", "ducklake", {"catalog": "duckdb:s3://lake/meta.ducklake"})
    check(source, "main.t", 18_001)


def folder_of_files(bucket: str) -> Source:
    with loaders_engine() as connection:
        engine.allow_s3(connection)
        for name, rows in (("people", 4000), ("days/a", 9000), ("days/b", 1000)):
            connection.execute(
                f"COPY (SELECT i, md5(i::VARCHAR) AS v FROM range({rows}) r(i)) "
                f"TO 's3://{bucket}/tables/{name}.parquet'"
            )
    return Source("folder", "parquet", {"path": f"s3://{bucket}/tables"})


def test_a_folder_of_parquet_files_in_a_bucket(bucket: str) -> None:
    source = folder_of_files(bucket)
    assert WAREHOUSE.tables(source) == ("main.days", "main.people")
    check(source, "main.days", 10_000)


def test_a_file_that_is_replaced_in_the_bucket_is_another_version(bucket: str) -> None:
    source = folder_of_files(bucket)
    table, version = a_table_of(source, "main.days"), WAREHOUSE.current_version(source)
    boto3.client("s3").delete_object(Bucket=bucket, Key="tables/days/b.parquet")
    assert not WAREHOUSE.holds_version(source, version)
    with pytest.raises(SourceChanged):
        document(source, table, FileFormat.CSV, version=version)


def test_another_bucket_is_out_of_reach(bucket: str) -> None:
    source = folder_of_files(bucket)
    with opened(source, None, Limits()) as reader:
        for place in ("s3://other/x.parquet", f"s3://{bucket}/tables-of-others/x.parquet"):
            with pytest.raises(duckdb.PermissionException):
                reader.connection.execute(f"FROM read_parquet('{place}')")


def test_a_bucket_that_is_not_there_is_unavailable(bucket: str) -> None:
    with pytest.raises(SourceUnavailable):
        WAREHOUSE.tables(Source("folder", "parquet", {"path": "s3://nowhere/tables"}))


def test_without_credentials_a_bucket_is_unavailable(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = folder_of_files(bucket)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceUnavailable, match="credentials"):
        WAREHOUSE.tables(source)
