"""A DuckLake whose catalog is in PostgreSQL: many readers, on many machines, beside a loader."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import duckdb
import pytest

from headrace.adapters.postgresql import connection as postgresql_connection
from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.adapters.warehouse.engine import Limits, load_extension
from headrace.adapters.warehouse.sources import opened
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText
from headrace.exports.model import FileFormat
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import (
    ONLY,
    PLAIN,
    SPLITTING,
    WAREHOUSE,
    a_table_of,
    document,
    loaders_engine,
    rows_of,
)

AWKWARD_PASSWORD = "canary 'quoted\" \\ back"


@contextmanager
def loading(server: Server, database: str, data: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A loader's connection to the lake in the database, made if need be."""
    with loaders_engine() as connection:
        for name in ("postgres_scanner", "ducklake"):
            load_extension(connection, name)
        if engine.is_remote(data):
            engine.allow_s3(connection)
        place = f"ducklake:postgres:host={server.folder} dbname={database} user=postgres"
        connection.execute(f"ATTACH {literal(place)} AS lake (DATA_PATH {literal(data)})")
        connection.execute("USE lake")
        yield connection


def lake_in(server: Server, database: str, data: str | None, **options: str) -> Source:
    place = {"catalog": f"postgres:{database}", "host": str(server.folder)}
    place |= {"data_path": data} if data else {}
    return Source("lake", "ducklake", place | options)


def a_loaded_lake(server: Server, data: str, *, rows: int = 20_000) -> str:
    """The database that the lake's catalog is in."""
    database = server.new_database()
    with loading(server, database, data) as lake:
        lake.execute(f"CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS v FROM range({rows}) r(i)")
        lake.execute("DELETE FROM t WHERE i % 10 = 0")
        lake.execute("INSERT INTO t VALUES (-1, 'inlined')")
    return database


def test_a_lake_is_read_whole_and_in_ranges(postgresql: Server, tmp_path: Path) -> None:
    database = a_loaded_lake(postgresql, f"{tmp_path}/data/")
    source = lake_in(postgresql, database, None, user="postgres")
    version = WAREHOUSE.current_version(source)
    table = a_table_of(source, "main.t")
    ranges = SPLITTING.plan(
        source, version, table, FileFormat.CSV, target_bytes=100_000, max_ranges=5
    )
    assert len(ranges) == 5
    for split in (None, ranges):
        made = document(source, table, FileFormat.CSV, version=version, ranges=split)
        rows = rows_of(made.stored, FileFormat.CSV)
        assert made.rows == len({row["i"] for row in rows}) == 18_001


def test_a_lake_is_as_old_as_its_newest_snapshot_that_changed_rows(
    postgresql: Server, tmp_path: Path
) -> None:
    data = f"{tmp_path}/data/"
    database = a_loaded_lake(postgresql, data)
    source = lake_in(postgresql, database, data, user="postgres")
    postgresql.run(
        "UPDATE ducklake_snapshot SET snapshot_time = snapshot_time - interval '5 hours'", database
    )
    with loading(postgresql, database, data) as lake:
        lake.execute("CREATE VIEW seen AS SELECT 1 AS id")
        made = WAREHOUSE.freshness(source, datetime.now(UTC)).age
        lake.execute("INSERT INTO t VALUES (-2, 'late')")
        changed = WAREHOUSE.freshness(source, datetime.now(UTC)).age
    assert made is not None
    assert changed is not None
    assert timedelta(hours=5) <= made < timedelta(hours=5, minutes=5)
    assert changed < timedelta(minutes=5)


def test_a_loader_commits_while_two_export_at_their_snapshots(
    postgresql: Server, tmp_path: Path
) -> None:
    data = f"{tmp_path}/data/"
    database = a_loaded_lake(postgresql, data, rows=100_000)
    source = lake_in(postgresql, database, data, user="postgres")
    table = a_table_of(source, "main.t")
    with loading(postgresql, database, data) as lake:
        versions = [WAREHOUSE.current_version(source)]
        lake.execute("DELETE FROM t WHERE i % 3 = 0")
        versions.append(WAREHOUSE.current_version(source))
        alone = [document(source, table, FileFormat.CSV, version=v).stored for v in versions]
        assert alone[0] != alone[1]
        read: list[bytes] = []
        with (
            WAREHOUSE.stream(source, versions[0], table, None, FileFormat.CSV, PLAIN, ONLY) as one,
            WAREHOUSE.stream(source, versions[1], table, None, FileFormat.CSV, PLAIN, ONLY) as two,
        ):
            chunks = [iter(one), iter(two)]
            # Both COPYs are under way when the loader begins.
            read += [next(chunks[0]), next(chunks[1])]
            for index in range(20):
                lake.execute("INSERT INTO t SELECT i, 'late' FROM range(50) r(i)")
                lake.execute(f"UPDATE t SET v = 'changed {index}' WHERE i = {index * 7 + 1}")
            rest = [b"".join(chunks[0]), b"".join(chunks[1])]
    assert [first + more for first, more in zip(read, rest, strict=True)] == alone
    now = WAREHOUSE.current_version(source)
    assert now not in versions
    assert document(source, table, FileFormat.CSV, version=now).stored not in alone


def test_the_catalog_may_have_a_schema_of_its_own(postgresql: Server, tmp_path: Path) -> None:
    database = postgresql.new_database()
    postgresql.run("CREATE SCHEMA lake", database)
    with loaders_engine() as connection:
        for name in ("postgres_scanner", "ducklake"):
            load_extension(connection, name)
        place = f"ducklake:postgres:host={postgresql.folder} dbname={database} user=postgres"
        connection.execute(
            f"ATTACH {literal(place)} AS l (DATA_PATH '{tmp_path}/data/', META_SCHEMA 'lake')"
        )
        connection.execute("CREATE TABLE l.t AS SELECT 1 AS i")
    source = lake_in(postgresql, database, None, user="postgres", metadata_schema="lake")
    assert document(source, a_table_of(source, "main.t"), FileFormat.CSV).stored == b"i\n1\n"


def test_a_catalog_of_headraces_names_such_a_lake(postgresql: Server, tmp_path: Path) -> None:
    database = a_loaded_lake(postgresql, f"{tmp_path}/data/", rows=20)
    text = f"""\
tenants: [{{id: me, name: Me}}]
clients: [{{id: me, name: Me, tenants: [me]}}]
sources:
- name: lake
  kind: ducklake
  options: {{catalog: "postgres:{database}", host: "{postgresql.folder}", user: postgres}}
configurations:
- id: all
  client: me
  tenant: me
  source: lake
  tables: [{{name: t, source: t, all_rows: true, columns: [i]}}]
"""
    published = compile_catalog(
        [CatalogText("c.yaml", text)], {}, WAREHOUSE, PostgresqlApplicationSchemas()
    )
    assert published.configurations[0].tables[0].row_estimate == 19


# --- data in S3, a password in Secrets Manager ---------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    """AWS with a bucket, where the environment points to."""
    monkeypatch.setattr(postgresql_connection, "_secrets", {})


def a_reader(server: Server, database: str, password: str) -> str:
    """The name of a user who may read the catalog, and must give the password."""
    name = f"reader_{database}"
    server.run(
        f"CREATE ROLE {name} LOGIN PASSWORD {literal(password)} IN ROLE with_password;"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {name};",
        database,
    )
    return name


def a_secret(server: Server, user: str, password: str) -> str:
    values = {"username": user, "password": password, "host": str(server.folder), "port": 5432}
    reply = boto3.client("secretsmanager").create_secret(
        Name=f"headrace/{user}", SecretString=json.dumps(values)
    )
    return str(reply["ARN"])


def test_a_lake_in_a_bucket_with_a_password_in_a_secret(aws: None, postgresql: Server) -> None:
    database = a_loaded_lake(postgresql, "s3://lake/data/")
    user = a_reader(postgresql, database, AWKWARD_PASSWORD)
    secret = a_secret(postgresql, user, AWKWARD_PASSWORD)
    source = Source("lake", "ducklake", {"catalog": f"postgres:{database}", "secret": secret})
    version = WAREHOUSE.current_version(source)
    table = a_table_of(source, "main.t")
    assert document(source, table, FileFormat.NDJSON, version=version).rows == 18_001
    with opened(source, version, Limits()) as reader:
        for place in (f"host={postgresql.folder} dbname=postgres", "s3://other/x.parquet"):
            with pytest.raises(duckdb.PermissionException):
                reader.connection.execute(f"ATTACH '{place}' AS other (TYPE postgres)")
        with pytest.raises(duckdb.PermissionException):
            reader.connection.execute("FROM read_parquet('s3://other/x.parquet')")


def test_a_wrong_password_is_said_and_not_shown(
    aws: None, postgresql: Server, caplog: pytest.LogCaptureFixture
) -> None:
    database = a_loaded_lake(postgresql, "s3://lake/data/", rows=10)
    user = a_reader(postgresql, database, "right")
    secret = a_secret(postgresql, user, AWKWARD_PASSWORD)
    source = Source("lake", "ducklake", {"catalog": f"postgres:{database}", "secret": secret})
    with caplog.at_level(logging.INFO), pytest.raises(SourceUnavailable) as caught:
        WAREHOUSE.tables(source)
    assert caught.value.detail == "The database of the source lake refuses its user or password."
    assert caught.value.__cause__ is None
    assert "canary" not in caplog.text


def test_a_password_that_was_changed_is_fetched_anew(aws: None, postgresql: Server) -> None:
    database = a_loaded_lake(postgresql, "s3://lake/data/", rows=10)
    user = a_reader(postgresql, database, "before")
    secret = a_secret(postgresql, user, "before")
    source = Source("lake", "ducklake", {"catalog": f"postgres:{database}", "secret": secret})
    assert WAREHOUSE.tables(source) == ("main.t",)
    postgresql.run(f"ALTER ROLE {user} PASSWORD 'after'")
    values = {"username": user, "password": "after", "host": str(postgresql.folder)}
    boto3.client("secretsmanager").put_secret_value(
        SecretId=secret, SecretString=json.dumps(values)
    )
    assert WAREHOUSE.tables(source) == ("main.t",)


@pytest.mark.parametrize(
    "catalog", ["postgres:host=/tmp password=canary", "postgres://me:canary@db/lake", "mysql:lake"]
)
def test_a_catalog_is_named_by_its_database_only(catalog: str) -> None:
    source = Source("lake", "ducklake", {"catalog": catalog, "host": "/nowhere"})
    with pytest.raises(SourceUnavailable) as caught:
        WAREHOUSE.tables(source)
    assert "canary" not in caught.value.detail


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    options = {"catalog": "postgres:lake", "host": str(tmp_path), "user": "postgres"}
    with pytest.raises(SourceUnavailable):
        DuckdbWarehouse(Limits(patience_s=0.1)).tables(Source("lake", "ducklake", options))
