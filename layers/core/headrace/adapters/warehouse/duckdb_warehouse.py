"""The Warehouse port, answered by DuckDB."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import duckdb

from headrace.adapters.published import as_published
from headrace.adapters.sql_text import identifier
from headrace.adapters.warehouse import sources
from headrace.adapters.warehouse.accounts import load_accounts, of_accounts
from headrace.adapters.warehouse.choosing import chosen
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.open_source import LAST_POSITION, OpenSource, Scan, query_scan
from headrace.adapters.warehouse.sources import opened
from headrace.adapters.warehouse.streaming import (
    CopyStream,
    Pipe,
    Rows,
    compressed,
    copy_options,
    framed,
    row_counter,
)
from headrace.adapters.warehouse.values import BINARY, Field, line_of, select_list
from headrace.catalog.model import QueryRefused
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import MIN_PART_BYTES, PartPosition, RowRange, TableRange
from headrace.exports.sources import Freshness, RowFilter, Source, Table
from headrace.exports.warehouses import HeldSnapshot, SourceColumn
from headrace.kernel.errors import HeadraceError, SourceChanged

WHOLE = PartPosition(first=True, last=True)

_BUCKETS = 4096
"""Into how many steps of position a plan counts the rows."""

_WINDOWS = 8
_WINDOW_ROWS = 2000
"""A plan encodes this many windows of so many rows to learn how large rows are."""


@dataclass(frozen=True)
class _Query:
    """A SELECT and the values bound in it."""

    text: str
    parameters: list[object]


@dataclass(frozen=True)
class DuckdbWarehouse:
    """Reads what DuckDB reads: see ``sources``. A new engine for every call."""

    limits: Limits = field(default_factory=Limits)
    least_range_bytes: int = 4 * MIN_PART_BYTES
    """No range of a split table is planned to be stored in less: every one but the last must be
    a part that S3 takes, and the estimate of a row's size is but an estimate."""

    def current_version(self, source: Source) -> str:
        """The version that a read begun now would see."""
        return sources.current_version(source, self.limits)

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """Since when the source's data is as it is, by the clock of who wrote it."""
        changed = sources.changed_at(source, self.limits)
        if changed is None:
            return Freshness()
        return Freshness(age=max(timedelta(), now - changed))

    def holds_version(self, source: Source, version: str) -> bool:
        """Can the version still be read. Raises SourceUnavailable."""
        try:
            with opened(source, version, self.limits) as reader:
                reader.check_held()
                return True
        except SourceChanged:
            return False

    def tables(self, source: Source) -> tuple[str, ...]:
        """All tables, as ``schema.table``; views are none."""
        with opened(source, None, self.limits) as reader:
            return reader.tables()

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table`` in order; empty if there is no such table."""
        with opened(source, None, self.limits) as reader:
            return reader.columns(table)

    def count(self, source: Source, version: str, table: Table) -> int:
        """Rows of the configured table, after its filters."""
        return self.counts(source, version, (table,))[0]

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """Every table (``schema.table``) with its columns in order; the source is opened once."""
        with opened(source, None, self.limits) as reader:
            return {table: reader.columns(table) for table in reader.tables()}

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """The columns of what a SELECT gives, in order. Raises QueryRefused."""
        with opened(source, None, self.limits) as reader:
            try:
                return reader.query_columns(query)
            except duckdb.Error as error:
                raise QueryRefused(str(error).splitlines()[0]) from None

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        """Nothing is told: a lake and files enforce no keys."""
        return None

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """Rows of each configured table, after its filters; the source is opened once."""
        counts = []
        with opened(source, version, self.limits) as reader:
            for table in tables:
                columns = _columns(reader, table)
                load_accounts(reader.connection, table)
                query = _query("count(*)", _scans(reader, table), table, columns)
                row = reader.connection.execute(query.text, query.parameters).fetchone()
                counts.append(int(row[0]) if row else 0)
            reader.verify()
        return tuple(counts)

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
    ) -> tuple[RowRange, ...]:
        """Disjoint ranges, none empty, that together hold every row; () of an empty table.

        ``target_bytes`` is what a range encodes to before compression, on average; whatever it
        is, none is planned to be stored in less than ``least_range_bytes``.
        """
        if table.ordered:
            max_ranges = 1  # positions are not in the order of the key
        with opened(source, version, self.limits) as reader:
            columns = _columns(reader, table)
            load_accounts(reader.connection, table)
            buckets = _count_by_position(reader, table, columns)
            rows = sum(bucket.rows for bucket in buckets)
            if not rows:
                return ()
            if max_ranges > 1 and len(buckets) > 1:
                size = _sample(reader, table, columns, file_format, compression, buckets)
                wanted = math.ceil(rows * size.encoded / target_bytes)
                allowed = int(rows * size.least_stored / self.least_range_bytes)
                buckets = _merged(buckets, max(1, min(wanted, allowed, max_ranges)))
            reader.verify()
        if max_ranges <= 1 or len(buckets) == 1:
            return (RowRange(0, LAST_POSITION, rows),)
        return tuple(buckets)

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
    ) -> Iterator[Rows]:
        """The rows of the range (None: of the whole table) as part of a document.

        Raises SourceUnavailable, SourceChanged (also while it is iterated), ValueNotExportable.
        """
        if not file_format.splittable and position != WHOLE:
            raise HeadraceError(f"A part of a {file_format} document cannot be written by itself.")
        if not isinstance(row_range, RowRange | None):
            raise HeadraceError("Tables of this source are split by position, not by key.")
        if row_range is not None and row_range.first <= 0 and row_range.last >= LAST_POSITION:
            row_range = None
        with (
            Pipe() as pipe,
            opened(
                source,
                version,
                self.limits,
                (pipe.path,),
                # Only without can the engine bound a row group by its bytes.
                ordered=table.ordered or file_format is not FileFormat.PARQUET,
                # Rows are looked up among accounts, which must not be done the other way round.
                joins=table.account is not None,
            ) as reader,
        ):
            columns = _columns(reader, table)
            load_accounts(reader.connection, table)
            scans = _scans(reader, table, row_range)
            select = select_list(fields_of(table, columns), file_format)
            query = _in_order(select, scans, table, columns)
            options = copy_options(
                file_format, compression, header=position.first, ordered=table.ordered
            )
            counter = row_counter(file_format, header=position.first)
            with CopyStream(
                pipe, reader.connection, query.text, query.parameters, options, counter=counter
            ) as copy:
                checked = _checked(copy, reader, row_range, position)
                yield Rows(_encoded(checked, file_format, compression, position), copy)

    def hold(self, source: Source) -> AbstractContextManager[HeldSnapshot]:
        """Sources here keep their versions: there is nothing to hold."""
        raise HeadraceError(f"A version of the source {source.name} needs nobody to hold it.")


def fields_of(table: Table, columns: dict[str, SourceColumn]) -> tuple[Field, ...]:
    """What is written of each row of the table, in order."""
    return tuple(
        Field(column.name, columns[column.source], table.escape_formulas)
        for column in table.columns
    )


def _checked(
    copy: CopyStream, reader: OpenSource, row_range: RowRange | None, position: PartPosition
) -> Iterator[bytes]:
    """The bytes of the COPY; it ends only if they are what they ought to be."""
    yield from copy
    if row_range is not None and copy.rows != row_range.rows:
        raise SourceChanged("A range of the table does not hold the rows it was cut for.")
    if not copy.rows and position != WHOLE:
        raise SourceChanged("A part of the document holds no rows.")
    reader.verify()


def _encoded(
    chunks: Iterator[bytes],
    file_format: FileFormat,
    compression: Compression,
    position: PartPosition,
) -> Iterator[bytes]:
    if file_format is FileFormat.PARQUET:
        return chunks
    return compressed(framed(chunks, file_format, position), compression)


# --- what is asked of the engine ------------------------------------------------------------------


def _columns(reader: OpenSource, table: Table) -> dict[str, SourceColumn]:
    if table.query is not None:
        return as_published(reader.query_columns(table.query), table)
    return as_published(reader.columns(table.source), table)


def _scans(reader: OpenSource, table: Table, row_range: RowRange | None = None) -> tuple[Scan, ...]:
    """What to read; the columns must have been asked for. A query has no positions."""
    return (
        (query_scan(table.query),)
        if table.query is not None
        else reader.scans(table.source, row_range)
    )


def _query(
    select: str, scans: tuple[Scan, ...], table: Table, columns: dict[str, SourceColumn]
) -> _Query:
    """SELECT from all scans, one behind the other, with the table's filters on each.

    Where rows are told by account, the accounts must have been loaded.
    """
    texts: list[str] = []
    parameters: list[object] = []
    for scan in scans:
        conditions = list(scan.conditions)
        for row_filter in table.filters:
            conditions.append(condition(row_filter, columns[row_filter.column]))
            parameters.extend(row_filter.values)
        conditions += of_accounts(table)
        conditions += chosen(table.choice)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        # All pieces are SQL of ours: names quoted, values bound.
        texts.append(f"SELECT {select} FROM {scan.relation} AS t{where}")  # noqa: S608
    return _Query(" UNION ALL ".join(texts), parameters)


def _in_order(
    select: str, scans: tuple[Scan, ...], table: Table, columns: dict[str, SourceColumn]
) -> _Query:
    """As ``_query``; of an ordered table, of its only scan, in the order of its primary key."""
    sources = {column.name: column.source for column in table.columns}
    key = [sources[name] for name in table.primary_key] if table.ordered else []
    if table.choice is None:
        query = _query(select, scans, table, columns)
        return replace(query, text=query.text + _by(key))
    # Rows are sorted before they are written: as lines of text they take three times as long.
    read = [column.source for column in table.read_columns]
    query = _query(", ".join(map(identifier, read)), scans, table, columns)
    ordered = query.text + _by([*key, *(name for name in read if name not in key)])
    return replace(query, text=f"SELECT {select} FROM ({ordered})")  # noqa: S608


def _by(names: list[str]) -> str:
    listed = ", ".join(f"t.{identifier(name)}" for name in names)
    return f" ORDER BY {listed}" if listed else ""


def condition(row_filter: RowFilter, column: SourceColumn) -> str:
    """SQL of the filter, with a question mark for each of its values."""
    if not row_filter.values:
        return "false"
    # As the column's own type, so that zone maps and Bloom filters serve; an ENUM's refuses
    # words that it does not have, where no row is the answer.
    enum = column.engine_type.startswith("ENUM(")
    kind = "VARCHAR" if enum else column.engine_type
    bound = ", ".join(f"CAST(? AS {kind})" for _ in row_filter.values)
    # Whatever collation a file gave the column: by NOCASE, one tenant's rows are another's.
    exact = f" COLLATE {BINARY}" if column.engine_type == "VARCHAR" else ""
    return f"{identifier(column.name)}{exact} IN ({bound})"


def _count_by_position(
    reader: OpenSource, table: Table, columns: dict[str, SourceColumn]
) -> list[RowRange]:
    """Rows after the filters, by equal steps of position; steps without rows are left out."""
    scans = _scans(reader, table)
    position = None if table.query is not None else reader.position(table.source)
    if position is None:
        query = _query("count(*)", scans, table, columns)
        row = reader.connection.execute(query.text, query.parameters).fetchone()
        return [RowRange(0, LAST_POSITION, int(row[0]))] if row and row[0] else []
    query = _query(f"min({position}), max({position})", scans, table, columns)
    bounds = reader.connection.execute(query.text, query.parameters).fetchone()
    if bounds is None or bounds[0] is None:
        return []
    first, last = (int(bound) for bound in bounds)
    step = (last - first) // _BUCKETS + 1
    bucket = f"({position} - {first}) // {step}"
    query = _query(f"{bucket} AS bucket, count(*)", scans, table, columns)
    counts = reader.connection.execute(
        f"{query.text} GROUP BY bucket ORDER BY bucket", query.parameters
    ).fetchall()
    return [
        RowRange(first + int(index) * step, first + (int(index) + 1) * step - 1, int(rows))
        for index, rows in counts
    ]


@dataclass(frozen=True)
class _RowSize:
    """Bytes of a row: encoded on average, and stored where rows are smallest."""

    encoded: float
    least_stored: float


def _sample(
    reader: OpenSource,
    table: Table,
    columns: dict[str, SourceColumn],
    file_format: FileFormat,
    compression: Compression,
    buckets: list[RowRange],
) -> _RowSize:
    """Encodes a few windows over the table in the very form that it will have."""
    fields = fields_of(table, columns)
    encoded = rows = 0
    least = math.inf
    step = max(1, len(buckets) // _WINDOWS)
    for start in range(0, len(buckets), step):
        window = buckets[start]
        for bucket in itertools.islice(buckets, start + 1, start + step):
            if window.rows >= _WINDOW_ROWS:
                break
            window = RowRange(window.first, bucket.last, window.rows + bucket.rows)
        query = _query(
            f"{line_of(fields, file_format)} AS line",
            reader.scans(table.source, window),
            table,
            columns,
        )
        row = reader.connection.execute(
            f"SELECT string_agg(line, chr(10)), count(*) FROM ({query.text} LIMIT {_WINDOW_ROWS})",  # noqa: S608
            query.parameters,
        ).fetchone()
        if row is None or not row[1]:
            continue
        lines = row[0].encode() + b"\n"
        stored = sum(map(len, compressed(iter((lines,)), compression)))
        encoded, rows = encoded + len(lines), rows + row[1]
        least = min(least, stored / row[1])
    return _RowSize(encoded / rows, least)


def _merged(buckets: list[RowRange], ranges: int) -> list[RowRange]:
    """Neighbouring buckets as at most ``ranges`` ranges of about equally many rows."""
    total = sum(bucket.rows for bucket in buckets)
    merged: list[RowRange] = []
    taken, current = 0, -1
    for bucket in buckets:
        # The range that the middle of this bucket's rows falls into.
        index = (2 * taken + bucket.rows) * ranges // (2 * total)
        taken += bucket.rows
        if index == current:
            before = merged[-1]
            merged[-1] = RowRange(before.first, bucket.last, before.rows + bucket.rows)
        else:
            merged.append(bucket)
            current = index
    return merged
