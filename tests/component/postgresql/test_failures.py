"""What ends a reading early ends it with an error that says what it was, and leaves nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from headrace.adapters.postgresql.connection import connection_parameters
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ColumnType, RowFilter, Source, Table
from headrace.kernel.errors import SchemaChanged, SnapshotLost, SourceUnavailable
from tests.component.postgresql.proxy import a_proxy
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import ONLY, WAREHOUSE, a_table_of, document, rows_of
from tests.component.warehouse.test_streaming import copies_running, descriptors

BOTH_WAYS = pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
"""The server's own COPY, and DuckDB's reading."""

ROWS = 400_000


@pytest.fixture(scope="module")
def large(postgresql: Server) -> Source:
    """40 MB of CSV: more than pipes and sockets hold."""
    database = postgresql.new_database()
    postgresql.run(
        "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 3) AS v "
        f"FROM generate_series(1, {ROWS}) i",
        database,
    )
    return postgresql.source(database)


@contextmanager
def reading(source: Source, file_format: FileFormat, chunks: int = 2) -> Iterator[Iterator[bytes]]:
    """The stream of the large table, of which some chunks have come."""
    table = a_table_of(source, "public.t")
    with WAREHOUSE.stream(source, "", table, None, file_format, Compression.NONE, ONLY) as stream:
        read = iter(stream)
        for _ in range(chunks):
            next(read)
        yield read


def administrator(source: Source) -> psycopg.Connection[tuple[Any, ...]]:
    parameters = connection_parameters(source) | {"application_name": "a test"}
    return psycopg.connect(autocommit=True, **parameters)  # type: ignore[arg-type]


def sessions(source: Source) -> list[int]:
    """The server's processes that serve Headrace in this database."""
    with administrator(source) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'headrace'"
        ).fetchall()
    return [row[0] for row in found]


def assert_all_left(source: Source) -> None:
    """A session ends a moment after its client has closed it."""
    deadline = time.monotonic() + 20
    while left := sessions(source):
        assert time.monotonic() < deadline, left


@BOTH_WAYS
def test_who_leaves_early_leaves_no_session_behind(large: Source, file_format: FileFormat) -> None:
    before = descriptors()
    with reading(large, file_format):
        assert sessions(large)
    assert_all_left(large)
    assert not copies_running()
    assert descriptors() == before


@BOTH_WAYS
def test_a_session_that_the_server_ends_is_never_a_complete_document(
    large: Source, file_format: FileFormat
) -> None:
    before = descriptors()
    with reading(large, file_format) as chunks:
        with administrator(large) as connection:
            for pid in sessions(large):
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(SourceUnavailable):
            list(chunks)
    assert descriptors() == before


@BOTH_WAYS
def test_a_connection_that_is_reset_is_never_a_complete_document(
    large: Source, file_format: FileFormat
) -> None:
    table = a_table_of(large, "public.t")
    with a_proxy(large, reset_after=12_000_000) as proxy:
        with (
            WAREHOUSE.stream(
                proxy.through(large), "", table, None, file_format, Compression.NONE, ONLY
            ) as stream,
            pytest.raises(SourceUnavailable),
        ):
            list(stream)
        with pytest.raises(ValueError, match="at the end"):
            _ = stream.rows
    assert_all_left(large)


@BOTH_WAYS
def test_a_way_that_carries_nothing_more_can_be_left(
    large: Source, file_format: FileFormat
) -> None:
    table = a_table_of(large, "public.t")
    before = descriptors()
    with (
        a_proxy(large, blocked_after=12_000_000) as proxy,
        WAREHOUSE.stream(
            proxy.through(large), "", table, None, file_format, Compression.NONE, ONLY
        ) as stream,
    ):
        # An empty chunk: a second went by, a moment to look whether to go on.
        assert any(not chunk for chunk in stream)
    assert_all_left(large)
    assert descriptors() == before


@BOTH_WAYS
def test_a_server_that_does_not_answer_for_long_can_be_left(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    postgresql.run(
        "CREATE VIEW t AS SELECT i, pg_sleep(600)::text AS v FROM generate_series(1, 9) i",
        database,
    )
    source = postgresql.source(database)
    with reading(source, file_format, chunks=1):
        assert sessions(source)
    assert_all_left(source)
    assert not copies_running()


@BOTH_WAYS
def test_a_query_that_takes_too_long_is_told_as_that(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    postgresql.run(
        "CREATE VIEW t AS SELECT i, pg_sleep(30)::text AS v FROM generate_series(1, 9) i", database
    )
    source = postgresql.source(database, statement_timeout="0.3")
    with pytest.raises(SourceUnavailable, match="statement_timeout"):
        document(source, a_table_of(source, "public.t"), file_format)


@BOTH_WAYS
def test_a_lock_that_is_not_freed_is_told_as_that(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    postgresql.run("CREATE TABLE t(i int, v text)", database)
    source = postgresql.source(database, lock_timeout="0.3")
    table = a_table_of(source, "public.t")
    with administrator(source) as connection, connection.transaction():
        connection.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceUnavailable, match="lock_timeout"):
            document(source, table, file_format)


@BOTH_WAYS
def test_a_snapshot_that_nobody_holds_is_told_as_that(
    large: Source, file_format: FileFormat
) -> None:
    table = a_table_of(large, "public.t")
    with WAREHOUSE.hold(large) as held:
        name = held.name
    for gone in (name, "00000003-0000001B-1", "no name of one'"):
        with (
            pytest.raises(SnapshotLost),
            WAREHOUSE.stream(
                large, "", table, None, file_format, Compression.NONE, ONLY, gone
            ) as stream,
        ):
            list(stream)


def test_a_holder_whose_session_was_ended_knows_it(large: Source) -> None:
    with WAREHOUSE.hold(large) as held:
        held.check()
        with administrator(large) as connection:
            for pid in sessions(large):
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(SnapshotLost):
            held.check()


@BOTH_WAYS
def test_a_table_that_changed_is_told_as_that(postgresql: Server, file_format: FileFormat) -> None:
    database = postgresql.new_database()
    postgresql.run("CREATE TABLE t(i int, v text, n numeric, s inet)", database)
    source = postgresql.source(database)
    table = a_table_of(source, "public.t")
    for change, told in (
        ("ALTER TABLE t ALTER n TYPE numeric(9, 2)", r"type of things\.n"),
        ("ALTER TABLE t ALTER n TYPE numeric, ALTER s TYPE cidr", r"type of things\.s"),
        ("ALTER TABLE t ALTER v TYPE int USING 1", r"type of things\.v"),
        ("ALTER TABLE t DROP v", r"column for things\.v"),
        ("DROP TABLE t", "no table for things"),
    ):
        postgresql.run(change, database)
        with pytest.raises(SchemaChanged, match=told):
            document(source, table, file_format)


@BOTH_WAYS
def test_what_the_role_may_not_read_is_not_there(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    postgresql.run(
        f"CREATE TABLE t(i int, secret text); CREATE ROLE of_{database} LOGIN; "
        f"GRANT SELECT (i) ON t TO of_{database};",
        database,
    )
    source = postgresql.source(database, user=f"of_{database}")
    assert [column.name for column in WAREHOUSE.describe(source, "public.t")] == ["i"]
    everything = a_table_of(postgresql.source(database), "public.t")
    with pytest.raises(SchemaChanged, match=r"things\.secret"):
        document(source, everything, file_format)


HOSTILE = (
    "it's",
    "'; DROP TABLE t; --",
    "\\'; DROP TABLE t; --",
    "E'\\x41'",
    "$$; SELECT 1; $$",
    "%s %(x)s ? $1 :v {}",
    'a "quoted" one',
    "two\nlines\\.",
    "ünï©ode ' 産",
    "",
)


@BOTH_WAYS
def test_a_value_that_rows_are_chosen_by_is_never_read_as_sql(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    source = postgresql.source(database)
    with administrator(source) as connection:
        connection.execute('CREATE TABLE t(i int, "the "" one" text)')
        for number, value in enumerate(HOSTILE):
            connection.execute("INSERT INTO t VALUES (%s, %s)", [number, value])
    for number, value in enumerate(HOSTILE):
        chosen = RowFilter('the " one', (value,), ColumnType.STRING)
        found = rows_of(document(source, _of(source, chosen), file_format).stored, file_format)
        assert [(int(row["i"]), row['the " one']) for row in found] == [(number, value)]
    all_of_them = RowFilter('the " one', HOSTILE, ColumnType.STRING)
    assert document(source, _of(source, all_of_them), file_format).rows == len(HOSTILE)
    none = RowFilter('the " one', (), ColumnType.STRING)
    assert document(source, _of(source, none), file_format).rows == 0


def _of(source: Source, chosen: RowFilter) -> Table:
    return replace(a_table_of(source, "public.t"), filters=(chosen,))


def test_nothing_can_be_written(large: Source) -> None:
    with WAREHOUSE.hold(large) as held:
        connection = held.connection  # type: ignore[attr-defined]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM t")


def test_why_there_is_no_connection_is_said_and_nobody_is_named(postgresql: Server) -> None:
    database = postgresql.new_database()
    missing = postgresql.new_name()
    for source, said in (
        (postgresql.source(missing), "The source's server has no such database."),
        (
            postgresql.source(database, user="nobody-of-it"),
            "The source's server refuses the role or its password.",
        ),
        (
            postgresql.source(database, host="/nowhere"),
            "The source does not accept a connection now.",
        ),
    ):
        with pytest.raises(SourceUnavailable) as refused:
            WAREHOUSE.tables(source)
        assert refused.value.detail == said
