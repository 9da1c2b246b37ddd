"""Services and those who manage them, at the endpoints."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.users import DynamoTeams, DynamoUsers
from headrace.catalog.model import Client, Service
from headrace.identity.users import Management, Team, User
from headrace.kernel.errors import Conflict
from headrace.runtime import instance
from headrace.runtime.api import Scope
from tests.component.identity.deployment import BASE, CLIENTS, Deployment, Response, event_of
from tests.component.identity.test_possession import proof_now
from tests.component.keyed import keys_refused

ADA, BOB = "id-ada", "id-bob"


@pytest.fixture
def services(deployment: Deployment) -> Deployment:
    """Two services of the tenant ``acme``, one a broker, and one of ``beta``; Ada manages the
    first by herself, and the second through a team."""
    deployment.publish(
        *CLIENTS,
        Client("analyzer", "Analyzer", ("acme",), service=Service("external")),
        Client("broker", "Broker", ("acme",), service=Service("broker")),
        Client("elsewhere", "Elsewhere", ("beta",), service=Service("external")),
        Client("prover", "Prover", ("acme",), service=Service("external"), dpop_required=True),
    )
    users = DynamoUsers(deployment.tables["users"])
    for tenant, user_id in (("acme", ADA), ("acme", BOB), ("beta", "id-eve")):
        users.add(
            User(tenant, user_id, f"{user_id}@{tenant}.example", "any", "-", datetime.now(UTC))
        )
    DynamoTeams(deployment.tables["users"]).save(Team("acme", "integration", frozenset({ADA})))
    managers = DynamoManagers(deployment.tables["credentials"])
    managers.save("analyzer", Management(frozenset({ADA})))
    managers.save("broker", Management(teams=frozenset({"integration"})))
    managers.save("elsewhere", Management(frozenset({"id-eve"})))
    managers.save("prover", Management(frozenset({ADA})))
    return deployment


def call(
    module: str,
    service: str = "analyzer",
    body: Mapping[str, Any] | None = None,
    *,
    user: str | None = ADA,
    tenant: str = "acme",
    key_id: str | None = None,
    scope: Scope = Scope.SERVICES_MANAGE,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The endpoint's answer to a person."""
    handler = importlib.import_module(f"identity.{module}").handler
    event = event_of(handler.route.method, handler.route.path, headers=headers)
    event["pathParameters"] = {"serviceId": service} | ({"keyId": key_id} if key_id else {})
    event["body"] = None if body is None else json.dumps(body)
    event["requestContext"]["authorizer"] = {
        "tenant": tenant,
        "client_id": "user",
        "scopes": scope.full,
    } | ({"user": user} if user else {})
    answer = handler(event, None)
    return Response(answer["statusCode"], answer["headers"], answer["body"])


def created(kind: str, service: str = "analyzer", **more: Any) -> dict[str, Any]:
    """A key that Ada made."""
    answer = call("create_key", service, {"kind": kind, **more})
    assert answer.status == 201, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = answer.json
    return document


def caller_of(deployment: Deployment, token: str) -> dict[str, str] | None:
    """The caller that the authorizer sees."""
    answer = deployment.authorize(f"Bearer {token}")
    allowed = answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    return dict(answer["context"]) if allowed else None


@pytest.mark.abuse(66)
def test_a_key_is_shown_once_and_the_list_knows_how_it_begins(services: Deployment) -> None:
    made = created("static", name="nightly")
    assert made.keys() == {"key_id", "kind", "expires_in", "access_token"}
    assert made["expires_in"] == 365 * 24 * 3600
    [listed] = call("list_keys").json["keys"]
    assert (listed["keyId"], listed["name"], listed["state"]) == (
        made["key_id"],
        "nightly",
        "active",
    )
    assert made["access_token"].startswith(listed["prefix"])
    assert made["access_token"] not in call("list_keys").body
    assert listed["createdBy"] == ADA


def test_a_static_key_calls_at_once_and_no_more_once_it_is_revoked(services: Deployment) -> None:
    made = created("static")
    caller = caller_of(services, made["access_token"])
    assert caller is not None and caller["client_id"] == "analyzer"
    for _ in range(2):
        assert call("revoke_key", key_id=made["key_id"]).status == 204
    assert caller_of(services, made["access_token"]) is None
    assert call("list_keys").json["keys"][0]["state"] == "revoked"


def test_what_can_be_no_keys_id_is_that_of_no_key(services: Deployment) -> None:
    request = {"csr": "x"}
    with keys_refused(instance.client("dynamodb")):
        for key_id in ("x", "x" * 3000, "é" * 1024):
            for reply in (
                call("revoke_key", key_id=key_id),
                call("certify_key", key_id=key_id, body=request),
            ):
                assert (reply.status, reply.json["code"]) == (404, "not_found")


@pytest.mark.abuse(64)
def test_a_refresh_key_gives_tokens_each_of_which_ends_with_the_next(services: Deployment) -> None:
    made = created("refresh")
    first = services.post_token(
        {"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}
    )
    assert first.status == 200, first.body
    assert first.headers["Cache-Control"] == "no-store"
    caller = caller_of(services, first.json["access_token"])
    assert caller is not None and caller["credential"] == made["key_id"]
    second = call("exchange_refresh_token", body={"refreshToken": first.json["refresh_token"]})
    assert (second.json["status"], second.json["expires_in"]) == ("ACTIVE", 5 * 3600)
    assert caller_of(services, first.json["access_token"]) is None
    assert caller_of(services, second.json["authToken"]) is not None
    call("revoke_key", key_id=made["key_id"])
    assert caller_of(services, second.json["authToken"]) is None


@pytest.mark.abuse(61)
def test_a_spent_refresh_token_is_400_at_both_endpoints(services: Deployment) -> None:
    token = created("refresh")["refresh_token"]
    assert call("exchange_refresh_token", body={"refreshToken": token}).status == 200
    answer = call("exchange_refresh_token", body={"refreshToken": token})
    assert (answer.status, answer.json["code"]) == (400, "refresh_refused")
    assert answer.headers["Content-Type"] == "application/problem+json"
    again = services.post_token({"grant_type": "refresh_token", "refresh_token": token})
    assert again.json.keys() == {"error", "error_description"}
    for refused in (answer, again):
        assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
        assert token not in refused.body


@pytest.mark.abuse(48)
def test_where_nonces_are_wanted_a_refused_exchange_tells_which(services: Deployment) -> None:
    services.configure(DPOP_NONCES="required")
    body = {"refreshToken": created("refresh")["refresh_token"]}

    def exchange(**claims: str) -> Response:
        proof = proof_now(htu=f"{BASE}/v1/auth", **claims)
        return call("exchange_refresh_token", body=body, headers={"DPoP": proof})

    refused = exchange()
    assert (refused.status, refused.json["error"]) == (400, "use_dpop_nonce")
    assert exchange(nonce=refused.headers["DPoP-Nonce"]).status == 200


def test_of_a_certificates_key_the_names_for_the_request_are_given_out(
    services: Deployment,
) -> None:
    made = created("certificate")
    assert (made["cn"], made["ou"]) == (made["key_id"], "analyzer")
    assert made.keys() == {"key_id", "kind", "expires_in", "cn", "ou"}


def test_a_brokers_key_may_be_for_one_organisation_and_no_other_services_may(
    services: Deployment,
) -> None:
    made = created("static", "broker", organisation="clinic")
    [listed] = call("list_keys", "broker").json["keys"]
    assert (listed["keyId"], listed["organisation"]) == (made["key_id"], "clinic")
    refused = call("create_key", body={"kind": "static", "organisation": "clinic"})
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "organisation")


def test_a_service_whose_calls_must_prove_a_key_gets_no_static_one(services: Deployment) -> None:
    assert call("create_key", "prover", {"kind": "static"}).status == 422
    created("refresh", "prover")


@pytest.mark.parametrize(
    "who",
    [
        {"user": BOB},
        {"user": None},
        {"user": "id-eve", "tenant": "beta"},
        {"user": ADA, "tenant": "beta"},
        {"service": "elsewhere"},
        {"service": "acme-hr"},
        {"service": "nothing"},
    ],
    ids=str,
)
def test_who_does_not_manage_a_service_cannot_tell_that_it_is_there(
    services: Deployment, who: dict[str, Any]
) -> None:
    key_id = created("static")["key_id"]
    for module, body in (
        ("list_keys", None),
        ("create_key", {"kind": "static"}),
        ("revoke_key", None),
        ("get_managers", None),
        ("set_managers", {"users": [BOB]}),
    ):
        refused = call(module, body=body, key_id=key_id, **who)
        never = call(module, "never-was", body, key_id=key_id)
        assert (refused.status, refused.body) == (404, never.body)
    assert len(call("list_keys").json["keys"]) == 1


def test_a_key_of_another_service_is_not_there(services: Deployment) -> None:
    key_id = created("static")["key_id"]
    assert call("revoke_key", "broker", key_id=key_id).status == 404
    assert call("list_keys").json["keys"][0]["state"] == "active"


def test_the_scope_is_needed(services: Deployment) -> None:
    assert call("list_keys", scope=Scope.DATA_READ).status == 403


def test_management_is_handed_over_to_another_and_to_a_team(services: Deployment) -> None:
    answer = call("set_managers", body={"users": [BOB]})
    assert answer.json == {"users": [BOB], "teams": []}
    assert call("list_keys").status == 404
    assert call("list_keys", user=BOB).status == 200
    call("set_managers", user=BOB, body={"teams": ["integration"]})
    assert call("get_managers").json == {"users": [], "teams": ["integration"]}
    assert call("list_keys", user=BOB).status == 404


def test_who_leaves_the_team_manages_its_services_no_longer(services: Deployment) -> None:
    teams = DynamoTeams(services.tables["users"])
    team = teams.find("acme", "integration")
    assert team is not None
    teams.save(team.left_by(ADA))
    assert call("list_keys", "broker").status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"users": []}, {"users": ["id-eve"]}, {"users": [BOB, "nobody"]}, {"teams": ["none"]}],
    ids=str,
)
def test_a_service_is_never_left_with_nobody_or_somebody_else(
    services: Deployment, body: dict[str, Any]
) -> None:
    assert call("set_managers", body=body).status == 422
    assert call("get_managers").json["users"] == [ADA]


def test_a_service_is_handed_to_nobody_who_could_not_log_in(services: Deployment) -> None:
    users = DynamoUsers(services.tables["users"])
    bob = users.find("acme", BOB)
    assert bob is not None
    users.save(bob.disabled())
    teams = DynamoTeams(services.tables["users"])
    teams.save(Team("acme", "empty"))
    teams.save(Team("acme", "gone", frozenset({BOB, "id-never-was"})))
    for body in ({"users": [BOB]}, {"teams": ["empty"]}, {"users": [BOB], "teams": ["gone"]}):
        assert call("set_managers", body=body).status == 422, body
    assert call("get_managers").json["users"] == [ADA]
    assert call("set_managers", body={"users": [BOB], "teams": ["integration"]}).status == 200


def test_of_two_who_hand_over_at_once_one_is_refused(services: Deployment) -> None:
    managers = DynamoManagers(services.tables["credentials"])
    before = managers.of("analyzer")
    managers.save("analyzer", replace(before, users=frozenset({BOB})))
    with pytest.raises(Conflict):
        managers.save("analyzer", replace(before, teams=frozenset({"integration"})))
