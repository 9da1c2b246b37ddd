"""A client's copy of a table, kept by full documents and documents of changes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from headrace.adapters.warehouse.by_kind import ChangesByKind
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import Source, Table
from headrace.exports.warehouses import Changes
from tests.component.warehouse.places import PLAIN, WAREHOUSE, Document, document, rows_of

CHANGES = ChangesByKind()

Row = dict[str, Any]
Key = tuple[Any, ...]


def changes_between(
    source: Source,
    table: Table,
    since: str,
    version: str,
    file_format: FileFormat = FileFormat.CSV,
    compression: Compression = PLAIN,
    changes: Changes = CHANGES,
) -> Document:
    """The document of what changed, streamed to its end."""
    with changes.stream_changes(source, since, version, table, file_format, compression) as stream:
        stored = b"".join(stream)
        return Document(stored, stream.rows)


def lists_of(
    made: Document, file_format: FileFormat, compression: Compression = PLAIN
) -> dict[str, list[Row]]:
    """The rows by what became of them."""
    rows = rows_of(made.stored, file_format, compression)
    if file_format is FileFormat.JSON:
        return {name: rows[name] for name in ("inserted", "updated", "deleted")}
    lists: dict[str, list[Row]] = {"inserted": [], "updated": [], "deleted": []}
    for row in rows:
        change = row.pop("_change")
        lists[change].append(row)
    return lists


@dataclass
class Copy:
    """The rows by their keys, and the version that they stand at."""

    source: Source
    table: Table
    changes: Changes = CHANGES
    version: str = ""
    rows: dict[Key, Row] = field(default_factory=dict)

    def key(self, row: Row) -> Key:
        """The row's key."""
        return tuple(row[name] for name in self.table.primary_key)

    def take_all(self, version: str) -> None:
        """Begins with a full document."""
        made = document(self.source, self.table, FileFormat.CSV, version=version)
        rows = rows_of(made.stored, FileFormat.CSV)
        self.rows = {self.key(row): row for row in rows}
        self.version = version
        assert len(self.rows) == len(rows)

    def take_changes(self, version: str) -> dict[str, list[Row]]:
        """Goes on to a version; what is told must be a change of what is there."""
        made = changes_between(self.source, self.table, self.version, version, changes=self.changes)
        lists = lists_of(made, FileFormat.CSV)
        assert made.rows == sum(map(len, lists.values()))
        for row in lists["deleted"]:
            del self.rows[self.key(row)]
            others = set(row) - set(self.table.primary_key)
            assert all(row[name] is None for name in others)
        for row in lists["updated"]:
            assert self.rows[self.key(row)] != row
            self.rows[self.key(row)] = row
        for row in lists["inserted"]:
            assert self.key(row) not in self.rows
            self.rows[self.key(row)] = row
        self.version = version
        return lists

    def content(self) -> Counter[tuple[Any, ...]]:
        """The rows as a multiset."""
        return Counter(tuple(row.values()) for row in self.rows.values())


def content_of(source: Source, table: Table, version: str) -> Counter[tuple[Any, ...]]:
    """The source's rows at the version as a multiset, in the same form."""
    made = document(source, table, FileFormat.CSV, version=version)
    return Counter(tuple(row.values()) for row in rows_of(made.stored, FileFormat.CSV))


def latest(source: Source) -> str:
    """The source's version now."""
    return WAREHOUSE.current_version(source)
