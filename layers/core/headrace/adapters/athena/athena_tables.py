"""Tables of the Glue Data Catalog, that Athena reads and leaves in our storage as Parquet.

What Athena is asked for, and why so (docs/decisions/0017-athena-unloads-workers-encode.md):

- The files' columns are called ``c0``, ``c1``, …: no name of a source's has to be fit for a file.
- Instants go as text. An unloaded file holds milliseconds, and Iceberg's tables microseconds.
- A parameter is always there: Athena takes no empty list of them, and a state of a workflow
  cannot leave one out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import duckdb
from botocore.exceptions import BotoCoreError, ClientError

from headrace.adapters.answers import error_code
from headrace.adapters.athena.hive_types import duckdb_type
from headrace.adapters.published import as_published
from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.values import classify
from headrace.catalog.model import QueryRefused
from headrace.exports.model import Compression, FileFormat
from headrace.exports.ports import Staging
from headrace.exports.slices import PartPosition, TableRange
from headrace.exports.sources import ColumnType, Freshness, RowFilter, Source, Table
from headrace.exports.warehouses import HeldSnapshot, RowStream, SourceColumn, Unload
from headrace.kernel.clock import Clock, SystemClock, from_rfc3339, rfc3339
from headrace.kernel.errors import HeadraceError, SourceChanged, SourceUnavailable

_VERSION = "athena:"
_PARAMETER_CHARACTERS = 1024
"""Athena's limit of one execution parameter."""


def _glue() -> Any:
    import boto3  # noqa: PLC0415  it takes half a second, and few sources need it

    return boto3.client("glue")


@dataclass(frozen=True)
class AthenaTables:
    """``SourceSchemas``, ``Unloads``, and as much of ``Warehouse`` as there is without rows.

    ``glue`` gives a client of AWS Glue. A version is the moment that it was asked for: tables of
    Iceberg are read as of then, others as they are when their query runs.
    """

    glue: Callable[[], Any] = _glue
    clock: Clock = field(default_factory=SystemClock)

    # --- versions ---------------------------------------------------------------------------

    def current_version(self, source: Source) -> str:
        """The moment. Raises SourceUnavailable if the database cannot be seen."""
        with _glue_errors(source):
            self.glue().get_database(Name=source.options["database"])
        return f"{_VERSION}{rfc3339(self.clock.now())}"

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """Nothing: Glue does not know when rows changed. Raises SourceUnavailable."""
        self.current_version(source)
        return Freshness()

    def holds_version(self, source: Source, version: str) -> bool:
        """Can the version still be read: any moment can, as far as the tables can tell it."""
        return version.startswith(_VERSION)

    def hold(self, source: Source) -> AbstractContextManager[HeldSnapshot]:
        """There is nothing to hold."""
        raise HeadraceError(f"A version of the source {source.name} needs nobody to hold it.")

    # --- schemas ----------------------------------------------------------------------------

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """Every table (``database.table``) with its columns in order, those of partitions last."""
        database = source.options["database"]
        found = {}
        with _glue_errors(source):
            for page in self.glue().get_paginator("get_tables").paginate(DatabaseName=database):
                for table in page["TableList"]:
                    if table.get("TableType") != "VIRTUAL_VIEW":
                        found[f"{database}.{table['Name']}"] = _columns(table)
        return found

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """Raises QueryRefused: rows of Athena are unloaded, and no query of the operator's is."""
        raise QueryRefused("An athena source runs no queries of templates.")

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        """Nothing is told: Athena enforces no keys."""
        return None

    def tables(self, source: Source) -> tuple[str, ...]:
        """All tables, as ``database.table``; views are none."""
        return tuple(sorted(self.schema(source)))

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``database.table`` in order; empty if there is no such table."""
        found = self._table(source, table)
        return () if found is None else _columns(found)

    def _table(self, source: Source, table: str) -> Mapping[str, Any] | None:
        database, _, name = table.partition(".")
        with _glue_errors(source):
            try:
                found: dict[str, Any] = self.glue().get_table(DatabaseName=database, Name=name)
            except ClientError as error:
                if error_code(error) != "EntityNotFoundException":
                    raise
                return None
        return found["Table"] if found["Table"].get("TableType") != "VIRTUAL_VIEW" else None

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """Zeros: nobody knows how many rows there are without a scan, which costs."""
        return tuple(0 for _ in tables)

    def count(self, source: Source, version: str, table: Table) -> int:
        """Zero; see ``counts``."""
        return 0

    # --- rows -------------------------------------------------------------------------------

    def unload(self, source: Source, version: str, table: Table, staging: Staging) -> Unload:
        """The query for the table's rows after its filters.

        Raises SourceUnavailable, SourceChanged. Names are quoted and those of the source's
        own catalog; values are bound. The one text that is pasted is the folder's URL, ours.
        """
        found = self._table(source, table.source)
        as_published(_columns(found) if found else (), table)
        chosen = ", ".join(
            f"{_exact(column.source, column.type)} AS {identifier(f'c{index}')}"
            for index, column in enumerate(table.read_columns)
        )
        conditions, parameters = ["1 = ?"], ["1"]
        for row_filter in table.filters:
            conditions.append(_condition(row_filter))
            parameters += [_bound(value) for value in row_filter.values]
        if any(len(value) > _PARAMETER_CHARACTERS for value in parameters):
            raise HeadraceError(
                f"Rows of {table.name} are chosen by a text of more than "
                f"{_PARAMETER_CHARACTERS} characters, which Athena does not take."
            )
        # All pieces are SQL of ours: names quoted, values bound.
        query = (
            f"UNLOAD (SELECT {chosen} FROM {_relation(table.source, found or {}, version)} "  # noqa: S608
            f"WHERE {' AND '.join(conditions)}) TO {literal(f'{staging.location}data/')} "
            "WITH (format = 'PARQUET', compression = 'ZSTD')"
        )
        return Unload(
            query=query,
            parameters=tuple(parameters),
            database=source.options["database"],
            workgroup=source.options.get("workgroup") or "primary",
            results=f"{staging.location}results/",
            staging=staging,
        )

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
        """Rows are planned where they were unloaded to."""
        raise HeadraceError(f"Rows of the source {source.name} have to be unloaded first.")

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
    ) -> AbstractContextManager[RowStream]:
        """Rows are read where they were unloaded to."""
        raise HeadraceError(f"Rows of the source {source.name} have to be unloaded first.")


@contextmanager
def _glue_errors(source: Source) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        reason = {
            "EntityNotFoundException": "the data catalog has no such database",
            "AccessDeniedException": "the data catalog denies access to it",
        }.get(code, "the data catalog cannot be read now")
        raise SourceUnavailable(f"The source {source.name} cannot be read: {reason}.") from error
    except BotoCoreError as error:
        raise SourceUnavailable("The data catalog does not answer.") from error


def _columns(table: Mapping[str, Any]) -> tuple[SourceColumn, ...]:
    """The columns of a table of Glue's, as they are now.

    Of an Iceberg table Glue keeps columns that were dropped, marked as no longer current.
    """
    listed = [
        *table.get("StorageDescriptor", {}).get("Columns", ()),
        *table.get("PartitionKeys", ()),
    ]
    columns = []
    for column in listed:
        facts = column.get("Parameters", {})
        if facts.get("iceberg.field.current") != "false":
            optional = facts.get("iceberg.field.optional")
            described = _column(
                column["Name"], column.get("Type", ""), nullable=optional != "false"
            )
            # Hive's tables cannot say that a column is never NULL.
            columns.append(replace(described, promised=optional is not None))
    return tuple(columns)


def _column(name: str, hive: str, *, nullable: bool) -> SourceColumn:
    engine_type = duckdb_type(hive)
    if engine_type is None:
        reason = f"{hive}: there is no exact form for it"
        return SourceColumn(name, hive, None, nullable, reason=reason)
    column = classify(name, duckdb.sqltype(engine_type), nullable=nullable)
    return SourceColumn(
        name, hive, column.type, nullable, column.precision, column.scale, column.reason
    )


def _relation(table: str, found: Mapping[str, Any], version: str) -> str:
    database, _, name = table.partition(".")
    relation = f"{identifier(database)}.{identifier(name)}"
    if str(found.get("Parameters", {}).get("table_type", "")).upper() != "ICEBERG":
        return relation
    try:
        moment = from_rfc3339(version.removeprefix(_VERSION))
    except ValueError:
        raise SourceChanged("The source no longer holds the version asked for.") from None
    instant = rfc3339(moment).replace("T", " ").replace("Z", " UTC")
    return f"{relation} FOR TIMESTAMP AS OF TIMESTAMP {literal(instant)}"


def _exact(name: str, column_type: ColumnType) -> str:
    """SQL of the value in a type that an unloaded file holds exactly."""
    source = identifier(name)
    match column_type:
        case ColumnType.TIMESTAMP:
            return f"CAST(CAST({source} AS timestamp(6)) AS varchar)"
        case ColumnType.STRING:
            return f"CAST({source} AS varchar)"
        case _:
            return source


def _condition(row_filter: RowFilter) -> str:
    if not row_filter.values:
        return "false"
    mark = "CAST(? AS date)" if row_filter.type is ColumnType.DATE else "?"
    return f"{identifier(row_filter.column)} IN ({', '.join(mark for _ in row_filter.values)})"


def _bound(value: str | int | bool) -> str:
    """A value as a parameter: a text in single quotes is a text, all else what it reads as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else literal(value)
