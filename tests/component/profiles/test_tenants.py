"""Tenants are named by their organisation ids, by who may, in the region that serves them."""

import pytest

from headrace.audit.model import Action
from tests.component.profiles.hub import ACME, BETA, CLIENTS, FAR, NOBODYS, Hub


def get(hub: Hub, tenant: str, who: str = "clinics") -> tuple[int, dict[str, object]]:
    reply = hub.call("GET", "/tenants/{tenantId}", who, parameters={"tenantId": tenant})
    return reply.status, reply.json


def test_a_client_sees_the_tenants_that_it_serves_and_where_to_call_for_each(hub: Hub) -> None:
    listed = hub.call("GET", "/tenants", "clinics").json["tenants"]
    assert [(one["name"], one["id"], one["baseUrl"]) for one in listed] == [
        ("Acme", ACME, None),
        ("Beta", BETA, None),
        ("Far", FAR, "https://euw.example.com/v1"),
    ]
    assert [one["id"] for one in hub.call("GET", "/tenants").json["tenants"]] == [ACME]


def test_a_tenant_is_told_by_its_organisation_id(hub: Hub) -> None:
    told = {"id": ACME, "name": "Acme", "region": "aue", "baseUrl": None}
    assert get(hub, ACME.upper()) == (200, told)


@pytest.mark.abuse(74)
def test_a_tenant_of_others_is_refused_like_one_that_never_was(hub: Hub) -> None:
    foreign, unknown = get(hub, BETA, "athletes"), get(hub, NOBODYS, "athletes")
    assert foreign == unknown
    assert (foreign[0], foreign[1]["code"]) == (403, "tenant_not_allowed")
    # Neither is the region of a foreign tenant told.
    assert get(hub, FAR, "athletes") == unknown


def test_a_tenant_of_another_region_is_misdirected_to_that_one(hub: Hub) -> None:
    status, document = get(hub, FAR)
    assert (status, document["code"]) == (421, "wrong_region")
    assert (document["region"], document["baseUrl"]) == ("euw", "https://euw.example.com/v1")


def test_a_person_names_the_own_tenant_only(hub: Hub) -> None:
    ada = hub.person("ada@example.com")
    assert get(hub, ACME, ada)[0] == 200
    assert get(hub, BETA, ada)[0] == 403


def test_a_client_that_was_taken_from_a_tenant_names_it_no_more(hub: Hub) -> None:
    assert get(hub, BETA)[0] == 200
    [clinics] = [one for one in CLIENTS if one.client_id == "clinics"]
    hub.publish(type(clinics)("clinics", "Clinics", ("acme", "far"), clinics.scopes))
    assert get(hub, BETA)[0] == 403


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_for_one_tenant_is_good_for_that_one_only(hub: Hub) -> None:
    hub.tokens["clinics"] = hub.deployment.token("clinics", tenant_id="beta")
    assert (get(hub, BETA)[0], get(hub, ACME)[0]) == (200, 403)


def test_a_client_with_other_scopes_names_its_tenant_or_asks_for_those_of_profiles(
    hub: Hub,
) -> None:
    asked = {
        "grant_type": "client_credentials",
        "client_id": "mixed",
        "client_secret": hub.deployment.secrets["mixed"],
    }
    refused = hub.deployment.post_token(asked)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    hub.tokens["mixed"] = hub.deployment.token("mixed", scope="youforce-data-api:profiles:read")
    assert (get(hub, ACME, "mixed")[0], get(hub, BETA, "mixed")[0]) == (200, 200)


def test_a_token_for_every_tenant_carries_the_scopes_of_profiles_only(hub: Hub) -> None:
    token = hub.deployment.token("clinics")
    facts = hub.deployment.authorize(f"Bearer {token}")["context"]
    scopes = {"youforce-data-api:profiles:read", "youforce-data-api:profiles:write"}
    assert (facts["tenant"], set(facts["scopes"].split())) == ("*", scopes)


@pytest.mark.abuse(17)
def test_a_client_without_the_scope_sees_no_tenants(hub: Hub) -> None:
    reply = hub.call("GET", "/tenants", "other")
    assert (reply.status, reply.json["code"]) == (403, "insufficient_scope")


def test_the_trail_has_what_was_done_under_the_tenant_that_was_named(hub: Hub) -> None:
    group_id = hub.group("Seniors", BETA)
    table = hub.deployment.tables["audit"]
    items = [str(one) for one in table.client.scan(TableName="audit")["Items"]]
    [found] = [one for one in items if group_id in one and f"'{Action.IMPORT}'" in one]
    assert "'beta'" in found
