"""The Postman collection: every operation, and requests that hand each other what they need."""

import re
from typing import Any

from openapi.document import PRODUCTS, build
from openapi.postman import SCHEMA, collection
from openapi.routes import served

COLLECTION = collection(build())


def items() -> list[dict[str, Any]]:
    """Every request, from top to bottom."""
    return [item for folder in COLLECTION["item"] for item in folder["item"]]


def item_of(name: str) -> dict[str, Any]:
    """The request of an operation."""
    [route] = [one.route for one in served() if one.name == name]
    [found] = [
        item
        for item in items()
        if item["request"]["method"] == route.method
        and re.sub(r":(\w+)", r"{\1}", item["request"]["url"]["raw"]).endswith(f"}}}}{route.path}")
    ]
    return found


def test_it_is_a_collection_with_a_folder_for_each_product() -> None:
    assert COLLECTION["info"]["schema"] == SCHEMA
    assert [folder["name"] for folder in COLLECTION["item"]] == list(PRODUCTS)
    assert all(folder["item"] for folder in COLLECTION["item"])


def test_every_route_has_its_request() -> None:
    sent = {
        (item["request"]["method"], re.sub(r":(\w+)", r"{\1}", path))
        for item in items()
        for path in [item["request"]["url"]["raw"].removeprefix("{{api_url}}")]
    }
    assert sent == {
        (one.route.method, path) for one in served() for path in (one.route.path, *one.route.others)
    }


def test_every_variable_that_a_request_uses_is_declared() -> None:
    declared = {variable["key"] for variable in COLLECTION["variable"]}
    used = set(re.findall(r"{{(\w+)}}", str(COLLECTION)))
    assert {"api_url", "client_id", "client_secret", "access_token"} <= used <= declared


def test_no_secret_and_no_token_is_in_it() -> None:
    values = {variable["key"]: variable["value"] for variable in COLLECTION["variable"]}
    assert values.pop("api_url")
    assert set(values.values()) == {""}


def test_the_token_request_comes_first_and_keeps_the_token() -> None:
    assert items()[0] == item_of("issue_token")
    [event] = item_of("issue_token")["event"]
    assert 'set("access_token", pm.response.json().access_token)' in "\n".join(
        event["script"]["exec"]
    )
    fields = {
        one["key"]: one["value"] for one in item_of("issue_token")["request"]["body"]["urlencoded"]
    }
    assert fields["client_secret"] == "{{client_secret}}"


def test_only_requests_without_a_scope_go_without_the_token() -> None:
    for one in served():
        auth = item_of(one.name)["request"].get("auth")
        assert auth == (None if one.route.scope else {"type": "noauth"})
    assert COLLECTION["auth"]["bearer"][0]["value"] == "{{access_token}}"


def test_a_start_keeps_the_operation_that_the_next_requests_ask_for() -> None:
    [event] = item_of("start_full_export")["event"]
    assert 'set("operation_id"' in "\n".join(event["script"]["exec"])
    [variable] = item_of("get_export_status")["request"]["url"]["variable"]
    assert (variable["key"], variable["value"]) == ("operationId", "{{operation_id}}")


def test_a_variable_stands_for_every_step_of_a_path_that_varies() -> None:
    for item in items():
        url = item["request"]["url"]
        steps = {step.removeprefix(":") for step in url["path"] if step.startswith(":")}
        assert steps == {variable["key"] for variable in url.get("variable", [])}
