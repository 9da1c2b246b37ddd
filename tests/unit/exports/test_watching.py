"""How far sources are behind: each is asked once, and none keeps another waiting."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from headrace.exports.sources import Freshness, Source
from headrace.exports.watching import (
    AT_ONCE,
    PATIENCE,
    Standing,
    WatchSources,
    is_expected,
    lag_of,
)
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import SourceUnavailable

HOUR = timedelta(hours=1)
SOON = timedelta(seconds=1)


@dataclass
class FakeSources:
    """Sources that answer what a test says, or keep silent until it ends."""

    answers: dict[str, Freshness | Exception | None]
    expected_every: dict[str, timedelta] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sources(self) -> tuple[Source, ...]:
        """See the port."""
        return tuple(
            Source(name, "ducklake", {}, self.expected_every.get(name)) for name in self.answers
        )

    def freshness(self, source: Source, now: datetime) -> Freshness:
        """See the port."""
        with self.lock:
            self.asked[source.name] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.answers[source.name]
            if answer is None:
                self.over.wait(60)
                return Freshness(HOUR)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            with self.lock:
                self.at_once -= 1


type Make = Callable[..., FakeSources]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes sources; those that keep silent are let go in the end."""
    made: list[FakeSources] = []

    def of(expected: dict[str, timedelta] | None = None, **answers: object) -> FakeSources:
        made.append(FakeSources(answers, expected or {}))  # type: ignore[arg-type]
        return made[-1]

    yield of
    for one in made:
        one.over.set()


def look(
    sources: FakeSources, patience: timedelta = PATIENCE, whole: timedelta = HOUR
) -> dict[str, Standing]:
    found = WatchSources(sources, sources, SystemClock(), patience, whole)()
    assert [one.source.name for one in found] == sorted(sources.answers)
    return {one.source.name: one for one in found}


def test_nothing_is_asked_before_anything_is_published(make: Make) -> None:
    assert look(make()) == {}


@pytest.mark.parametrize(
    ("expected", "told", "lag"),
    [
        (None, Freshness(HOUR), None),
        (None, Freshness(), None),
        (2 * HOUR, Freshness(HOUR), timedelta()),
        (HOUR, Freshness(3 * HOUR), 2 * HOUR),
        (HOUR, Freshness(), None),
        (None, Freshness(lag=HOUR), HOUR),
        (2 * HOUR, Freshness(HOUR, HOUR), HOUR),
        (HOUR, Freshness(4 * HOUR, HOUR), 3 * HOUR),
    ],
)
def test_a_source_is_behind_what_it_follows_or_what_is_expected_of_it(
    expected: timedelta | None, told: Freshness, lag: timedelta | None
) -> None:
    assert lag_of(Source("hr", "ducklake", {}, expected), told) == lag


def test_each_source_is_asked_once_and_tells_its_age_and_its_lag(make: Make) -> None:
    sources = make({"hr": HOUR}, hr=Freshness(3 * HOUR), roster=Freshness(lag=SOON))
    found = look(sources)
    assert (found["hr"].age, found["hr"].lag) == (3 * HOUR, 2 * HOUR)
    assert (found["roster"].age, found["roster"].lag) == (None, SOON)
    assert sources.asked == Counter(hr=1, roster=1)


def test_a_source_that_cannot_be_read_does_not_hide_the_others(make: Make) -> None:
    refusal, bug = SourceUnavailable("It does not accept a connection."), KeyError("x")
    found = look(make(down=refusal, broken=bug, hr=Freshness(HOUR)))
    assert (found["down"].error, found["broken"].error) == (refusal, bug)
    assert (is_expected(refusal), is_expected(bug)) == (True, False)
    assert found["hr"] == Standing(found["hr"].source, HOUR)


def test_silent_sources_are_given_up_and_keep_no_other_waiting(make: Make) -> None:
    silent = {f"a{number}": None for number in range(2 * AT_ONCE)}
    sources = make(**silent, hr=Freshness(HOUR))
    found = look(sources, SOON)
    for name in silent:
        assert isinstance(found[name].error, SourceUnavailable)
        assert "in time" in str(found[name].error)
    assert found["hr"].age == HOUR
    assert sources.asked == Counter([*silent, "hr"])


def test_no_more_than_a_few_are_asked_at_once(make: Make) -> None:
    sources = make(**{f"a{number}": Freshness(HOUR) for number in range(40)})
    found = look(sources)
    assert all(one.age == HOUR for one in found.values())
    assert 0 < sources.most_at_once <= AT_ONCE


def test_a_look_ends_in_time_whatever_the_sources_do(make: Make) -> None:
    silent = {f"a{number:02}": None for number in range(3 * AT_ONCE)}
    sources = make(**silent)
    found = look(sources, SOON, whole=SOON * 1.5)
    why = Counter(str(one.error).partition(",")[0] for one in found.values())
    assert why == {
        "The source does not answer in time.": 2 * AT_ONCE,
        "No time was left to ask the source": AT_ONCE,
    }
    assert sources.asked.total() == 2 * AT_ONCE
