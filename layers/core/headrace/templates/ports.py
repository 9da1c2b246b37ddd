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

    def grow(self, walk: Walk, rows: int) -> None:
        """So many rows can be read. Raises Fenced: it has ended, or another worker has more."""
        ...

    def complete(self, walk: Walk, rows: int) -> None:
        """All are there. Raises Fenced."""
        ...

    def fail(self, walk: Walk, code: str) -> None:
        """Nothing more will come. Raises Fenced."""
        ...


class Chunks(Protocol):
    """The rows of walks as NDJSON, encrypted with the tenant's key, ``CHUNK_ROWS`` in each."""

    def write(self, walk: Walk, number: int, lines: bytes) -> None:
        """Chunk ``number``, from 0. The same again changes nothing. Raises FileUnavailable."""
        ...

    def read(self, walk: Walk, numbers: Iterable[int]) -> Iterator[Sequence[bytes]]:
        """The lines of each chunk, without their ends. Raises FileUnavailable, FileExpired."""
        ...


class Rows(Protocol):
    """A template's rows in its source."""

    def read(
        self, tenant: str, template_id: str, catalog_version: int, parameters: Parameters
    ) -> AbstractContextManager[Iterator[bytes]]:
        """One snapshot of them as NDJSON in the template's order, whole lines in each piece.

        Raises SourceUnavailable, SchemaChanged, NotFound.
        """
        ...


class Readings(Protocol):
    """The workers that read sources into chunks."""

    def start(self, walk: Walk) -> None:
        """Returns at once. Raises Unavailable."""
        ...
