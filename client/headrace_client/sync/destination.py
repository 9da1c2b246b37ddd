"""What a sync needs of the place that it keeps up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace_client.errors import VerificationError
from headrace_client.model import Compression, Content, FileFormat, TableMetadata
from headrace_client.sync.state import SyncState

CHANGE = "_change"
INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"


@dataclass(frozen=True)
class Document:
    """A table's document on this disk, verified: all its rows, or its changes."""

    table: TableMetadata
    content: Content
    path: Path
    rows: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it must have, in this order."""
        fields = tuple(field.name for field in self.table.fields)
        return fields if self.content is Content.FULL else (CHANGE, *fields)

    def demand_columns(self, found: Sequence[str]) -> None:
        """VerificationError unless the document has the columns that it is said to have."""
        if tuple(found) != self.columns:
            raise VerificationError(
                f"The document of {self.table.name} has the columns {', '.join(found)}, "
                f"not {', '.join(self.columns)}. Nothing was applied."
            )

    def demand_rows(self, found: int) -> None:
        """VerificationError unless so many rows were found in it as its manifest says."""
        if found != self.rows:
            raise VerificationError(
                f"The document of {self.table.name} has {found:,} rows, its manifest says "
                f"{self.rows:,}. Nothing was applied."
            )

    def demand_changes(self, counts: Mapping[str, int], keys: int) -> None:
        """VerificationError unless these counts by kind are all its rows, each of a key of its
        own."""
        known = sum(counts.get(kind, 0) for kind in (INSERTED, UPDATED, DELETED))
        if known != self.rows or keys != self.rows:
            raise VerificationError(
                f"The changes of {self.table.name} name a key twice, or hold what is no change. "
                "Nothing was applied."
            )


@dataclass(frozen=True)
class Applied:
    """What happened to one table. `rows` is how many it has now.

    `content` is FULL where the table was replaced; then `inserted` counts its rows. It is None
    where the table is no longer granted, and was removed.
    """

    table: str
    content: Content | None
    inserted: int
    updated: int
    deleted: int
    rows: int


class Destination(Protocol):
    """Somewhere to keep tables, with the state of the sync beside them.

    Every method but `locked` is called within `locked()`. Errors: DestinationError,
    DestinationInUse, LocalFileError.
    """

    @property
    def name(self) -> str:
        """What people call it; without secrets."""
        ...

    @property
    def file_format(self) -> FileFormat:
        """The format that its documents are wanted in."""
        ...

    @property
    def compression(self) -> Compression:
        """And their compression."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep other syncs away from it; DestinationInUse where one is at work."""
        ...

    def state(self) -> SyncState | None:
        """Its state; None where no sync has begun."""
        ...

    def demand_room(self, tables: Sequence[TableMetadata], state: SyncState | None) -> None:
        """DestinationError where something else has the name of one of the tables."""
        ...

    def record(self, state: SyncState) -> None:
        """Keep the state, durably, and leave the tables alone."""
        ...

    def workspace(self, state: SyncState) -> Path:
        """The folder for its downloads, the same for the same destination."""
        ...

    def apply(
        self, before: SyncState, after: SyncState, documents: Sequence[Document]
    ) -> tuple[Applied, ...]:
        """Apply all documents and move the state from `before` to `after`: all of it or nothing.

        Tables that `after` does not have are removed. Raises VerificationError for documents that
        are not what they are said to be.
        """
        ...
