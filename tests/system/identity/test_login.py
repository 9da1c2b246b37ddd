"""Logging in as deployed: least privilege, many tries at once, and what ends a login."""

import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.identity.user_administration import DeleteUser, SetPassword
from headrace.identity.users import Permission
from tests.system.conftest import HARBOUR, NORTHWIND, People
from tests.system.deployed import Person, Platform, at_once
from tests.unit.identity.proofs_made import a_proof

pytestmark = pytest.mark.system

WRONG = "not the password at all"


def call(platform: Platform, token: str) -> httpx.Response:
    """A call that needs a scope that no person has."""
    return platform.call("GET", "/data/v1/metadata", headers={"Authorization": f"Bearer {token}"})


def is_known(platform: Platform, token: str) -> bool:
    """Whether the API knows who calls: then the scope is what is missing."""
    reply = call(platform, token)
    assert reply.json()["code"] in {"insufficient_scope", "invalid_token"}, reply.text
    return reply.status_code == 403


def test_a_person_logs_in_as_the_seed_says_and_is_known_by_the_token(
    platform: Platform, people: People
) -> None:
    person = people.of(HARBOUR, Permission.EXPORT_TEMPLATES)
    reply = person.logs_in()
    assert reply.status_code == 200, reply.text
    assert reply.headers["Cache-Control"] == "no-store"
    body = reply.json()
    assert body["username"] == person.username
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert (claims["tenant_id"], claims["user_id"]) == (HARBOUR, person.user_id)
    assert claims["scope"] == "youforce-data-api:templates:read"
    assert is_known(platform, body["access_token"])


@pytest.mark.abuse(29)
def test_a_role_that_is_no_integrators_does_not_log_in(people: People) -> None:
    person = people.of(NORTHWIND, Permission.EXPORT_TEMPLATES, integrator=False)
    assert person.logs_in().status_code == 403
    assert person.logs_in(WRONG).status_code == 401


@pytest.mark.abuse(26)
def test_whatever_is_wrong_the_answer_is_the_same(platform: Platform, people: People) -> None:
    person = people.of(NORTHWIND)
    nobody = Person(platform, f"no-{person.username}", WRONG, NORTHWIND, "")
    replies = [person.logs_in(WRONG), nobody.logs_in()]
    users = platform.deployment.user_directory().users
    users.save(platform.deployment.user_directory().user(person.username).disabled())
    replies += [person.logs_in(), person.logs_in(WRONG)]
    told = [{k: v for k, v in reply.json().items() if k != "correlationId"} for reply in replies]
    assert [reply.status_code for reply in replies] == [401] * 4
    assert all(one == told[0] for one in told)
    assert len({frozenset(reply.headers) for reply in replies}) == 1


@pytest.mark.abuse(27)
def test_of_forty_tries_at_once_ten_are_looked_at_and_the_right_password_is_too_late(
    platform: Platform, people: People
) -> None:
    for person in (people.of(NORTHWIND), Person(platform, "nobody@example.com", "x", "", "")):
        answers = at_once(40, lambda _, who=person: who.logs_in(WRONG).status_code)  # type: ignore[misc]
        assert sorted(answers) == [401] * 10 + [429] * 30
        late = person.logs_in()
        assert (late.status_code, late.json()["code"]) == (429, "too_many_tries")
        assert 0 < int(late.headers["Retry-After"]) <= 30


def test_one_address_has_so_many_tries_whatever_the_names(
    platform: Platform, people: People
) -> None:
    person = people.of(NORTHWIND)
    with platform.configured("LogIn", LOGIN_TRIES_PER_ADDRESS="1"):
        # A quarter of an hour may end in between, and two do not.
        reply = [person.logs_in() for _ in range(3)][-1]
    assert (reply.status_code, reply.json()["code"]) == (429, "too_many_tries")
    assert 0 < int(reply.headers["Retry-After"]) <= 900
    assert person.logs_in().status_code == 200


def test_a_login_ends_with_the_password_with_the_user_and_for_good(
    platform: Platform, people: People
) -> None:
    person = people.of(NORTHWIND, Permission.MANAGE_SERVICES)
    directory = platform.deployment.user_directory()
    token = person.token()
    assert is_known(platform, token)
    person.password = "another one, and a good one"
    SetPassword(directory, Argon2idPasswords())(person.username, person.password)
    assert not is_known(platform, token)
    token = person.token()
    assert is_known(platform, token)
    directory.users.save(directory.user(person.username).disabled())
    assert not is_known(platform, token)
    directory.users.save(directory.user(person.username).enabled())
    assert not is_known(platform, token)
    token = person.token()
    DeleteUser(directory)(person.username)
    assert not is_known(platform, token)
    assert person.logs_in().status_code == 401


@pytest.mark.abuse(64)
def test_of_twenty_exchanges_at_once_one_wins_and_the_login_goes_on(
    platform: Platform, people: People
) -> None:
    given = people.of(NORTHWIND, Permission.READ_STATISTICS).logs_in().json()

    def exchange(refresh_token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return platform.call("POST", "/connect/token", data=form)

    replies = at_once(20, lambda _: exchange(given["refresh_token"]))
    won = [reply.json() for reply in replies if reply.status_code == 200]
    lost = {reply.json().get("error") for reply in replies if reply.status_code != 200}
    assert (len(won), lost) == (1, {"invalid_grant"})
    assert not is_known(platform, given["access_token"])
    assert is_known(platform, won[0]["access_token"])
    assert exchange(won[0]["refresh_token"]).status_code == 200


def test_a_login_with_a_proof_gives_tokens_that_are_bound_to_its_key(
    platform: Platform, people: People
) -> None:
    person = people.of(NORTHWIND)
    url = f"{platform.api_url}/api/ver3/auth/login"
    key = ec.generate_private_key(ec.SECP256R1())
    proof = a_proof(key, htm="POST", htu=url, iat=time.time(), jti=str(time.time_ns()))
    body = {"username": person.username, "password": person.password}
    reply = platform.call("POST", "/api/ver3/auth/login", json=body, headers={"DPoP": proof})
    assert (reply.status_code, reply.json()["token_type"]) == (200, "DPoP")
    assert call(platform, reply.json()["access_token"]).status_code == 401
