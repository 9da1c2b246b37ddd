"""The authorizer through its handler: what API Gateway gets, and what follows for the caller."""

import json
import re
from typing import Any

import jwt
import pytest

from headrace.runtime.api import Call, Reply, Route, Scope
from tests.component.identity.deployment import CLIENTS, Deployment, event_of

STAGE = "arn:aws:execute-api:eu-west-1:123456789012:abc123/v1/*"


def effect(answer: dict[str, Any]) -> str:
    [statement] = answer["policyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("execute-api:Invoke", STAGE)
    assert all(isinstance(value, str) for value in answer["context"].values())
    return str(statement["Effect"])


def assert_denied(answer: dict[str, Any]) -> dict[str, str]:
    assert effect(answer) == "Deny"
    context: dict[str, str] = answer["context"]
    assert context.keys() == {"challenge", "code", "detail"}
    assert context["code"] == "invalid_token"
    return context


def test_a_good_token_makes_a_caller(deployment: Deployment) -> None:
    answer = deployment.authorize(f"Bearer {deployment.token('bureau', tenant_id='beta')}")
    assert effect(answer) == "Allow"
    assert answer["principalId"] == "bureau"
    assert answer["context"] == {
        "tenant": "beta",
        "client_id": "bureau",
        "scopes": "youforce-data-api:jobs:manage youforce-data-api:metadata:read",
    }


@pytest.mark.abuse(19)
@pytest.mark.parametrize("authorization", [None, "Digest username=a"])
def test_no_credentials_get_a_bare_challenge(
    deployment: Deployment, authorization: str | None
) -> None:
    context = assert_denied(deployment.authorize(authorization))
    assert context["challenge"] == 'Bearer realm="headrace"'


@pytest.mark.abuse(1)
def test_an_unsigned_token_is_denied(deployment: Deployment) -> None:
    text = deployment.token("acme-hr")
    claims = jwt.decode(text, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"typ": "at+jwt"})
    context = assert_denied(deployment.authorize(f"Bearer {unsigned}"))
    assert context["challenge"].startswith('Bearer realm="headrace", error="invalid_token", error_')


@pytest.mark.abuse(20)
def test_a_token_in_the_query_is_denied(deployment: Deployment) -> None:
    text = deployment.token("acme-hr")
    for name in ("access_token", "Access_Token"):
        assert_denied(deployment.authorize(None, query={name: text}))
        assert_denied(deployment.authorize(f"Bearer {text}", query={name: text}))


def test_two_authorization_headers_are_denied(deployment: Deployment) -> None:
    text = f"Bearer {deployment.token('acme-hr')}"
    assert_denied(deployment.authorize(text, headers={"authorization": text}))


def test_the_header_may_be_written_in_any_case(deployment: Deployment) -> None:
    text = f"bearer {deployment.token('acme-hr')}"
    assert effect(deployment.authorize(None, headers={"AUTHORIZATION": text})) == "Allow"


def test_a_token_changed_in_any_segment_is_denied(deployment: Deployment) -> None:
    parts = deployment.token("acme-hr").split(".")
    for index, part in enumerate(parts):
        changed = [*parts[:index], part[:-2] + ("AA" if part[-2:] != "AA" else "BB")]
        assert_denied(deployment.authorize(f"Bearer {'.'.join([*changed, *parts[index + 1 :]])}"))


def test_a_client_that_is_no_longer_published_is_denied_at_once(deployment: Deployment) -> None:
    text = f"Bearer {deployment.token('acme-hr')}"
    assert effect(deployment.authorize(text)) == "Allow"
    deployment.publish(*CLIENTS[1:])
    assert_denied(deployment.authorize(text))


def test_a_tenant_that_the_client_lost_is_denied_at_once(deployment: Deployment) -> None:
    text = f"Bearer {deployment.token('bureau', tenant_id='beta')}"
    assert effect(deployment.authorize(text)) == "Allow"
    bureau = CLIENTS[1]
    deployment.publish(bureau.__class__("bureau", "Bureau", ("acme",), bureau.scopes))
    assert_denied(deployment.authorize(text))


def test_a_call_from_another_network_is_refused_with_the_problem_that_says_so(
    deployment: Deployment,
) -> None:
    text = f"Bearer {deployment.token('walled')}"
    inside = deployment.authorize(text, source_ip="2001:db8::9")
    assert (effect(inside), inside["context"]["client_id"]) == ("Allow", "walled")
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    outside = deployment.authorize(text, source_ip="198.51.100.9", headers=forged)
    assert effect(outside) == "Allow"
    assert outside["context"] == {"refusal": "network_not_allowed"}
    status, body = through_a_route(outside["context"])
    assert (status, body["code"]) == (403, "network_not_allowed")


def through_a_route(context: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """What a route with a scope answers to a call that the authorizer let through so."""
    event = event_of("GET", "/x")
    event["requestContext"]["authorizer"] = context

    def handler(_: Call) -> Reply:
        return Reply(200, {"code": "reached"})

    answer = Route("GET", "/x", "A route", scope=Scope.METADATA_READ)(handler)(event, None)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.abuse(17)
def test_a_token_without_the_scope_of_a_route_is_refused_there(deployment: Deployment) -> None:
    for scope, status, code in (
        ("youforce-data-api:metadata:read", 200, "reached"),
        ("youforce-data-api:data:read", 403, "insufficient_scope"),
    ):
        answer = deployment.authorize(f"Bearer {deployment.token('acme-hr', scope=scope)}")
        found, body = through_a_route(answer["context"])
        assert (found, body["code"]) == (status, code)


def test_a_refusal_that_a_route_does_not_know_lets_nobody_in() -> None:
    status, _ = through_a_route({"refusal": "something new"})
    assert status in {401, 403, 503}


def test_while_our_keys_cannot_be_read_the_call_is_unavailable_and_once_read_they_serve_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.runtime import identity

    text = f"Bearer {deployment.token('acme-hr')}"
    deployment.configure()
    kms = identity.signing_keys().client
    error = kms.exceptions.KMSInternalException({"Error": {"Code": "KMSInternalException"}}, "x")

    def down(**_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(kms, "get_public_key", down)
        answer = deployment.authorize(text)
        assert (effect(answer), answer["context"]) == ("Allow", {"refusal": "unavailable"})
    deployment.configure()
    assert deployment.authorize(text)["context"]["client_id"] == "acme-hr"
    monkeypatch.setattr(identity.signing_keys().client, "get_public_key", down)
    assert deployment.authorize(text)["context"]["client_id"] == "acme-hr"


def test_keys_rotate_without_a_refused_token(deployment: Deployment) -> None:
    [old] = deployment.signing_keys
    new = deployment.new_signing_key()
    before = f"Bearer {deployment.token('acme-hr')}"
    # First published beside the old one, then signing, then alone.
    deployment.sign_with(old, new)
    listed = deployment.get("get_jwks", "/.well-known/jwks.json").json["keys"]
    assert len(listed) == 2
    assert jwt.get_unverified_header(deployment.token("acme-hr"))["kid"] == listed[0]["kid"]
    deployment.sign_with(new, old)
    after = f"Bearer {deployment.token('acme-hr')}"
    assert jwt.get_unverified_header(after.split()[1])["kid"] == listed[1]["kid"]
    assert effect(deployment.authorize(before)) == effect(deployment.authorize(after)) == "Allow"
    deployment.sign_with(new)
    assert_denied(deployment.authorize(before))
    assert effect(deployment.authorize(after)) == "Allow"


@pytest.mark.abuse(13)
def test_a_signing_key_that_is_not_rsa_of_2048_bits_is_not_used(deployment: Deployment) -> None:
    deployment.sign_with(deployment.new_signing_key("ECC_NIST_P256"))
    reply = deployment.get("get_jwks", "/.well-known/jwks.json")
    assert reply.status == 500


@pytest.mark.abuse(141)
def test_a_denial_repeats_nothing_that_the_caller_sent_and_fits_a_header_and_json(
    deployment: Deployment,
) -> None:
    canary = "canary-5d1e"
    good = deployment.token("acme-hr")
    for text in (
        canary,
        f"{canary}.{canary}.{canary}",
        good + canary,
        canary + '"\\\r\n',
        "a" * 9000,
    ):
        context = assert_denied(deployment.authorize(f"Bearer {text}"))
        for value in context.values():
            assert canary not in value
        # The template puts these between the quotes of a JSON text, and after the header's name.
        assert re.fullmatch(r"[A-Za-z ,.'-]+", context["detail"])
        assert re.fullmatch(r"[\x20-\x7e]+", context["challenge"])
