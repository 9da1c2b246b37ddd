"""Tokens: who gets one, and what a call without a good one is told."""

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system

MANAGE, READ, DESCRIBE = (
    f"youforce-data-api:{name}" for name in ("jobs:manage", "data:read", "metadata:read")
)


@pytest.fixture(scope="module")
def integrator(clients: Clients) -> Integrator:
    """One client for all of these: what they start, they end."""
    return clients.of(NORTHWIND)


def test_a_token_is_what_rfc_6749_says(integrator: Integrator) -> None:
    reply = integrator.asks_for_token()
    assert reply.status_code == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"].startswith("application/json")
    body = reply.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert set(body["scope"].split()) == {MANAGE, READ, DESCRIBE}


def test_anybody_can_verify_a_token_by_what_the_issuer_publishes(
    platform: Platform, integrator: Integrator
) -> None:
    about = platform.call("GET", "/.well-known/openid-configuration").json()
    assert about["issuer"] == platform.api_url
    assert about["token_endpoint"] == f"{platform.api_url}/connect/token"
    keys = jwt.PyJWKSet.from_dict(platform.http.get(about["jwks_uri"]).json())
    token = integrator.token()
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["RS256"],
        audience="headrace",
        issuer=about["issuer"],
    )
    assert header["typ"] == "at+jwt"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["client_id"] == integrator.client_id


@pytest.mark.abuse(21)
def test_a_wrong_secret_is_refused_like_an_unknown_client(
    platform: Platform, integrator: Integrator
) -> None:
    form = {"grant_type": "client_credentials"}
    replies = [
        platform.call("POST", "/connect/token", data=form, auth=auth)
        for auth in (
            (integrator.client_id, "hr_wrong"),
            ("nobody-known", integrator.client_secret),
            (integrator.client_id, ""),
        )
    ]
    for reply in replies:
        assert reply.status_code == 401
        assert reply.json()["error"] == "invalid_client"
        assert reply.headers["Cache-Control"] == "no-store"
    assert len({reply.text for reply in replies}) == 1


@pytest.mark.abuse(22)
@pytest.mark.abuse(23)
@pytest.mark.abuse(25)
def test_what_the_token_endpoint_does_not_do(platform: Platform, clients: Clients) -> None:
    reader = clients.special(NORTHWIND, "cost_centres", scopes=("metadata:read",))
    auth = (reader.client_id, reader.client_secret)

    def asks(**options: Any) -> httpx.Response:
        return platform.call("POST", "/connect/token", auth=auth, **options)

    good = {"grant_type": "client_credentials"}
    for reply, error in (
        (asks(data={"grant_type": "password"}), "unsupported_grant_type"),
        (asks(data={}), "invalid_request"),
        (asks(data=good | {"scope": MANAGE}), "invalid_scope"),
        (asks(data=good | {"scope": f"{DESCRIBE} {READ}"}), "invalid_scope"),
        (asks(data=good | {"tenant_id": HARBOUR}), "invalid_request"),
        (asks(json=good), "invalid_request"),
    ):
        assert (reply.status_code, reply.json()["error"]) == (400, error)
        assert reply.headers["Cache-Control"] == "no-store"
    assert asks(data=good | {"scope": DESCRIBE}).json()["scope"] == DESCRIBE
    assert asks(data=good).json()["scope"] == DESCRIBE


# --- calls ----------------------------------------------------------------------------------


def denied(reply: httpx.Response, *, error: str | None) -> None:
    """A 401 with its challenge; without credentials the challenge names no error (RFC 6750)."""
    assert reply.status_code == 401, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["code"] == "invalid_token"
    assert reply.json()["correlationId"] == reply.headers["X-Correlation-Id"]
    challenge = reply.headers["WWW-Authenticate"]
    if error is None:
        assert challenge == 'Bearer realm="headrace"'
    else:
        assert challenge.startswith(f'Bearer realm="headrace", error="{error}"')


@pytest.mark.abuse(19)
def test_a_call_without_credentials_gets_a_bare_challenge(platform: Platform) -> None:
    for method, path in (
        ("GET", "/data/v1/metadata"),
        ("POST", "/data/v1/fulldata"),
        ("GET", "/data/v1/jobs/x"),
        ("DELETE", "/data/v1/fulldata/x"),
    ):
        denied(platform.call(method, path), error=None)


def test_a_name_and_password_of_nobody_are_asked_for_again(platform: Platform) -> None:
    headers = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}
    reply = platform.call("GET", "/data/v1/metadata", headers=headers)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="headrace", charset="UTF-8"'


@pytest.mark.abuse(20)
def test_a_token_in_the_query_is_refused_even_if_it_is_good(integrator: Integrator) -> None:
    query = {"access_token": integrator.token()}
    without = integrator.platform.call("GET", "/data/v1/metadata", params=query)
    denied(without, error="invalid_token")
    denied(integrator.get("/data/v1/metadata", params=query), error="invalid_token")


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


type Signer = Callable[[dict[str, Any], dict[str, Any]], str]


@pytest.fixture
def as_we_sign(platform: Platform) -> Signer:
    """Makes a token under the product's own key, of whatever claims."""
    kms, key = platform.aws("kms"), platform.outputs["SigningKeyId"]

    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        text = f"{_segment(header)}.{_segment(claims)}"
        signature = kms.sign(
            KeyId=key,
            Message=text.encode(),
            MessageType="RAW",
            SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
        )["Signature"]
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return sign


def _parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return dict(jwt.get_unverified_header(token)), claims


def _with_token(platform: Platform, token: str, path: str = "/data/v1/metadata") -> httpx.Response:
    return platform.call("GET", path, headers={"Authorization": f"Bearer {token}"})


def test_a_token_made_as_ours_are_is_good(
    platform: Platform, integrator: Integrator, as_we_sign: Signer
) -> None:
    # Without this, the refusals below would show nothing.
    header, claims = _parts_of(integrator.token())
    assert _with_token(platform, as_we_sign(header, claims)).status_code == 200


@pytest.mark.abuse(7)
@pytest.mark.abuse(9)
@pytest.mark.abuse(10)
@pytest.mark.abuse(11)
@pytest.mark.abuse(12)
@pytest.mark.parametrize(
    "change",
    [
        {"exp": -11},  # ten seconds are for clocks that differ
        {"exp": None},
        {"nbf": 3600},
        {"iss": "https://elsewhere.example"},
        {"aud": "somebody-else"},
        {"client_id": "nobody-known"},
        {"typ": "JWT"},
        {"typ": "dpop+jwt"},
    ],
    ids=str,
)
def test_a_token_that_is_expired_or_of_somebody_else_is_refused(
    platform: Platform, integrator: Integrator, as_we_sign: Signer, change: dict[str, Any]
) -> None:
    header, claims = _parts_of(integrator.token())
    [(name, value)] = change.items()
    if name == "typ":
        header[name] = value
    elif value is None:
        del claims[name]
    elif name in ("exp", "nbf"):
        claims[name] = int((platform.now() + timedelta(seconds=value)).timestamp())
    else:
        claims[name] = value
    denied(_with_token(platform, as_we_sign(header, claims)), error="invalid_token")


def _under_a_secret(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """An HS256 token whose secret is something that everybody can read."""
    text = f"{_segment(header | {'alg': 'HS256'})}.{_segment(claims)}"
    digest = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.abuse(1)
@pytest.mark.abuse(2)
@pytest.mark.abuse(3)
def test_a_token_that_others_signed_is_refused(platform: Platform, integrator: Integrator) -> None:
    header, claims = _parts_of(integrator.token())
    kept = {"kid": header["kid"], "typ": header["typ"]}
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = platform.aws("kms").get_public_key(KeyId=platform.outputs["SigningKeyId"])
    pem = load_der_public_key(public["PublicKey"]).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    jwks = platform.call("GET", "/.well-known/jwks.json").content
    good, other = integrator.token(), integrator.token().rpartition(".")[0]
    for forged in (
        jwt.encode(claims, stranger, "RS256", headers=kept),
        _under_a_secret(kept, claims, pem),
        _under_a_secret(kept, claims, jwks),
        f"{_segment(kept | {'alg': 'none'})}.{_segment(claims)}.",
        f"{other}.",
        f"{other}.{secrets.token_urlsafe(256)}",
        good[:-4],
        good + "=",
        f"{_segment(header)}.{_segment(claims | {'tenant': HARBOUR})}.{good.rpartition('.')[2]}",
        "no-token-at-all",
    ):
        denied(_with_token(platform, forged), error="invalid_token")


@pytest.mark.abuse(17)
@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/data/v1/metadata", DESCRIBE),
        ("POST", "/data/v1/fulldata", MANAGE),
        ("GET", "/data/v1/fulldata/x/status", MANAGE),
        ("PUT", "/data/v1/fulldata/x/retry", MANAGE),
        ("POST", "/data/v1/fulldata/x/cancel", MANAGE),
        ("DELETE", "/data/v1/fulldata/x", MANAGE),
        ("GET", "/data/v1/operations", MANAGE),
        ("GET", "/data/v1/operations/x/manifest", READ),
        ("GET", "/data/v1/jobs/x", READ),
    ],
)
def test_a_token_without_the_scope_of_a_call_is_not_enough(
    integrator: Integrator, method: str, path: str, needed: str
) -> None:
    others = " ".join(sorted({MANAGE, READ, DESCRIBE} - {needed}))
    headers = {"Authorization": f"Bearer {integrator.token(others)}"}
    reply = integrator.platform.call(method, path, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")
    assert reply.json()["requiredScope"] == needed
    enough = {"Authorization": f"Bearer {integrator.token(needed)}"}
    allowed = integrator.platform.call(method, path, headers=enough)
    assert allowed.status_code in (200, 202, 404)
    if allowed.status_code == 202:
        integrator.cancel(allowed.json()["operationId"])


@pytest.mark.abuse(18)
@pytest.mark.parametrize(
    "scope",
    [
        "youforce-data-api:metadata",
        "youforce-data-api:metadata:read2",
        "youforce-data-api:metadata:READ",
        "Youforce-data-api:metadata:read",
        "metadata:read",
        "youforce-data-api:*",
        "youforce-data-api:metadata:read,youforce-data-api:data:read",
    ],
)
def test_a_scope_that_only_looks_like_it_is_not_enough(
    platform: Platform, integrator: Integrator, as_we_sign: Signer, scope: str
) -> None:
    header, claims = _parts_of(integrator.token())
    reply = _with_token(platform, as_we_sign(header, claims | {"scope": scope}))
    assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.abuse(202)
def test_a_scope_that_is_taken_from_a_client_is_gone_from_its_tokens(clients: Clients) -> None:
    client = clients.special(NORTHWIND, "cost_centres")
    assert client.get("/data/v1/operations").status_code == 200
    clients.change(client, lambda one: replace(one, scopes=("metadata:read",)))
    reply = client.get("/data/v1/operations")
    assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")
    assert client.get("/data/v1/metadata").status_code == 200
