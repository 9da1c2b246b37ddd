"""How tokens stand and end, as deployed: by the permissions that the functions have."""

import httpx
import pytest

from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system


def ask(integrator: Integrator, what: str, token: str) -> httpx.Response:
    return integrator.platform.call(
        "POST",
        f"/connect/{what}",
        data={"token": token},
        auth=(integrator.client_id, integrator.client_secret),
    )


@pytest.mark.abuse(225)
@pytest.mark.abuse(226)
def test_a_client_ends_its_own_token_and_no_other(
    integrator: Integrator, neighbour: Integrator
) -> None:
    token = integrator.token()
    for other in ("introspect", "revoke"):
        assert ask(neighbour, other, token).status_code == 200
    assert ask(neighbour, "introspect", token).json() == {"active": False}
    assert ask(integrator, "introspect", token).json()["active"]
    assert integrator.get("/data/v1/operations").status_code == 200
    assert ask(integrator, "revoke", token).status_code == 200
    assert ask(integrator, "introspect", token).json() == {"active": False}
    denied = integrator.get("/data/v1/operations")
    assert (denied.status_code, denied.json()["code"]) == (401, "invalid_token")
    assert "revoked" in denied.headers["WWW-Authenticate"]


def test_the_metadata_is_at_both_of_its_paths(platform: Platform) -> None:
    one = platform.call("GET", "/.well-known/openid-configuration").json()
    assert one == platform.call("GET", "/.well-known/oauth-authorization-server").json()
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        # Nothing but POST is there, and something is.
        assert platform.http.post(one[name]).status_code == 400
