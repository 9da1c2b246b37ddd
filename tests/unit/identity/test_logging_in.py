"""Logging in: one answer and one amount of work for all that is wrong."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from headrace.identity.logging_in import LogIn, LoginGiven
from headrace.identity.users import User
from headrace.kernel.errors import HeadraceError, LoginFailed, NotAnIntegrator, TooManyTries
from headrace.kernel.ids import RandomIds
from tests.unit.identity.tokens_made import AUDIENCE, ISSUER, StoppedClock, key_id, rs256
from tests.unit.identity.users_made import (
    PASSWORD,
    FakePasswords,
    FakeRoles,
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


@dataclass
class World:
    """Logging in, with all that it needs in memory."""

    users: FakeUsers = field(default_factory=lambda: FakeUsers.of(a_user()))
    roles: FakeRoles = field(default_factory=lambda: FakeRoles.of(a_role()))
    tries: FakeTries = field(default_factory=FakeTries)
    passwords: FakePasswords = field(default_factory=FakePasswords)
    clock: StoppedClock = field(default_factory=StoppedClock)

    def log_in(self, username: str = ADA, password: str = PASSWORD) -> LoginGiven:
        log_in = LogIn(
            self.users,
            self.roles,
            self.tries,
            self.passwords,
            Signing(),
            self.clock,
            RandomIds(),
            "youforce-data-api",
        )
        return log_in(username, password, "192.0.2.7", ISSUER, AUDIENCE)

    def refused(self, kind: type[HeadraceError], *who: str) -> HeadraceError:
        with pytest.raises(kind) as raised:
            self.log_in(*who)
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
    assert PASSWORD not in repr(a_user())
    assert given.expires_in == timedelta(hours=1).total_seconds()
