"""A source that is open at a version, whatever its kind, and what all kinds share."""

from dataclasses import dataclass
from typing import Protocol

from headrace.adapters.warehouse.engine import Connection
from headrace.exports.slices import RowRange
from headrace.exports.sources import Source
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SourceUnavailable

LAST_POSITION = 2**53 - 1
"""Beyond every position, and still exact where JSON numbers are doubles."""


@dataclass(frozen=True)
class Scan:
    """Rows to read: what stands behind FROM, and conditions that stand behind WHERE."""

    relation: str
    conditions: tuple[str, ...] = ()


def query_scan(query: str) -> Scan:
    """What a query gives, read as a table is. It is a template's, and so the operator's own SQL."""
    return Scan(f"({query}\n)")  # it may end in a comment


class OpenSource(Protocol):
    """A source opened at a version, locked down to its own files."""

    @property
    def connection(self) -> Connection:
        """The engine; ``source`` is what is attached, if anything is."""
        ...

    def tables(self) -> tuple[str, ...]:
        """All tables, as ``schema.table``."""
        ...

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table``; empty if there is no such table."""
        ...

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        """The columns of what a SELECT gives, which names tables as ``schema.table``."""
        ...

    def position(self, table: str) -> str | None:
        """SQL of a row's position; None if the table has none and cannot be split."""
        ...

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        """What to read, in order, for the range (None: for the whole table)."""
        ...

    def verify(self) -> None:
        """Raises SourceChanged if what was read may be of more than one version."""
        ...

    def check_held(self) -> None:
        """Raises SourceChanged if a table can no longer be read at the version."""
        ...


def option(source: Source, name: str) -> str:
    """An option that the source has to have. Raises SourceUnavailable."""
    value = source.options.get(name)
    if not value:
        raise SourceUnavailable(f"The source {source.name} lacks its option {name}.")
    return value


def folder_path(path: str) -> str:
    """With a slash at its end."""
    return path if path.endswith("/") else f"{path}/"
