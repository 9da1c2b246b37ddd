"""Pages by number, as the metadata of the exports product answers them."""

from collections.abc import Sequence
from dataclasses import dataclass


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
