"""API keys of a service, from the operator's first command to the refused call."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from headrace.catalog.model import Service
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform, at_once

pytestmark = pytest.mark.system

PASSWORD = "a long enough one"
Manage = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def service(clients: Clients) -> Integrator:
    """A service that nobody manages yet."""
    return clients.special(NORTHWIND, service=Service("external"))


@pytest.fixture(scope="module")
def manage(platform: Platform, service: Integrator) -> Manage:
    """Calls of a person whom the operator made the manager of the service."""
    name = f"ada-{secrets.token_hex(4)}@northwind.example"
    tenant = ("--tenant", NORTHWIND)
    put = ("role", "put", "service manager", *tenant, "--integrator")
    platform.headrace_admin(*put, "--permission", "manage services")
    create = ("user", "create", name, *tenant, "--role", "service manager")
    platform.headrace_admin(*create, said=PASSWORD + "\n")
    platform.headrace_admin("service", "managers", service.client_id, "--user", name)
    login = platform.call(
        "POST", "/api/ver3/auth/login", json={"username": name, "password": PASSWORD}
    )
    assert login.status_code == 200, login.text
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}

    def call(method: str, path: str, **options: Any) -> httpx.Response:
        at = f"/services/{service.client_id}{path}"
        return platform.call(method, at, headers=headers, **options)

    return call


def metadata(platform: Platform, token: str) -> int:
    """The status of a call with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    return platform.call("GET", "/data/v1/metadata", headers=headers).status_code


@pytest.mark.abuse(60)
def test_a_static_key_calls_until_its_manager_revokes_it(
    platform: Platform, manage: Manage
) -> None:
    made = manage("POST", "/keys", json={"kind": "static", "name": "nightly"})
    assert made.status_code == 201, made.text
    key = made.json()
    assert metadata(platform, key["access_token"]) == 200
    [listed] = [one for one in manage("GET", "/keys").json()["keys"] if one["name"] == "nightly"]
    assert listed["lastUsedAt"] is not None
    assert manage("DELETE", f"/keys/{key['key_id']}").status_code == 204
    assert metadata(platform, key["access_token"]) == 401


def exchange(platform: Platform, token: str) -> httpx.Response:
    """At the token endpoint."""
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return platform.call("POST", "/connect/token", data=form)


@pytest.mark.abuse(64)
def test_of_twenty_who_exchange_a_refresh_token_at_once_one_has_the_next_and_it_works(
    platform: Platform, manage: Manage
) -> None:
    token = manage("POST", "/keys", json={"kind": "refresh"}).json()["refresh_token"]
    first = exchange(platform, token)
    assert first.status_code == 200, first.text
    given = first.json()
    answers = at_once(20, lambda _: exchange(platform, given["refresh_token"]))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert metadata(platform, given["access_token"]) == 401
    assert metadata(platform, won["access_token"]) == 200
    assert exchange(platform, won["refresh_token"]).status_code == 200
