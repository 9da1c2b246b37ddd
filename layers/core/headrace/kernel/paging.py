"""Pages by number, as the metadata of the exports product answers them, and by cursor."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.kernel.errors import InvalidRequest


@dataclass(frozen=True)
class Page[T]:
    """One page of a list: its items and where it stands."""

    items: tuple[T, ...]
    size: int
    number: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; 0 of an empty list."""
        return -(-self.total // self.size)

    @property
    def has_previous(self) -> bool:
        """Is there a page before this one."""
        return self.number > 1

    @property
    def has_next(self) -> bool:
        """Is there a page after this one."""
        return self.number < self.pages

    @classmethod
    def of(cls, items: Sequence[T], size: int, number: int) -> "Page[T]":
        """Page ``number`` (from 1) of ``items``; an empty page past the end."""
        start = (number - 1) * size
        return cls(tuple(items[start : start + size]), size, number, len(items))


def cursor_behind(place: str, bound: str) -> str:
    """A cursor, opaque to who gets it, and of use where ``bound`` is the same: the caller and what
    it searches for.

    Nobody has to be kept from making one: it says where in the caller's own list to go on.
    """
    text = json.dumps([place, _digest(place, bound)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def place_of(cursor: str, bound: str) -> str:
    """The place that the cursor was made of. Raises InvalidRequest."""
    refused = InvalidRequest("The cursor is not one that a page gave out; start without one.")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place, digest = json.loads(base64.b64decode(padded, b"-_", validate=True))
        known = _digest(place, bound)  # half a surrogate pair has none
    except (ValueError, TypeError, RecursionError):
        raise refused from None
    if not isinstance(place, str) or digest != known:
        raise refused
    return place


def _digest(place: str, bound: str) -> str:
    return hashlib.sha256(f"{bound}\n{place}".encode()).hexdigest()[:32]
