"""What an operator does with a catalog once it is compiled: publish it, look at what is there."""

from dataclasses import dataclass, replace

from headrace.catalog import document
from headrace.catalog.model import Catalog, Publication
from headrace.catalog.ports import Catalogs
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
        return self.catalogs.publish(catalog, expected, self.clock.now())


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
