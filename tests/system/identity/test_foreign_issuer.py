"""An identity provider that others wrote gives tokens, bound to keys, that the API takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator
from tests.system.identity import foreign_programs

pytestmark = pytest.mark.system

AUDIENCE = "urn:headrace"
SCOPE = "youforce-data-api:metadata:read youforce-data-api:jobs:manage"
SECRET = "that of the partner's own provider"


@dataclass(frozen=True)
class Partner:
    """The provider, a client that it may speak for, and one that it may not."""

    url: str
    trusting: Integrator
    other: Integrator

    def run(self, who: Integrator, *paths: str) -> Any:
        """What a client of the provider gets there, and here."""
        return foreign_programs.run(
            "client.mjs",
            issuer=self.url,
            client_id=who.client_id,
            client_secret=SECRET,
            bound=True,
            parameters={"scope": SCOPE, "resource": AUDIENCE},
            urls=[who.platform.api_url + path for path in paths],
        )


@pytest.fixture(scope="module")
def partner(clients: Clients) -> Iterator[Partner]:
    """The deployment trusts the provider, and one client does."""
    trusting = clients.special(NORTHWIND, "cost_centres", scopes=("metadata:read", "jobs:manage"))
    other = clients.special(NORTHWIND, "cost_centres")
    known = [{"client_id": one.client_id, "client_secret": SECRET} for one in (trusting, other)]
    with foreign_programs.serving(
        "issuer.mjs", clients=known, scope=SCOPE, audience=AUDIENCE, tenant=NORTHWIND
    ) as url:
        clients.change(trusting, lambda one: replace(one, trusted_issuers=(url,)))
        issuer = {
            "issuer": url,
            "audience": AUDIENCE,
            "jwksUri": f"{url}/jwks",
            "algorithms": ["ES256"],
            "tenantClaim": "org",
        }
        setting = json.dumps([issuer])
        with trusting.platform.configured("Authorize", TRUSTED_ISSUERS=setting):
            yield Partner(url, trusting, other)


def test_a_token_of_a_trusted_provider_bound_to_a_key_opens_the_api(partner: Partner) -> None:
    said = partner.run(partner.trusting, "/data/v1/metadata", "/data/v1/operations")
    assert said["statuses"] == [200, 200]
    claims = jwt.decode(said["token"]["access_token"], options={"verify_signature": False})
    assert (claims["iss"], claims["client_id"]) == (partner.url, partner.trusting.client_id)


def test_such_a_token_is_of_no_use_without_its_key(partner: Partner) -> None:
    token = partner.run(partner.trusting)["token"]["access_token"]
    path = "/data/v1/metadata"
    for scheme in ("Bearer", "DPoP"):
        reply = partner.trusting.platform.call(
            "GET", path, headers={"Authorization": f"{scheme} {token}"}
        )
        assert reply.status_code == 401


@pytest.mark.abuse(10)
def test_a_provider_speaks_for_those_clients_only_that_trust_it(partner: Partner) -> None:
    assert partner.run(partner.other, "/data/v1/metadata")["statuses"] == [401]
