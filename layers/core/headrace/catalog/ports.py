"""What the catalog needs of the world. Adapters answer these; tests have fakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from headrace.catalog.model import Catalog, Publication
from headrace.exports.sources import Configuration, Source, Table
from headrace.exports.warehouses import SourceColumn


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

    Each opens the source once, however much it is asked.
    """

    def current_version(self, source: Source) -> str:
        """The version that a read begun now would see."""
        ...

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        """Every table (``schema.table``) with its columns in order."""
        ...

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """The columns of what a SELECT gives, in order; it is not run. Raises QueryRefused."""
        ...

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        """Sets of columns that tell all rows of ``schema.table`` apart, as the source enforces;
        None where it enforces none, whatever its tables."""
        ...

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        """Rows of each configured table, after its filters."""
        ...


class Kind(StrEnum):
    """What a column of an application can be used for."""

    NUMBER = "whole number"
    UUID = "UUID"
    TIME = "date or time"
    OTHER = "other"


@dataclass(frozen=True)
class DatabaseColumn:
    """A column of a table. ``written``: its type as SQL.

    ``no_text``: why its values have no text that means the same elsewhere, if that is so.
    ``default``: does it get a value where none is given. ``counted``: is that the next of a
    sequence. ``computed``: does the database alone set it.
    """

    name: str
    written: str
    kind: Kind = Kind.OTHER
    nullable: bool = True
    default: bool = False
    counted: bool = False
    computed: bool = False
    no_text: str | None = None


@dataclass(frozen=True)
class UniqueIndex:
    """Columns that together tell all rows apart. ``nulls_alike``: two NULLs are the same then."""

    columns: frozenset[str]
    nulls_alike: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A column that holds values of a column of a table (``schema.table``)."""

    column: str
    relation: str
    to_column: str


@dataclass(frozen=True)
class DatabaseTable:
    """A table of an application's database as it is now.

    ``is_table``: it is no view nor anything else that is not written to. ``rows_hidden``: policies
    choose which of its rows this role sees.
    """

    columns: Mapping[str, DatabaseColumn]
    unique: tuple[UniqueIndex, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    is_table: bool = True
    readable: bool = True
    rows_hidden: bool = False


@dataclass(frozen=True)
class ApplicationDatabase:
    """What an application's database has: tables by ``schema.table``, functions that take no
    argument, by ``schema.function``."""

    tables: Mapping[str, DatabaseTable]
    functions: frozenset[str] = field(default_factory=frozenset)


class ApplicationSchemas(Protocol):
    """What the check asks of an application's database."""

    def describe(self, database: Source) -> ApplicationDatabase:
        """All of it that its role knows of. Raises SourceUnavailable."""
        ...
