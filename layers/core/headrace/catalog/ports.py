"""What the catalog needs of the world. Adapters answer these; tests have fakes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from headrace.catalog.model import Catalog, Publication
from headrace.exports.model import Configuration, Source, Table
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

    def at(self, version: int, tenant: str, client_id: str, configuration_id: str) -> Configuration:
        """A configuration as that version had it. Raises NotFound."""
        ...

    def publish(self, catalog: Catalog, expected: int, moment: datetime) -> Publication:
        """Makes it the next version and the current one, whole or not at all.

        ``expected`` is the version that it replaces, 0 for none. Raises CatalogChanged if another
        one is current by then, CatalogRefused if an entry is too large to be stored.
        """
        ...


class SourceSchemas(Protocol):
    """What the check asks of a source; the warehouse adapter answers it. Raises SourceUnavailable.

    Both open the source once, however much they are asked.
    """

    def current_version(self, source: Source) -> str:
        """The version that a read begun now would see."""
        ...

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """Every table (``schema.table``) with its columns in order."""
        ...

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """Rows of each configured table, after its filters."""
        ...
