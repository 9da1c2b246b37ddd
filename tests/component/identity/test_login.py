"""POST /api/ver3/auth/login through its handler, and what the token is good for."""

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.adapters.dynamodb.audit_trail import DynamoTrail
from headrace.audit.model import Action
from headrace.identity.user_administration import DeleteUser, PutRole, SetPassword
from headrace.identity.users import Permission
from headrace.runtime import instance
from tests.component.identity.deployment import (
    FORM,
    PASSWORD,
    Deployment,
    Response,
    called,
    event_of,
)
from tests.component.keyed import keys_refused

READ_TEMPLATES = "youforce-data-api:templates:read"
ADA = "ada@acme.example"


def assert_refused(reply: Response, status: int, code: str) -> Response:
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    return reply


def who(deployment: Deployment, token: str) -> dict[str, Any]:
    """The context of a call with the token; empty if it is denied."""
    answer = deployment.authorize(f"Bearer {token}")
    allowed = answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    context: dict[str, Any] = answer["context"]
    return context if allowed else {}


def test_a_person_logs_in_and_calls_as_the_role_allows(deployment: Deployment) -> None:
    password = deployment.add_user(ADA)
    reply = deployment.post_login("Ada@ACME.example", password)
    assert reply.status == 200, reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.json.keys() == {
        *("username", "access_token", "refresh_token", "token_type", "expires_in")
    }
    assert (reply.json["username"], reply.json["token_type"]) == (ADA, "Bearer")
    claims = jwt.decode(reply.json["access_token"], options={"verify_signature": False})
    user = deployment.directory.user(ADA)
    assert (claims["client_id"], claims["sub"], claims["user_id"]) == (
        "user",
        user.user_id,
        user.user_id,
    )
    assert claims["exp"] - claims["iat"] == reply.json["expires_in"] == 3600
    assert who(deployment, reply.json["access_token"]) == {
        "tenant": "acme",
        "client_id": "user",
        "scopes": READ_TEMPLATES,
        "user": user.user_id,
        "credential": claims["session_id"],
    }


def test_it_takes_a_role_that_is_an_integrators(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, integrator=False)
    assert_refused(deployment.post_login(ADA, "not the password"), 401, "login_failed")
    assert_refused(deployment.post_login(ADA, password), 403, "not_an_integrator")


@pytest.mark.abuse(26)
def test_nobody_learns_who_is_a_user_here(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = deployment.add_user(ADA)
    deployment.add_user("off@acme.example")
    users = deployment.directory.users
    users.save(deployment.directory.user("off@acme.example").disabled())
    hashed: list[str] = []
    verify = Argon2id.verify_phc_encoded

    def counted(password: bytes, phc: str, secret: bytes | None = None) -> None:
        hashed.append(phc[: phc.index(",p=1$")])
        verify(password, phc, secret)

    monkeypatch.setattr(Argon2id, "verify_phc_encoded", counted)
    cases = [
        (ADA, "not the password"),
        ("nobody@acme.example", password),
        ("off@acme.example", password),
        ("off@acme.example", "not the password"),
        ("\x00'; DROP", password),
    ]
    replies = [assert_refused(deployment.post_login(*who), 401, "login_failed") for who in cases]
    assert len({(reply.body, str(reply.headers)) for reply in replies}) == 1
    # And the same work: one hash each, with the same parameters.
    assert hashed == ["$argon2id$v=19$m=19456,t=2"] * len(cases)


def test_a_name_that_nobody_can_have_is_as_one_that_nobody_has(deployment: Deployment) -> None:
    # 254 characters, of which the form that names are compared in makes 762, of 3,048 bytes.
    name = "\U0001d160" * 252 + "@a"
    with keys_refused(instance.client("dynamodb")):
        assert_refused(deployment.post_login(name, "not the password"), 401, "login_failed")
        basic = base64.b64encode(f"{name}:not the password".encode()).decode()
        assert deployment.authorize(f"Basic {basic}")["context"]["code"] == "invalid_token"


@pytest.mark.abuse(27)
@pytest.mark.parametrize("known", [True, False])
def test_the_eleventh_try_is_refused_with_the_right_password_too(
    deployment: Deployment, known: bool
) -> None:
    password = deployment.add_user(ADA)
    username = ADA if known else "nobody@acme.example"
    for _ in range(10):
        assert_refused(deployment.post_login(username, "not the password"), 401, "login_failed")
    reply = assert_refused(deployment.post_login(username, password), 429, "too_many_tries")
    assert 0 < int(reply.headers["Retry-After"]) <= 30
    # Another name is none the worse for it.
    deployment.add_user("bob@acme.example")
    assert deployment.post_login("bob@acme.example", password).status == 200


def test_a_login_ends_with_the_password_the_user_and_the_role(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.MANAGE_SERVICES)
    directory = deployment.directory

    def token() -> str:
        return str(deployment.post_login(ADA, password).json["access_token"])

    def role(*permissions: str, integrator: bool = True) -> None:
        put = PutRole(directory)
        put("acme", f"role of {ADA}", integrator=integrator, permissions=permissions)

    before = token()
    assert who(deployment, before)["scopes"] == "youforce-data-api:services:manage"
    role("export templates through the API")
    assert who(deployment, before)["scopes"] == ""
    role("manage services", integrator=False)
    assert who(deployment, before) == {}
    role("manage services")
    SetPassword(directory, Argon2idPasswords())(ADA, password := "quite another one")
    assert who(deployment, before) == {}
    after = token()
    assert who(deployment, after)
    directory.users.save(directory.user(ADA).disabled())
    assert who(deployment, after) == {}
    directory.users.save(directory.user(ADA).enabled())
    assert who(deployment, after) == {}
    last = token()
    DeleteUser(directory)(ADA)
    assert who(deployment, last) == {}


def go_on(deployment: Deployment, refresh_token: str, key: str | None = None) -> Response:
    return deployment.post_token(
        {"grant_type": "refresh_token", "refresh_token": refresh_token},
        headers={} if key is None else {"Idempotency-Key": key},
    )


def test_a_login_goes_on_at_the_token_endpoint_and_ends_the_access_token_before(
    deployment: Deployment,
) -> None:
    first = deployment.post_login(ADA, deployment.add_user(ADA)).json
    second = go_on(deployment, first["refresh_token"])
    assert second.status == 200, second.body
    assert second.headers["Cache-Control"] == "no-store"
    assert second.json.keys() == {
        *("access_token", "refresh_token", "token_type", "expires_in", "scope")
    }
    assert who(deployment, first["access_token"]) == {}
    assert who(deployment, second.json["access_token"])["scopes"] == READ_TEMPLATES
    again = go_on(deployment, first["refresh_token"])
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert who(deployment, second.json["access_token"])


@pytest.mark.abuse(61)
@pytest.mark.abuse(62)
def test_a_refresh_token_that_comes_again_later_ends_the_login(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deployment.post_login(ADA, deployment.add_user(ADA)).json
    second = go_on(deployment, first["refresh_token"]).json
    monkeypatch.setattr("headrace.identity.api_keys.GRACE", timedelta(0))
    again = go_on(deployment, first["refresh_token"])
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert who(deployment, second["access_token"]) == {}
    assert go_on(deployment, second["refresh_token"]).status == 400


@pytest.mark.abuse(65)
def test_a_login_whose_exchange_was_lost_goes_on_by_its_idempotency_key(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.identity.api_keys.GRACE", timedelta(0))
    first = deployment.post_login(ADA, deployment.add_user(ADA)).json["refresh_token"]
    key = "k" * 32
    lost = go_on(deployment, first, key).json
    again = go_on(deployment, first, key)
    assert again.status == 200, again.body
    assert again.json["refresh_token"] == lost["refresh_token"]
    assert who(deployment, again.json["access_token"])
    assert go_on(deployment, first, "k" * 31).json["error"] == "invalid_request"
    third = go_on(deployment, again.json["refresh_token"])
    assert third.status == 200, third.body
    # Since the next exchange it is a token that was exchanged before, whatever the key.
    assert go_on(deployment, first, key).json["error"] == "invalid_grant"
    assert who(deployment, third.json["access_token"]) == {}


def log_out(deployment: Deployment, token: str) -> Response:
    event = event_of("POST", "/connect/revoke", headers={"Content-Type": FORM})
    return called("revoke_token", event | {"body": urlencode({"token": token})})


def test_a_person_logs_out_by_the_refresh_token_alone(deployment: Deployment) -> None:
    password = deployment.add_user(ADA)
    first, other = (deployment.post_login(ADA, password).json for _ in range(2))
    second = go_on(deployment, first["refresh_token"]).json
    forged = second["refresh_token"][:-43] + "A" * 43
    for nothing in (forged, other["refresh_token"][:20]):
        log_out(deployment, nothing)
    assert who(deployment, second["access_token"])
    # An earlier one will do: whoever has it is to be ended at any rate.
    assert log_out(deployment, first["refresh_token"]).status == 200
    assert who(deployment, second["access_token"]) == {}
    assert go_on(deployment, second["refresh_token"]).status == 400
    assert who(deployment, other["access_token"])
    assert log_out(deployment, other["refresh_token"]).status == 200
    assert who(deployment, other["access_token"]) == {}


def test_an_access_token_alone_ends_nothing_without_a_client(deployment: Deployment) -> None:
    given = deployment.post_login(ADA, deployment.add_user(ADA)).json
    assert log_out(deployment, given["access_token"]).status == 401
    assert who(deployment, given["access_token"])


def test_nothing_that_is_kept_of_a_login_is_a_refresh_token(deployment: Deployment) -> None:
    given = deployment.post_login(ADA, deployment.add_user(ADA)).json
    table = deployment.tables["credentials"]
    kept = repr(table.client.scan(TableName=table.name)["Items"])
    assert "session#" in kept
    assert given["refresh_token"].rpartition("_")[2] not in kept
    assert given["refresh_token"][4:30] in kept


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": ADA},
        {"password": PASSWORD},
        {"username": ADA, "password": 123456789012},
        {"username": [ADA], "password": PASSWORD},
        {"username": ADA, "password": "x" * 1025},
        {"username": "x" * 255, "password": PASSWORD},
        {"username": ADA, "password": "\ud800 a lone surrogate"},
        {"username": "\ud800@acme.example", "password": PASSWORD},
        {"username": ADA, "password": PASSWORD, "tenant": "acme"},
    ],
)
def test_a_login_that_is_none_is_said_to_be_none_and_not_repeated(
    deployment: Deployment, body: dict[str, Any]
) -> None:
    event = event_of("POST", "/api/ver3/auth/login")
    event["body"] = json.dumps(body)
    reply = assert_refused(called("log_in", event), 422, "validation_failed")
    assert not any(str(value) in reply.body for value in body.values())


def test_no_log_holds_what_was_typed(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deployment.add_user(ADA)
    for password in (PASSWORD, "canary password", "x" * 2000):
        deployment.post_login(ADA, password)
    # The AWS SDK logs requests at debug level, which no deployment turns on.
    ours = [r.__dict__ for r in caplog.records if not r.name.startswith(("boto", "urllib3"))]
    assert "login_failed" in repr(ours)
    assert not any(text in repr(ours) for text in ("canary", PASSWORD, ADA, "xxxx"))


def test_a_login_stands_in_the_audit_trail_by_ids_alone(deployment: Deployment) -> None:
    password = deployment.add_user(ADA)
    days = {datetime.now(UTC).date()}
    deployment.post_login(ADA, "not the password")
    deployment.post_login(ADA, password)
    days.add(datetime.now(UTC).date())
    trail = DynamoTrail(deployment.tables["audit"], timedelta(days=1))
    (event,) = (event for day in days for event in trail.of(day))
    assert (event.action, event.tenant, event.service) == (Action.LOGIN, "acme", "user")
    assert event.user == deployment.directory.user(ADA).user_id
    assert ADA not in repr(event)


@pytest.mark.abuse(23)
def test_a_client_gets_no_scope_of_users(deployment: Deployment) -> None:
    for permission in Permission:
        reply = deployment.post_token(
            {
                "grant_type": "client_credentials",
                "client_id": "acme-hr",
                "client_secret": deployment.secrets["acme-hr"],
                "scope": f"youforce-data-api:{permission.scope}",
            }
        )
        assert (reply.status, reply.json["error"]) == (400, "invalid_scope")
