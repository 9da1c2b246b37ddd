"""How old the newest data of lakes, tables and files is."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable
from tests.component.warehouse.delta_logs import HandWritten, a_column
from tests.component.warehouse.places import (
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    lake_source,
    loader,
)

HOUR = timedelta(hours=1)
TWO_FILES = (
    "CREATE TABLE t(id BIGINT)",
    "INSERT INTO t SELECT i FROM range(20000) r(i)",
    "INSERT INTO t SELECT i FROM range(20000) r(i)",
    "DELETE FROM t WHERE id % 3 = 0",
)


def age(source: Source) -> timedelta:
    told = WAREHOUSE.freshness(source, datetime.now(UTC))
    assert told.lag is None
    assert told.age is not None
    return told.age


def about(span: timedelta) -> object:
    return pytest.approx(span.total_seconds(), abs=60)


# --- DuckLake -----------------------------------------------------------------------------------


def backdate(folder: Path, hours: float) -> None:
    """All snapshots, as if they had been committed so long before."""
    with loader(folder) as connection:
        connection.execute(
            "UPDATE __ducklake_metadata_lake.ducklake_snapshot SET snapshot_time = "
            f"(CAST(snapshot_time AS TIMESTAMPTZ) - INTERVAL '{hours * 3600} seconds')::VARCHAR"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",  # inlined: fewer rows than a file is made for
        "INSERT INTO t SELECT i FROM range(20000) r(i)",
        "DELETE FROM t WHERE id = 19999",
        "UPDATE t SET id = -1 WHERE id = 19999",
        "TRUNCATE t",
        "CREATE TABLE other AS SELECT 1 AS id",
    ],
)
def test_a_lake_is_as_old_as_the_newest_snapshot_that_changed_rows(
    tmp_path: Path, statement: str
) -> None:
    source = a_lake(tmp_path, *TWO_FILES)
    backdate(tmp_path, 5)
    assert age(source).total_seconds() == about(5 * HOUR)
    a_lake(tmp_path, statement)
    assert age(source).total_seconds() == about(timedelta())


MAINTENANCE = (
    "CREATE TABLE empty(id BIGINT)",
    "ALTER TABLE t ADD COLUMN more INTEGER",
    "CREATE VIEW seen AS SELECT 1 AS id",
    "CALL ducklake_flush_inlined_data('lake')",
    "CALL ducklake_rewrite_data_files('lake', 't', delete_threshold => 0.1)",
    "CALL ducklake_merge_adjacent_files('lake')",
)


def test_what_only_rearranges_a_lake_makes_it_no_younger(tmp_path: Path) -> None:
    source = a_lake(tmp_path, *TWO_FILES, "INSERT INTO t VALUES (1)")
    backdate(tmp_path, 5)
    before = snapshots(tmp_path)
    a_lake(tmp_path, *MAINTENANCE)
    assert snapshots(tmp_path) >= before + len(MAINTENANCE) - 1  # else nothing would be shown
    assert age(source).total_seconds() == about(5 * HOUR)


def snapshots(folder: Path) -> int:
    with loader(folder) as connection:
        row = connection.execute(
            "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_snapshot"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_lake_that_kept_no_snapshot_that_changed_rows_is_as_old_as_the_oldest(
    tmp_path: Path,
) -> None:
    a_lake(tmp_path, *TWO_FILES, "CREATE VIEW one AS SELECT 1 AS id")
    backdate(tmp_path, 5)
    a_lake(tmp_path, "CREATE VIEW two AS SELECT 1 AS id")
    backdate(tmp_path, 2)
    with loader(tmp_path) as connection:
        connection.execute(
            "CALL ducklake_expire_snapshots('lake', older_than => now() - INTERVAL 3 HOUR)"
        )
    assert snapshots(tmp_path) == 1  # that of the second view
    assert age(lake_source(tmp_path)).total_seconds() == about(2 * HOUR)


def test_a_loader_whose_clock_is_ahead_makes_no_lake_younger_than_new(tmp_path: Path) -> None:
    source = a_lake(tmp_path, *TWO_FILES)
    backdate(tmp_path, -3)
    assert age(source) == timedelta()


# --- Delta --------------------------------------------------------------------------------------


def millis(hours: float) -> int:
    return int((datetime.now(UTC) - timedelta(hours=hours)).timestamp() * 1000)


def a_delta_table(folder: Path, hours: float) -> HandWritten:
    """A table whose rows were written so long ago."""
    table = HandWritten(folder)
    table.create(a_column("id"))
    table.commit(
        {"commitInfo": {"timestamp": millis(hours), "operation": "WRITE"}},
        table.file("a.parquet", "SELECT 1::BIGINT AS id"),
    )
    return table


def test_a_delta_source_is_as_old_as_the_newest_commit_of_any_table(tmp_path: Path) -> None:
    source = Source("d", "delta", {"path": str(tmp_path)})
    a_delta_table(tmp_path / "t", 9)
    a_delta_table(tmp_path / "u", 5)
    (tmp_path / "no-table").mkdir()
    assert age(source).total_seconds() == about(5 * HOUR)


def test_the_commits_time_within_the_log_comes_before_the_others(tmp_path: Path) -> None:
    source = Source("d", "delta", {"path": str(tmp_path)})
    table = a_delta_table(tmp_path / "t", 9)
    told = {"timestamp": millis(1), "inCommitTimestamp": millis(3)}
    table.commit({"commitInfo": told}, table.file("b.parquet", "SELECT 2::BIGINT AS id"))
    assert age(source).total_seconds() == about(3 * HOUR)


def test_a_commit_that_tells_no_time_is_as_old_as_its_file(tmp_path: Path) -> None:
    source = Source("d", "delta", {"path": str(tmp_path)})
    table = a_delta_table(tmp_path / "t", 9)
    table.commit(table.file("b.parquet", "SELECT 2::BIGINT AS id"))
    then = (datetime.now(UTC) - 4 * HOUR).timestamp()
    os.utime(table.folder / f"_delta_log/{table.version:020d}.json", (then, then))
    assert age(source).total_seconds() == about(4 * HOUR)


def rearranged(table: HandWritten) -> list[dict[str, object]]:
    moved = table.file("c.parquet", "SELECT 1::BIGINT AS id")
    moved["add"]["dataChange"] = False
    gone = {"remove": {"path": "a.parquet", "deletionTimestamp": 1, "dataChange": False}}
    return [moved, gone]


def nothing(table: HandWritten) -> list[dict[str, object]]:
    return []  # as VACUUM START has it


@pytest.mark.parametrize("actions", [rearranged, nothing])
def test_a_commit_that_changes_no_rows_makes_a_table_no_younger(
    tmp_path: Path, actions: Callable[[HandWritten], list[dict[str, object]]]
) -> None:
    source = Source("d", "delta", {"path": str(tmp_path)})
    table = a_delta_table(tmp_path / "t", 9)
    table.commit({"commitInfo": {"timestamp": millis(1)}}, *actions(table))
    assert age(source).total_seconds() == about(9 * HOUR)


def test_a_table_of_which_only_a_checkpoint_is_left_is_as_old_as_that(tmp_path: Path) -> None:
    source = Source("d", "delta", {"path": str(tmp_path)})
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    checkpoint = log / f"{4:020d}.checkpoint.parquet"
    checkpoint.write_bytes(b"")
    then = (datetime.now(UTC) - 4 * HOUR).timestamp()
    os.utime(checkpoint, (then, then))
    assert age(source).total_seconds() == about(4 * HOUR)


def test_a_folder_without_a_delta_table_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        WAREHOUSE.freshness(Source("d", "delta", {"path": str(tmp_path)}), datetime.now(UTC))


# --- files --------------------------------------------------------------------------------------


def files_of(folder: Path) -> Iterator[Path]:
    return (one for one in sorted(folder.rglob("*")) if one.is_file())


def test_a_folder_of_parquet_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    source = a_parquet_folder(tmp_path, t="SELECT 1 AS id", u=["SELECT 1 AS id", "SELECT 2 AS id"])
    for hours, file in enumerate(files_of(tmp_path), start=3):
        then = (datetime.now(UTC) - hours * HOUR).timestamp()
        os.utime(file, (then, then))
    assert age(source).total_seconds() == about(3 * HOUR)


def test_an_empty_folder_has_no_age(tmp_path: Path) -> None:
    empty = Source("p", "parquet", {"path": str(tmp_path)})
    assert WAREHOUSE.freshness(empty, datetime.now(UTC)).age is None


def test_a_duckdb_file_is_as_old_as_its_last_change(tmp_path: Path) -> None:
    source = a_duckdb_file(tmp_path / "a.duckdb", "CREATE TABLE t(id BIGINT)")
    then = (datetime.now(UTC) - 6 * HOUR).timestamp()
    os.utime(tmp_path / "a.duckdb", (then, then))
    assert age(source).total_seconds() == about(6 * HOUR)


def test_what_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for kind, options in (
        ("ducklake", {"catalog": f"sqlite:{tmp_path}/none.sqlite"}),
        ("duckdb", {"path": f"{tmp_path}/none.duckdb"}),
        ("parquet", {"path": f"{tmp_path}/none"}),
    ):
        with pytest.raises(SourceUnavailable):
            WAREHOUSE.freshness(Source("x", kind, options), datetime.now(UTC))


def test_files_in_s3_are_as_old_as_s3_says(bucket: str, tmp_path: Path) -> None:
    a_parquet_folder(tmp_path / "p", t="SELECT 1 AS id")
    table = HandWritten(tmp_path / "d" / "t")
    table.create(a_column("id"))
    s3 = boto3.client("s3")
    for file in files_of(tmp_path):
        s3.upload_file(str(file), bucket, file.relative_to(tmp_path).as_posix())
    for kind, prefix in (("parquet", "p"), ("delta", "d")):
        source = Source("x", kind, {"path": f"s3://{bucket}/{prefix}/"})
        assert age(source).total_seconds() == about(timedelta())
    told = json.dumps({"commitInfo": {"timestamp": millis(7)}})
    key = f"d/t/_delta_log/{table.version:020d}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=told.encode())
    assert age(source).total_seconds() == about(7 * HOUR)
