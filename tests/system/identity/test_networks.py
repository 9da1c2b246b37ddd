"""A client that may call from its networks only.

The emulator takes the caller's address from X-Forwarded-For, which is how these tests come from
elsewhere. On AWS the address is the one that API Gateway saw, whatever a caller's headers claim.
"""

from dataclasses import replace

import pytest

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator

pytestmark = pytest.mark.system

NETWORKS = ("192.0.2.0/25", "2001:db8:1::/48", "127.0.0.1/32")


@pytest.fixture(scope="module")
def confined(clients: Clients) -> Integrator:
    """A client that is confined to ``NETWORKS``."""
    return clients.special(NORTHWIND, "cost_centres", allowed_networks=NETWORKS)


@pytest.mark.parametrize(
    "address",
    ["192.0.2.0", "192.0.2.127", "2001:db8:1::1", "2001:DB8:1:ffff::ffff", "::ffff:192.0.2.1"],
)
def test_a_client_may_call_from_its_networks(confined: Integrator, address: str) -> None:
    here = {"X-Forwarded-For": address}
    assert confined.asks_for_token(headers=here).status_code == 200
    assert confined.get("/data/v1/operations", headers=here).status_code == 200


@pytest.mark.abuse(201)
@pytest.mark.parametrize(
    "address",
    ["192.0.2.128", "198.51.100.7", "10.0.0.1", "2001:db8:2::1", "::1", "::ffff:192.0.2.200"],
)
def test_a_client_may_not_call_from_anywhere_else(confined: Integrator, address: str) -> None:
    there = {"X-Forwarded-For": address}
    for method, path in (
        ("GET", "/data/v1/metadata"),
        ("POST", "/data/v1/fulldata"),
        ("GET", "/data/v1/operations"),
        ("GET", "/data/v1/jobs/x"),
    ):
        reply = confined.call(method, path, headers=there)
        assert (reply.status_code, reply.json()["code"]) == (403, "network_not_allowed")
        assert address not in reply.text
    token = confined.asks_for_token(headers=there)
    # RFC 6749 section 5.2 has no error of its own for this.
    assert (token.status_code, token.json()["error"]) == (400, "unauthorized_client")
    assert "access_token" not in token.json()


@pytest.mark.abuse(201)
def test_a_stolen_token_is_of_no_use_elsewhere(confined: Integrator) -> None:
    done = confined.export()
    path = f"/data/v1/jobs/{done['jobs'][0]['jobId']}"
    assert confined.get(path).status_code == 303
    reply = confined.get(path, headers={"X-Forwarded-For": "198.51.100.7"})
    assert (reply.status_code, reply.json()["code"]) == (403, "network_not_allowed")


@pytest.mark.abuse(202)
def test_a_network_that_is_taken_away_is_closed_at_once(clients: Clients) -> None:
    client = clients.special(NORTHWIND, "cost_centres", allowed_networks=NETWORKS)
    assert client.get("/data/v1/operations").status_code == 200
    clients.change(client, lambda one: replace(one, allowed_networks=("192.0.2.0/25",)))
    reply = client.get("/data/v1/operations")
    assert (reply.status_code, reply.json()["code"]) == (403, "network_not_allowed")
