"""A range that is read twice gives the same bytes: two workers of it write the same parts."""

import hashlib

import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Source, Table
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import ONLY, WAREHOUSE, a_table_of

BOTH_WAYS = pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])


@pytest.fixture(scope="module")
def large(postgresql: Server) -> Source:
    """60 MB in a server that likes to share scans out, and to begin them where others are."""
    database = postgresql.new_database()
    postgresql.run(
        "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 3) AS v "
        "FROM generate_series(1, 400000) i;"
        "VACUUM ANALYZE t;"
        f"ALTER DATABASE {database} SET parallel_setup_cost = 0;"
        f"ALTER DATABASE {database} SET parallel_tuple_cost = 0;"
        f"ALTER DATABASE {database} SET parallel_leader_participation = off;",
        database,
    )
    return postgresql.source(database)


def digest(source: Source, table: Table, file_format: FileFormat) -> str:
    whole = hashlib.sha256()
    with WAREHOUSE.stream(source, "", table, None, file_format, Compression.NONE, ONLY) as stream:
        for chunk in stream:
            whole.update(chunk)
    return whole.hexdigest()


@BOTH_WAYS
def test_rows_come_in_the_same_order_each_time(large: Source, file_format: FileFormat) -> None:
    table = a_table_of(large, "public.t")
    assert len({digest(large, table, file_format) for _ in range(3)}) == 1


@BOTH_WAYS
def test_rows_come_in_the_same_order_beside_another_reader(
    large: Source, file_format: FileFormat
) -> None:
    table = a_table_of(large, "public.t")
    alone = digest(large, table, file_format)
    with WAREHOUSE.stream(
        large, "", table, None, FileFormat.CSV, Compression.NONE, ONLY
    ) as another:
        ahead = iter(another)
        for _ in range(20):
            next(ahead)
        assert digest(large, table, file_format) == alone
