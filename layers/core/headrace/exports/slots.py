"""How many workers read from a source at once, over all operations and clients, and whose turn it
is: a tenant with many workers does not keep one with few waiting.

Who holds a snapshot open takes no slot: it waits for readers, so readers must never wait for it.
"""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from headrace.exports.ports import SourceSlots
from headrace.exports.sources import Source
from headrace.kernel.clock import Clock
from headrace.kernel.errors import SourceBusy, Unavailable

_LEASE = timedelta(seconds=60)
"""So long after its last sign of life a worker's slot is another's."""

_RENEWED_EVERY = timedelta(seconds=15)
_LONGEST_WAIT_S = 60.0
_LONGEST_PAUSE_S = 2.0
_WAITS = timedelta(seconds=10)
"""So long after the last try of its workers a tenant is believed to wait."""


@dataclass
class Slot:
    """A worker's turn at a source; ``number`` is None of a source without a cap."""

    slots: SourceSlots
    clock: Clock
    source: Source
    number: int | None
    holder: str

    def __post_init__(self) -> None:
        self._renewed = self.clock.now()

    def keep(self) -> None:
        """Says that the worker is still at it; to be called every few seconds."""
        now = self.clock.now()
        if self.number is not None and now - self._renewed >= _RENEWED_EVERY:
            self._renewed = now
            with suppress(Unavailable):
                self.slots.renew(self.source.name, self.number, self.holder, now + _LEASE)

    def free(self) -> None:
        """Gives it back; if that cannot be said now, it is free when the lease is over."""
        if self.number is not None:
            with suppress(Unavailable):
                self.slots.free(self.source.name, self.number, self.holder)


@dataclass(frozen=True)
class Slots:
    """Turns at sources."""

    slots: SourceSlots
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    @contextmanager
    def taken(self, source: Source, tenant: str, time_left: Callable[[], float]) -> Iterator[Slot]:
        """A slot of the source, for a worker of this tenant, for as long as this is not left.

        Waits for one, but no longer than a quarter of the time that the worker has left. Raises
        SourceBusy.
        """
        slot = self._take(source, tenant, time_left)
        try:
            yield slot
        finally:
            slot.free()

    def _take(self, source: Source, tenant: str, time_left: Callable[[], float]) -> Slot:
        holder, most = secrets.token_hex(8), source.max_readers
        if most is None:
            return Slot(self.slots, self.clock, source, None, holder)
        left = time_left()
        until_left = left - min(_LONGEST_WAIT_S, left / 4)
        while True:
            now = self.clock.now()
            if self.slots.turns(source.name, now).may_take(tenant, now):
                # In any order, so that those who wait do not all try the same one first.
                for number in random.sample(range(most), most):
                    if self.slots.take(source.name, number, holder, tenant, now, now + _LEASE):
                        return Slot(self.slots, self.clock, source, number, holder)
            if time_left() <= until_left:
                raise SourceBusy("As many workers read from the source as may at once.")
            self.slots.wait(source.name, tenant, now, now + _WAITS)
            self.pause(random.uniform(_LONGEST_PAUSE_S / 4, _LONGEST_PAUSE_S))  # noqa: S311
