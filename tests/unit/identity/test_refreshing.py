"""Refresh tokens of API keys: exchanged once each, whoever comes when."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headrace.identity import tokens
from headrace.identity.api_keys import GRACE, LIFETIME, TOKEN_LIFETIME, KeyKind, KeyText
from headrace.identity.dpop import CheckProof
from headrace.identity.issuing import Asked, IssueToken, MakeToken, RefreshTokens
from headrace.identity.model import Client, Networks
from headrace.identity.oauth import FORM, SentRequest, TokenIssued, TokenRefused
from headrace.kernel.ids import RandomIds
from tests.builders import SteppingClock
from tests.unit.identity.keys_made import FakeApiKeys, a_key
from tests.unit.identity.proofs_made import KEY, Uses, a_proof
from tests.unit.identity.tokens_made import AUDIENCE, ISSUER, NOW, SCOPE, ec_key

TOKEN_URL = f"{ISSUER}/connect/token"
CLIENT = Client("acme-hr", frozenset({"acme"}), frozenset({SCOPE}), is_service=True)


class PlainSigner:
    """Signs nothing: what a token says is what is looked at here."""

    def key_id(self) -> str:
        return "key-1"

    def sign(self, key_id: str, message: bytes) -> bytes:
        return b"signature"


@dataclass
class World:
    """One key of one service, and what it does at the token endpoint."""

    client: Client | None = CLIENT
    clock: SteppingClock = field(default_factory=lambda: SteppingClock(NOW))
    keys: FakeApiKeys = field(default_factory=FakeApiKeys)

    def given(self, **changes: Any) -> str:
        """A new key's first refresh token."""
        key, text = a_key(KeyKind.REFRESH, **changes)
        self.keys.add(key)
        return text.text

    def find(self, client_id: str) -> Client | None:
        return self.client

    def exchange(
        self,
        refresh_token: str,
        repeatable: str | None = None,
        proofs: tuple[str, ...] = (),
        **more: str,
    ) -> TokenIssued | TokenRefused:
        """What the endpoint answers."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
        body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
        sent = SentRequest(FORM, None, body, proofs, TOKEN_URL)
        make = MakeToken(PlainSigner(), self.clock, RandomIds(), CheckProof(Uses(), self.clock))
        grant = RefreshTokens(self, self.keys, make)
        asked = Asked(sent, "203.0.113.9", ISSUER, AUDIENCE, idempotency_key=repeatable)
        return IssueToken({"refresh_token": grant})(asked)


def next_of(answer: TokenIssued | TokenRefused) -> str:
    """The refresh token that came."""
    assert isinstance(answer, TokenIssued), answer
    assert answer.refresh_token is not None
    return answer.refresh_token


def refused(answer: TokenIssued | TokenRefused) -> str:
    """The error that came."""
    assert isinstance(answer, TokenRefused), answer
    return answer.error


def a_proof_of(key: Any = KEY) -> tuple[str, ...]:
    """A proof of possession for the token endpoint, now."""
    return (a_proof(key, htu=TOKEN_URL, iat=NOW.timestamp()),)


def claims(answer: TokenIssued | TokenRefused) -> Any:
    """What the access token that came says."""
    assert isinstance(answer, TokenIssued), answer
    return tokens.UnverifiedToken.read(answer.access_token).claims


def test_a_refresh_token_is_exchanged_for_a_token_of_five_hours_and_the_next_one() -> None:
    world = World()
    answer = world.exchange(world.given())
    assert isinstance(answer, TokenIssued)
    assert answer.expires_in == TOKEN_LIFETIME.total_seconds() == 5 * 3600
    said = claims(answer)
    assert (said["client_id"], said["tenant_id"], said["key_generation"]) == ("acme-hr", "acme", 2)
    assert answer.document().keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
    }
    assert claims(world.exchange(next_of(answer)))["key_generation"] == 3


@pytest.mark.abuse(61)
def test_a_spent_refresh_token_is_refused_and_within_ten_seconds_nothing_is_lost() -> None:
    world = World()
    first = world.given()
    second = next_of(world.exchange(first))
    world.clock.advance(seconds=9.9)
    assert refused(world.exchange(first)) == "invalid_grant"
    next_of(world.exchange(second))


@pytest.mark.abuse(62)
def test_a_spent_refresh_token_after_ten_seconds_ends_the_key() -> None:
    world = World()
    first = world.given()
    second = next_of(world.exchange(first))
    world.clock.advance(seconds=GRACE.total_seconds())
    assert refused(world.exchange(first)) == "invalid_grant"
    assert refused(world.exchange(second)) == "invalid_grant"


@pytest.mark.abuse(62)
def test_the_one_before_the_last_ends_the_key_at_once() -> None:
    world = World()
    first = world.given()
    third = next_of(world.exchange(next_of(world.exchange(first))))
    assert refused(world.exchange(first)) == "invalid_grant"
    assert refused(world.exchange(third)) == "invalid_grant"


def test_who_knows_a_keys_id_alone_does_it_no_harm() -> None:
    world = World()
    first = world.given()
    known = KeyText.read(first)
    assert known is not None
    made_up = KeyText.new(KeyKind.REFRESH, known.key_id).text
    assert refused(world.exchange(made_up)) == "invalid_grant"
    next_of(world.exchange(first))


@pytest.mark.abuse(65)
def test_an_exchange_whose_answer_was_lost_is_repeated_with_its_idempotency_key() -> None:
    world = World()
    first, own = world.given(), str(uuid4())
    lost = next_of(world.exchange(first, own))
    world.clock.advance(hours=3)
    again = world.exchange(first, own)
    assert next_of(again) == lost
    assert claims(again)["key_generation"] == 2
    third = next_of(world.exchange(lost, str(uuid4())))
    # Once the next one was exchanged, the answer was not lost.
    assert refused(world.exchange(first, own)) == "invalid_grant"
    assert refused(world.exchange(third)) == "invalid_grant"


def test_another_idempotency_key_repeats_nothing() -> None:
    world = World()
    first = world.given()
    next_of(world.exchange(first, str(uuid4())))
    assert refused(world.exchange(first, str(uuid4()))) == "invalid_grant"


def test_an_idempotency_key_that_could_be_guessed_is_refused_and_nothing_is_spent() -> None:
    world = World()
    first = world.given()
    assert refused(world.exchange(first, "nightly")) == "invalid_request"
    next_of(world.exchange(first))


def test_what_is_wrong_in_the_request_spends_nothing() -> None:
    world = World()
    first = world.given()
    assert refused(world.exchange(first, scope="too:much")) == "invalid_scope"
    next_of(world.exchange(first))


@pytest.mark.parametrize(
    "wrong",
    ["", "hrr_x", a_key()[1].text, a_key(KeyKind.REFRESH)[1].text, "eyJ.eyJ.sig"],
    ids=["nothing", "too short", "a static key", "of no key", "a JWT"],
)
def test_what_is_no_refresh_token_of_a_key_is_an_invalid_grant(wrong: str) -> None:
    world = World()
    world.given(key_id=RandomIds().new(NOW))
    assert refused(world.exchange(wrong)) == "invalid_grant"


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.clock.advance(days=365),
        lambda world: world.keys.revoke(a_key()[0].key_id, NOW),
        lambda world: setattr(world, "client", None),
        lambda world: setattr(world, "client", replace(CLIENT, tenants=frozenset({"beta"}))),
    ],
)
def test_a_key_that_does_not_work_is_not_exchanged(change: Callable[[World], object]) -> None:
    world = World()
    first = world.given()
    change(world)
    assert refused(world.exchange(first)) == "invalid_grant"


def test_each_exchange_puts_the_end_of_the_key_off() -> None:
    world = World()
    token = world.given()
    for _ in range(3):
        world.clock.advance(days=364)
        token = next_of(world.exchange(token))
    assert world.keys.find(a_key()[0].key_id).expires_at == world.clock.now() + LIFETIME  # type: ignore[union-attr]


def test_the_networks_of_the_service_hold_here_too() -> None:
    world = World(replace(CLIENT, networks=Networks.of(["198.51.100.0/24"])))
    first = world.given()
    assert refused(world.exchange(first)) == "unauthorized_client"
    world.client = CLIENT
    next_of(world.exchange(first))


@pytest.mark.abuse(49)
def test_a_refresh_token_that_once_came_with_a_proof_needs_one_of_that_key() -> None:
    world = World()
    bound = world.exchange(world.given(), proofs=a_proof_of())
    assert isinstance(bound, TokenIssued)
    assert bound.token_type == "DPoP"
    assert "cnf" in claims(bound)
    token = next_of(bound)
    assert refused(world.exchange(token)) == "invalid_dpop_proof"
    other = a_proof_of(ec_key())
    assert refused(world.exchange(token, proofs=other)) == "invalid_grant"
    next_of(world.exchange(token, proofs=a_proof_of()))


def test_a_service_whose_tokens_must_be_bound_needs_a_proof() -> None:
    world = World(replace(CLIENT, needs_proof=True))
    first = world.given()
    assert refused(world.exchange(first)) == "invalid_dpop_proof"
    assert "cnf" in claims(world.exchange(first, proofs=a_proof_of()))


class Rotation(RuleBasedStateMachine):
    """Whoever exchanges what, and when: at most one refresh token is good, and the thief of an
    older one ends the key."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.tokens = [self.world.given()]
        self.alive = True
        self.exchanged_at = NOW - timedelta(days=1)

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 10.0, 60.0, 86400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds=seconds)

    @rule(repeatable=st.booleans())
    def the_last_is_exchanged(self, repeatable: bool) -> None:
        own = str(uuid4()) if repeatable else None
        answer = self.world.exchange(self.tokens[-1], own)
        if not self.alive:
            assert refused(answer) == "invalid_grant"
            return
        if own is not None:
            assert next_of(self.world.exchange(self.tokens[-1], own)) == next_of(answer)
        self.tokens.append(next_of(answer))
        self.exchanged_at = self.world.clock.now()

    @precondition(lambda self: len(self.tokens) > 1)
    @rule(data=st.data())
    def an_older_one_comes(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.tokens) - 2))
        assert refused(self.world.exchange(self.tokens[index])) == "invalid_grant"
        by_mistake = (
            index == len(self.tokens) - 2 and self.world.clock.now() < self.exchanged_at + GRACE
        )
        self.alive = self.alive and by_mistake

    @rule()
    def the_key_is_revoked(self) -> None:
        self.world.keys.revoke(a_key()[0].key_id, self.world.clock.now())
        self.alive = False

    @invariant()
    def the_key_says_so(self) -> None:
        key = self.world.keys.find(a_key()[0].key_id)
        assert key is not None
        assert (key.revoked_at is None) == self.alive
        assert key.generation == len(self.tokens)


TestRotation = Rotation.TestCase
