"""Logging in: one answer and one amount of work for all that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.identity.dpop import CheckProof
from headrace.identity.issuing import SPENT_NOW, Asked
from headrace.identity.logging_in import (
    SPENT_BEFORE,
    ContinueLogin,
    GiveTokens,
    LogIn,
    LoginGiven,
    Place,
)
from headrace.identity.oauth import SentRequest, TokenIssued, TokenRefused
from headrace.identity.password_check import CheckPassword
from headrace.identity.sessions import LoginSession
from headrace.identity.users import Permission, User
from headrace.kernel.errors import (
    HeadraceError,
    InvalidProof,
    LoginFailed,
    NotAnIntegrator,
    TooManyTries,
)
from headrace.kernel.ids import RandomIds
from tests.unit.identity.proofs_made import KEY, URL, Uses, a_proof, key_name
from tests.unit.identity.tokens_made import AUDIENCE, ISSUER, StoppedClock, key_id, rs256
from tests.unit.identity.users_made import (
    PASSWORD,
    READ_TEMPLATES,
    FakePasswords,
    FakeRoles,
    FakeSessions,
    FakeTries,
    FakeUsers,
    a_role,
    a_user,
)

ADA = "ada@acme.example"
WRONG = "something else entirely"


class Signing:
    """The ``Signer`` port."""

    def key_id(self) -> str:
        return key_id()

    def sign(self, key_id: str, message: bytes) -> bytes:
        return rs256(message)


def place(proofs: tuple[str, ...] = ()) -> Place:
    return Place(ISSUER, AUDIENCE, "192.0.2.7", URL, proofs)


@dataclass
class World:
    """Logging in, with all that it needs in memory."""

    users: FakeUsers = field(default_factory=lambda: FakeUsers.of(a_user()))
    roles: FakeRoles = field(default_factory=lambda: FakeRoles.of(a_role()))
    sessions: FakeSessions = field(default_factory=FakeSessions)
    uses: Uses = field(default_factory=Uses)
    tries: FakeTries = field(default_factory=FakeTries)
    passwords: FakePasswords = field(default_factory=FakePasswords)
    clock: StoppedClock = field(default_factory=StoppedClock)

    @property
    def give(self) -> GiveTokens:
        return GiveTokens(Signing(), self.clock, RandomIds(), "youforce-data-api")

    @property
    def check_proof(self) -> CheckProof:
        return CheckProof(self.uses, self.clock)

    def log_in(
        self, username: str = ADA, password: str = PASSWORD, proofs: tuple[str, ...] = ()
    ) -> LoginGiven:
        log_in = LogIn(
            CheckPassword(self.users, self.tries, self.passwords, self.clock),
            self.roles,
            self.sessions,
            self.check_proof,
            self.give,
        )
        return log_in(username, password, place(proofs))

    def go_on(
        self, refresh_token: str | None, proofs: tuple[str, ...] = (), **form: str
    ) -> TokenIssued:
        go_on = ContinueLogin(self.users, self.roles, self.sessions, self.check_proof, self.give)
        sent = SentRequest("", None, b"", proofs, URL)
        parameters = {"refresh_token": refresh_token or "", **form}
        return go_on(Asked(sent, "192.0.2.7", ISSUER, AUDIENCE, parameters))

    def does_not_go_on(self, refresh_token: str | None, proofs: tuple[str, ...] = ()) -> str:
        with pytest.raises(TokenRefused) as raised:
            self.go_on(refresh_token, proofs)
        assert raised.value.error in {"invalid_grant", "invalid_dpop_proof"}
        return raised.value.detail

    def refused(
        self, kind: type[HeadraceError], username: str = ADA, password: str = PASSWORD
    ) -> HeadraceError:
        with pytest.raises(kind) as raised:
            self.log_in(username, password)
        return raised.value


@pytest.mark.abuse(26)
def test_whatever_is_wrong_the_answer_and_the_work_are_the_same() -> None:
    def seen(users: FakeUsers, username: str, password: str) -> tuple[Any, ...]:
        world = World(users=users)
        error = world.refused(LoginFailed, username, password)
        told = (error.code, error.title, error.detail, error.retry_after, dict(error.members))
        return told, world.passwords.work, users.reads, world.tries.counted == [username]

    cases = [
        seen(FakeUsers.of(a_user()), ADA, WRONG),
        seen(FakeUsers.of(a_user()), "nobody@acme.example", WRONG),
        seen(FakeUsers.of(a_user()), "nobody@acme.example", PASSWORD),
        seen(FakeUsers.of(a_user(is_active=False)), ADA, WRONG),
        seen(FakeUsers.of(a_user(is_active=False)), ADA, PASSWORD),
    ]
    assert all(case == cases[0] for case in cases)
    _, work, reads, counted = cases[0]
    assert (work, reads, counted) == (["verify"], 2, True)


@pytest.mark.abuse(29)
@pytest.mark.parametrize("roles", [FakeRoles(), FakeRoles.of(a_role(integrator=False))])
def test_only_integrators_log_in_and_only_the_right_password_says_so(roles: FakeRoles) -> None:
    world = World(roles=roles)
    world.refused(LoginFailed, ADA, WRONG)
    world.refused(NotAnIntegrator)


def test_the_name_may_be_written_in_any_case() -> None:
    assert World().log_in("ADA@acme.EXAMPLE").username == ADA


@pytest.mark.abuse(27)
@pytest.mark.parametrize("username", [ADA, "nobody@acme.example"])
def test_the_eleventh_try_waits_whether_there_is_such_a_user_or_not(username: str) -> None:
    world = World()
    for _ in range(10):
        world.refused(LoginFailed, username, WRONG)
    for password in (WRONG, PASSWORD):
        assert world.refused(TooManyTries, username, password).retry_after == 30
    assert len(world.passwords.work) == 10
    world.clock.advance(seconds=30)
    world.refused(LoginFailed, username, WRONG)
    assert world.refused(TooManyTries, username).retry_after == 60


def test_a_right_password_takes_the_count_back() -> None:
    world = World()
    for _ in range(3):
        for _ in range(9):
            world.refused(LoginFailed, ADA, WRONG)
        assert world.log_in()


def test_a_locked_user_gets_in_after_the_wait() -> None:
    world = World()
    for _ in range(10):
        world.refused(LoginFailed, ADA, WRONG)
    world.clock.advance(seconds=30)
    assert world.log_in()
    assert world.tries.by_name == {}


def test_a_password_is_hashed_anew_when_the_parameters_have_changed_and_nothing_ends() -> None:
    world = World(passwords=FakePasswords(outdated=True))
    before = world.users.find("acme", "id-" + ADA)
    world.log_in()
    after = world.users.find("acme", "id-" + ADA)
    assert before and after
    assert world.passwords.work == ["verify", "hash"]
    assert (after.revision, after.generation) == (before.revision + 1, before.generation)


def test_a_wrong_password_is_never_hashed_anew() -> None:
    world = World(passwords=FakePasswords(outdated=True))
    world.refused(LoginFailed, ADA, WRONG)
    assert world.passwords.work == ["verify"]


class Contended(FakeUsers):
    """Somebody changes a user right after it was read."""

    def find(self, tenant: str, user_id: str) -> User | None:
        found = super().find(tenant, user_id)
        if found is not None:
            self.save(found)
        return found


def test_who_logs_in_while_the_user_is_changed_gets_in_and_undoes_nothing() -> None:
    users = Contended.of(a_user())
    assert World(users=users, passwords=FakePasswords(outdated=True)).log_in()
    assert [user.revision for user in users.by_id.values()] == [1]


def test_a_login_says_neither_password_nor_token_of_itself() -> None:
    given = World().log_in()
    assert given.access_token not in repr(given)
    assert given.refresh_token not in repr(given)
    assert PASSWORD not in repr(a_user())
    assert given.expires_in == timedelta(hours=1).total_seconds()


# --- going on -------------------------------------------------------------------------------------


def claims_of(given: LoginGiven | TokenIssued) -> dict[str, Any]:
    return jwt.decode(given.access_token, options={"verify_signature": False})


def test_a_refresh_token_is_exchanged_for_the_next_of_each() -> None:
    world = World()
    first = world.log_in()
    second = world.go_on(first.refresh_token)
    assert second.refresh_token != first.refresh_token
    assert claims_of(second)["session_id"] == claims_of(first)["session_id"]
    assert [claims_of(given)["session_generation"] for given in (first, second)] == [1, 2]
    assert claims_of(second)["scope"] == claims_of(first)["scope"]
    assert world.go_on(second.refresh_token)


@pytest.mark.abuse(62)
def test_a_refresh_token_that_was_exchanged_before_ends_the_login() -> None:
    world = World()
    first = world.log_in()
    second = world.go_on(first.refresh_token)
    # Within some seconds it is another process of the same person, and costs nobody anything.
    assert world.does_not_go_on(first.refresh_token) == SPENT_NOW
    world.clock.advance(seconds=10)
    assert world.does_not_go_on(first.refresh_token) == SPENT_BEFORE
    world.does_not_go_on(second.refresh_token)
    assert [session.rotation.revoked_at for session in world.sessions.by_id.values()] != [None]


def test_a_refresh_token_that_never_was_ends_nothing() -> None:
    world = World()
    first = world.log_in()
    forged = first.refresh_token[:-1] + ("A" if first.refresh_token[-1] != "A" else "E")
    for text in (forged, "", "hrl_", "hrl", first.refresh_token.replace("hrl", "hrr")):
        world.does_not_go_on(text)
    assert world.go_on(first.refresh_token)


def test_a_login_goes_on_for_thirty_days_however_often_it_is_exchanged() -> None:
    world = World()
    given: LoginGiven | TokenIssued = world.log_in()
    for _ in range(29):
        world.clock.advance(days=1)
        given = world.go_on(given.refresh_token)
    world.clock.advance(days=1)
    world.does_not_go_on(given.refresh_token)


def test_a_login_does_not_go_on_without_its_user_its_password_or_its_role() -> None:
    def gone(world: World) -> None:
        world.users.remove(world.users.by_id["acme", "id-" + ADA])

    def saved(change: Callable[[User], User]) -> Callable[[World], None]:
        return lambda world: world.users.save(change(world.users.by_id["acme", "id-" + ADA]))

    for happens in (
        gone,
        saved(User.disabled),
        saved(lambda user: user.disabled().enabled()),
        saved(lambda user: user.with_password("x")),
        lambda world: world.roles.put(a_role(integrator=False)),
        lambda world: world.roles.remove("acme", "integrator"),
    ):
        world = World()
        given = world.log_in()
        happens(world)
        world.does_not_go_on(given.refresh_token)


def test_an_exchange_gives_no_more_than_the_login_did_and_the_role_does() -> None:
    world = World()
    first = world.log_in()
    world.roles.put(a_role(permissions=frozenset(Permission)))
    second = world.go_on(first.refresh_token)
    assert second.scope == READ_TEMPLATES
    world.roles.put(a_role(permissions=frozenset({Permission.MANAGE_SERVICES})))
    assert world.go_on(second.refresh_token).scope == ""


def test_an_exchange_may_ask_for_fewer_scopes_and_for_no_other() -> None:
    both = frozenset({Permission.EXPORT_TEMPLATES, Permission.MANAGE_SERVICES})
    world = World(roles=FakeRoles.of(a_role(permissions=both)))
    given = world.log_in()
    for scope in (
        "youforce-data-api:consents:manage",
        f"{READ_TEMPLATES} x",
        "",
        READ_TEMPLATES[:-1],
    ):
        with pytest.raises(TokenRefused) as raised:
            world.go_on(given.refresh_token, scope=scope)
        assert raised.value.error == "invalid_scope"
    narrowed = world.go_on(given.refresh_token, scope=READ_TEMPLATES)
    assert narrowed.scope == claims_of(narrowed)["scope"] == READ_TEMPLATES
    assert len(world.go_on(narrowed.refresh_token).scope.split()) == 2


class Overtaken(FakeSessions):
    """Somebody else exchanges each refresh token a moment earlier."""

    def exchange(self, before: LoginSession, after: LoginSession) -> bool:
        super().exchange(before, after)
        return super().exchange(before, after)


def test_of_two_exchanges_at_once_one_wins_and_nothing_ends() -> None:
    world = World(sessions=Overtaken())
    assert world.does_not_go_on(world.log_in().refresh_token) == SPENT_NOW
    assert [session.rotation.revoked_at for session in world.sessions.by_id.values()] == [None]


# --- possession -----------------------------------------------------------------------------------


def proof(world: World, jti: str, key: Any = KEY) -> tuple[str, ...]:
    return (a_proof(key, iat=world.clock.now().timestamp(), jti=jti),)


@pytest.mark.abuse(49)
def test_a_login_with_a_proof_goes_on_with_proofs_of_the_same_key_only() -> None:
    world = World()
    given = world.log_in(proofs=proof(world, "1"))
    assert (given.token_type, claims_of(given)["cnf"]) == ("DPoP", {"jkt": key_name(KEY)})
    other = ec.generate_private_key(ec.SECP256R1())
    world.does_not_go_on(given.refresh_token)
    world.does_not_go_on(given.refresh_token, proof(world, "2", other))
    again = world.go_on(given.refresh_token, proof(world, "3"))
    assert (again.token_type, claims_of(again)["cnf"]) == ("DPoP", {"jkt": key_name(KEY)})
    # Nor does a thief without the key end the login with a token that was exchanged before.
    world.clock.advance(seconds=10)
    world.does_not_go_on(given.refresh_token)
    assert world.go_on(again.refresh_token, proof(world, "4"))


def test_a_bad_proof_is_said_before_the_password_is_looked_at() -> None:
    world = World()
    with pytest.raises(InvalidProof):
        world.log_in(proofs=("nonsense",))
    assert (world.tries.counted, world.passwords.work) == ([], [])
