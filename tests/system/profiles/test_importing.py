"""Another system pushes profiles over HTTP, alone, in batches and a hundred at once."""

import json
import secrets
from typing import Any

import httpx
import pytest

from headrace.catalog.model import Tenant
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, at_once

pytestmark = pytest.mark.system

NORTHWIND_ID = "5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"
HARBOUR_ID = "c3a4d3de-8f0b-4d7e-8b7c-6f2f5b0f9a42"
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"
SCOPES = ("profiles:read", "profiles:write")


@pytest.fixture(scope="module")
def athletes(clients: Clients) -> Integrator:
    client = clients.special(NORTHWIND, scopes=SCOPES)
    clients.keep(client)
    return client


@pytest.fixture(scope="module")
def own(clients: Clients, platform: Platform) -> Integrator:
    """A client of a tenant with a KMS key of its own, that nobody pushed to before."""
    name = f"clinic-{secrets.token_hex(3)}"
    key = platform.aws("kms").create_key()["KeyMetadata"]["Arn"]
    organisation = f"{secrets.token_hex(4)}-0000-4000-8000-000000000001"
    tenant = Tenant(name, "A clinic", "UTC", kms_key=key, organisation_id=organisation)
    clients.add_tenant(tenant, like=NORTHWIND)
    client = clients.special(name, scopes=SCOPES)
    clients.keep(client)
    return client


def organisation_of(clients: Clients, client: Integrator) -> Tenant:
    [tenant] = [one for one in clients.tenants if one.tenant_id == client.tenant]
    return tenant


def the_seeds(sync_id: str, tenant: str = NORTHWIND_ID, **traits: Any) -> Json:
    """The body of seed 004's example."""
    return {
        "DateOfBirth": "1970-03-31T00:00:00Z",
        "Email": "john.hancock@somedomain.com",
        "GivenName": "John",
        "FamilyName": "Hancock",
        "TenantId": tenant,
        "SyncId": sync_id,
        "Sex": "Male",
        "ExternalId": "XXXXXXX",
        "isCreatedByUserOver18YearsOld": True,
        "isGuardianConsentGiven": True,
        "isPhotoVideoConsentGiven": True,
        **traits,
    }


def push(client: Integrator, body: Json, content_type: str = "application/json") -> httpx.Response:
    headers = {"Content-Type": content_type}
    return client.call("POST", "/profiles/import", content=json.dumps(body), headers=headers)


def found(client: Integrator, tenant: str = NORTHWIND_ID, **query: Any) -> list[Json]:
    reply = client.get("/profiles", params={"TenantId": tenant, **query})
    assert reply.status_code in (200, 204), reply.text
    profiles: list[Json] = reply.json()["profiles"] if reply.status_code == 200 else []
    return profiles


def test_the_seeds_profile_is_pushed_and_found_by_its_sync_id(athletes: Integrator) -> None:
    sync_id = secrets.token_hex(6)
    assert found(athletes, SyncId=sync_id) == []
    reply = push(athletes, the_seeds(sync_id))
    assert (reply.status_code, reply.content) == (204, b"")
    [profile] = found(athletes, SyncId=sync_id)
    assert profile["syncId"] == sync_id
    assert (profile["givenName"], profile["familyName"]) == ("John", "Hancock")
    assert profile["dateOfBirth"] == "1970-03-31T00:00:00Z"
    one = athletes.get(f"/profiles/{profile['profileId']}", params={"tenantId": NORTHWIND_ID})
    assert one.json() == profile
    exists = athletes.get("/profiles/exists", params={"tenantid": NORTHWIND_ID, "syncid": sync_id})
    assert exists.json() == {"isExistingProfile": True}


def test_what_is_pushed_again_changes_the_profile(athletes: Integrator) -> None:
    sync_id = secrets.token_hex(6)
    push(athletes, the_seeds(sync_id))
    [before] = found(athletes, SyncId=sync_id)
    body = {name[:1].lower() + name[1:]: value for name, value in the_seeds(sync_id).items()}
    body["familyName"] = "Hancock-Smith"
    reply = push(athletes, body, "application/json-patch+json")
    assert reply.status_code == 204
    [after] = found(athletes, SyncId=sync_id)
    assert after["profileId"] == before["profileId"]
    assert after["familyName"] == "Hancock-Smith"


def test_of_a_hundred_that_push_a_sync_id_at_once_all_change_one_profile(
    athletes: Integrator,
) -> None:
    sync_id = secrets.token_hex(6)
    athletes.token()
    replies = at_once(
        100, lambda number: push(athletes, the_seeds(sync_id, GivenName=f"John {number}"))
    )
    assert {reply.status_code for reply in replies} == {204}
    [profile] = found(athletes, SyncId=sync_id)
    assert profile["givenName"] in {f"John {number}" for number in range(100)}
    external = found(athletes, ExternalId="XXXXXXX")
    assert [one["syncId"] for one in external].count(sync_id) == 1


def test_a_hundred_profiles_that_are_pushed_at_once_are_all_there(athletes: Integrator) -> None:
    batch = secrets.token_hex(6)
    athletes.token()
    replies = at_once(
        100, lambda number: push(athletes, the_seeds(f"{batch}-{number}", ExternalId=batch))
    )
    assert {reply.status_code for reply in replies} == {204}
    profiles = found(athletes, ExternalId=batch)
    assert {one["syncId"] for one in profiles} == {f"{batch}-{number}" for number in range(100)}
    assert len({one["profileId"] for one in profiles}) == 100


@pytest.mark.abuse(74)
def test_a_tenant_of_others_is_refused_like_one_that_never_was(athletes: Integrator) -> None:
    replies = [push(athletes, the_seeds("x", tenant)).json() for tenant in (HARBOUR_ID, NOBODYS_ID)]
    assert [reply.pop("status") for reply in replies] == [403, 403]
    assert replies[0] | {"correlationId": ""} == replies[1] | {"correlationId": ""}


def test_a_tenant_of_another_region_is_pushed_to_there(clients: Clients) -> None:
    reply = push(clients.special(HARBOUR, scopes=SCOPES), the_seeds("x", HARBOUR_ID))
    assert (reply.status_code, reply.json()["code"]) == (421, "wrong_region")


def test_what_is_wrong_is_told_by_its_field(athletes: Integrator) -> None:
    body = the_seeds("x", Sex="Neither", DateOfBirth="yesterday", Shoe=44)
    del body["GivenName"]
    reply = push(athletes, body)
    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["errors"].keys() == {"Sex", "DateOfBirth", "Shoe", "GivenName"}


def test_a_batch_is_taken_line_by_line_and_again_changes_nothing(athletes: Integrator) -> None:
    batch = secrets.token_hex(6)
    lines = [the_seeds(f"{batch}-{number}", ExternalId=batch) for number in range(500)]
    lines[7]["Email"] = "nobody"
    content = "\n".join(json.dumps(line) for line in lines)
    outcomes = []
    for _ in range(2):
        reply = athletes.call("POST", "/profiles/import/batch", content=content, timeout=60)
        assert reply.status_code == 200, reply.text
        told = [json.loads(line) for line in reply.text.splitlines()]
        assert [one["line"] for one in told] == list(range(1, 501))
        assert told[7]["errors"].keys() == {"Email"}
        outcomes.append({one["outcome"] for one in told})
    assert outcomes == [{"created", "refused"}, {"unchanged", "refused"}]
    assert len(found(athletes, ExternalId=batch)) == 499


def test_ten_thousand_profiles_are_pushed_in_as_many_calls_as_it_takes(
    athletes: Integrator,
) -> None:
    batch = secrets.token_hex(6)
    left = [the_seeds(f"{batch}-{number}", ExternalId=batch) for number in range(10_000)]
    while left:
        content = "\n".join(json.dumps(line) for line in left)
        reply = athletes.call("POST", "/profiles/import/batch", content=content, timeout=60)
        assert reply.status_code == 200, reply.text
        told = [json.loads(line) for line in reply.text.splitlines()]
        assert {one["outcome"] for one in told} <= {"created", "unchanged", "unfinished"}
        unfinished = [line for line, one in zip(left, told, strict=True) if not one["profileId"]]
        assert len(unfinished) < len(left)
        left = unfinished
    query = {"TenantId": NORTHWIND_ID, "ExternalId": batch, "PageSize": 4000}
    seen: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        page = athletes.get("/profiles", params={**query, "Cursor": cursor}).json()
        seen |= {one["syncId"] for one in page["profiles"]}
        cursor = page["next"]
    assert seen == {f"{batch}-{number}" for number in range(10_000)}


@pytest.mark.abuse(104)
def test_nobody_reads_or_writes_while_the_tenant_s_key_is_disabled(
    own: Integrator, clients: Clients, platform: Platform
) -> None:
    tenant = organisation_of(clients, own)
    kms, organisation = platform.aws("kms"), str(tenant.organisation_id)
    kms.disable_key(KeyId=tenant.kms_key)
    try:
        reply = push(own, the_seeds("a", organisation))
        assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
    finally:
        kms.enable_key(KeyId=tenant.kms_key)
    assert push(own, the_seeds("a", organisation)).status_code == 204


def test_all_links_of_a_tenant_are_removed_and_the_profiles_stay(
    own: Integrator, clients: Clients
) -> None:
    organisation = str(organisation_of(clients, own).organisation_id)
    own.call("DELETE", "/profiles/syncids", params={"tenantid": organisation})
    for sync_id in ("a", "b", "c"):
        assert push(own, the_seeds(sync_id, organisation)).status_code == 204
    before = {one["profileId"] for one in found(own, organisation)}
    reply = own.call("DELETE", "/profiles/syncids", params={"tenantid": organisation})
    assert reply.json() == {"removed": 3, "left": 0}
    after = found(own, organisation)
    assert {one["profileId"] for one in after} == before
    assert {one["syncId"] for one in after} == {None}
    assert push(own, the_seeds("a", organisation)).status_code == 204
    assert len(found(own, organisation)) == len(before) + 1


def test_two_profiles_of_one_person_are_merged(own: Integrator, clients: Clients) -> None:
    organisation = str(organisation_of(clients, own).organisation_id)
    ids = []
    for sync_id in ("m1", "m2"):
        push(own, the_seeds(sync_id, organisation))
        [profile] = found(own, organisation, SyncId=sync_id)
        ids.append(profile["profileId"])
    body = {"tenantId": organisation, "fromProfileId": ids[0], "toProfileId": ids[1]}
    reply = own.call("POST", "/profiles/merge", json=body)
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    reply = own.call("POST", "/profiles/merge", json={**body, "syncIdOf": "to"})
    assert reply.status_code == 204
    assert found(own, organisation, ProfileIds=ids) == found(own, organisation, SyncId="m2")
    assert own.call("POST", "/profiles/merge", json=body).status_code == 404
