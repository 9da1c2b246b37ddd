"""The ports to where the rows are: reading them, at a version or as they changed since."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from headrace.exports.model import Compression, FileFormat
from headrace.exports.ports import Staging
from headrace.exports.slices import PartPosition, TableRange
from headrace.exports.sources import (
    ChangeWindow,
    ColumnType,
    Freshness,
    Source,
    Table,
)


@dataclass(frozen=True)
class SourceColumn:
    """A column as the source has it. ``type`` is None where it cannot be carried exactly."""

    name: str
    engine_type: str
    type: ColumnType | None
    nullable: bool
    precision: int | None = None
    scale: int | None = None
    reason: str | None = None
    text_of: str | None = None
    """See ``Column``."""
    promised: bool = True
    """Can the source promise that a column is never NULL (a view of PostgreSQL's cannot)."""

    def refused(self, reason: str) -> "SourceColumn":
        """The same as one that cannot be carried exactly."""
        return replace(self, type=None, precision=None, scale=None, reason=reason)


@dataclass(frozen=True)
class Unload:
    """What an engine is asked to run so that a table's rows lie in our storage.

    ``parameters`` are SQL literals for the statement's question marks, never none. ``results`` is
    the URL of the folder for what the engine notes about the query.
    """

    query: str
    parameters: tuple[str, ...]
    database: str
    workgroup: str
    results: str
    staging: Staging

    @property
    def token(self) -> str:
        """Makes it one query, however often it is asked for: no two have a folder in common."""
        return hashlib.sha256(self.staging.prefix.encode()).hexdigest()


class Unloads(Protocol):
    """Sources whose own engine leaves the rows in our storage."""

    def unload(self, source: Source, version: str, table: Table, staging: Staging) -> Unload:
        """The query for the table's rows after its filters, as ``exports.model.staged`` reads them.

        Raises SourceUnavailable, SourceChanged.
        """
        ...


class RowStream(Protocol):
    """An encoded stream of rows: iterate it to the end, then ask for the rows."""

    def __iter__(self) -> Iterator[bytes]:
        """The bytes. Raises what ended the reading early: the end means complete.

        A chunk may be empty: nothing came for a while, a moment to look whether to go on.
        """
        ...

    @property
    def rows_so_far(self) -> int | None:
        """How many rows have come; None where that cannot be told from the bytes."""
        ...

    @property
    def rows(self) -> int:
        """How many rows there were; known after the last chunk."""
        ...


class HeldSnapshot(Protocol):
    """A snapshot of a source, held open."""

    @property
    def name(self) -> str:
        """What other workers find it by."""
        ...

    @property
    def version(self) -> str:
        """The version that it shows."""
        ...

    def check(self) -> None:
        """Raises SnapshotLost if it is held no longer."""
        ...


class Warehouse(Protocol):
    """Reads tables from a source, at a version. Raises SourceUnavailable, SourceChanged."""

    def current_version(self, source: Source) -> str:
        """The version that a read begun now would see."""
        ...

    def holds_version(self, source: Source, version: str) -> bool:
        """Can the version still be read."""
        ...

    def tables(self, source: Source) -> tuple[str, ...]:
        """All tables, as ``schema.table``."""
        ...

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table`` in order; empty if there is no such table."""
        ...

    def count(self, source: Source, version: str, table: Table) -> int:
        """Rows of the configured table, after its filters."""
        ...

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
        """Disjoint ranges, none empty, that together hold every row; () of an empty table.

        ``target_bytes`` is what a range aims at before compression; with ``compression`` known,
        no range is planned that S3 would not take as a part.
        """
        ...

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
        """The rows of the range (None: of the whole table) as part of a document.

        ``snapshot``: the name of what to read, where somebody holds it open; it shows ``version``.
        Raises SnapshotLost.
        """
        ...

    def hold(self, source: Source) -> AbstractContextManager["HeldSnapshot"]:
        """A snapshot that other workers can read in, for as long as this is not left.

        Only of a source that keeps no versions. Raises SourceUnavailable.
        """
        ...


class SourceFreshness(Protocol):
    """How new the data of a source is."""

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """As it is ``now``; a server goes by its own clock.

        Raises SourceUnavailable, SourceChanged.
        """
        ...


class Changes(Protocol):
    """What changed in a source between two of its versions.

    Raises SourceUnavailable, and IncrementsUnavailable of a source or table without a record of
    its changes.
    """

    def window(self, source: Source, tables: Sequence[Table], since: str | None) -> ChangeWindow:
        """Between which versions the changes of all these tables can be told, and where ``since``
        stands to them.
        """
        ...

    def resync_reason(
        self, source: Source, since: str, version: str, table: Table, snapshot: str | None = None
    ) -> str | None:
        """Why the table's changes from ``since`` to ``version`` cannot be told; None if they can.

        A sentence for the caller. ``snapshot``: as of ``Warehouse.stream``. Raises SchemaChanged.
        """
        ...

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
        """The net changes of the table by its primary key, as a whole document; rows are changes.

        CSV, NDJSON and Parquet lead with ``_change``: inserted, updated or deleted. JSON has a list
        of each. Of a deleted row there is the primary key only. Raises SyncVersionExpired,
        SnapshotLost, SchemaChanged, ValueNotExportable.
        """
        ...
