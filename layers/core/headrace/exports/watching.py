"""How far the sources stand behind, asked of each on a schedule."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue

from headrace.exports.ports import PublishedSources
from headrace.exports.sources import Freshness, Source
from headrace.exports.warehouses import SourceFreshness
from headrace.kernel.clock import Clock
from headrace.kernel.errors import HeadraceError, SourceUnavailable

AT_ONCE = 4
"""Sources that are asked at the same time; each may take an engine of its own."""

PATIENCE = timedelta(seconds=20)
"""How long an answer is waited for: a connection that is refused in silence takes ten of it."""

WHOLE = timedelta(seconds=240)
"""How long a look takes at most; the function is given a minute more."""


@dataclass(frozen=True)
class Standing:
    """How a source stood. ``error``: why it did not answer, which leaves the others None.

    ``age``: how old its newest data is, where it can tell. ``lag``: how far it is behind what it
    follows, or behind the time at which new data was expected; None where nothing says what that
    is.
    """

    source: Source
    age: timedelta | None = None
    lag: timedelta | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class WatchSources:
    """Asks each published source once, however many tenants and configurations read it.

    Who does not answer in time is given up, and keeps no other waiting; its thread ends by the
    time-outs of what it waits for, and nobody listens any more.
    """

    sources: PublishedSources
    freshness: SourceFreshness
    clock: Clock
    patience: timedelta = PATIENCE
    whole: timedelta = WHOLE

    def __call__(self) -> tuple[Standing, ...]:
        """How all stand, in the order of their names. Raises Unavailable: the catalog cannot be
        read.
        """
        found = {one.source.name: one for one in self._asked(self.sources.sources())}
        return tuple(found[name] for name in sorted(found))

    def _asked(self, sources: Sequence[Source]) -> list[Standing]:
        end = time.monotonic() + self.whole.total_seconds()
        waiting, asked = deque(sources), dict[str, float]()
        by_name = {source.name: source for source in sources}
        answers: SimpleQueue[Standing] = SimpleQueue()
        standings: list[Standing] = []

        def give_up(name: str, why: str) -> None:
            standings.append(Standing(by_name[name], error=SourceUnavailable(why)))

        while waiting or asked:
            now = time.monotonic()
            for name in [name for name, until in asked.items() if until <= now]:
                del asked[name]
                give_up(name, "The source does not answer in time.")
            while waiting and now < end and len(asked) < AT_ONCE:
                source = waiting.popleft()
                asked[source.name] = min(end, now + self.patience.total_seconds())
                self._ask(source, answers)
            if not asked:
                break
            try:
                answer = answers.get(timeout=max(0.0, min(asked.values()) - now))
            except Empty:
                continue
            # That of one who was given up comes too late.
            if asked.pop(answer.source.name, None) is not None:
                standings.append(answer)
        for source in waiting:
            give_up(source.name, "No time was left to ask the source, as others do not answer.")
        return standings

    def _ask(self, source: Source, answers: SimpleQueue[Standing]) -> None:
        def ask() -> None:
            try:
                told = self.freshness.freshness(source, self.clock.now())
            except Exception as error:
                answers.put(Standing(source, error=error))
            else:
                answers.put(Standing(source, told.age, lag_of(source, told)))

        threading.Thread(target=ask, name=f"asks {source.name}", daemon=True).start()


def lag_of(source: Source, told: Freshness) -> timedelta | None:
    """How far the source is behind: what it follows, or what is expected of it, whichever is
    further. None if it follows nothing and nothing is expected.
    """
    known = [] if told.lag is None else [told.lag]
    if source.expected_every is not None and told.age is not None:
        known.append(max(timedelta(), told.age - source.expected_every))
    return max(known, default=None)


def is_expected(error: Exception) -> bool:
    """Is it what a source may answer, and no fault of ours."""
    return isinstance(error, HeadraceError)
