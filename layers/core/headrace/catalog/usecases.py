"""What an operator does with a catalog once it is compiled: publish it, look at what is there."""

from dataclasses import dataclass, replace

from headrace.catalog import document
from headrace.catalog.model import Catalog, Publication
from headrace.catalog.ports import Catalogs
from headrace.exports.sources import Table
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotFound


@dataclass(frozen=True)
class PublishCatalog:
    """Makes a catalog the current one, unless it is already."""

    catalogs: Catalogs
    clock: Clock

    def __call__(self, catalog: Catalog) -> Publication:
        """The version that is current now; ``changed`` is False if nothing had to be done.

        Raises CatalogChanged if somebody else publishes at the same moment, CatalogRefused.
        """
        current = self.catalogs.current()
        if current is not None and current.digest == document.digest(catalog):
            return replace(current, changed=False)
        expected = current.version if current else 0
        numbered = with_schema_versions(catalog, self.catalogs)
        return self.catalogs.publish(numbered, expected, self.clock.now())


def with_schema_versions(catalog: Catalog, catalogs: Catalogs) -> Catalog:
    """The catalog with the version of each table's schema, which goes on from those before.

    A table that was left out for a while goes on from where it was: no version ever means two
    schemas. To tell that it is new, all earlier versions of its configuration are looked at.
    """
    earlier = [publication.version for publication in catalogs.versions()]
    configurations = []
    for one in catalog.configurations:
        open_tables = {table.name: table for table in one.tables}
        numbered: dict[str, Table] = {}
        for version in earlier:
            if not open_tables:
                break
            try:
                before = catalogs.at(version, one.tenant, one.client_id, one.configuration_id)
            except NotFound:
                continue
            for past in before.tables:
                table = open_tables.pop(past.name, None)
                if table is not None:
                    changed = past.schema_hash != table.schema_hash
                    numbered[table.name] = replace(
                        table, schema_version=past.schema_version + changed
                    )
        tables = tuple(numbered.get(table.name, table) for table in one.tables)
        configurations.append(replace(one, tables=tables))
    return replace(catalog, configurations=tuple(configurations))


@dataclass(frozen=True)
class ShowCatalog:
    """Reads a published version."""

    catalogs: Catalogs

    def __call__(self, version: int | None = None) -> tuple[Publication, Catalog]:
        """The version (None: the current one) and all it holds. Raises NotFound."""
        if version is None:
            publication = self.catalogs.current()
        else:
            publication = next((p for p in self.catalogs.versions() if p.version == version), None)
        if publication is None:
            raise NotFound(
                "Nothing is published yet."
                if version is None
                else f"There is no version {version}."
            )
        return publication, self.catalogs.read(publication.version)
