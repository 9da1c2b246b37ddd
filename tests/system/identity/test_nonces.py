"""Nonces in proofs of possession, as a deployment with ``DpopNonces=required`` wants them: clients
that others wrote, and the command `headrace`, try again by themselves."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_oauth2client import OAuth2Client

from headrace.identity.dpop import token_hash
from headrace.identity.users import Permission
from tests.system.browser import browser
from tests.system.client.ways import User, a_key, a_manager, a_service, tables
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Platform
from tests.system.identity import foreign_programs
from tests.system.nonces import nonces_required
from tests.system.reference.debugger import LOGIN, SECRET, opened
from tests.unit.identity.proofs_made import a_proof

pytestmark = pytest.mark.system

PATHS = ("/data/v1/metadata", "/data/v1/operations")


@pytest.fixture(scope="module")
def wanted(platform: Platform) -> Iterator[None]:
    """Proofs need nonces."""
    with nonces_required(platform):
        yield


@pytest.fixture(scope="module")
def strict(clients: Clients, wanted: None) -> Integrator:
    """A client whose tokens are taken with a proof only."""
    return clients.special(NORTHWIND, "cost_centres", dpop_required=True)


@pytest.mark.abuse(48)
def test_a_proof_without_a_nonce_of_now_is_told_which_to_use(strict: Integrator) -> None:
    api = strict.platform.api_url

    def proof(method: str, path: str, **claims: str) -> str:
        made: dict[str, Any] = {
            "htm": method,
            "htu": api + path,
            "iat": time.time(),
            "jti": str(time.time_ns()),
        }
        return a_proof(**{**made, **claims})

    refused = strict.asks_for_token(headers={"DPoP": proof("POST", "/connect/token")})
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    nonce = refused.headers["DPoP-Nonce"]
    good = proof("POST", "/connect/token", nonce=nonce)
    token = strict.asks_for_token(headers={"DPoP": good}).json()["access_token"]

    stale = f"{int(nonce.split('.')[0], 16) - 3:x}.{nonce.split('.')[1]}"
    for claims in ({}, {"nonce": stale}, {"nonce": "of somebody else"}):
        given = proof("GET", PATHS[0], ath=token_hash(token), **claims)
        headers = {"Authorization": f"DPoP {token}", "DPoP": given}
        denied = strict.platform.call("GET", PATHS[0], headers=headers)
        assert (denied.status_code, denied.json()["code"]) == (401, "use_dpop_nonce")
        assert 'error="use_dpop_nonce"' in denied.headers["WWW-Authenticate"]
        assert denied.headers["DPoP-Nonce"] == nonce
    given = proof("GET", PATHS[0], ath=token_hash(token), nonce=nonce)
    headers = {"Authorization": f"DPoP {token}", "DPoP": given}
    assert strict.platform.call("GET", PATHS[0], headers=headers).status_code == 200


def test_requests_oauth2client_tries_again_by_itself(strict: Integrator) -> None:
    api = strict.platform.api_url
    client = OAuth2Client(
        token_endpoint=f"{api}/connect/token",
        auth=(strict.client_id, strict.client_secret),
        dpop_bound_access_tokens=True,
        testing=True,
    )
    token = client.client_credentials()
    for path in PATHS:
        reply = requests.get(api + path, auth=token, params={"pageSize": "3"}, timeout=30)
        assert reply.status_code == 200, reply.text


def test_oauth4webapi_tries_again_by_itself(strict: Integrator) -> None:
    said = foreign_programs.run(
        "client.mjs",
        issuer=strict.platform.api_url,
        client_id=strict.client_id,
        client_secret=strict.client_secret,
        bound=True,
        parameters={},
        urls=[strict.platform.api_url + path for path in PATHS],
    )
    assert said["statuses"] == [200, 200]
    assert said["retried"] >= 1


def test_the_docs_page_tries_again_by_itself(strict: Integrator, people: People) -> None:
    url = strict.platform.api_url
    secret: Any = {"client_id": strict.client_id, "client_secret": strict.client_secret}
    person = people.of(NORTHWIND, Permission.MANAGE_SERVICES)
    login: Any = {"username": person.username, "password": person.password}
    for way, fields, status in ((SECRET, secret, 200), (LOGIN, login, 403)):
        with browser() as started, opened(started, url) as page:
            with page.page.expect_response(lambda reply: reply.status >= 400) as refused:
                page.signs_in(way, bound=True, **fields)
            assert refused.value.headers["dpop-nonce"]
            assert page.tries("get_metadata").status == status


def test_the_command_binds_its_tokens_to_a_key(
    strict: Integrator, platform: Platform, clients: Clients, people: People, tmp_path: Path
) -> None:
    user, service = User(platform, tmp_path), a_service(clients)
    given = {"CLIENT_ID": strict.client_id, "CLIENT_SECRET": strict.client_secret}
    bound = user.gets("whoami", **given, DPOP="1")
    manager = a_manager(platform, people, service)
    key = a_key(manager, service, "refresh")["refresh_token"]
    assert user.gets("whoami", API_KEY=key, DPOP="1")["boundTo"] == bound["boundTo"]
    [kept] = user.tokens()
    held = json.loads(kept.read_text())
    kept.write_text(json.dumps({**held, "renew_at": 0}))
    assert tables(user.gets("metadata", API_KEY=key, DPOP="1")) == ["departments"]
    without = user.runs("metadata", API_KEY=key)
    assert (without.returncode, "is bound to the key" in without.stderr) == (2, True)
