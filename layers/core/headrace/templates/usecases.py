"""Reading a template page by page (seed 003).

What a caller may not read, be it inactive, unknown or another tenant's, is as what never was.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    CursorExpired,
    InvalidCursor,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from headrace.kernel.ids import Ids
from headrace.templates.definitions import Template
from headrace.templates.model import (
    CHUNK_ROWS,
    DEFAULT_COUNT,
    OFFSET_LIFETIME,
    Cursor,
    Parameters,
    Reader,
    Walk,
    WalkState,
)
from headrace.templates.ports import Activations, Chunks, Readings, Templates, Walks

LONGEST_WAIT_S = 20.0
"""For rows that are still being read: API Gateway waits 29 s for an answer."""

_LOOK_AFTER_S = 0.05
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Asked:
    """A page that is asked for: where it begins, and of how many rows at most.

    ``cursor``: that of the page before; its walk is gone on with, and nothing else chooses rows.
    ``with_total``: as long as the total is not known, nothing is answered.
    """

    parameters: Parameters
    count: int = DEFAULT_COUNT
    offset: int = 0
    cursor: Cursor | None = None
    with_total: bool = False


@dataclass(frozen=True)
class Page:
    """Rows as JSON objects, from ``offset`` on. ``next``: None at the end of all rows.

    ``total``: how many rows there are in all pages, where it is known already.
    """

    template: Template
    walk: Walk
    offset: int
    rows: Sequence[bytes]
    next: Cursor | None
    total: int | None


@dataclass(frozen=True)
class KnowTemplate:
    """Which template a caller may read now."""

    templates: Templates
    activations: Activations

    def __call__(self, tenant: str, template_id: str) -> tuple[int, Template]:
        """The version of the catalog, and the template as it has it. Raises NotFound."""
        found = self.templates.find(template_id)
        if found is not None:
            _, template = found
            version = self.templates.application_version(tenant)
            if template.exists_for(tenant, version) and self.activations.is_active(
                tenant, template_id
            ):
                return found
        raise NotFound("There is no such template, or it is not active; ask the operator.")


@dataclass(frozen=True)
class ReadTemplate:
    """Reads one page, of a walk that it begins or goes on with."""

    known: KnowTemplate
    walks: Walks
    chunks: Chunks
    readings: Readings
    clock: Clock
    ids: Ids
    pause: Callable[[float], None] = time.sleep

    def __call__(self, caller: Caller, template_id: str, asked: Asked) -> Page:
        """The page.

        Raises NotFound, ValidationFailed, InvalidCursor, CursorExpired, FileUnavailable, and
        Unavailable: the rows are not there yet, or could not be read.
        """
        version, template = self.known(caller.tenant, template_id)
        if asked.parameters.since is not None and not template.has_date:
            raise ValidationFailed(
                "The template has no date to choose rows by.",
                [{"field": "date", "message": "must be left out"}],
            )
        reader = Reader(caller.tenant, caller.user or caller.client_id)
        if asked.cursor is not None:
            walk = self._gone_on_with(reader, template, asked.cursor)
            offset = asked.cursor.offset
        else:
            walk = self._begun(reader, template, version, asked)
            offset = asked.offset
        walk = self._awaited(walk, offset, asked)
        rows = self._rows(walk, offset, asked.count)
        if rows and _columns(rows[0]) != template.columns:
            raise CursorExpired(
                "The template was changed since its rows were read; begin anew with offset 0."
            )
        upto = offset + len(rows)
        total = walk.rows if walk.state is WalkState.COMPLETE else None
        more = bool(rows) and (total is None or upto < total)
        return Page(
            template, walk, offset, rows, Cursor(walk.walk_id, upto) if more else None, total
        )

    def _gone_on_with(self, reader: Reader, template: Template, cursor: Cursor) -> Walk:
        walk = self.walks.find(reader, cursor.walk_id)
        if walk is None or walk.template_id != template.template_id:
            raise InvalidCursor("The cursor is none of yours; take it from a page's next link.")
        if walk.expires_at <= self.clock.now():
            raise CursorExpired("The rows of this cursor have expired; begin anew with offset 0.")
        return walk

    def _begun(self, reader: Reader, template: Template, version: int, asked: Asked) -> Walk:
        """The reader's walk by offset. At offset 0 it begins, unless one is just being read: who
        repeats a call that took too long goes on with what it has begun."""
        now = self.clock.now()
        new = Walk(
            walk_id=self.ids.new(now),
            reader=reader,
            template_id=template.template_id,
            parameters=asked.parameters,
            catalog_version=version,
            begun_at=now,
        )
        walk = self.walks.begin_unless_there(new, now - OFFSET_LIFETIME)
        if asked.offset == 0 and walk.state is not WalkState.READING:
            self.walks.begin(new)
            walk = new
        if walk.walk_id == new.walk_id:
            self.readings.start(walk)
        return walk

    def _awaited(self, walk: Walk, offset: int, asked: Asked) -> Walk:
        """The walk once the page can be cut. Raises Unavailable, CursorExpired."""
        begun, pause = self.clock.now(), _LOOK_AFTER_S
        while not _is_there(walk, offset, asked):
            if walk.state is WalkState.FAILED:
                said = "The rows could not be read to their end; begin anew with offset 0."
                if asked.cursor is not None:
                    # Asking again would not help: nobody goes on with what has failed.
                    raise CursorExpired(said)
                raise Unavailable(said, retry_after=5)
            now = self.clock.now()
            if (now - begun).total_seconds() >= LONGEST_WAIT_S:
                raise Unavailable(
                    f"The rows are still being read: {walk.rows} are there. Ask for the same page "
                    "again.",
                    retry_after=2,
                    rows=walk.rows,
                )
            if walk.is_left(now):
                self.readings.start(walk)
                walk = replace(walk, heard_at=now)
            self.pause(pause)
            pause = min(pause * 1.5, _LOOK_EVERY_S)
            walk = self._looked_at(walk)
        return walk

    def _looked_at(self, walk: Walk) -> Walk:
        found = self.walks.find(walk.reader, walk.walk_id)
        if found is None:
            raise CursorExpired("The rows of this walk have expired; begin anew with offset 0.")
        # A worker that was just started has not said yet that it lives.
        heard = [moment for moment in (found.heard_at, walk.heard_at) if moment is not None]
        return replace(found, heard_at=max(heard, default=None))

    def _rows(self, walk: Walk, offset: int, count: int) -> list[bytes]:
        upto = min(offset + count, walk.rows)
        if offset >= upto:
            return []
        first, last = offset // CHUNK_ROWS, (upto - 1) // CHUNK_ROWS
        rows: list[bytes] = []
        for lines in self.chunks.read(walk, range(first, last + 1)):
            rows += lines
        start = offset - first * CHUNK_ROWS
        return rows[start : start + upto - offset]


def _is_there(walk: Walk, offset: int, asked: Asked) -> bool:
    if asked.with_total:
        return walk.state is WalkState.COMPLETE
    return walk.has(offset, asked.count)


def _columns(row: bytes) -> tuple[str, ...]:
    return tuple(json.loads(row))
