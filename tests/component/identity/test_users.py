"""Users, roles, teams and tries in DynamoDB, and what the operator does about them."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.adapters.dynamodb.login_tries import DynamoLoginTries
from headrace.adapters.dynamodb.sessions import DynamoLoginSessions
from headrace.adapters.dynamodb.table import Item, Table
from headrace.adapters.dynamodb.users import DynamoRoles, DynamoTeams, DynamoUsers
from headrace.identity.api_keys import KeyKind, KeyText
from headrace.identity.lockout import FREE_TRIES
from headrace.identity.ports import LoginSessions
from headrace.identity.sessions import LoginSession
from headrace.identity.user_administration import (
    CreateUser,
    DeleteUser,
    JoinTeam,
    LeaveTeam,
    RemoveRole,
    SetPassword,
    SetRole,
    UserDirectory,
)
from headrace.identity.users import Permission, Role, Team
from headrace.kernel.errors import Conflict, InvalidRequest, NotFound, TooManyTries
from headrace.kernel.ids import RandomIds
from tests.builders import SteppingClock
from tests.component.identity.deployment import Deployment
from tests.unit.identity.tokens_made import NOW
from tests.unit.identity.users_made import (
    PASSWORD,
    REFRESH,
    FakePasswords,
    FakeRoles,
    FakeSessions,
    FakeTeams,
    FakeUsers,
    a_role,
    a_session,
    a_user,
)

NOON = NOW
ADA, BOB = "ada@acme.example", "bob@acme.example"


@pytest.fixture(params=["fake", "dynamodb"])
def directory(request: pytest.FixtureRequest) -> UserDirectory:
    """Each answer to the ports."""
    if request.param == "fake":
        return UserDirectory(FakeUsers(), FakeRoles(), FakeTeams())
    deployment: Deployment = request.getfixturevalue("deployment")
    table = deployment.tables["users"]
    return UserDirectory(DynamoUsers(table), DynamoRoles(table), DynamoTeams(table))


# --- users ----------------------------------------------------------------------------------------


def test_a_user_is_found_by_name_and_by_tenant_and_id(directory: UserDirectory) -> None:
    ada = a_user(created_at=NOON)
    directory.users.add(ada)
    stored = replace(ada, revision=1)
    assert directory.users.named(ADA) == directory.users.find("acme", ada.user_id) == stored
    assert directory.users.listed("acme") == (stored,)
    assert directory.users.named(BOB) is None
    assert directory.users.find("beta", ada.user_id) is None
    assert directory.users.listed("beta") == ()


def test_a_name_is_one_users_in_all_tenants(directory: UserDirectory) -> None:
    directory.users.add(a_user())
    with pytest.raises(Conflict):
        directory.users.add(a_user(user_id="other", tenant="beta"))
    assert directory.users.listed("beta") == ()


def test_of_two_changes_at_once_one_is_refused(directory: UserDirectory) -> None:
    directory.users.add(a_user())
    mine = theirs = directory.user(ADA)
    directory.users.save(theirs.disabled())
    for late in (mine.enabled(), mine.with_password("x")):
        with pytest.raises(Conflict):
            directory.users.save(late)
    with pytest.raises(Conflict):
        directory.users.remove(mine)
    assert not directory.user(ADA).is_active


def test_a_name_is_free_again_when_its_user_is_gone(directory: UserDirectory) -> None:
    directory.users.add(a_user())
    directory.users.remove(directory.user(ADA))
    with pytest.raises(NotFound):
        directory.user(ADA)
    directory.users.add(a_user(user_id="other", tenant="beta"))
    assert directory.user(ADA).tenant == "beta"


# --- roles and teams ------------------------------------------------------------------------------


def test_a_role_is_put_changed_listed_and_removed(directory: UserDirectory) -> None:
    reader = a_role("Integratör med api-export")
    for role in (
        a_role("z"),
        reader,
        a_role("z", tenant="beta"),
        replace(reader, integrator=False),
    ):
        directory.roles.put(role)
    assert directory.roles.listed("acme") == (replace(reader, integrator=False), a_role("z"))
    directory.roles.remove("acme", "z")
    assert directory.roles.find("acme", "z") is None
    assert directory.roles.find("beta", "z") == a_role("z", tenant="beta")
    with pytest.raises(NotFound):
        directory.roles.remove("acme", "z")


def test_a_permission_of_a_later_release_gives_nothing(deployment: Deployment) -> None:
    table = deployment.tables["users"]
    permissions = ["fly", "manage services"]
    table.put({"pk": "tenant#acme", "sk": "role#r", "integrator": True, "permissions": permissions})
    assert DynamoRoles(table).find("acme", "r") == Role(
        "acme", "r", True, frozenset({Permission.MANAGE_SERVICES})
    )


def test_of_two_changes_of_a_team_at_once_one_is_refused(directory: UserDirectory) -> None:
    team = Team("acme", "hr")
    directory.teams.save(team.joined_by("a"))
    with pytest.raises(Conflict):
        directory.teams.save(team.joined_by("b"))
    seen = directory.team("acme", "hr")
    directory.teams.save(seen.joined_by("b"))
    with pytest.raises(Conflict):
        directory.teams.save(seen.joined_by("c"))
    with pytest.raises(Conflict):
        directory.teams.remove(seen)
    assert directory.team("acme", "hr").members == {"a", "b"}


# --- what the operator does -----------------------------------------------------------------------


def created(directory: UserDirectory, username: str = ADA, tenant: str = "acme") -> Any:
    directory.roles.put(a_role(tenant=tenant))
    create = CreateUser(directory, FakePasswords(), SteppingClock(), RandomIds())
    return create(tenant, username, "integrator", PASSWORD)


def test_a_user_needs_a_role_that_there_is_and_a_good_password(directory: UserDirectory) -> None:
    create = CreateUser(directory, FakePasswords(), SteppingClock(), RandomIds())
    with pytest.raises(NotFound):
        create("acme", ADA, "integrator", PASSWORD)
    directory.roles.put(a_role())
    with pytest.raises(InvalidRequest):
        create("acme", ADA, "integrator", "short")
    with pytest.raises(InvalidRequest):
        create("ac me", ADA, "integrator", PASSWORD)
    assert directory.users.listed("acme") == ()


def test_another_password_or_being_disabled_ends_what_was_and_another_role_does_not(
    directory: UserDirectory,
) -> None:
    created(directory)
    directory.roles.put(a_role("other"))
    generations = [directory.user(ADA).generation]
    for act in (
        lambda: SetPassword(directory, FakePasswords())(ADA, "another good password"),
        lambda: directory.users.save(directory.user(ADA).disabled()),
        lambda: directory.users.save(directory.user(ADA).enabled()),
        lambda: SetRole(directory)(ADA, "other"),
    ):
        act()
        generations.append(directory.user(ADA).generation)
    assert generations == [1, 2, 3, 3, 3]
    assert directory.user(ADA).role == "other"
    assert directory.user(ADA).password_hash == "hash of another good password"


def test_a_role_that_somebody_has_stays(directory: UserDirectory) -> None:
    created(directory)
    with pytest.raises(Conflict, match=ADA):
        RemoveRole(directory)("acme", "integrator")
    DeleteUser(directory)(ADA)
    assert RemoveRole(directory)("acme", "integrator") == a_role()


def test_a_team_has_users_of_its_tenant_until_they_go(directory: UserDirectory) -> None:
    created(directory), created(directory, BOB)
    created(directory, "eve@beta.example", "beta")
    for name in (ADA, BOB):
        team = JoinTeam(directory)("acme", "hr", name)
    assert [user.username for user in directory.members(team)] == [ADA, BOB]
    with pytest.raises(NotFound):
        JoinTeam(directory)("acme", "hr", "eve@beta.example")
    DeleteUser(directory)(ADA)
    assert len(directory.team("acme", "hr").members) == 1
    assert LeaveTeam(directory)("acme", "hr", BOB).members == frozenset()
    with pytest.raises(NotFound):
        LeaveTeam(directory)("acme", "hr", BOB)


# --- logins that go on ----------------------------------------------------------------------------


@pytest.fixture(params=["fake", "dynamodb"])
def sessions(request: pytest.FixtureRequest) -> LoginSessions:
    """Each answer to the port."""
    if request.param == "fake":
        return FakeSessions()
    deployment: Deployment = request.getfixturevalue("deployment")
    return DynamoLoginSessions(deployment.tables["credentials"])


def next_of(session: LoginSession) -> LoginSession:
    """Once its first refresh token is exchanged, a minute later."""
    text = KeyText.new(KeyKind.REFRESH, session.session_id)
    return session.exchanged(REFRESH, text, NOW + timedelta(minutes=1))


def test_a_login_is_found_as_it_was_begun_and_exchanged(sessions: LoginSessions) -> None:
    session = a_session(bound_to="thumbprint")
    sessions.begin(session)
    assert sessions.find(session.session_id) == session
    after = next_of(session)
    assert sessions.exchange(session, after)
    # What nobody asks of a login is not kept.
    kept = replace(after.rotation, shown=None, last_used_at=None)
    found = sessions.find(session.session_id)
    assert found is not None
    assert replace(found, rotation=replace(found.rotation, shown=None, last_used_at=None)) == (
        replace(after, rotation=kept)
    )
    assert sessions.find("another") is None


def test_of_two_exchanges_of_a_login_one_stands(sessions: LoginSessions) -> None:
    session = a_session()
    sessions.begin(session)
    assert sessions.exchange(session, next_of(session))
    assert not sessions.exchange(session, next_of(session))
    assert sessions.was_spent(session.session_id, REFRESH.sha256)
    assert not sessions.was_spent(session.session_id, "another")
    assert not sessions.was_spent("another", REFRESH.sha256)


def test_a_login_that_has_ended_is_exchanged_no_more(sessions: LoginSessions) -> None:
    session = a_session()
    sessions.begin(session)
    sessions.end(session.session_id, NOW)
    sessions.end(session.session_id, NOW + timedelta(hours=1))
    sessions.end("another", NOW)
    found = sessions.find(session.session_id)
    assert found is not None
    assert found.rotation.revoked_at == NOW
    assert not sessions.exchange(session, next_of(session))


# --- tries ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InterruptedTable(Table):
    """A table in which somebody else tries between each read and the write after it."""

    def get(self, pk: str, sk: str) -> Item | None:
        found = super().get(pk, sk)
        if sk == "name" and (found is None or found["tries"] < FREE_TRIES):
            DynamoLoginTries(Table(self.client, self.name)).count(ADA, "192.0.2.99", NOON)
        return found


def test_tries_that_come_at_once_are_all_counted(deployment: Deployment) -> None:
    table = deployment.tables["users"]
    crowded = DynamoLoginTries(InterruptedTable(table.client, table.name), pause=lambda _: None)
    with pytest.raises(TooManyTries):
        crowded.count(ADA, "192.0.2.7", NOON)
    kept = [item for item in _tries(table) if item["sk"] == "name"]
    assert [item["tries"] for item in kept] == [FREE_TRIES]


def test_an_address_has_so_many_tries_whatever_names_it_tries(deployment: Deployment) -> None:
    tries = DynamoLoginTries(deployment.tables["users"], tries_per_address=7)
    for number in range(7):
        tries.count(f"{number}@acme.example", "2001:db8::1", NOON)
    with pytest.raises(TooManyTries) as raised:
        tries.count(ADA, "2001:db8::2", NOON)
    assert raised.value.retry_after == 900
    tries.count(ADA, "192.0.2.7", NOON)
    tries.count(ADA, "2001:db8::1", NOON + timedelta(minutes=15))


def test_what_was_typed_as_a_name_is_kept_nowhere(deployment: Deployment) -> None:
    table = deployment.tables["users"]
    DynamoLoginTries(table).count("my password, by mistake", "192.0.2.7", NOON)
    kept = repr(_tries(table))
    assert "tries#" in kept
    assert "mistake" not in kept and "192.0.2.7" not in kept


def test_tries_are_tidied_away_only_when_they_count_no_more(deployment: Deployment) -> None:
    table = deployment.tables["users"]
    DynamoLoginTries(table).count(ADA, "192.0.2.7", NOON)
    ends = {item["sk"].partition("#")[0]: item["ttl"] for item in _tries(table)}
    assert ends["name"] >= (NOON + timedelta(hours=24)).timestamp()
    assert ends["window"] >= (NOON + timedelta(minutes=15)).timestamp()


def _tries(table: Table) -> list[Item]:
    from headrace.adapters.dynamodb.table import unmarshal

    return [unmarshal(item) for item in table.client.scan(TableName=table.name)["Items"]]


# --- passwords ------------------------------------------------------------------------------------


def test_a_password_is_hashed_by_argon2id_with_the_parameters_of_owasp() -> None:
    passwords = Argon2idPasswords()
    one, two = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert passwords.verify(one, PASSWORD)
    assert not passwords.verify(one, PASSWORD + " ")
    assert not passwords.is_outdated(one)


def test_a_hash_with_other_parameters_still_fits_and_is_outdated() -> None:
    weak = Argon2idPasswords(memory_kib=64, passes=1).hash(PASSWORD)
    assert Argon2idPasswords().verify(weak, PASSWORD)
    assert Argon2idPasswords().is_outdated(weak)


def test_nobodys_hash_takes_the_same_parameters_and_fits_nothing() -> None:
    passwords = Argon2idPasswords()
    assert not passwords.is_outdated(passwords._nobodys)
    assert len(passwords._nobodys) == len(passwords.hash(PASSWORD))
    assert not any(passwords.verify(None, text) for text in ("", PASSWORD, passwords._nobodys))
