"""Slices of a table, as workers read them, and the parts of a document that they become."""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_PART_BYTES = 5 * 1024 * 1024
"""S3: every part of a multipart upload but the last is at least this large."""
MAX_PARTS = 10_000
"""S3: part numbers go from 1 to this."""
MAX_SLICE_PARTS = 3000
"""The most parts of a slice: they are kept in one item, which has 400 kB at most, by 115 bytes
each."""
MAX_SLICES = 200
"""The most slices of a job. Each owns an equal share of its upload's part numbers."""
MAX_BOUND_BYTES = 100_000
"""The most that the keys between the slices of a job take: they are kept in one item, which is
read often and has 400 kB at most."""


@dataclass(frozen=True)
class RowRange:
    """A part of a table at a version: ``first`` to ``last``, both included, holding ``rows``.

    What the bounds count (row ids, file positions) is the source's affair.
    """

    first: int
    last: int
    rows: int


@dataclass(frozen=True)
class KeyRange:
    """Rows whose key lies beyond ``after`` and not beyond ``upto``; None is open.

    A bound has a text for each column of the key, as the source writes its values. How many rows
    a range holds is known when it was read: they come and go between the plan and the snapshot.
    ``rows`` is the plan's guess.
    """

    after: tuple[str, ...] | None
    upto: tuple[str, ...] | None
    rows: int


type TableRange = RowRange | KeyRange
"""A part of a table, in whatever way its source is split."""


WHOLE = RowRange(0, -1, -1)
"""The one slice of a table that is not split."""


def coarser(slices: tuple[TableRange, ...], most_bytes: int) -> tuple[TableRange, ...]:
    """The same rows in as many slices as the texts of their keys leave room for.

    Neighbours are joined till all texts together have ``most_bytes`` at most; slices that are
    bounded by numbers stay as they are.
    """
    while len(slices) > 1 and sum(map(_text_bytes, slices)) > most_bytes:
        pairs = (slices[start : start + 2] for start in range(0, len(slices), 2))
        slices = tuple(map(_joined, pairs))
    return slices


def _text_bytes(slice_: TableRange) -> int:
    if isinstance(slice_, RowRange):
        return 0
    return sum(len(text.encode()) for text in (*(slice_.after or ()), *(slice_.upto or ())))


def _joined(neighbours: Sequence[TableRange]) -> TableRange:
    first, last = neighbours[0], neighbours[-1]
    if not (isinstance(first, KeyRange) and isinstance(last, KeyRange)):
        raise TypeError("Only slices by key are joined.")
    return KeyRange(first.after, last.upto, sum(one.rows for one in neighbours))


@dataclass(frozen=True)
class PartPosition:
    """Where in its document a slice stands: whether it opens it, whether it closes it."""

    first: bool = True
    last: bool = True


@dataclass(frozen=True)
class UploadedPart:
    """A part of a stored document: its number in the upload, its bytes, and their digest (hex)."""

    number: int
    size: int
    sha256: str
    etag: str


@dataclass(frozen=True)
class SliceResult:
    """What a worker made of a slice. ``sha256`` is that of all its bytes, if it is the only one."""

    index: int
    rows: int
    parts: tuple[UploadedPart, ...]
    sha256: str | None

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return sum(part.size for part in self.parts)


def part_numbers(index: int, slices: int) -> range:
    """The part numbers that slice ``index`` (from 0) of ``slices`` may use: disjoint blocks."""
    block = min(MAX_PARTS // slices, MAX_SLICE_PARTS)
    return range(1 + index * block, 1 + (index + 1) * block)


def parts_fit(results: tuple[SliceResult, ...]) -> bool:
    """Can these slices be one upload: every part but the document's last is large enough."""
    parts = [part for result in results for part in result.parts]
    return all(part.size >= MIN_PART_BYTES for part in parts[:-1])


def rows_fit(results: tuple[SliceResult, ...], *, separated: bool) -> bool:
    """Do these slices make one document: not if its rows are ``separated``, as JSON's are by
    commas, and the last slice has none, as its rows went before the snapshot was taken. Then a
    comma stands at the end of the slice before."""
    return not separated or len(results) == 1 or results[-1].rows > 0
