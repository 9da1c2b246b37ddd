"""The Warehouse port for every kind of source: each is handed to what reads it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from headrace.catalog.ports import SourceSchemas
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition, TableRange
from headrace.exports.sources import ChangeWindow, Freshness, Source, Table
from headrace.exports.warehouses import (
    Changes,
    HeldSnapshot,
    RowStream,
    SourceColumn,
    SourceFreshness,
    Warehouse,
)
from headrace.kernel.errors import IncrementsUnavailable


class Reader(Warehouse, SourceSchemas, SourceFreshness, Protocol):
    """What reads a kind of source, for exports, for the catalog and for who watches."""


def _duckdb() -> Reader:
    from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse  # noqa: PLC0415

    return DuckdbWarehouse()


def _postgresql() -> Reader:
    from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse  # noqa: PLC0415

    return PostgresqlWarehouse()


def _athena() -> Reader:
    from headrace.adapters.athena.athena_tables import AthenaTables  # noqa: PLC0415

    return AthenaTables()


_READERS: Mapping[str, Callable[[], Reader]] = {"postgresql": _postgresql, "athena": _athena}
"""By kind; DuckDB reads all others. Imported when first needed: a worker reads one kind."""


def _ducklake_changes() -> Changes:
    from headrace.adapters.warehouse.changes import DuckLakeChanges  # noqa: PLC0415

    return DuckLakeChanges()


def _postgresql_changes() -> Changes:
    from headrace.adapters.postgresql.changes import PostgresqlChanges  # noqa: PLC0415

    return PostgresqlChanges()


_CHANGES: Mapping[str, Callable[[], Changes]] = {
    "ducklake": _ducklake_changes,
    "postgresql": _postgresql_changes,
}
"""By kind; no others keep a record of what changed. Imported when first needed."""


@dataclass(frozen=True)
class WarehouseByKind:
    """The port, for every kind of source."""

    _readers: dict[str, Reader] = field(default_factory=dict)

    def reader(self, source: Source) -> Reader:
        """What reads the source."""
        kind = source.kind if source.kind in _READERS else "duckdb"
        if kind not in self._readers:
            self._readers[kind] = _READERS.get(kind, _duckdb)()
        return self._readers[kind]

    def current_version(self, source: Source) -> str:
        """See the port."""
        return self.reader(source).current_version(source)

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """See the port."""
        return self.reader(source).freshness(source, now)

    def holds_version(self, source: Source, version: str) -> bool:
        """See the port."""
        return self.reader(source).holds_version(source, version)

    def tables(self, source: Source) -> tuple[str, ...]:
        """See the port."""
        return self.reader(source).tables(source)

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """See the port."""
        return self.reader(source).describe(source, table)

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """See the catalog's port."""
        return self.reader(source).schema(source)

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """See the catalog's port."""
        return self.reader(source).describe_query(source, query)

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        """See the catalog's port."""
        return self.reader(source).unique_keys(source, table)

    def count(self, source: Source, version: str, table: Table) -> int:
        """See the port."""
        return self.reader(source).count(source, version, table)

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """See the catalog's port."""
        return self.reader(source).counts(source, version, tables)

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
        """See the port."""
        return self.reader(source).plan(
            source,
            version,
            table,
            file_format,
            target_bytes=target_bytes,
            max_ranges=max_ranges,
            compression=compression,
        )

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
        """See the port."""
        return self.reader(source).stream(
            source, version, table, row_range, file_format, compression, position, snapshot
        )

    def hold(self, source: Source) -> AbstractContextManager[HeldSnapshot]:
        """See the port."""
        return self.reader(source).hold(source)


@dataclass(frozen=True)
class ChangesByKind:
    """The ``Changes`` port, for every kind of source."""

    _readers: dict[str, Changes] = field(default_factory=dict)

    def reader(self, source: Source) -> Changes:
        """What reads the source's changes. Raises IncrementsUnavailable."""
        if source.kind not in _CHANGES:
            raise IncrementsUnavailable(
                "The source keeps no record of what changed in it; export its tables in full."
            )
        if source.kind not in self._readers:
            self._readers[source.kind] = _CHANGES[source.kind]()
        return self._readers[source.kind]

    def window(self, source: Source, tables: Sequence[Table], since: str | None) -> ChangeWindow:
        """See the port."""
        return self.reader(source).window(source, tables, since)

    def resync_reason(
        self, source: Source, since: str, version: str, table: Table, snapshot: str | None = None
    ) -> str | None:
        """See the port."""
        return self.reader(source).resync_reason(source, since, version, table, snapshot)

    def stream_changes(
        self,
        source: Source,
        since: str,
        version: str,
        table: Table,
        file_format: FileFormat,
        compression: Compression,
        snapshot: str | None = None,
    ) -> AbstractContextManager[RowStream]:
        """See the port."""
        return self.reader(source).stream_changes(
            source, since, version, table, file_format, compression, snapshot
        )
