"""The stream itself: what ends it, what it leaves behind, what it takes."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.sources import opened
from headrace.adapters.warehouse.streaming import CHUNK, CopyStream, Pipe
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable, ValueNotExportable
from tests.component.warehouse.places import (
    ONLY,
    PLAIN,
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    loader,
)


def descriptors() -> set[tuple[str, str]]:
    """What the process has open; a listing's own descriptor is gone when it is looked at."""
    held = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            held.add((entry.name, str(entry.readlink())))
    return {(name, target) for name, target in held if "/fd" not in target}


def copies_running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "copy"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """40 MB of CSV: more than the pipe holds."""
    path = tmp_path_factory.mktemp("stream") / "x.duckdb"
    return a_duckdb_file(
        path, "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS v FROM range(1000000) r(i)"
    )


@pytest.mark.parametrize("read", [0, 1, 5])
@pytest.mark.parametrize("file_format", FileFormat)
def test_leaving_early_stops_the_copy(large: Source, file_format: FileFormat, read: int) -> None:
    table, version = a_table_of(large, "main.t"), WAREHOUSE.current_version(large)
    before = descriptors()
    with WAREHOUSE.stream(large, version, table, None, file_format, PLAIN, ONLY) as stream:
        chunks = iter(stream)
        for _ in range(read):
            next(chunks)
        with pytest.raises(ValueError, match="at the end"):
            _ = stream.rows
    assert not copies_running()
    assert descriptors() == before


def test_leaving_early_by_an_error_stops_the_copy(large: Source) -> None:
    table, version = a_table_of(large, "main.t"), WAREHOUSE.current_version(large)
    before = descriptors()

    def reader_fails() -> None:
        with WAREHOUSE.stream(
            large, version, table, None, FileFormat.CSV, Compression.GZIP, ONLY
        ) as stream:
            for _ in stream:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader_fails()
    assert not copies_running()
    assert descriptors() == before


def test_a_copy_that_writes_nothing_for_long_is_stopped_too() -> None:
    connection = engine.connect(Limits())
    # A thousand million rows are counted before the first byte is written.
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range < -1"
    with Pipe() as pipe:
        with CopyStream(pipe, connection, slow, [], "FORMAT csv") as copy:
            assert next(iter(copy)) == b""  # a second went by: a moment to look whether to go on
            left = time.monotonic()
        assert time.monotonic() - left < 2
    assert not copies_running()
    connection.close()


def test_a_failure_after_many_rows_reaches_the_reader(tmp_path: Path) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        "CREATE TABLE t AS SELECT i, CASE i WHEN 900000 THEN 'NaN' ELSE '[1]' END::JSON AS v "
        "FROM range(1000000) r(i)",
    )
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    before = descriptors()
    for compression in Compression:
        size = 0
        with (
            WAREHOUSE.stream(
                source, version, table, None, FileFormat.NDJSON, compression, ONLY
            ) as stream,
            pytest.raises(ValueNotExportable),
        ):
            for chunk in stream:
                size += len(chunk)
        assert size > 0
    assert descriptors() == before


def test_a_file_that_vanishes_under_a_lake_ends_the_stream_in_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    source = a_lake(
        folder,
        "CREATE TABLE t AS SELECT range AS i FROM range(300000)",
        "INSERT INTO t SELECT range AS i FROM range(300000)",
    )
    table = a_table_of(source, "main.t")
    for file in sorted((folder / "data").rglob("*.parquet"))[1:]:
        file.unlink()
    with pytest.raises(SourceUnavailable) as caught:
        document(source, table, FileFormat.CSV)
    assert str(tmp_path) not in str(caught.value)


def test_a_damaged_file_ends_the_stream_in_an_error(tmp_path: Path) -> None:
    source = a_parquet_folder(
        tmp_path / "f", t="SELECT md5(range::VARCHAR) AS v FROM range(300000)"
    )
    table = a_table_of(source, "main.t")
    path = tmp_path / "f" / "t.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 5000] = b"\xff" * 5000
    path.write_bytes(damaged)
    with pytest.raises((SourceUnavailable, ValueNotExportable)):
        document(source, table, FileFormat.CSV)


def test_too_little_memory_is_said_and_nothing_is_spilled(tmp_path: Path) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        "CREATE TABLE t AS SELECT repeat(md5(i::VARCHAR), 2000) AS v FROM range(3000) r(i)",
    )
    table, version = a_table_of(source, "main.t"), WAREHOUSE.current_version(source)
    small = DuckdbWarehouse(Limits(memory="16MB"))
    with (
        small.stream(source, version, table, None, FileFormat.NDJSON, PLAIN, ONLY) as stream,
        pytest.raises(SourceUnavailable, match="memory"),
    ):
        list(stream)
    assert not list(Path.cwd().glob("*.tmp"))


def test_chunks_are_full_whatever_the_pace(large: Source) -> None:
    table, version = a_table_of(large, "main.t"), WAREHOUSE.current_version(large)
    with WAREHOUSE.stream(large, version, table, None, FileFormat.CSV, PLAIN, ONLY) as stream:
        sizes = [len(chunk) for chunk in stream if chunk]
    assert set(sizes[:-1]) == {CHUNK}
    assert stream.rows == 1_000_000


def test_two_streams_at_once_do_not_meet(large: Source) -> None:
    table, version = a_table_of(large, "main.t"), WAREHOUSE.current_version(large)
    alone = document(large, table, FileFormat.CSV)
    with (
        WAREHOUSE.stream(large, version, table, None, FileFormat.CSV, PLAIN, ONLY) as one,
        WAREHOUSE.stream(large, version, table, None, FileFormat.CSV, PLAIN, ONLY) as other,
    ):
        pairs = list(zip(one, other, strict=True))
    assert b"".join(chunk for chunk, _ in pairs) == alone.stored
    assert b"".join(chunk for _, chunk in pairs) == alone.stored


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('/proc/self/environ')",
        "FROM glob('/etc/*')",
        "ATTACH '/tmp/other.duckdb'",
        "COPY (SELECT 1) TO '/tmp/elsewhere.csv'",
        "COPY (SELECT 1) TO '/proc/self/fd/2' (USE_TMP_FILE false)",
        "INSTALL spatial",
        "LOAD '/tmp/x.duckdb_extension'",
        "SET enable_external_access = true",
        "SET memory_limit = '10GB'",
        "FROM read_csv('http://127.0.0.1:1/x')",
        "INSERT INTO source.main.t VALUES (1)",
        "DROP TABLE source.main.t",
    ],
)
@pytest.mark.parametrize("kind", ["ducklake", "duckdb", "parquet"])
def test_the_engine_reaches_its_source_and_nothing_else(
    tmp_path: Path, kind: str, statement: str
) -> None:
    made = "CREATE TABLE t AS SELECT 1 AS i"
    source = {
        "ducklake": lambda: a_lake(tmp_path / "lake", made),
        "duckdb": lambda: a_duckdb_file(tmp_path / "x.duckdb", made),
        "parquet": lambda: a_parquet_folder(tmp_path / "folder", t="SELECT 1 AS i"),
    }[kind]()
    with opened(source, None, Limits()) as reader:
        (scan,) = reader.scans("main.t", None)
        assert reader.connection.execute(f"SELECT i FROM {scan.relation}").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            reader.connection.execute(statement)


def test_it_works_where_the_home_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = a_lake(tmp_path / "lake", "CREATE TABLE t AS SELECT 1 AS i")
    monkeypatch.setenv("HOME", "/nonexistent")
    before = set(tmp_path.rglob("*"))
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).stored == b"i\n1\n"
    assert {
        path for path in set(tmp_path.rglob("*")) - before if "catalog" not in path.name
    } == set()


def test_a_catalog_without_a_write_ahead_log_is_read_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "lake"
    source = a_lake(folder, "CREATE TABLE t AS SELECT 1 AS i")
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).rows == 1
    assert "WAL" not in caplog.text
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        catalog.execute("PRAGMA journal_mode = DELETE")
    catalog.close()
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).rows == 1
    assert "WAL" in caplog.text
    with loader(folder):
        pass


def test_the_engine_takes_its_share_of_the_workers_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
    assert Limits().memory == "707MB"
    connection = engine.connect(Limits())
    shown = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert shown == ("674.2 MiB",)
    connection.close()


def test_nothing_is_drawn_on_standard_output() -> None:
    """Started as ``python -c``, Python looks like a person's session to DuckDB."""
    show = (
        "from headrace.adapters.warehouse import engine; c = engine.connect(engine.Limits()); "
        "print(c.execute(\"SELECT current_setting('enable_progress_bar')\").fetchone())"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout == "(False,)\n"


@pytest.mark.parametrize("file_format", FileFormat)
def test_rows_of_many_kilobytes_fit(tmp_path: Path, file_format: FileFormat) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        "CREATE TABLE t AS SELECT repeat(md5(i::VARCHAR), 300) AS v FROM range(20000) r(i)",
    )
    assert document(source, a_table_of(source, "main.t"), file_format).rows == 20_000
