"""What is disturbed, whatever the product: a journey is travelled again and again."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.chaos.points import Point
from tests.chaos.proxy import Request
from tests.system.deployed import Platform

type Invariant = Callable[[Platform, Any], None]
"""Fails by AssertionError unless it holds of what a travel has ``seen``."""


class Travel(Protocol):
    """One operation, from its start to the last word about it."""

    @property
    def seen(self) -> Any:
        """What was seen on the way, which the journey's invariants judge."""
        ...

    def travel(self, within: float) -> None:
        """All of it. Fails if its end, or the word about it, takes longer than ``within`` (s)."""
        ...

    def again(self, request: Request) -> None:
        """Invokes the function again with the event that it made this request for."""
        ...


class Journey(Protocol):
    """Operations of one client, or of one tenant where that has one at a time."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def mark(self) -> str:
        """A text in each request that is about it, and in none else."""
        ...

    @property
    def points(self) -> Sequence[Point]:
        """Where something goes wrong on it."""
        ...

    @property
    def jobs(self) -> int:
        """How many jobs it has, or batches."""
        ...

    @property
    def at_once(self) -> Sequence[Invariant]:
        """What holds as soon as it is over."""
        ...

    @property
    def settled(self) -> Sequence[Invariant]:
        """What holds when the sweepers have been there as well."""
        ...

    def begin(self, chance: random.Random) -> Travel:
        """The next one; whatever has to be there before, is then."""
        ...

    def start_over(self) -> None:
        """Leaves nothing of the last one, which may have gone wrong, in the way of the next."""
        ...

    def open_uploads(self) -> list[str]:
        """The keys of uploads that are neither completed nor aborted."""
        ...
