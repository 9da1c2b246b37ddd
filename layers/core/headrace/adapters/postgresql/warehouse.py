"""The Warehouse port, answered by PostgreSQL.

Two ways out of the server. CSV is its own COPY, passed through: nothing is faster and nothing
touches a value. JSON, NDJSON and Parquet are written by DuckDB from the server's binary COPY: to
make JSON costs the server more than everything else it does, and it has no Parquet. Both read in
the same snapshot where one is held.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from headrace.adapters.postgresql import lag
from headrace.adapters.postgresql.copying import CopyOut
from headrace.adapters.postgresql.planning import (
    cut,
    listed,
    sample_keys,
    sampled,
    share_to_sample,
    within,
)
from headrace.adapters.postgresql.reading import reading_engine, told_apart
from headrace.adapters.postgresql.relations import (
    Relation,
    conditions,
    key_columns,
    query_relation,
    relation_of,
    relations,
    unique_keys,
    where,
)
from headrace.adapters.postgresql.session import (
    Connection,
    errors_translated,
    of_one_database,
    session,
    version_of,
)
from headrace.adapters.postgresql.types import PgColumn
from headrace.adapters.sql_text import identifier
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.streaming import (
    CopyStream,
    Pipe,
    Rows,
    compressed,
    copy_options,
    framed,
    row_counter,
)
from headrace.adapters.warehouse.values import Field, select_list
from headrace.catalog.model import QueryRefused
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import MIN_PART_BYTES, KeyRange, PartPosition, TableRange
from headrace.exports.sources import Column, Freshness, Source, Table
from headrace.exports.warehouses import RowStream, SourceColumn
from headrace.kernel.errors import (
    HeadraceError,
    SnapshotLost,
    SourceUnavailable,
)

_SPLIT_FROM_BYTES = 32 * 1024 * 1024
"""Tables smaller than this on the server's disk are not looked at closely: they go in one part."""

_COUNTED_UP_TO_BYTES = 64 * 1024 * 1024
"""Tables up to this size are counted when a catalog is published; of larger ones the rows are the
server's own estimate."""

_MEASURED_ROWS = 16_000
_MEASURED_PIECES = 8


@dataclass(frozen=True)
class _Held:
    """A snapshot that other sessions may read in."""

    connection: Connection
    name: str
    version: str

    def check(self) -> None:
        """Raises SnapshotLost if the session has ended."""
        try:
            with errors_translated():
                self.connection.execute("SELECT 1")
        except HeadraceError:
            raise SnapshotLost("The session that held the snapshot has ended.") from None


@dataclass(frozen=True)
class PostgresqlWarehouse:
    """Reads tables, views and foreign tables of PostgreSQL; a new session for every call."""

    limits: Limits = field(default_factory=Limits)
    least_range_bytes: int = 4 * MIN_PART_BYTES
    """As of ``DuckdbWarehouse``: no range is planned to be stored in less."""
    split_from_bytes: int = _SPLIT_FROM_BYTES

    # --- what is there ----------------------------------------------------------------------

    def current_version(self, source: Source) -> str:
        """The cluster and the transactions that a read begun now would see."""
        with session(source) as connection:
            return version_of(connection)

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """How far a standby is behind, or a change log, by the server's clock: see ``lag``."""
        with session(source) as connection:
            return lag.freshness(connection)

    def holds_version(self, source: Source, version: str) -> bool:
        """Is it a version of this database.

        Of tables read in snapshots of their own a version says what they show at least, which
        stays true of those that were read.
        """
        return of_one_database(version, self.current_version(source))

    def tables(self, source: Source) -> tuple[str, ...]:
        """All tables, views and foreign tables that may be read, as ``schema.table``."""
        return tuple(self.schema(source))

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table`` in order; empty if there is no such table."""
        with session(source) as connection:
            found = relations(connection, table).get(table)
            return _described(found) if found else ()

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """Every table (``schema.table``) with its columns in order."""
        with session(source) as connection:
            found = relations(connection)
            return {name: _described(found[name]) for name in sorted(found)}

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """The columns of what a SELECT gives, in order. Raises QueryRefused."""
        with session(source) as connection:
            try:
                return _described(query_relation(connection, query))
            except (psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
                raise QueryRefused(error.diag.message_primary or "The query is wrong.") from None

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        """The columns of the unique indexes of a table; None of a view, which has none."""
        with session(source) as connection:
            found = relations(connection, table).get(table)
            if found is None or not found.is_table:
                return None
            return unique_keys(connection, found)

    def count(self, source: Source, version: str, table: Table) -> int:
        """Rows of the configured table, after its filters; counted."""
        with session(source) as connection:
            return _count(connection, table, relation_of(connection, table))

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """Rows of each configured table: counted if it is small, else as the server estimates."""
        with session(source) as connection:
            return tuple(_estimate(connection, table) for table in tables)

    # --- how it is split --------------------------------------------------------------------

    def plan(
        self,
        source: Source,
        version: str,
        table: Table,
        file_format: FileFormat,
        *,
        target_bytes: int,
        max_ranges: int,
        compression: Compression = Compression.NONE,
    ) -> tuple[TableRange, ...]:
        """Ranges of keys that together hold every row, whatever is written meanwhile.

        A table that is small, has no key, or whose key may be NULL (a view's always may) is not
        split: it is one open range.
        """
        with session(source) as connection:
            relation = relation_of(connection, table)
            key = key_columns(table, relation)
            split = max_ranges > 1 and relation.is_table and key
            if not split or any(column.described.nullable for column in key):
                return (KeyRange(None, None, _guess(connection, table, relation)),)
            if _size(connection, relation) < self.split_from_bytes:
                return (KeyRange(None, None, _guess(connection, table, relation)),)
            share = share_to_sample(connection, relation)
            size = _measure(connection, table, relation, file_format, compression, share)
            if size is None:
                return (KeyRange(None, None, _guess(connection, table, relation)),)
            sample = sample_keys(connection, table, relation, key, share)
            encoded, stored = size
            wanted = math.ceil(sample.rows * encoded / target_bytes)
            allowed = int(sample.rows * stored / self.least_range_bytes)
            return cut(sample, max(1, min(wanted, allowed, max_ranges)))

    # --- how it is read ---------------------------------------------------------------------

    @contextmanager
    def stream(
        self,
        source: Source,
        version: str,
        table: Table,
        row_range: TableRange | None,
        file_format: FileFormat,
        compression: Compression,
        position: PartPosition,
        snapshot: str | None = None,
    ) -> Iterator[RowStream]:
        """The rows of the range (None: of the whole table) as part of a document.

        Raises SourceUnavailable, SourceChanged, SnapshotLost, ValueNotExportable.
        """
        if not isinstance(row_range, KeyRange | None):
            raise HeadraceError("Tables of this source are split by key, not by position.")
        if file_format is FileFormat.CSV:
            with session(source, snapshot, version) as connection:
                relation = relation_of(connection, table)
                select = _select(csv_list(table, relation), table, relation, row_range)
                options = "FORMAT csv, HEADER" if position.first else "FORMAT csv"
                copy = CopyOut(connection, select, options, header=position.first)
                yield Rows(compressed(iter(copy), compression), copy)
            return
        # The engine's session sees what the held snapshot shows, or one of its own.
        with session(source, snapshot, version) as connection:
            relation = relation_of(connection, table)
        with (
            told_apart(source, table),
            Pipe() as pipe,
            reading_engine(source, snapshot, self.limits, [pipe.path]) as reader,
        ):
            inner = _select(engine_list(table, relation), table, relation, row_range)
            fields = fields_of(table, relation)
            # The text is SQL of ours: names quoted, and of values only those of the catalog.
            outer = f"SELECT {select_list(fields, file_format)} FROM postgres_query('source', ?)"  # noqa: S608
            options = copy_options(file_format, compression, header=False)
            counter = row_counter(file_format, header=False)
            with CopyStream(
                pipe, reader.connection, outer, [inner], options, reader.stop, counter
            ) as stream:
                chunks = iter(stream)
                if file_format is not FileFormat.PARQUET:
                    chunks = compressed(framed(chunks, file_format, position), compression)
                yield Rows(chunks, stream)

    @contextmanager
    def hold(self, source: Source) -> Iterator[_Held]:
        """A snapshot that other sessions can read in, for as long as this is not left."""
        with session(source) as connection:
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            if row is None:
                raise SourceUnavailable("The source does not share its snapshots.")
            yield _Held(connection, str(row[0]), version_of(connection))


def _described(relation: Relation) -> tuple[SourceColumn, ...]:
    return tuple(column.described for column in relation.columns.values())


# --- statements ---------------------------------------------------------------------------------


def _select(columns: str, table: Table, relation: Relation, row_range: KeyRange | None) -> str:
    key = key_columns(table, relation)
    chosen = conditions(table, relation) + (within(key, row_range) if row_range else [])
    order = f" ORDER BY {listed(key)}" if table.ordered and key else ""
    return f"SELECT {columns} FROM {relation.sql}{where(chosen)}{order}"  # noqa: S608


def csv_list(table: Table, relation: Relation) -> str:
    """The cells of a row of CSV, by their public names."""
    return ", ".join(
        f"{_csv_cell(table, relation.columns[column.source])} AS {identifier(column.name)}"
        for column in table.columns
    )


def _csv_cell(table: Table, column: PgColumn) -> str:
    return column.escaped_csv_cell() if table.escape_formulas else column.csv_cell


def engine_list(table: Table, relation: Relation) -> str:
    """What DuckDB's extension reads of a row exactly, by the public names."""
    return ", ".join(
        f"{relation.columns[column.source].engine_value} AS {identifier(column.name)}"
        for column in table.columns
    )


def fields_of(table: Table, relation: Relation) -> tuple[Field, ...]:
    """What the engine writes of ``engine_list``."""
    return tuple(
        Field(column.name, _renamed(column, relation), escaped=False) for column in table.columns
    )


def _renamed(column: Column, relation: Relation) -> SourceColumn:
    """The column as the engine sees it: by its public name already."""
    seen = relation.columns[column.source].for_engine
    return SourceColumn(
        column.name, seen.engine_type, seen.type, seen.nullable, seen.precision, seen.scale
    )


# --- sizes --------------------------------------------------------------------------------------


def _size(connection: Connection, relation: Relation) -> int:
    """Bytes on the server's disk, of all partitions."""
    row = connection.execute(
        "SELECT coalesce(sum(pg_table_size(relid)), pg_table_size(%(oid)s::oid), 0)::bigint "
        "FROM pg_partition_tree(%(oid)s::oid) WHERE isleaf",
        {"oid": relation.oid},
    ).fetchone()
    return int(row[0]) if row else 0


def _count(connection: Connection, table: Table, relation: Relation) -> int:
    sql = f"SELECT count(*) FROM {relation.sql}{where(conditions(table, relation))}"  # noqa: S608
    row = connection.execute(sql.encode()).fetchone()
    return int(row[0]) if row else 0


def _guess(connection: Connection, table: Table, relation: Relation) -> int:
    """Rows after the filters, as the server's planner has them from its statistics."""
    sql = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {relation.sql}{where(conditions(table, relation))}"  # noqa: S608
    row = connection.execute(sql.encode()).fetchone()
    return int(row[0][0]["Plan"]["Plan Rows"]) if row else 0


def _estimate(connection: Connection, table: Table) -> int:
    relation = relation_of(connection, table)
    if relation.is_table and _size(connection, relation) <= _COUNTED_UP_TO_BYTES:
        return _count(connection, table, relation)
    return _guess(connection, table, relation)


def _measure(
    connection: Connection,
    table: Table,
    relation: Relation,
    file_format: FileFormat,
    compression: Compression,
    share: float,
) -> tuple[float, float] | None:
    """Bytes of a row, encoded on average, and stored where rows are smallest; None without rows.

    A few thousand sampled rows are written as CSV. JSON is longer by the names of its fields.
    """
    select = (
        f"SELECT {csv_list(table, relation)} FROM {sampled(relation, share)}"  # noqa: S608
        f"{where(conditions(table, relation))} LIMIT {_MEASURED_ROWS}"
    )
    copy = CopyOut(connection, select, "FORMAT csv", header=False)
    text = b"".join(copy)
    if not copy.rows:
        return None
    names = 0
    if file_format in (FileFormat.JSON, FileFormat.NDJSON):
        names = sum(len(column.name.encode()) + 4 for column in table.columns)
    encoded = len(text) / copy.rows + names
    lines = text.splitlines(keepends=True)
    step = max(1, len(lines) // _MEASURED_PIECES)
    rows_per_line = copy.rows / len(lines)
    least = min(
        sum(map(len, compressed(iter((b"".join(piece),)), compression)))
        / (len(piece) * rows_per_line)
        for piece in (lines[start : start + step] for start in range(0, len(lines), step))
        if len(piece) >= min(step, len(lines))
    )
    return encoded, least + (names if compression is Compression.NONE else 0)
