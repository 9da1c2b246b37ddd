"""Bound tokens as deployed: what a client signs is what the API saw."""

import time
from itertools import count
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.identity.dpop import token_hash
from tests.system.deployed import Integrator, at_once
from tests.unit.identity.proofs_made import a_proof

pytestmark = pytest.mark.system

KEY = ec.generate_private_key(ec.SECP256R1())
PATH = "/data/v1/metadata"
_IDS = count()


def proof(integrator: Integrator, path: str, method: str = "GET", **claims: Any) -> str:
    """A proof of now, for a call of the API."""
    url = f"{integrator.platform.api_url}{path}"
    return a_proof(
        KEY, htm=method, htu=url, iat=time.time(), jti=f"{time.time_ns()}-{next(_IDS)}", **claims
    )


@pytest.fixture
def bound(integrator: Integrator) -> str:
    """A token that is bound to the key."""
    given = proof(integrator, "/connect/token", "POST")
    reply = integrator.asks_for_token(headers={"DPoP": given})
    assert (reply.status_code, reply.json()["token_type"]) == (200, "DPoP")
    return str(reply.json()["access_token"])


def call(
    integrator: Integrator, token: str, scheme: str = "DPoP", **headers: str
) -> httpx.Response:
    """A call with the token as it is given."""
    given = {"Authorization": f"{scheme} {token}", **headers}
    return integrator.platform.call("GET", PATH, headers=given, params={"pageSize": 5})


def test_a_bound_token_opens_with_its_key_and_not_without(
    integrator: Integrator, bound: str
) -> None:
    good = proof(integrator, PATH, ath=token_hash(bound))
    assert call(integrator, bound, DPoP=good).status_code == 200
    for refused in (
        call(integrator, bound, DPoP=good),
        call(integrator, bound),
        call(integrator, bound, "Bearer"),
        call(integrator, bound, DPoP=proof(integrator, PATH)),
        call(integrator, bound, DPoP=proof(integrator, "/data/v1/x", ath=token_hash(bound))),
    ):
        assert refused.status_code == 401
        assert refused.json()["code"] in {"invalid_dpop_proof", "invalid_token"}


@pytest.mark.abuse(41)
def test_of_twenty_calls_with_one_proof_one_is_answered(integrator: Integrator, bound: str) -> None:
    once = proof(integrator, PATH, ath=token_hash(bound))
    answers = at_once(20, lambda _: call(integrator, bound, DPoP=once).status_code)
    assert sorted(answers) == [200] + [401] * 19
