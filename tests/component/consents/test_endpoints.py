"""Services subscribe accounts to themselves, and search what is shared with them."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from headrace.kernel.clock import SystemClock, rfc3339
from tests.component.consents.services import Services
from tests.component.identity.deployment import Response


def told(reply: Response) -> dict[str, Any]:
    """What a refusal says, without what is different in each."""
    document: dict[str, Any] = reply.json
    return {name: value for name, value in document.items() if name != "correlationId"}


def accounts(reply: Response) -> list[str]:
    assert reply.status == 200, reply.body
    return [one["account"] for one in reply.json["consents"]]


def in_days(days: float) -> str:
    return rfc3339(SystemClock().now() + timedelta(days=days))


# --- subscribing ----------------------------------------------------------------------------------


def test_a_service_subscribes_an_account_that_nobody_knew(services: Services) -> None:
    reply = services.subscribe("acc-1")
    assert reply.status == 201
    assert reply.json["account"] == "acc-1"
    assert reply.json["service"] == "wellness"
    assert (reply.json["state"], reply.json["isSharing"]) == ("ACTIVE", True)
    assert (reply.json["organisation"], reply.json["to"]) == (None, None)
    assert services.sharing() == ("acc-1",)
    assert services.sharing(tenant="beta") == ()


def test_to_say_it_again_changes_nothing(services: Services) -> None:
    first = services.subscribe("acc-1")
    again = services.subscribe("acc-1")
    assert (again.status, again.json) == (200, first.json)


def test_the_validity_can_be_changed(services: Services) -> None:
    services.subscribe("acc-1")
    assert services.subscribe("acc-1", to=in_days(9)).json["to"] is not None
    services.subscribe("acc-1", **{"from": in_days(1), "to": in_days(9)})
    assert services.sharing() == ()
    assert services.subscribe("acc-1").json["to"] is None
    assert services.sharing() == ("acc-1",)


def test_who_left_shares_no_more_and_may_come_again(services: Services) -> None:
    services.subscribe("acc-1")
    assert services.leave("acc-1").status == services.leave("acc-1").status == 204
    assert services.sharing() == ()
    assert services.subscribe("acc-1").status == 201
    assert services.sharing() == ("acc-1",)


def test_an_account_may_have_any_printable_id(services: Services) -> None:
    for account in ("a/b+c=", "urn:x:1", "~", "x" * 128):
        assert services.subscribe(account).status == 201
    assert services.leave("a%2Fb+c=").status == 204
    assert services.sharing() == ("urn:x:1", "x" * 128, "~")


@pytest.mark.abuse(135)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"account": 7},
        {"account": ""},
        {"account": "a b"},
        {"account": "a%b"},
        {"account": "é"},
        {"account": "x" * 129},
        {"account": "a", "to": 1795418117},
        {"account": "a", "to": "1795418117"},
        {"account": "a", "to": "+1795418117"},
        {"account": "a", "from": "-1"},
        {"account": "a", "from": "0001-01-01T00:00:00+01:00"},
        {"account": "a", "to": "9999-12-31T23:59:59-01:00"},
        {"account": "a", "to": "2027-01-01"},
        {"account": "a", "to": "2027-01-01T00:00:00"},
        {"account": "a", "to": "2020-01-01T00:00:00Z"},
        {"account": "a", "from": "2028-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
        {"account": "a", "state": "ACTIVE"},
        {"account": "a", "tenant": "beta"},
    ],
)
def test_what_is_no_subscription_is_refused_and_changes_nothing(
    services: Services, body: dict[str, Any]
) -> None:
    reply = services.call("POST", "/services/wellness/subscriptions", body=body)
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert services.sharing() == ()


@pytest.mark.parametrize(
    "validity",
    [
        {"to": "9999-12-31T23:59:59.999Z"},
        {"from": "0999-12-31T00:00:00Z"},
        {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"},
    ],
)
def test_a_validity_may_begin_long_ago_and_end_when_nothing_ends(
    services: Services, validity: dict[str, str]
) -> None:
    first = services.subscribe("acc-1", **validity)
    assert first.status == 201, first.body
    assert services.subscribe("acc-1", **validity).json == first.json
    assert services.sharing() == ("acc-1",)
    [found] = services.call("GET", "/consents").json["consents"]
    assert found == first.json
    assert services.leave("acc-1").status == 204
    assert services.sharing() == ()


# --- who may --------------------------------------------------------------------------------------


def test_nobody_else_learns_that_there_is_a_service(services: Services) -> None:
    services.subscribe("acc-1")
    never = told(services.call("POST", "/services/never/subscriptions", body={"account": "a"}))
    assert (never["status"], never["code"]) == (404, "not_found")
    for caller in ("sleep", "hub", "plain"):
        for service in ("wellness", "hub", "plain"):
            path = f"/services/{service}/subscriptions"
            assert told(services.call("POST", path, caller, body={"account": "a"})) == never
            assert told(services.call("DELETE", f"{path}/acc-1", caller)) == never
    path = "/services/wellness/subscriptions"
    assert told(services.by_user("POST", path, body={"account": "a"})) == never
    assert services.sharing() == ("acc-1",)


def test_an_account_that_is_no_subscriber_is_as_one_that_never_was(services: Services) -> None:
    services.subscribe("acc-1", "sleep")
    assert told(services.leave("acc-1")) == told(services.leave("never"))
    assert services.leave("never").status == 404
    assert services.leave("a b").status == 404


@pytest.mark.abuse(17)
def test_a_service_without_the_scope_may_not(services: Services) -> None:
    for reply in (services.subscribe("acc-1", "mute"), services.leave("acc-1", "mute")):
        assert (reply.status, reply.json["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("state", ["FROZEN", "UNCONFIRMED", "DRAFT", "REJECTED", "INVALID"])
def test_what_is_the_operators_a_service_cannot_change(services: Services, state: str) -> None:
    services.tables.put_in("acme", "service#wellness", "acc-1", state)
    before = services.sharing()
    for reply in (services.subscribe("acc-1"), services.subscribe("acc-1", to=in_days(1))):
        assert (reply.status, reply.json["code"]) == (409, "consent_fixed")
        assert reply.json["state"] == state
    left = services.leave("acc-1").status
    assert left == (204 if state in ("REJECTED", "INVALID") else 409)
    assert services.sharing() == before == (("acc-1",) if state == "FROZEN" else ())


# --- searching ------------------------------------------------------------------------------------


def test_a_service_finds_its_own(services: Services) -> None:
    for account in ("b", "a"):
        services.subscribe(account)
    services.subscribe("c", "sleep")
    services.leave("b")
    assert accounts(services.call("GET", "/consents")) == ["a", "b"]
    query = {"service": "wellness", "state": "DELETED"}
    assert accounts(services.call("GET", "/consents", query=query)) == ["b"]
    assert accounts(services.call("GET", "/consents", query={"account": "a"})) == ["a"]
    assert accounts(services.call("GET", "/consents", query={"account": "c"})) == []


def test_what_has_passed_its_end_is_found_as_expired(services: Services) -> None:
    now = SystemClock().now()
    services.tables.begin(
        "acme", "service#wellness", "a", now - timedelta(2), now - timedelta(seconds=1)
    )
    reply = services.call("GET", "/consents", query={"state": "EXPIRED"})
    assert accounts(reply) == ["a"]
    assert reply.json["consents"][0]["isSharing"] is False
    assert accounts(services.call("GET", "/consents", query={"state": "ACTIVE"})) == []


def test_what_is_not_the_callers_is_as_what_never_was(services: Services) -> None:
    services.subscribe("a", "sleep")
    services.tables.organise("acme", "clinic")
    never = told(services.call("GET", "/consents", query={"service": "never"}))
    assert (never["status"], never["code"]) == (404, "not_found")
    assert told(services.call("GET", "/consents", query={"service": "sleep"})) == never
    assert told(services.call("GET", "/consents", "plain")) == never
    of_nobody = told(services.call("GET", "/consents", query={"organisation": "never"}))
    assert told(services.call("GET", "/consents", query={"organisation": "clinic"})) == of_nobody
    assert told(services.call("GET", "/consents", "hub", query={"organisation": "clinic"})) == (
        of_nobody
    )


def test_a_broker_finds_its_members_and_who_shares_with_the_one_it_calls_for(
    services: Services,
) -> None:
    services.tables.organise("acme", "clinic")
    services.tables.begin("acme", "broker#hub", "clinic")
    services.tables.begin("acme", "organisation#clinic", "a")
    [member] = services.call("GET", "/consents", "hub").json["consents"]
    assert (member["account"], member["organisation"], member["service"]) == (None, "clinic", "hub")
    query = {"organisation": "clinic"}
    reply = services.call("GET", "/consents", "hub", parameter="; grp=clinic", query=query)
    assert accounts(reply) == ["a"]


def test_a_person_finds_those_of_the_tenant(services: Services) -> None:
    services.tables.organise("acme", "clinic")
    services.subscribe("a")
    services.subscribe("a", "sleep")
    services.tables.begin("acme", "organisation#clinic", "a")
    services.tables.begin("beta", "service#wellness", "elsewhere")
    found = services.by_user("GET", "/consents", query={"account": "a"}).json["consents"]
    assert [one["service"] or one["organisation"] for one in found] == [
        "clinic",
        "sleep",
        "wellness",
    ]
    assert accounts(services.by_user("GET", "/consents", query={"service": "wellness"})) == ["a"]
    query = {"organisation": "clinic"}
    assert accounts(services.by_user("GET", "/consents", query=query)) == ["a"]
    assert accounts(services.by_user("GET", "/consents", query={"account": "elsewhere"})) == []
    assert services.by_user("GET", "/consents").status == 422


@pytest.mark.parametrize("name", ["service", "organisation", "account"])
@pytest.mark.parametrize("text", ["", "#", "a b", "é" * 64, "x" * 64, "x" * 2000, "%", "\x00"])
def test_whatever_is_searched_for_is_answered(services: Services, name: str, text: str) -> None:
    for reply in (
        services.call("GET", "/consents", query={name: text}),
        services.by_user("GET", "/consents", query={name: text}),
    ):
        assert reply.status in (200, 404, 422), reply.body
        if reply.status == 200:
            assert reply.json == {"consents": [], "next": None}


def pages(services: Services, size: int, **query: str) -> list[list[str]]:
    found, cursor = [], None
    while True:
        asked = {"pageSize": str(size), **query, **({"cursor": cursor} if cursor else {})}
        reply = services.call("GET", "/consents", query=asked)
        found.append(accounts(reply))
        cursor = reply.json["next"]
        if cursor is None:
            return found


def test_pages_hold_each_consent_once(services: Services) -> None:
    names = ["a", "a!", "a-b", "b", "c"]
    for name in names:
        services.tables.begin("acme", "service#wellness", name)
    assert pages(services, 2) == [["a", "a!"], ["a-b", "b"], ["c"]]
    assert pages(services, 5) == [names]
    services.tables.end("acme", "service#wellness", "a!")
    assert pages(services, 2, state="ACTIVE") == [["a", "a-b"], ["b", "c"]]


@pytest.mark.abuse(75)
def test_a_cursor_is_of_use_to_the_caller_and_the_search_that_it_was_given_to(
    services: Services,
) -> None:
    for tenant, audience in (
        ("acme", "service#wellness"),
        ("acme", "service#sleep"),
        ("beta", "service#wellness"),
    ):
        for name in ("a", "b"):
            services.tables.begin(tenant, audience, name)
    query = {"pageSize": "1"}
    cursor = services.call("GET", "/consents", query=query).json["next"]
    given = {**query, "cursor": cursor}
    assert accounts(services.call("GET", "/consents", query=given)) == ["b"]
    refused = [
        services.call("GET", "/consents", tenant="beta", query=given),
        services.call("GET", "/consents", "sleep", query=given),
        services.call("GET", "/consents", query={**given, "state": "ACTIVE"}),
        services.by_user("GET", "/consents", query={**given, "service": "wellness"}),
    ]
    assert {(one.status, one.json["code"]) for one in refused} == {(400, "invalid_request")}
    assert len({json.dumps(told(one)) for one in refused}) == 1


@pytest.mark.parametrize(
    "text", ["", "x", "é", "W10", "[]", "[" * 700, "eyJhIjoxLCJiIjoyfQ", r'["\ud800","x"]']
)
def test_what_is_no_cursor_is_refused(services: Services, text: str) -> None:
    nested = base64.urlsafe_b64encode(text.encode()).decode()
    for cursor in (text, nested):
        reply = services.call("GET", "/consents", query={"cursor": cursor})
        assert (reply.status, reply.json["code"]) == (400, "invalid_request"), cursor


# --- the audit trail ------------------------------------------------------------------------------


def test_who_subscribed_and_left_is_in_the_audit_trail(services: Services) -> None:
    services.subscribe("acc-1")
    services.leave("acc-1")
    items = boto3.client("dynamodb").scan(TableName="audit")["Items"]
    done = {item["action"]["S"]: str(item) for item in items}
    for action in ("grant", "revoke"):
        assert "acc-1" in done[action]
        assert "wellness" in done[action]


def test_moments_are_told_to_the_millisecond(services: Services) -> None:
    reply = services.subscribe("a", to="2027-12-01T00:00:00.123456+01:00")
    assert reply.json["to"] == "2027-11-30T23:00:00.123Z"
    assert datetime.fromisoformat(reply.json["from"]) <= SystemClock().now()
