"""Tokens that are bound to a key, from the token endpoint to the authorizer."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import jwt
import pytest

from headrace.adapters.dynamodb.nonces import DynamoNonces
from headrace.adapters.dynamodb.table import Table
from headrace.identity.dpop import token_hash
from tests.component.identity.deployment import BASE, Deployment, called, event_of
from tests.unit.identity.proofs_made import KEY, a_proof, key_name
from tests.unit.identity.tokens_made import ec_key

TOKEN_URL = f"{BASE}/connect/token"
METADATA_URL = f"{BASE}/data/v1/metadata"


def ask(deployment: Deployment, proof: str | None, client_id: str = "acme-hr") -> Any:
    """Asks for a token, with this proof."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": deployment.secrets[client_id],
    }
    headers: Mapping[str, str] = {} if proof is None else {"DPoP": proof}
    return deployment.post_token(form, headers=headers)


def proof_now(**changes: Any) -> str:
    """A proof of now."""
    return a_proof(**{"iat": time.time(), "jti": str(time.time_ns()), **changes})


@pytest.mark.abuse(31)
def test_two_proofs_are_two_however_their_headers_are_written(deployment: Deployment) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "acme-hr",
        "client_secret": deployment.secrets["acme-hr"],
    }
    other = proof_now(key=ec_key(), htu=TOKEN_URL)
    for names in (("DPoP", "dpop"), ("dpop", "DPOP")):
        headers = dict(zip(names, (proof_now(htu=TOKEN_URL), other), strict=True))
        reply = deployment.post_token(form, headers=headers)
        assert (reply.status, reply.json["error"]) == (400, "invalid_dpop_proof")


def test_a_proof_at_the_token_endpoint_binds_the_token(deployment: Deployment) -> None:
    reply = ask(deployment, proof_now(htu=TOKEN_URL))
    assert (reply.status, reply.json["token_type"]) == (200, "DPoP")
    text = reply.json["access_token"]
    claims = jwt.decode(text, options={"verify_signature": False})
    assert claims["cnf"] == {"jkt": key_name(KEY)}

    proof = proof_now(htm="GET", htu=METADATA_URL, ath=token_hash(text))
    answer = deployment.authorize(f"DPoP {text}", headers={"DPoP": proof})
    assert answer["context"]["client_id"] == "acme-hr"
    again = deployment.authorize(f"DPoP {text}", headers={"DPoP": proof})
    assert again["context"]["code"] == "invalid_dpop_proof"
    assert again["context"]["challenge"].startswith(
        'DPoP realm="headrace", algs="ES256 PS256 RS256", error="invalid_dpop_proof", '
    )
    assert deployment.authorize(f"Bearer {text}")["context"]["code"] == "invalid_token"


def test_without_a_proof_a_token_is_a_bearer_token(deployment: Deployment) -> None:
    reply = ask(deployment, None)
    assert reply.json["token_type"] == "Bearer"
    assert "cnf" not in jwt.decode(reply.json["access_token"], options={"verify_signature": False})


@pytest.mark.parametrize(
    "proof",
    [
        "abc",
        lambda: proof_now(htu=METADATA_URL),
        lambda: proof_now(htu=TOKEN_URL, htm="GET"),
        lambda: proof_now(htu=TOKEN_URL, iat=time.time() - 120),
        lambda: f"{proof_now(htu=TOKEN_URL)},{proof_now(htu=TOKEN_URL)}",
    ],
)
def test_a_wrong_proof_gets_no_token(deployment: Deployment, proof: Any) -> None:
    reply = ask(deployment, proof if isinstance(proof, str) else proof())
    assert (reply.status, reply.json["error"]) == (400, "invalid_dpop_proof")
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_proof_buys_one_token(deployment: Deployment) -> None:
    proof = proof_now(htu=TOKEN_URL)
    assert ask(deployment, proof).status == 200
    assert ask(deployment, proof).status == 400


def test_a_client_that_the_catalog_holds_to_proofs_gets_no_bearer_token(
    deployment: Deployment,
) -> None:
    refused = ask(deployment, None, "bound")
    assert (refused.status, refused.json["error"]) == (400, "invalid_dpop_proof")
    reply = ask(deployment, proof_now(htu=TOKEN_URL), "bound")
    assert reply.json["token_type"] == "DPoP"


@pytest.mark.abuse(48)
def test_where_nonces_are_wanted_a_proof_without_one_is_told_which(deployment: Deployment) -> None:
    deployment.configure(DPOP_NONCES="required")
    refused = ask(deployment, proof_now(htu=TOKEN_URL))
    assert (refused.status, refused.json["error"]) == (400, "use_dpop_nonce")
    nonce = refused.headers["DPoP-Nonce"]
    given = ask(deployment, proof_now(htu=TOKEN_URL, nonce=nonce))
    assert given.status == 200
    text = given.json["access_token"]

    def call(**claims: Any) -> Any:
        proof = proof_now(htm="GET", htu=METADATA_URL, ath=token_hash(text), **claims)
        return deployment.authorize(f"DPoP {text}", headers={"DPoP": proof})["context"]

    denied = call()
    assert (denied["code"], denied["nonce"]) == ("use_dpop_nonce", nonce)
    assert 'error="use_dpop_nonce"' in denied["challenge"]
    assert call(nonce="0." + "A" * 43)["code"] == "use_dpop_nonce"
    assert call(nonce=nonce)["client_id"] == "acme-hr"
    # Who sends no proof at all is told of the proof first; bearer tokens need no nonce.
    assert "DPoP-Nonce" not in ask(deployment, None).headers


def test_processes_agree_on_the_nonce_of_a_span(deployment: Deployment) -> None:
    store = DynamoNonces(Table(boto3.client("dynamodb"), "proofs"))
    until = datetime.now(UTC) + timedelta(minutes=15)
    assert store.find(7) is None
    assert store.agree(7, "7.first", until) == "7.first"
    assert store.agree(7, "7.second", until) == "7.first"
    assert store.find(7) == "7.first"


@pytest.mark.abuse(48)
def test_a_login_and_its_refresh_tokens_are_told_the_nonce_too(deployment: Deployment) -> None:
    deployment.configure(DPOP_NONCES="required")
    password = deployment.add_user("ada@acme.example")
    url = f"{BASE}/api/ver3/auth/login"

    def log_in(**claims: Any) -> Any:
        sent = {"DPoP": proof_now(htu=url, **claims)}
        event = event_of("POST", "/api/ver3/auth/login", headers=sent)
        event["body"] = json.dumps({"username": "ada@acme.example", "password": password})
        return called("log_in", event)

    refused = log_in()
    assert (refused.status, refused.json["code"]) == (401, "use_dpop_nonce")
    nonce = refused.headers["DPoP-Nonce"]
    given = log_in(nonce=nonce)
    assert (given.status, given.json["token_type"]) == (200, "DPoP")
    form = {"grant_type": "refresh_token", "refresh_token": given.json["refresh_token"]}
    without = deployment.post_token(form, headers={"DPoP": proof_now(htu=TOKEN_URL)})
    assert (without.status, without.json["error"]) == (400, "use_dpop_nonce")
    good = proof_now(htu=TOKEN_URL, nonce=without.headers["DPoP-Nonce"])
    assert deployment.post_token(form, headers={"DPoP": good}).status == 200
