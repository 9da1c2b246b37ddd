"""What is published of templates, and read for them, in a real DuckDB and a real PostgreSQL."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.model import QueryRefused
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Column, ColumnType, RowFilter, Source, Table
from headrace.kernel.errors import SchemaChanged, SourceChanged
from local.sample.warehouse import attached
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import ONLY

MADE = """\
CREATE SCHEMA gym;
CREATE TABLE gym.sessions (
    id integer PRIMARY KEY, owner text NOT NULL, price numeric(8, 2), name varchar(40)
);
CREATE TABLE gym.bookings (id integer PRIMARY KEY, session_id integer NOT NULL);
INSERT INTO gym.sessions
SELECT n, CASE WHEN n % 2 = 0 THEN 'mine' ELSE 'theirs' END, n * 1.10, 'Session "' || n || '"'
FROM generate_series(1, 100) g(n) ORDER BY n % 7, n;
INSERT INTO gym.bookings SELECT n, n % 40 FROM generate_series(1, 400) g(n);
"""
BOOKED = """\
SELECT s.id, s.owner, count(b.id) AS booked, s.price, s.name -- of each session
FROM gym.sessions s LEFT JOIN gym.bookings b ON b.session_id = s.id
GROUP BY s.id, s.owner, s.price, s.name -- to the end"""

SESSIONS = Table(
    name="sessions",
    source="",
    columns=(
        Column("id", "id", ColumnType.INTEGER, nullable=True),
        Column("bookings", "booked", ColumnType.BIGINT, nullable=True),
        Column("price", "price", ColumnType.DECIMAL, nullable=True, precision=8, scale=2),
        Column("name", "name", ColumnType.STRING, nullable=True),
    ),
    primary_key=("id",),
    filters=(RowFilter("owner", ("mine",), ColumnType.STRING),),
    ordered=True,
    query=BOOKED,
)

WAREHOUSE = WarehouseByKind()


def a_lake(folder: Path) -> Source:
    (folder / "data").mkdir()
    with attached(folder, read_only=False) as connection:
        connection.execute("USE lake")
        connection.execute(MADE.replace(" PRIMARY KEY", " NOT NULL"))
    options = {"catalog": f"sqlite:{folder}/catalog.sqlite", "data_path": f"{folder}/data/"}
    return Source("gym", "ducklake", options)


@pytest.fixture(scope="module", params=["duckdb", "ducklake", "postgresql"])
def gym(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: Server
) -> Source:
    if request.param == "postgresql":
        database = postgresql.new_database()
        postgresql.run(MADE, database)
        return postgresql.source(database)
    if request.param == "ducklake":
        return a_lake(tmp_path_factory.mktemp("lake"))
    place: Path = tmp_path_factory.mktemp("gym") / "club.duckdb"
    with duckdb.connect(str(place)) as connection:
        connection.execute(MADE)
    return Source("gym", "duckdb", {"path": str(place)})


def test_a_query_is_described_as_a_table_is(gym: Source) -> None:
    described = WAREHOUSE.describe_query(gym, BOOKED)
    assert [column.name for column in described] == ["id", "owner", "booked", "price", "name"]
    types = {column.name: (column.type, column.precision, column.scale) for column in described}
    assert types["booked"] == (ColumnType.BIGINT, None, None)
    assert types["price"] == (ColumnType.DECIMAL, 8, 2)
    assert not any(column.promised for column in described)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM gym.sessions; SELECT 1",
        "SELECT 1) AS t; DELETE FROM gym.sessions; SELECT * FROM (SELECT 1",
        "SELECT 1) AS t; SELECT * FROM (SELECT 1",
        "DELETE FROM gym.sessions RETURNING id",
        "SELECT id FROM gym.nothing",
        "SELECT colour FROM gym.sessions",
        "SELEKT 1",
        "COPY gym.sessions TO '/tmp/x'",
    ],
)
def test_what_is_no_single_select_that_the_source_can_run_is_refused(
    gym: Source, query: str
) -> None:
    with pytest.raises(QueryRefused) as refused:
        WAREHOUSE.describe_query(gym, query)
    assert refused.value.detail
    assert "\n" not in refused.value.detail
    assert len(rows(gym, SESSIONS)) == 50


def rows(gym: Source, table: Table, file_format: FileFormat = FileFormat.NDJSON) -> list[str]:
    version = WAREHOUSE.current_version(gym)
    with WAREHOUSE.stream(gym, version, table, None, file_format, Compression.NONE, ONLY) as stream:
        return b"".join(stream).decode().splitlines()


def test_a_query_is_read_in_its_order_and_its_filters_choose_among_its_rows(gym: Source) -> None:
    found = [json.loads(line) for line in rows(gym, SESSIONS)]
    assert [row["id"] for row in found] == list(range(2, 101, 2))
    assert found[0] == {"id": 2, "bookings": 10, "price": 2.20, "name": 'Session "2"'}
    assert found[-1] == {"id": 100, "bookings": 0, "price": 110.00, "name": 'Session "100"'}
    assert rows(gym, SESSIONS)[0].startswith('{"id":2,"bookings":10,"price":2.20,')


def test_a_query_is_read_as_csv_too(gym: Source) -> None:
    header, first, *_ = rows(gym, SESSIONS, FileFormat.CSV)
    assert (header, first) == ("id,bookings,price,name", '2,10,2.20,"Session ""2"""')


def test_a_query_that_gives_other_types_than_when_it_was_published_is_not_read(
    gym: Source,
) -> None:
    changed = replace(SESSIONS, query=BOOKED.replace("s.price,", "s.price::text AS price,", 1))
    with pytest.raises(SchemaChanged):
        rows(gym, changed)


def test_a_query_whose_table_is_gone_is_not_read(gym: Source) -> None:
    gone = replace(SESSIONS, query=BOOKED.replace("gym.bookings", "gym.booked"))
    with pytest.raises(SourceChanged):
        rows(gym, gone)


def test_unique_keys_are_told_where_they_are_enforced(gym: Source) -> None:
    keys = WAREHOUSE.unique_keys(gym, "gym.sessions")
    assert keys == ((frozenset({"id"}),) if gym.kind == "postgresql" else None)


def test_only_unique_indexes_over_all_rows_and_plain_columns_count(postgresql: Server) -> None:
    database = postgresql.new_database()
    postgresql.run(
        "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int NOT NULL, d text NOT NULL); "
        "CREATE UNIQUE INDEX ON t (a, b) INCLUDE (c); CREATE UNIQUE INDEX ON t (lower(d)); "
        "CREATE UNIQUE INDEX ON t (c) WHERE c > 0; CREATE INDEX ON t (a); "
        "CREATE VIEW v AS SELECT * FROM t",
        database,
    )
    source = postgresql.source(database)
    assert WAREHOUSE.unique_keys(source, "public.t") == (frozenset({"a", "b"}),)
    assert WAREHOUSE.unique_keys(source, "public.v") is None


def test_a_query_shows_the_version_of_a_lake_that_is_read(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    before, version = rows(lake, SESSIONS), WAREHOUSE.current_version(lake)
    with attached(tmp_path, read_only=False) as connection:
        connection.execute("DELETE FROM lake.gym.sessions WHERE id < 50")
        connection.execute("UPDATE lake.gym.bookings SET session_id = 60")
    with WAREHOUSE.stream(
        lake, version, SESSIONS, None, FileFormat.NDJSON, Compression.NONE, ONLY
    ) as stream:
        assert b"".join(stream).decode().splitlines() == before
    now = [json.loads(line) for line in rows(lake, SESSIONS)]
    assert [row["bookings"] for row in now if row["id"] == 60] == [400]
    assert len(now) == 26
