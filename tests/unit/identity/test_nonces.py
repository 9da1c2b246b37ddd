"""The nonces that proofs of possession may need."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from headrace.identity.dpop import CheckProof
from headrace.identity.nonces import ServerNonces
from headrace.kernel.errors import InvalidProof, NonceNeeded
from tests.builders import SteppingClock
from tests.unit.identity.proofs_made import KEY, URL, Uses, a_proof, key_name


@dataclass
class FakeNonces:
    """The ``Nonces`` port, which counts what it is asked."""

    kept: dict[int, str] = field(default_factory=dict)
    asked: int = 0

    def find(self, span: int) -> str | None:
        self.asked += 1
        return self.kept.get(span)

    def agree(self, span: int, proposed: str, until: datetime) -> str:
        self.asked += 1
        return self.kept.setdefault(span, proposed)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def store() -> FakeNonces:
    return FakeNonces()


@pytest.fixture
def nonces(store: FakeNonces, clock: SteppingClock) -> ServerNonces:
    return ServerNonces(store, clock)


def refused(nonces: ServerNonces, nonce: str | None) -> bool:
    """Is it, and is the answer the nonce of now."""
    try:
        nonces.check(nonce)
    except NonceNeeded as error:
        assert error.nonce == nonces.current()
        return True
    return False


def test_a_nonce_is_good_for_five_minutes_at_least_and_ten_at_most(
    nonces: ServerNonces, clock: SteppingClock
) -> None:
    given = nonces.current()
    clock.advance(minutes=5)
    assert nonces.current() != given
    assert not refused(nonces, given)
    clock.advance(minutes=4, seconds=59)
    assert not refused(nonces, given)
    clock.advance(seconds=1)
    assert refused(nonces, given)


def test_every_process_has_the_same_nonces_and_asks_once_in_a_span(
    store: FakeNonces, clock: SteppingClock
) -> None:
    one, other = ServerNonces(store, clock), ServerNonces(store, clock)
    given = one.current()
    assert other.current() == given
    asked = store.asked
    for _ in range(100):
        assert not refused(one, given)
        assert not refused(other, given)
    assert store.asked == asked


def test_a_process_that_begins_later_knows_the_nonce_of_the_span_before(
    store: FakeNonces, clock: SteppingClock
) -> None:
    given = ServerNonces(store, clock).current()
    clock.advance(minutes=5)
    assert not refused(ServerNonces(store, clock), given)


def test_a_process_whose_clock_is_behind_takes_what_one_ahead_gave(
    store: FakeNonces, clock: SteppingClock
) -> None:
    behind = SteppingClock(clock.moment - timedelta(seconds=5))
    given = ServerNonces(store, clock).current()
    assert not refused(ServerNonces(store, behind), given)


@pytest.mark.abuse(48)
@pytest.mark.parametrize("nonce", [None, "", "x", "0." + "A" * 43, "-1." + "A" * 43, "f" * 300])
def test_a_nonce_that_we_did_not_give_is_refused(nonces: ServerNonces, nonce: str | None) -> None:
    assert refused(nonces, nonce)
    given = nonces.current()
    assert refused(nonces, given[:-1] + ("A" if given[-1] != "A" else "B"))
    assert refused(nonces, given + "A")
    assert refused(nonces, given.split(".")[0] + "." + "A" * 43)


@pytest.mark.abuse(48)
def test_a_proof_needs_a_nonce_of_now_and_is_not_used_up_without(
    nonces: ServerNonces, clock: SteppingClock
) -> None:
    check = CheckProof(Uses(), clock, nonces)
    with pytest.raises(NonceNeeded) as needed:
        check((a_proof(jti="one"),), "POST", URL)
    good = a_proof(jti="one", nonce=needed.value.nonce)
    assert check((good,), "POST", URL) == key_name(KEY)
    with pytest.raises(InvalidProof, match="used before"):
        check((good,), "POST", URL)


def test_where_proofs_need_none_a_nonce_is_not_looked_at(clock: SteppingClock) -> None:
    assert CheckProof(Uses(), clock)((a_proof(nonce="of somebody else"),), "POST", URL)
