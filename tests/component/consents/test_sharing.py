"""Who shares with a service, as exports are told: the fake and the real adapter alike."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.exports.ports import Sharing
from tests.builders import SteppingClock
from tests.component.consents.tables import tables
from tests.examples import examples
from tests.fakes import FakeSharing

SERVICES = {"wellness": "external", "hub": "broker"}


class _Consents(Protocol):
    def begin(
        self,
        tenant: str,
        audience: str,
        party: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> None: ...

    def end(self, tenant: str, audience: str, party: str) -> None: ...


@dataclass
class Setting:
    """A port, and what makes it answer otherwise."""

    clock: SteppingClock
    sharing: Sharing
    consents: _Consents
    publish: Callable[[dict[str, str]], None]
    """Makes these clients services, of a kind each."""

    def begin(self, audience: str, party: str, **days: float) -> None:
        """Shares with the audience, ``begins`` and ``ends`` in days from now."""
        moments = {name: self.clock.now() + timedelta(days=number) for name, number in days.items()}
        self.consents.begin("north", audience, party, **moments)

    def end(self, audience: str, party: str) -> None:
        self.consents.end("north", audience, party)

    def accounts(self, client_id: str = "wellness", organisation: str | None = None) -> list[str]:
        shared = self.sharing.shared_by("north", client_id, organisation, self.clock.now())
        assert shared is not None
        return list(shared.accounts)

    def version(self, client_id: str = "wellness", organisation: str | None = None) -> str:
        shared = self.sharing.shared_by("north", client_id, organisation, self.clock.now())
        assert shared is not None
        return shared.version

    def ended(
        self, version: str, client_id: str = "wellness", organisation: str | None = None
    ) -> frozenset[str]:
        return self.sharing.ended_since("north", client_id, organisation, version)


@contextmanager
def _fake() -> Iterator[Setting]:
    clock = SteppingClock()
    fake = FakeSharing(clock, dict(SERVICES))

    def publish(services: dict[str, str]) -> None:
        fake.services = services

    yield Setting(clock, fake, fake, publish)


@contextmanager
def _real() -> Iterator[Setting]:
    clock = SteppingClock()
    with tables(clock) as made:

        def publish(services: dict[str, str]) -> None:
            made.publish({"plain": None, **services}, ("north", "south"))

        publish(SERVICES)
        yield Setting(clock, made.sharing, made, publish)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Setting]]] = {"fake": _fake, "real": _real}


@pytest.fixture(params=list(SETTINGS))
def at(request: pytest.FixtureRequest) -> Iterator[Setting]:
    with SETTINGS[request.param]() as setting:
        yield setting


def test_a_client_that_is_no_service_needs_no_consent(at: Setting) -> None:
    assert at.sharing.shared_by("north", "plain", None, at.clock.now()) is None


def test_a_service_sees_those_who_share_with_it_and_no_others(at: Setting) -> None:
    at.begin("service#wellness", "b")
    at.begin("service#wellness", "a")
    at.begin("organisation#clinic", "c")
    at.consents.begin("south", "service#wellness", "d")
    assert at.accounts() == ["a", "b"]


def test_sharing_begins_and_ends_at_the_moment_without_anybody_doing_anything(at: Setting) -> None:
    at.begin("service#wellness", "a", begins=1, ends=2)
    assert at.accounts() == []
    at.clock.advance(days=1)
    assert at.accounts() == ["a"]
    at.clock.advance(days=1, milliseconds=-1)
    assert at.accounts() == ["a"]
    at.clock.advance(milliseconds=1)
    assert at.accounts() == []


def test_who_ended_is_named_and_who_did_not_is_not(at: Setting) -> None:
    at.begin("service#wellness", "a")
    at.begin("service#wellness", "b")
    version = at.version()
    assert at.ended(version) == frozenset()
    at.end("service#wellness", "a")
    assert at.ended(version) == {"a"}
    assert at.ended(at.version()) == frozenset()


def test_who_ended_and_began_again_is_named_too(at: Setting) -> None:
    at.begin("service#wellness", "a")
    version = at.version()
    at.end("service#wellness", "a")
    at.begin("service#wellness", "a")
    assert at.accounts() == ["a"]
    assert at.ended(version) == {"a"}
    assert at.ended(at.version()) == frozenset()


def test_whose_validity_ended_is_named_from_that_moment_on(at: Setting) -> None:
    at.begin("service#wellness", "a", begins=-1, ends=1)
    version = at.version()
    at.clock.advance(hours=23)
    assert at.ended(version) == frozenset()
    at.clock.advance(hours=1)
    assert at.ended(version) == {"a"}
    at.clock.advance(days=30)
    at.begin("service#wellness", "a")
    assert at.accounts() == ["a"]
    assert at.ended(version) == {"a"}


def test_later_versions_sort_after_earlier_ones(at: Setting) -> None:
    versions = [at.version()]
    moves: list[Callable[[], None]] = [
        lambda: at.begin("service#wellness", "a"),
        lambda: at.end("service#wellness", "a"),
        lambda: at.begin("service#wellness", "a", begins=0, ends=1),
        lambda: at.clock.advance(days=2),
    ]
    for move in moves:
        move()
        at.clock.advance(seconds=1)
        versions.append(at.version())
    assert versions == sorted(set(versions))


@pytest.mark.abuse(69)
def test_nobody_shares_with_a_broker_that_calls_for_no_organisation(at: Setting) -> None:
    at.begin("broker#hub", "clinic")
    at.begin("organisation#clinic", "a")
    at.begin("service#hub", "b")
    assert at.accounts("hub") == []


def test_a_broker_sees_those_who_share_with_the_member_that_it_calls_for(at: Setting) -> None:
    at.begin("organisation#clinic", "a")
    at.begin("organisation#lab", "b")
    assert at.accounts("hub", "clinic") == []
    at.begin("broker#hub", "clinic")
    assert at.accounts("hub", "clinic") == ["a"]
    assert at.accounts("hub", "lab") == []


def test_with_an_organisations_membership_ends_what_its_account_holders_shared(
    at: Setting,
) -> None:
    at.begin("organisation#clinic", "a")
    at.begin("organisation#clinic", "b")
    at.begin("broker#hub", "clinic", begins=0, ends=2)
    version = at.version("hub", "clinic")
    at.end("organisation#clinic", "b")
    assert at.ended(version, "hub", "clinic") == {"b"}
    at.clock.advance(days=2)
    assert at.accounts("hub", "clinic") == []
    assert at.ended(version, "hub", "clinic") == {"a", "b"}
    at.begin("broker#hub", "clinic")
    assert at.accounts("hub", "clinic") == ["a"]
    assert at.ended(version, "hub", "clinic") == {"a", "b"}
    assert at.ended(at.version("hub", "clinic"), "hub", "clinic") == frozenset()


def test_after_the_table_was_restored_everybody_counts_as_ended() -> None:
    clock = SteppingClock()
    with tables(clock) as made:
        made.publish({"wellness": "external"}, ("north",))
        made.begin("north", "service#wellness", "a")
        before = made.consents.get("north#service#wellness", "version")
        made.begin("north", "service#wellness", "b")
        shared = made.sharing.shared_by("north", "wellness", None, clock.now())
        assert shared is not None and before is not None
        made.consents.put(before)
        assert made.sharing.ended_since("north", "wellness", None, shared.version) == {"a", "b"}


@pytest.mark.parametrize("named", ["", "1", "x y", "000000000001_000000000000_yesterday_service"])
def test_what_is_no_version_is_refused(at: Setting, named: str) -> None:
    with pytest.raises(ValueError):
        at.ended(named)


_MOVES = st.lists(
    st.one_of(
        st.tuples(
            st.just("begin"),
            st.sampled_from(["a", "b"]),
            st.integers(-2, 2),
            st.sampled_from([None, 1, 2, 3]),
        ),
        st.tuples(st.just("end"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("wait"), st.integers(1, 3)),
        st.tuples(st.just("read")),
    ),
    min_size=2,
    max_size=14,
)


@pytest.mark.parametrize("kind", list(SETTINGS))
@settings(max_examples=examples(40), deadline=None)
@given(moves=_MOVES)
def test_nobody_ends_unnoticed_whatever_happens(kind: str, moves: list[tuple[Any, ...]]) -> None:
    with SETTINGS[kind]() as at:
        readings: list[tuple[str, set[str], set[str]]] = []
        for move in [*moves, ("read",)]:
            match move:
                case ("begin", party, begins, length):
                    lasts = {} if length is None else {"ends": max(begins, 0) + length}
                    at.begin("service#wellness", party, begins=begins, **lasts)
                case ("end", party):
                    at.end("service#wellness", party)
                case ("wait", days):
                    at.clock.advance(days=days)
            shared = at.sharing.shared_by("north", "wellness", None, at.clock.now())
            assert shared is not None
            for version, had, gone in readings:
                gone.update(had - set(shared.accounts))
                assert gone <= at.ended(version)
            if move == ("read",):
                readings.append((shared.version, set(shared.accounts), set()))
