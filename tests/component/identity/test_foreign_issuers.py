"""Tokens of foreign issuers through the authorizer's handler, their keys fetched by https."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from headrace.adapters.http.key_sets import HttpKeySets
from headrace.adapters.http.outbound import Fetcher
from headrace.catalog.model import Client
from headrace.identity.keys import VerificationKey
from headrace.runtime import identity
from tests.builders import SteppingClock
from tests.component.identity.deployment import CLIENTS, Deployment
from tests.component.identity.key_server import KeyServer, key_server, send

ISSUER = "https://login.partner.example"


@dataclass
class Partner:
    """A partner's identity provider."""

    server: KeyServer
    key: rsa.RSAPrivateKey
    deployment: Deployment

    def token(self, key_id: str = "p1", kind: str = "JWT", **changes: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "urn:headrace",
            "sub": "service-account-7",
            "azp": "partner-app",
            "org": "acme",
            "scp": ["youforce-data-api:metadata:read", "partner:everything"],
            "iat": now,
            "exp": now + 300,
            **changes,
        }
        return jwt.encode(claims, self.key, "RS256", headers={"kid": key_id, "typ": kind})

    def authorize(self, token: str) -> dict[str, Any]:
        return self.deployment.authorize(f"Bearer {token}")


@pytest.fixture
def partner(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Partner]:
    """An issuer that the deployment and one client trust; its server answers on loopback, which
    a policy made for the test allows."""
    key = rsa.generate_private_key(65537, 2048)
    public = VerificationKey("p1", key.public_key(), frozenset({"RS256"}))
    with key_server(tmp_path) as server:
        server.document = {"keys": [public.jwk()]}
        trusted = {
            "issuer": ISSUER,
            "audience": "urn:headrace",
            "jwksUri": server.url,
            "types": ["jwt"],
            "clientClaim": "azp",
            "tenantClaim": "org",
            "scopeClaim": "scp",
        }
        deployment.publish(
            *CLIENTS, Client("partner-app", "P", ("acme",), trusted_issuers=(ISSUER,))
        )
        deployment.configure(TRUSTED_ISSUERS=json.dumps([trusted]))
        cold_start(server, monkeypatch)
        yield Partner(server, key, deployment)


def cold_start(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> SteppingClock:
    """A process that holds no keys yet; the clock of its key sets."""
    clock = SteppingClock()
    key_sets = HttpKeySets(Fetcher(server.policy()), clock)
    monkeypatch.setattr(identity, "_foreign_keys", lambda: key_sets)
    return clock


def test_a_foreign_token_makes_a_caller_by_the_configured_claims(partner: Partner) -> None:
    for _ in range(3):
        answer = partner.authorize(partner.token())
        assert answer["context"] == {
            "tenant": "acme",
            "client_id": "partner-app",
            "scopes": "youforce-data-api:metadata:read",
        }
    assert partner.server.requests == ["/jwks.json"]


def test_our_own_tokens_go_on_working_beside_it(partner: Partner) -> None:
    ours = partner.deployment.token("acme-hr")
    assert partner.authorize(ours)["context"]["client_id"] == "acme-hr"
    assert partner.server.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"azp": "acme-hr"},
        {"org": "beta"},
        {"aud": "headrace"},
        {"iss": "https://login.partner.example/"},
        {"kind": "dpop+jwt"},
        {"kind": "id+jwt"},
        {"exp": 1},
    ],
)
def test_a_foreign_token_that_does_not_fit_is_denied(
    partner: Partner, changes: dict[str, Any]
) -> None:
    answer = partner.authorize(partner.token(**changes))
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_a_thousand_invented_key_ids_cost_the_issuer_one_request(partner: Partner) -> None:
    for number in range(1000):
        answer = partner.authorize(partner.token(f"invented-{number}"))
        assert answer["context"]["code"] == "invalid_token"
    assert partner.server.requests == ["/jwks.json"]
    assert partner.authorize(partner.token())["context"]["client_id"] == "partner-app"


def test_with_its_issuer_down_a_warm_process_serves_and_a_cold_one_is_unavailable(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = cold_start(partner.server, monkeypatch)
    assert partner.authorize(partner.token())["context"]["client_id"] == "partner-app"
    partner.server.answer = lambda request: send(request, 503, b"")
    clock.advance(hours=3)
    assert partner.authorize(partner.token())["context"]["client_id"] == "partner-app"
    cold_start(partner.server, monkeypatch)
    assert partner.authorize(partner.token())["context"] == {"refusal": "unavailable"}


@pytest.mark.parametrize("document", [[], {"keys": 1}, {}, "text", {"keys": [{}] * 200}])
def test_a_key_set_that_is_none_is_as_good_as_an_issuer_that_is_down(
    partner: Partner, document: Any
) -> None:
    partner.server.document = document
    assert partner.authorize(partner.token())["context"] == {"refusal": "unavailable"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"issuer": ISSUER, "audience": "x"},
        {"issuer": ISSUER, "audience": "x", "jwksUri": "http://partner.example/jwks"},
        {"issuer": ISSUER, "audience": "x", "jwksUri": ""},
        {
            "issuer": ISSUER,
            "audience": "x",
            "jwksUri": "https://p.example",
            "algorithms": ["HS256"],
        },
        {"issuer": ISSUER, "audience": "x", "jwksUri": "https://p.example", "clientclaim": "azp"},
    ],
)
def test_a_trusted_issuer_that_is_configured_wrongly_is_not_half_trusted(
    entry: dict[str, Any],
) -> None:
    with pytest.raises((ValueError, KeyError)):
        identity.issuers_from_json(json.dumps([entry]))
