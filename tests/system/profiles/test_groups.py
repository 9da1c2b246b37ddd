"""Groups are pushed and say who sees whom, tenants are served in their region: over HTTP."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from headrace.identity.users import Permission
from tests.system.conftest import HARBOUR, NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Person, Platform, at_once

pytestmark = pytest.mark.system

SCOPES = ("profiles:read", "profiles:write")
JUNIORS = f"Juniors {secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def system(clients: Clients) -> Integrator:
    """An athlete management system that pushes to both tenants, with one token."""
    made = clients.special(NORTHWIND, tenants=(NORTHWIND, HARBOUR), scopes=SCOPES)
    clients.keep(made)
    reply = made.platform.call(
        "POST",
        "/connect/token",
        data={"grant_type": "client_credentials"},
        auth=(made.client_id, made.client_secret),
    )
    assert reply.status_code == 200, reply.text
    return made.with_token(reply.json()["access_token"])


@pytest.fixture(scope="module")
def restricted(clients: Clients) -> Integrator:
    """A client that sees the juniors only."""
    made = clients.special(NORTHWIND, scopes=SCOPES, profile_groups=(JUNIORS,))
    clients.keep(made)
    return made


@pytest.fixture(scope="module")
def organisations(clients: Clients) -> dict[str, str]:
    """The organisation ids of the tenants."""
    return {one.tenant_id: one.organisation_id or "" for one in clients.base.tenants}


@pytest.fixture(scope="module")
def care(organisations: dict[str, str]) -> str:
    return organisations[NORTHWIND]


def put_group(system: Integrator, tenant: str, name: str, **more: str) -> str:
    body = {"TenantId": tenant, "Name": name, **more}
    reply = system.call("POST", "/groups/import", json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def put_profile(system: Integrator, tenant: str, sync_id: str, *groups: str) -> None:
    """Imports somebody, and says in which groups."""
    body = {
        "TenantId": tenant,
        "SyncId": sync_id,
        "GivenName": "Ada",
        "FamilyName": "Lovelace",
        "DateOfBirth": "1990-12-10T00:00:00Z",
    }
    assert system.call("POST", "/profiles/import", json=body).status_code == 204
    named = {"TenantId": tenant, "SyncId": sync_id, "GroupIds": list(groups)}
    assert system.call("PUT", "/profiles/groups", json=named).status_code == 204


def members(system: Integrator, tenant: str, group_id: str) -> list[str]:
    """The sync ids of those in the group, sorted."""
    query = {"tenantId": tenant, "groupId": group_id}
    reply = system.get("/groups/profiles", params=query)
    assert reply.status_code == 200, reply.text
    return sorted(one["syncId"] for one in reply.json()["profiles"])


def by_person(person: Person, method: str, path: str, **options: Any) -> int:
    headers = {"Authorization": f"Bearer {person.token()}"}
    return person.platform.call(method, path, headers=headers, **options).status_code


def test_a_client_names_each_of_its_tenants_with_one_token(
    system: Integrator, organisations: dict[str, str]
) -> None:
    listed = system.get("/tenants").json()["tenants"]
    assert {one["id"] for one in listed} == {organisations[NORTHWIND], organisations[HARBOUR]}
    assert system.get(f"/tenants/{organisations[NORTHWIND]}").json()["name"] == "Northwind Care"


def test_a_tenant_of_another_region_is_answered_421_with_the_address_of_that_one(
    system: Integrator, organisations: dict[str, str], clients: Clients
) -> None:
    [euw] = [one for one in clients.base.regions if one.region_id == "euw"]
    for reply in (
        system.get(f"/tenants/{organisations[HARBOUR]}"),
        system.get("/groups", params={"TenantId": organisations[HARBOUR]}),
    ):
        document = reply.json()
        assert (reply.status_code, document["code"]) == (421, "wrong_region")
        assert (document["region"], document["baseUrl"]) == ("euw", euw.base_url)


@pytest.mark.abuse(74)
def test_a_tenant_of_others_is_refused_like_one_that_never_was(
    restricted: Integrator, organisations: dict[str, str]
) -> None:
    def refused(tenant: str) -> tuple[int, str, str]:
        reply = restricted.get("/groups", params={"TenantId": tenant})
        return reply.status_code, reply.json()["code"], reply.json()["detail"]

    foreign = refused(organisations[HARBOUR])
    assert foreign == refused("6f2c2b1e-0000-4000-8000-000000000000")
    assert foreign[:2] == (403, "tenant_not_allowed")


def test_of_many_imports_of_a_group_at_once_one_makes_it(system: Integrator, care: str) -> None:
    name = f"Seniors {secrets.token_hex(3)}"
    sync_id = secrets.token_hex(4)
    body = {"TenantId": care, "Name": name, "SyncId": sync_id}
    replies = at_once(20, lambda _: system.call("POST", "/groups/import", json=body))
    assert [reply.status_code for reply in replies] == [200] * 20
    assert len({reply.json()["id"] for reply in replies}) == 1
    listed = system.get("/groups", params={"tenantid": care}).json()["groups"]
    assert [one["syncId"] for one in listed if one["name"] == name] == [sync_id]


def test_a_group_is_filled_and_emptied_by_profile_and_by_group(
    system: Integrator, care: str
) -> None:
    group = put_group(system, care, f"Squad {secrets.token_hex(3)}")
    names = [f"athlete-{secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        put_profile(system, care, name, group)
    assert members(system, care, group) == sorted(names)
    one = {"TenantId": care, "SyncId": names[0], "GroupIds": [group]}
    # The API passes the body of a DELETE on.
    assert system.call("DELETE", "/profiles/groups", json=one).status_code == 204
    assert members(system, care, group) == sorted(names[1:])
    wanted = {"TenantId": care, "GroupId": group, "SyncIds": names[:2]}
    replaced = system.call("PUT", "/groups/profiles", json=wanted).json()
    assert replaced == {"groupId": group, "added": 1, "removed": 1}
    removed = system.call("DELETE", "/groups/profiles", json=wanted).json()
    assert removed == {"groupId": group, "added": 0, "removed": 2}
    assert members(system, care, group) == []
    put_profile(system, care, names[0], group)
    for status in (204, 404):
        reply = system.call("DELETE", f"/groups/{group}", params={"TenantId": care})
        assert reply.status_code == status
    found = system.get("/profiles", params={"TenantId": care, "SyncId": names[0]}).json()
    assert found["profiles"][0]["groupIds"] == []


def test_who_sees_some_groups_sees_and_changes_no_others(
    system: Integrator, restricted: Integrator, care: str
) -> None:
    juniors = put_group(system, care, JUNIORS)
    seniors = put_group(system, care, f"Seniors {secrets.token_hex(3)}")
    junior, senior, nowhere = (f"{name}-{secrets.token_hex(4)}" for name in "jsn")
    put_profile(system, care, junior, juniors, seniors)
    put_profile(system, care, senior, seniors)
    put_profile(system, care, nowhere)
    listed = restricted.get("/groups", params={"TenantId": care}).json()["groups"]
    assert [one["id"] for one in listed] == [juniors]
    assert junior in members(restricted, care, juniors)
    query = {"TenantId": care, "GroupId": seniors}
    assert restricted.get("/groups/profiles", params=query).status_code == 404
    for hidden in (senior, nowhere):
        body = {"TenantId": care, "SyncId": hidden, "GroupIds": [juniors]}
        assert restricted.call("POST", "/profiles/groups", json=body).status_code == 404
        found = restricted.get("/profiles", params={"TenantId": care, "SyncId": hidden})
        assert found.status_code == 204
    body = {"TenantId": care, "SyncId": junior, "GroupIds": []}
    assert restricted.call("PUT", "/profiles/groups", json=body).status_code == 204
    assert junior in members(system, care, seniors)
    assert junior not in members(system, care, juniors)
    refused = restricted.call("POST", "/groups/import", json={"TenantId": care, "Name": "Mine"})
    assert (refused.status_code, refused.json()["code"]) == (403, "some_groups_only")


def test_a_role_says_which_profiles_its_users_see_from_the_next_call_on(
    system: Integrator, people: People, care: str, platform: Platform
) -> None:
    coach = people.of(NORTHWIND, Permission.READ_PROFILES, Permission.WRITE_PROFILES)
    group = put_group(system, care, f"Coached {secrets.token_hex(3)}")
    sync_id = f"athlete-{secrets.token_hex(4)}"
    put_profile(system, care, sync_id)
    query = {"TenantId": care, "SyncId": sync_id}
    assert by_person(coach, "GET", "/profiles", params=query) == 200
    directory = platform.deployment.user_directory()
    role = directory.role(NORTHWIND, directory.user(coach.username).role)
    directory.roles.put(replace(role, groups=frozenset({group})))
    assert by_person(coach, "GET", "/profiles", params=query) == 204
    put_profile(system, care, sync_id, group)
    assert by_person(coach, "GET", "/profiles", params=query) == 200
    pushed = {**query, "GivenName": "A", "FamilyName": "B", "DateOfBirth": "1990-12-10"}
    assert by_person(coach, "POST", "/profiles/import", json=pushed) == 403
    directory.roles.put(role)
    assert by_person(coach, "POST", "/profiles/import", json=pushed) == 204
