"""Walks: one snapshot of a template's rows, read from its source once and given out in pages.

The first call of a walk has a worker read the rows, in the template's order, into *chunks* of
``CHUNK_ROWS`` rows each, which are kept encrypted for a day. Pages are cut from them, so

- each page costs the same, wherever it stands, and the source is read once for all of them;
- all pages of a walk show one snapshot, whatever changes meanwhile;
- the total is known when the reading has ended, without counting.

A caller goes on by the opaque cursor of the ``next`` link, or, as the seed has it, by ``offset``:
``offset`` 0 begins a walk, and another offset goes on with the caller's latest walk of the same
template and parameters.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CHUNK_ROWS = 2_000
DEFAULT_COUNT = 500
MAX_COUNT = 10_000
WALK_LIFETIME = timedelta(hours=24)
"""How long pages of a walk can be read."""
OFFSET_LIFETIME = timedelta(hours=1)
"""For how long after its beginning a walk is gone on with by ``offset`` alone."""
LEASE = timedelta(seconds=60)
"""A worker that was not heard of for so long is gone; it is heard of every few seconds."""
MAX_TAKES = 3
"""So many workers try to read the rows of a walk, one after the other."""


@dataclass(frozen=True)
class Parameters:
    """Which rows of a template: those on or after ``since``, with anonymised persons or without."""

    since: datetime | None = None
    include_anonymised: bool = False

    @property
    def digest(self) -> str:
        """Tells parameters apart."""
        # With its offset, which says what day it is on.
        since = None if self.since is None else self.since.isoformat()
        text = json.dumps([since, self.include_anonymised])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reader:
    """Who walks: nobody else's cursor or offset is of use to them. ``name``: client or user."""

    tenant: str
    name: str


class WalkState(StrEnum):
    """Of the reading from the source; pages can be had from the first chunk on."""

    READING = "reading"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True)
class Walk:
    """One snapshot. ``rows``: as many as lie in whole chunks so far; all, once it is complete.

    ``catalog_version``: the template is read as that version had it. ``version``: that of the
    source which is read, once a worker has fixed it; None of a source that keeps no versions.
    ``take``: the number of the worker that reads, 0 before the first; ``heard_at``: when it last
    said that it lives. ``series``: of a source that keeps no versions the take whose chunks the
    pages are cut from, as each take reads other rows; 0 where all takes write the same.
    """

    walk_id: str
    reader: Reader
    template_id: str
    parameters: Parameters
    catalog_version: int
    begun_at: datetime
    state: WalkState = WalkState.READING
    rows: int = 0
    failure: str | None = None
    """The code of the error that ended the reading."""
    take: int = 0
    version: str | None = None
    heard_at: datetime | None = None
    series: int = 0

    def is_left(self, now: datetime) -> bool:
        """Does nobody read any more though the rows are not all there.

        Who wants a page of it starts another reading then (``Readings``): it is harmless if the
        worker lives after all.
        """
        heard = self.heard_at or self.begun_at
        return self.state is WalkState.READING and heard + LEASE <= now

    @property
    def expires_at(self) -> datetime:
        """From when on its pages are gone."""
        return self.begun_at + WALK_LIFETIME

    def has(self, offset: int, count: int) -> bool:
        """Can this page be cut already."""
        return self.state is WalkState.COMPLETE or self.rows >= offset + count


@dataclass(frozen=True)
class Cursor:
    """Where a walk goes on."""

    walk_id: str
    offset: int
