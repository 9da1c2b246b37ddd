"""The worker: reads a walk's rows from the source into chunks, and says how far it is.

It may be killed anywhere, and started twice. One worker at a time holds the *take* of a walk; who
comes after one that is gone reads the same version of the source in the same order, so what was
given out already stands. Where the source keeps no versions and rows were given out, the walk fails
instead, and the next call begins another one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.kernel.clock import Clock
from headrace.kernel.errors import Fenced, HeadraceError, SliceTooLong, SnapshotLost
from headrace.templates.model import CHUNK_ROWS, MAX_TAKES, Reader, Walk
from headrace.templates.ports import Chunks, Rows, Walks

WORKER_FAILED = "worker_failed"
"""The code of a walk whose workers did not come to an end."""
_TOLD_EVERY = timedelta(milliseconds=300)
"""Callers wait for rows; so often they are told of new ones."""
_LIVES_EVERY = timedelta(seconds=10)
_ENOUGH_S = 20.0
"""With less time left a worker ends the walk itself, while it still can."""


@dataclass(frozen=True)
class ReadTemplateRows:
    """Task: the rows of one walk."""

    walks: Walks
    chunks: Chunks
    rows: Rows
    clock: Clock

    def __call__(self, reader: Reader, walk_id: str, time_left: Callable[[], float]) -> str | None:
        """The code that the walk failed with; None if it is complete. Raises Fenced, NotFound."""
        walk = self.walks.take(reader, walk_id, self.clock.now())
        try:
            if walk.take > MAX_TAKES:
                self.walks.fail(walk, WORKER_FAILED)
                return WORKER_FAILED
            self._read(walk, time_left)
        except Fenced:
            raise
        except HeadraceError as error:
            self.walks.fail(walk, error.code)
            return error.code
        except Exception:
            self.walks.fail(walk, WORKER_FAILED)
            raise
        return None

    def _read(self, walk: Walk, time_left: Callable[[], float]) -> None:
        if walk.version is None:
            if walk.rows:
                raise SnapshotLost("Of the rows some are given out, and the others have changed.")
            version = self.rows.version(walk.template_id, walk.catalog_version)
            walk = self.walks.fix(walk, version)
        progress = _Progress(self.walks, self.clock, walk)
        with self.rows.read(
            walk.reader.tenant,
            walk.template_id,
            walk.catalog_version,
            walk.version,
            walk.parameters,
        ) as pieces:
            cut = _Cut(progress.watching(pieces, time_left))
            given_out = walk.rows // CHUNK_ROWS
            new = ((number, lines) for number, lines in cut if number >= given_out)
            for number in self.chunks.write(walk, new):
                progress.reached(min((number + 1) * CHUNK_ROWS, cut.rows))
        self.walks.complete(walk, cut.rows)


class _Progress:
    """Tells the walk how many rows there are, and that its worker lives."""

    def __init__(self, walks: Walks, clock: Clock, walk: Walk) -> None:
        self._walks, self._clock, self._walk = walks, clock, walk
        self._rows = walk.rows
        self._told: datetime = clock.now()
        self._first = True

    def reached(self, rows: int) -> None:
        """So many rows are there: the first ones are told at once."""
        # Rows of a chunk that is not whole are told when the walk is complete.
        self._rows = max(self._rows, rows - rows % CHUNK_ROWS)
        if self._first or self._clock.now() - self._told >= _TOLD_EVERY:
            self._tell()
            self._first = False

    def watching(self, pieces: Iterator[bytes], time_left: Callable[[], float]) -> Iterator[bytes]:
        """The same pieces. Raises Fenced, and SliceTooLong when the time is up."""
        for piece in pieces:
            if time_left() < _ENOUGH_S:
                raise SliceTooLong("The rows take longer to read than a worker may run.")
            if self._clock.now() - self._told >= _LIVES_EVERY:
                self._tell()
            yield piece

    def _tell(self) -> None:
        self._told = self._clock.now()
        self._walks.grow(self._walk, self._rows, self._told)


class _Cut:
    """NDJSON cut to chunks of ``CHUNK_ROWS`` lines, numbered from 0; the last one may be shorter.

    ``rows``: the lines of all chunks that came.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self.rows = pieces, 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        held: list[bytes] = []
        lines = 0
        for piece in self._pieces:
            rest = piece
            while (found := rest.count(b"\n")) >= CHUNK_ROWS - lines:
                after = rest.split(b"\n", CHUNK_ROWS - lines)[-1]
                held.append(rest[: len(rest) - len(after)])
                yield self._numbered(held, CHUNK_ROWS)
                held, lines, rest = [], 0, after
            held.append(rest)
            lines += found
        if lines:
            yield self._numbered(held, lines)

    def _numbered(self, held: list[bytes], lines: int) -> tuple[int, bytes]:
        number = self.rows // CHUNK_ROWS
        self.rows += lines
        return number, b"".join(held)
