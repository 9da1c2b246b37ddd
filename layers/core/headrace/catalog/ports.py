"""What the catalog needs of the world. Adapters answer these; tests have fakes."""

from datetime import datetime
from typing import Protocol

from headrace.catalog.model import Catalog, Publication
from headrace.exports.model import Source, Table
from headrace.exports.ports import SourceColumn


class Catalogs(Protocol):
    """The published catalogs: numbered versions that never change, one of them current."""

    def current(self) -> Publication | None:
        """The current version, or None before the first; consistent."""
        ...

    def versions(self) -> tuple[Publication, ...]:
        """All that were ever current, newest first."""
        ...

    def read(self, version: int) -> Catalog:
        """All of a version. Raises NotFound for one that never was current."""
        ...

    def publish(self, catalog: Catalog, expected: int, moment: datetime) -> Publication:
        """Makes it the next version and the current one, whole or not at all.

        ``expected`` is the version that it replaces, 0 for none. Raises CatalogChanged if another
        one is current by then, CatalogRefused if an entry is too large to be stored.
        """
        ...


class SourceSchemas(Protocol):
    """What the check asks of a source: the part of ``exports.ports.Warehouse`` that it needs."""

    def current_version(self, source: Source) -> str:
        """The version that a read begun now would see. Raises SourceUnavailable."""
        ...

    def tables(self, source: Source) -> tuple[str, ...]:
        """All tables, as ``schema.table``. Raises SourceUnavailable."""
        ...

    def describe(self, source: Source, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table`` in order; empty if there is no such table."""
        ...

    def count(self, source: Source, version: str, table: Table) -> int:
        """Rows of the configured table, after its filters."""
        ...
