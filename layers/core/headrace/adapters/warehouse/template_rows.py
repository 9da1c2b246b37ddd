"""The rows of templates, read as exports read tables: the same values, in the same form."""

import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import duckdb

from headrace.adapters.warehouse.duckdb_warehouse import WHOLE, DuckdbWarehouse
from headrace.adapters.warehouse.engine import Limits, memory_here
from headrace.catalog.model import PublishedTemplate
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slots import Slot, Slots
from headrace.exports.sources import RowChoice, RowsSince, Source, Table
from headrace.exports.warehouses import Warehouse
from headrace.kernel.errors import NotFound, SourceUnavailable
from headrace.templates.model import Parameters

_LITTLE = "112MB"
"""What the engine is to do with, unless rows are so wide that it cannot. What a sort has no room
for goes to a file (measured, 5,000,000 rows of 6 columns: 264 MB of the process, of which 123 are
there before it begins; with 128 MB, 280)."""
_PATIENCE_S = 40.0
"""A worker waits up to a quarter of it for its turn at a source."""


class PublishedTemplates(Protocol):
    """What is read of the published catalog."""

    def template(self, version: int, template_id: str) -> PublishedTemplate | None:
        """The template as that version had it, or None."""
        ...

    def source(self, version: int, name: str) -> Source:
        """The source as that version had it. Raises NotFound."""
        ...


@dataclass(frozen=True)
class TemplateRows:
    """The ``Rows`` port."""

    templates: PublishedTemplates
    slots: Slots

    def version(self, template_id: str, catalog_version: int) -> str | None:
        """See the port."""
        _, source = self._found(template_id, catalog_version)
        return (
            _reader(source, Limits(_LITTLE)).current_version(source)
            if source.keeps_versions
            else None
        )

    @contextmanager
    def read(
        self,
        tenant: str,
        template_id: str,
        catalog_version: int,
        version: str | None,
        parameters: Parameters,
    ) -> Iterator[Iterator[bytes]]:
        """See the port."""
        published, source = self._found(template_id, catalog_version)
        table = chosen_table(published, tenant, parameters)
        until = time.monotonic() + _PATIENCE_S
        with (
            self.slots.taken(source, tenant, lambda: until - time.monotonic()) as slot,
            closing(_pieces(source, version, table)) as pieces,
        ):
            yield _kept(pieces, slot)

    def _found(self, template_id: str, catalog_version: int) -> tuple[PublishedTemplate, Source]:
        published = self.templates.template(catalog_version, template_id)
        if published is None:
            raise NotFound("There is no such template.")
        source = self.templates.source(catalog_version, published.source)
        if source.unloads:
            raise SourceUnavailable("Rows of this source cannot be read one by one.")
        return published, source


def chosen_table(published: PublishedTemplate, tenant: str, parameters: Parameters) -> Table:
    """The tenant's rows, and of them those that the parameters ask for."""
    date, anonymised = published.date_column, published.anonymised_column
    since = None
    if date is not None and parameters.since is not None:
        since = RowsSince(date.name, date.type, parameters.since)
    unmarked = None
    if anonymised is not None and not parameters.include_anonymised:
        unmarked = anonymised.name
    return replace(published.table_for(tenant), choice=RowChoice(since, unmarked))


def _pieces(source: Source, version: str | None, table: Table) -> Generator[bytes]:
    """The rows, read with little memory, or where it does not do, with all that a worker has."""
    if version is None:
        yield from _read(source, "", table, memory_here())
        return
    came = 0
    try:
        for piece in _read(source, version, table, _LITTLE):
            came += len(piece)
            yield piece
    except SourceUnavailable as error:
        if not isinstance(error.__cause__, duckdb.OutOfMemoryException):
            raise
    else:
        return
    # The same version gives the same bytes.
    for piece in _read(source, version, table, memory_here()):
        yield piece[came:]
        came = max(0, came - len(piece))


def _read(source: Source, version: str, table: Table, memory: str) -> Iterator[bytes]:
    with (
        tempfile.TemporaryDirectory(prefix="headrace-sort-") as scratch,
        _reader(source, Limits(memory, scratch=scratch)).stream(
            source, version, table, None, FileFormat.NDJSON, Compression.NONE, WHOLE
        ) as rows,
    ):
        yield from rows


def _reader(source: Source, limits: Limits) -> Warehouse:
    if source.kind != "postgresql":
        return DuckdbWarehouse(limits)
    from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse  # noqa: PLC0415

    return PostgresqlWarehouse(replace(limits, scratch=None))  # it is the server that sorts


def _kept(chunks: Iterator[bytes], slot: Slot) -> Iterator[bytes]:
    for chunk in chunks:
        slot.keep()
        yield chunk
