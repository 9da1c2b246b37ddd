"""What templates need of the world."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from headrace.templates.definitions import ApplicationVersion, Template
from headrace.templates.model import Parameters, Reader, Walk


class Templates(Protocol):
    """The templates of the published catalog."""

    def all_now(self) -> tuple[int, tuple[Template, ...]]:
        """The current catalog version and its templates, by id."""
        ...

    def find(self, template_id: str) -> tuple[int, Template] | None:
        """The current catalog version and the template, whomever it is for."""
        ...

    def application_version(self, tenant: str) -> ApplicationVersion | None:
        """Of the tenant's application, as published now."""
        ...

    def time_zone(self, tenant: str) -> str:
        """The IANA name of the tenant's time zone, as published now."""
        ...


class Activations(Protocol):
    """For which tenants the operator has activated which templates."""

    def is_active(self, tenant: str, template_id: str) -> bool:
        """Read consistently."""
        ...

    def activate(self, tenant: str, template_id: str, moment: datetime) -> bool:
        """False if it was active."""
        ...

    def deactivate(self, tenant: str, template_id: str) -> bool:
        """False if it was not active."""
        ...

    def active(self, tenant: str) -> dict[str, datetime]:
        """The ids of the active ones, and since when they are."""
        ...


class Walks(Protocol):
    """Walks, and which one a reader goes on with by offset."""

    def begin(self, walk: Walk) -> None:
        """Records it, and makes it the reader's latest of this template and these parameters."""
        ...

    def begin_unless_there(self, walk: Walk, since: datetime) -> Walk:
        """The reader's latest one of the same template and parameters that began after ``since``
        and has not failed; else this one, as ``begin`` does. Of several at once one begins."""
        ...

    def find(self, reader: Reader, walk_id: str) -> Walk | None:
        """Read consistently."""
        ...

    def take(self, reader: Reader, walk_id: str, now: datetime) -> Walk:
        """The walk, to be read by the worker that asks, and by no other.

        Raises Fenced: it has ended, or another worker reads it and was heard of within ``LEASE``;
        NotFound.
        """
        ...

    def fix(self, walk: Walk, version: str | None) -> Walk:
        """The walk shows this version of its source. Raises Fenced, as all that follows: it has
        ended, or another worker has taken it."""
        ...

    def grow(self, walk: Walk, rows: int, now: datetime) -> None:
        """So many rows can be read, never fewer than before; and the worker lives."""
        ...

    def complete(self, walk: Walk, rows: int) -> None:
        """All are there."""
        ...

    def fail(self, walk: Walk, code: str) -> None:
        """Nothing more will come. Who calls that holds no take gives the walk as it began."""
        ...


class Chunks(Protocol):
    """The rows of walks as NDJSON, encrypted with the tenant's key, ``CHUNK_ROWS`` in each."""

    def write(self, walk: Walk, chunks: Iterable[tuple[int, bytes]]) -> Iterator[int]:
        """Numbers (from 0) with their lines; each number is yielded in order when its chunk is
        there, a few being written at once. Raises FileUnavailable, Unavailable, and what the
        iteration of ``chunks`` raises."""
        ...

    def read(self, walk: Walk, numbers: Iterable[int]) -> Iterator[Sequence[bytes]]:
        """The lines of each chunk, without their ends, a few chunks being read at once.

        Raises FileUnavailable, FileExpired, Unavailable.
        """
        ...


class Rows(Protocol):
    """A template's rows in its source."""

    def version(self, template_id: str, catalog_version: int) -> str | None:
        """The version that the source is at now; None if it keeps none: what was read once can
        not be read again. Raises SourceUnavailable, NotFound."""
        ...

    def read(
        self,
        tenant: str,
        template_id: str,
        catalog_version: int,
        version: str | None,
        parameters: Parameters,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The rows at that version (None: in one snapshot, that of now) as NDJSON.

        They come in the template's order, and in the same one whenever the same version is read.
        Chunks end anywhere; an empty one says that a second went by.

        Raises SourceUnavailable, SourceChanged, SchemaChanged, ValueNotExportable, NotFound.
        """
        ...


class Readings(Protocol):
    """The workers that read sources into chunks."""

    def start(self, walk: Walk) -> None:
        """Returns at once; again is harmless (``Walks.take``). Raises Unavailable."""
        ...
