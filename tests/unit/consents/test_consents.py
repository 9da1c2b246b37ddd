"""The states of a consent, and when it shares."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.consents.model import (
    BEGINNINGS,
    MOVES,
    OVER,
    SHARING,
    Audience,
    AudienceKind,
    Change,
    Consent,
    State,
    Validity,
)
from headrace.kernel.errors import ConsentFixed, ValidationFailed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def a_consent(
    state: State = State.ACTIVE, begins: datetime = NOON - DAY, ends: datetime | None = None
) -> Consent:
    audience = Audience(AudienceKind.SERVICE, "wellness")
    return Consent("acme", "a", audience, state, Validity(begins, ends), 1, NOON, "operator")


def test_exactly_three_states_share() -> None:
    assert {state for state in State if a_consent(state).shares_at(NOON)} == {
        State.ACTIVE,
        State.PRECONFIRMED,
        State.FROZEN,
    }


def test_it_shares_from_its_first_moment_until_before_its_last() -> None:
    consent = a_consent(begins=NOON, ends=NOON + DAY)
    instant = timedelta(microseconds=1)
    moments = (NOON - instant, NOON, NOON + DAY - instant, NOON + DAY)
    assert [consent.shares_at(moment) for moment in moments] == [False, True, True, False]


@pytest.mark.parametrize("state", sorted(set(State) - OVER))
def test_it_has_expired_from_the_moment_that_its_validity_ends(state: State) -> None:
    consent = a_consent(state, ends=NOON)
    assert consent.state_at(NOON - timedelta(microseconds=1)) is state
    assert consent.state_at(NOON) is State.EXPIRED


@pytest.mark.parametrize("state", sorted(OVER - {State.EXPIRED}))
def test_what_was_over_before_its_end_stays_what_it_was(state: State) -> None:
    assert a_consent(state, ends=NOON).state_at(NOON + DAY) is state


def test_a_validity_must_end_after_it_begins() -> None:
    for ends in (NOON, NOON - DAY, NOON + timedelta(microseconds=1)):
        with pytest.raises(ValidationFailed):
            Validity(NOON, ends)


def test_the_moves_are_those_of_the_docs() -> None:
    """The table of docs/consents.md, written once more."""
    ends = "EXPIRED INVALID DELETED"
    table = {
        "DRAFT": f"UNCONFIRMED PRECONFIRMED ACTIVE {ends}",
        "UNCONFIRMED": f"ACTIVE REJECTED {ends}",
        "PRECONFIRMED": f"ACTIVE FROZEN REJECTED {ends}",
        "ACTIVE": f"FROZEN REJECTED {ends}",
        "FROZEN": f"ACTIVE {ends}",
        "EXPIRED": "DELETED",
        "REJECTED": "DELETED",
        "INVALID": "DELETED",
        "DELETED": "",
    }
    for before in State:
        assert MOVES[before] == {State(name) for name in table[before].split()}


class Consents(RuleBasedStateMachine):
    """A consent under any changes, at any moments."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.consent = a_consent(State.DRAFT)

    @rule(hours=st.integers(0, 60))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(
        state=st.sampled_from(State),
        begins=st.integers(-48, 48),
        length=st.none() | st.integers(1, 96),
    )
    def change(self, state: State, begins: int, length: int | None) -> None:
        begin = self.now + timedelta(hours=begins)
        validity = Validity(begin, None if length is None else begin + timedelta(hours=length))
        before, was = self.consent, self.consent.state_at(self.now)
        try:
            self.consent = before.changed(self.now, "somebody", state, validity)
        except ConsentFixed:
            assert state not in MOVES[was]
            assert state != was or was in OVER
            return
        except ValidationFailed:
            assert validity.has_ended(self.now)
            return
        assert self.consent.revision == before.revision + 1
        if was in OVER:
            assert state in BEGINNINGS or state in MOVES[was]
        else:
            assert state == was or state in MOVES[was]
        shared, shares = before.shares_at(self.now), self.consent.shares_at(self.now)
        if shared and not shares:
            assert Change(before, self.consent).ends_sharing(self.now)

    @precondition(lambda self: self.consent.state_at(self.now) is State.DELETED)
    @rule(state=st.sampled_from(sorted(OVER)))
    def nothing_but_a_new_one_follows_a_deleted_one(self, state: State) -> None:
        with pytest.raises(ConsentFixed):
            self.consent.changed(self.now, "somebody", state)

    @invariant()
    def shares_in_a_sharing_state_and_within_its_validity_only(self) -> None:
        expected = self.consent.state in SHARING and self.consent.validity.holds(self.now)
        assert self.consent.shares_at(self.now) is expected
        if expected:
            assert self.consent.state_at(self.now) in SHARING


TestConsents = Consents.TestCase


# --- what has to be told --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (None, a_consent(), False),
        (a_consent(State.DRAFT), a_consent(), False),
        (a_consent(), a_consent(State.FROZEN), False),
        (a_consent(), a_consent(State.DELETED), True),
        (a_consent(State.FROZEN), a_consent(State.INVALID), True),
        (a_consent(), a_consent(begins=NOON + DAY), True),
        # An end to come is seen when it comes; one that has come, or nearly, is told.
        (a_consent(), a_consent(ends=NOON + DAY), False),
        (a_consent(), a_consent(ends=NOON + timedelta(seconds=1)), True),
        (a_consent(ends=NOON + DAY), a_consent(), False),
        # It ended by itself, long ago, and was seen then.
        (a_consent(ends=NOON - timedelta(hours=1)), a_consent(begins=NOON), False),
        (a_consent(begins=NOON + DAY), a_consent(State.DELETED, begins=NOON + DAY), False),
    ],
)
def test_a_reader_is_told_of_what_ended(was: Consent | None, now: Consent, told: bool) -> None:
    assert Change(was, now).ends_sharing(NOON) is told
