"""Clients that others wrote get tokens and call the API, with the wire format that they have."""

import json

import jwt
import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import DPoPToken, OAuth2Client, PrivateKeyJwt

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator
from tests.system.identity import foreign_programs

pytestmark = pytest.mark.system

PATHS = ("/data/v1/metadata", "/data/v1/operations")


def claims_of(token: str) -> dict[str, object]:
    """Read, and not verified: the API has done that."""
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.fixture(scope="module")
def strict(clients: Clients) -> Integrator:
    """A client whose tokens are taken with a proof only."""
    return clients.special(NORTHWIND, "cost_centres", dpop_required=True)


def test_requests_oauth2client_gets_a_bound_token_and_calls_the_api(strict: Integrator) -> None:
    api = strict.platform.api_url
    client = OAuth2Client(
        token_endpoint=f"{api}/connect/token",
        auth=(strict.client_id, strict.client_secret),
        dpop_bound_access_tokens=True,
        testing=True,  # it asks for https otherwise
    )
    token = client.client_credentials(tenant_id=strict.tenant)
    assert isinstance(token, DPoPToken)
    assert claims_of(token.access_token)["cnf"] == {"jkt": token.dpop_key.dpop_jkt}
    for path in PATHS:
        reply = requests.get(api + path, auth=token, params={"pageSize": "3"}, timeout=30)
        assert reply.status_code == 200, reply.text
    bare = {"Authorization": f"Bearer {token.access_token}"}
    assert requests.get(api + PATHS[0], headers=bare, timeout=30).status_code == 401


@pytest.mark.parametrize("bound", [True, False])
def test_oauth4webapi_discovers_the_issuer_gets_a_token_and_calls_the_api(
    integrator: Integrator, strict: Integrator, bound: bool
) -> None:
    who = strict if bound else integrator
    said = foreign_programs.run(
        "client.mjs",
        issuer=who.platform.api_url,
        client_id=who.client_id,
        client_secret=who.client_secret,
        bound=bound,
        parameters={"tenant_id": who.tenant},
        urls=[f"{who.platform.api_url}{path}?pageSize=3" for path in PATHS],
    )
    assert said["statuses"] == [200, 200]
    # The library writes it in small letters (RFC 6749 section 5.1: case does not matter).
    assert said["token"]["token_type"] == ("dpop" if bound else "bearer")
    assert ("cnf" in claims_of(said["token"]["access_token"])) is bound


def test_both_prove_themselves_by_a_key_in_place_of_a_secret(clients: Clients) -> None:
    key = Jwk.generate(alg="ES256").with_kid_thumbprint()
    keys = json.dumps({"keys": [dict(key.public_jwk())]})
    keyed = clients.special(NORTHWIND, "cost_centres", jwks=keys, dpop_required=True)
    api = keyed.platform.api_url
    for audience in (f"{api}/connect/token", api):
        proof = PrivateKeyJwt(keyed.client_id, key, aud=audience)
        client = OAuth2Client(
            f"{api}/connect/token", auth=proof, dpop_bound_access_tokens=True, testing=True
        )
        token = client.client_credentials()
        assert requests.get(api + PATHS[0], auth=token, timeout=30).status_code == 200
    said = foreign_programs.run(
        "client.mjs",
        issuer=api,
        client_id=keyed.client_id,
        jwk=dict(key),
        bound=True,
        parameters={},
        urls=[api + PATHS[0]],
    )
    assert said["statuses"] == [200]
