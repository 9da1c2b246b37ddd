"""How requests are read, and what a wrong one is told."""

from typing import Any

import httpx
import pytest

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def integrator(clients: Clients) -> Integrator:
    """One client for all of these: what they start, they end."""
    return clients.of(NORTHWIND)


def problem(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a reply, after the checks that all of them must pass."""
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:headrace:problem:{code}"
    assert body["title"] and body["detail"]
    assert body["correlationId"] == reply.headers["X-Correlation-Id"]
    return body


@pytest.mark.abuse(137)
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/data/v1/fulldata", {"POST", "OPTIONS"}),
        ("DELETE", "/data/v1/operations", {"GET", "OPTIONS"}),
        ("POST", "/data/v1/metadata", {"GET", "OPTIONS"}),
        ("PUT", "/data/v1/jobs/some-id", {"GET", "OPTIONS"}),
        ("PATCH", "/data/v1/fulldata/some-id/retry", {"PUT", "OPTIONS"}),
        ("GET", "/connect/token", {"POST", "OPTIONS"}),
    ],
)
def test_a_method_that_a_path_does_not_have_is_refused_with_those_it_has(
    integrator: Integrator, method: str, path: str, allowed: set[str]
) -> None:
    reply = integrator.call(method, path)
    problem(reply, 405, "method_not_allowed")
    assert {name.strip() for name in reply.headers["Allow"].split(",")} == allowed


@pytest.mark.parametrize(
    "path", ["/data/v1/fulldatas", "/data/v2/fulldata", "/data", "/data/v1/jobs", "/%2e%2e/x"]
)
def test_an_unknown_path_is_not_found_with_a_token_and_without(
    platform: Platform, integrator: Integrator, path: str
) -> None:
    problem(integrator.get(path), 404, "not_found")
    problem(platform.call("GET", path), 404, "not_found")


@pytest.mark.abuse(138)
def test_a_body_over_one_mebibyte_is_too_large(integrator: Integrator) -> None:
    fits = '{"entity": "nothing"}'
    just = integrator.call("POST", "/data/v1/fulldata", content=fits.ljust(MIB))
    problem(just, 404, "not_found")
    over = integrator.call("POST", "/data/v1/fulldata", content=fits.ljust(MIB + 1))
    problem(over, 413, "body_too_large")


@pytest.mark.abuse(210)
@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"entity":' * 100_000,
        "not json",
        "[]",
        '"csv"',
        "null",
        '{"entity": NaN}',
        '{"entity": "a", "entity": "b"}',
        '{"entity": "a", "Entity": "b"}',
        b"\xff\xfe{}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_object_cannot_be_read(
    integrator: Integrator, body: str | bytes
) -> None:
    reply = integrator.call(
        "POST", "/data/v1/fulldata", content=body, headers={"Content-Type": "application/json"}
    )
    problem(reply, 400, "invalid_request")


@pytest.mark.abuse(135)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"entity": 1}, "entity"),
        ({"entity": True}, "entity"),
        ({"entity": ["employees"]}, "entity"),
        ({"entity": ""}, "entity"),
        ({"entity": "e" * 129}, "entity"),
        ({"configurationId": {"id": "hr-full"}}, "configurationId"),
        ({"fileFormat": "xml"}, "fileFormat"),
        ({"fileFormat": "CSV "}, "fileFormat"),
        ({"fileFormat": 0}, "fileFormat"),
        ({"fileFormat": None}, "fileFormat"),
        ({"compression": "brotli"}, "compression"),
        ({"compression": ["gzip"]}, "compression"),
        ({"fileFormats": "csv"}, "fileFormats"),
        ({"file_format": "csv"}, "file_format"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_by_its_field(
    integrator: Integrator, body: dict[str, Any], field: str
) -> None:
    errors = problem(integrator.starts(**body), 422, "validation_failed")["errors"]
    assert [error["field"] for error in errors] == [field]
    assert all(error["message"] for error in errors)


def test_every_wrong_value_is_named_at_once(integrator: Integrator) -> None:
    reply = integrator.starts(fileFormat="xml", compression="rar", entity=1, more=True)
    errors = problem(reply, 422, "validation_failed")["errors"]
    assert {error["field"] for error in errors} == {"fileFormat", "compression", "entity", "more"}


def test_nothing_that_was_refused_has_cost_anything(clients: Clients) -> None:
    integrator = clients.of(NORTHWIND)
    for body in ({"fileFormat": "xml"}, {"entity": "nothing"}, {"configurationId": "nothing"}):
        assert integrator.starts(**body).status_code in (404, 422)
    assert integrator.quota()["used"] == 0
    assert integrator.is_free()


def test_fields_may_be_spelt_as_the_seed_spells_them(integrator: Integrator) -> None:
    started = integrator.start(
        ConfigurationId="hr-full", FileFormat="ndjson", Compression="gzip", Entity="cost_centres"
    )
    assert started["configurationId"] == "hr-full"
    assert (started["fileFormat"], started["compression"]) == ("ndjson", "gzip")
    assert [job["table"] for job in started["jobs"]] == ["cost_centres"]
    assert integrator.ended(started["operationId"])["status"] == "succeeded"


def test_no_body_at_all_is_everything_as_csv(integrator: Integrator) -> None:
    reply = integrator.call("POST", "/data/v1/fulldata")
    assert reply.status_code == 202, reply.text
    started = reply.json()
    assert (started["fileFormat"], started["compression"]) == ("csv", "none")
    tables = integrator.get("/data/v1/metadata", params={"pageSize": 100}).json()["tables"]
    assert [job["table"] for job in started["jobs"]] == [table["name"] for table in tables]
    integrator.cancel(started["operationId"])


@pytest.mark.parametrize("key", ["", "x" * 256, "with\ttab"])
def test_an_idempotency_key_that_is_none_is_refused(integrator: Integrator, key: str) -> None:
    problem(integrator.starts(key=key, entity="cost_centres"), 400, "invalid_request")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"pageSize": 0}, 422, "validation_failed"),
        ({"pageSize": 101}, 422, "validation_failed"),
        ({"pageSize": "ten"}, 422, "validation_failed"),
        ({"pageSize": "9" * 5000}, 422, "validation_failed"),
        ({"pageSize": [1, 2]}, 400, "invalid_request"),
        ({"cursor": "not-a-cursor"}, 400, "invalid_request"),
        ({"cursor": "0" * 26}, 400, "invalid_request"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_query_that_is_wrong_is_refused(
    integrator: Integrator, query: dict[str, Any], status: int, code: str
) -> None:
    problem(integrator.get("/data/v1/operations", params=query), status, code)


@pytest.mark.parametrize("path", ["/data/v1/metadata", "/data/v1/Metadata"])
def test_metadata_comes_in_pages(integrator: Integrator, path: str) -> None:
    first = integrator.get(path).json()
    assert (first["pageSize"], first["currentPage"]) == (10, 1)
    assert (first["totalCount"], first["totalPages"]) == (11, 2)
    assert (first["hasPreviousPage"], first["hasNextPage"]) == (False, True)
    assert len(first["tables"]) == 10
    last = integrator.get(path, params={"currentPage": 2}).json()
    assert (last["hasPreviousPage"], last["hasNextPage"]) == (True, False)
    [table] = last["tables"]
    assert table["name"] == "payslips"
    assert table["primaryKey"] == ["id"]
    assert table["rowEstimate"] > 450_000
    fields = {field["name"]: field for field in table["fields"]}
    assert fields["gross"] == {
        "name": "gross",
        "type": "decimal",
        "nullable": False,
        "precision": 12,
        "scale": 2,
        "textOf": None,
    }
    assert (fields["paidAt"]["type"], fields["paidAt"]["nullable"]) == ("timestamptz", True)
    beyond = integrator.get(path, params={"currentPage": 3}).json()
    assert (beyond["tables"], beyond["hasNextPage"]) == ([], False)
