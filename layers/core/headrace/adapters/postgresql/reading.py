"""DuckDB as a reader of a source in PostgreSQL, in a snapshot that somebody may hold."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb

from headrace.adapters.postgresql.connection import (
    UNPROVEN,
    connection_parameters,
    is_unproven,
)
from headrace.adapters.postgresql.copying import CopyOut
from headrace.adapters.postgresql.relations import relation_of
from headrace.adapters.postgresql.session import CANCELLED, session, settings_sql, snapshot_sql
from headrace.adapters.warehouse import engine, sources
from headrace.adapters.warehouse.engine import Limits, literal
from headrace.adapters.warehouse.streaming import CopyStream
from headrace.exports.sources import Source, Table
from headrace.kernel.errors import SnapshotLost, SourceChanged, SourceUnavailable


class Rows:
    """The stream of a table's rows: iterate once, then ask for ``rows``."""

    def __init__(self, chunks: Iterator[bytes], copy: CopyOut | CopyStream) -> None:
        self._chunks, self._copy = chunks, copy

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    @property
    def rows_so_far(self) -> int | None:
        """How many rows have come; None of Parquet."""
        return self._copy.rows_so_far

    @property
    def rows(self) -> int:
        """How many rows there were; ValueError before the end."""
        return self._copy.rows


@contextmanager
def reading_engine(
    source: Source, snapshot: str | None, limits: Limits, pipes: Sequence[str]
) -> Iterator[engine.Connection]:
    """DuckDB with the source attached, in a transaction of one snapshot, locked down.

    It may write to ``pipes`` only.
    """
    # One session, one thread: rows come in the order in which the server sends them anyhow.
    connection = engine.connect(limits, ordered=False)
    try:
        with sources.errors_translated():
            engine.load_extension(connection, "postgres_scanner")
            rest = engine.keep_secret(connection, connection_parameters(source))
            connection.execute(f"ATTACH {literal(rest)} AS source (TYPE postgres, READ_ONLY)")
            engine.lock_down(connection, [], pipes)
            connection.execute("BEGIN")
            if snapshot is not None:
                try:
                    _tell(connection, snapshot_sql(snapshot))
                except duckdb.Error:
                    raise SnapshotLost("Nobody holds the snapshot any more.") from None
            _tell(connection, settings_sql())
            yield connection
    finally:
        # To close it rolls back as well, and where the server has ended the session the extension
        # throws from a destructor then, which is the end of this process.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def told_apart(source: Source, table: Table) -> Iterator[None]:
    """What went wrong between the engine and the server, of which the engine has but a text.

    It takes every refusal of a statement for a change of the table, a lost connection too.
    """
    try:
        yield
    except (SourceChanged, SourceUnavailable) as error:
        text = str(error.__cause__)
        if is_unproven(text):
            raise SourceUnavailable(UNPROVEN) from None
        for words, refusal in CANCELLED.items():
            if words in text:
                raise SourceUnavailable(refusal) from None
        with session(source) as connection:
            relation_of(connection, table)
        if isinstance(error, SourceUnavailable):
            raise
        raise SourceUnavailable("The source cannot be read now.") from error.__cause__


def process_of(connection: engine.Connection) -> int:
    """The server's process that serves the engine's session."""
    with sources.errors_translated():
        row = connection.execute(
            "FROM postgres_query('source', 'SELECT pg_backend_pid()')"
        ).fetchone()
    return int(row[0]) if row else 0


def _tell(connection: engine.Connection, statement: str) -> None:
    connection.execute("CALL postgres_execute('source', ?)", [statement])
