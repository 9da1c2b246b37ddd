"""Nobody sees what is not theirs, and cannot tell it from what never was."""

import json
import secrets

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.kernel.ids import RandomIds
from local.sample.warehouse import attached
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def theirs(clients: Clients) -> tuple[Integrator, Json]:
    """A succeeded operation of the other tenant."""
    client = clients.of(HARBOUR)
    return client, client.export(entity="departments")


def _answer(caller: Integrator, method: str, path: str) -> tuple[int, str, dict[str, str]]:
    """The answer, but for what names the request: its time, ids and length of the log."""
    reply = caller.call(method, path, follow_redirects=False)
    body = reply.json()
    assert body.pop("correlationId") == reply.headers["X-Correlation-Id"]
    ignored = ("date", "x-correlation-id", "x-amzn-requestid", "x-amzn-trace-id", "x-amz-id-2")
    headers = {
        name: value
        for name, value in reply.headers.items()
        if name not in ignored and not name.startswith("x-amz-request")
    }
    text = reply.text.replace(reply.headers["X-Correlation-Id"], "")
    return reply.status_code, text, headers


@pytest.mark.abuse(67)
@pytest.mark.abuse(141)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/data/v1/fulldata/{operation}/status"),
        ("PUT", "/data/v1/fulldata/{operation}/retry"),
        ("POST", "/data/v1/fulldata/{operation}/cancel"),
        ("DELETE", "/data/v1/fulldata/{operation}"),
        ("GET", "/data/v1/operations/{operation}/manifest"),
        ("GET", "/data/v1/jobs/{operation}-0001"),
    ],
)
def test_what_is_anothers_is_answered_as_if_it_never_was(
    clients: Clients,
    integrator: Integrator,
    theirs: tuple[Integrator, Json],
    method: str,
    path: str,
) -> None:
    owner, operation = theirs
    colleague = clients.of(HARBOUR)  # another client of the very tenant
    never = RandomIds().new(clients.platform.now())
    for caller in (integrator, colleague):
        asked = _answer(caller, method, path.format(operation=operation["operationId"]))
        unknown = _answer(caller, method, path.format(operation=never))
        garbage = _answer(caller, method, path.format(operation="no-such-id"))
        assert asked[0] == 404
        assert asked == unknown == garbage
        assert operation["operationId"] not in asked[1]
    assert owner.status(operation["operationId"]) == operation, "nothing has changed for its owner"


@pytest.mark.abuse(67)
def test_a_list_of_operations_holds_the_callers_own_only(
    clients: Clients, theirs: tuple[Integrator, Json]
) -> None:
    owner, operation = theirs
    ids = [one["operationId"] for one in owner.get("/data/v1/operations").json()["operations"]]
    assert ids == [operation["operationId"]]
    assert clients.of(HARBOUR).get("/data/v1/operations").json()["operations"] == []


@pytest.mark.abuse(75)
def test_a_cursor_of_another_tenant_is_refused(
    clients: Clients, integrator: Integrator, theirs: tuple[Integrator, Json]
) -> None:
    _, operation = theirs
    for cursor in (operation["operationId"], RandomIds().new(clients.platform.now()), "x", ""):
        reply = integrator.get("/data/v1/operations", params={"cursor": cursor})
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request"), cursor
        assert "quota" not in reply.json()


@pytest.mark.abuse(73)
def test_a_configuration_of_another_client_is_answered_as_if_it_never_was(
    clients: Clients, integrator: Integrator
) -> None:
    # Granted to the demonstration's client, in the same tenant.
    for name in ("who-works-where", "never-was"):
        started = integrator.starts(configurationId=name)
        assert (started.status_code, started.json()["code"]) == (404, "not_found")
        described = integrator.get("/data/v1/metadata", params={"configurationId": name})
        assert (described.status_code, described.json()["code"]) == (404, "not_found")
        assert name not in started.text + described.text
    assert integrator.quota()["used"] == 0
    assert integrator.is_free()


@pytest.mark.abuse(74)
def test_a_token_for_one_tenant_is_no_key_to_the_other(clients: Clients) -> None:
    both = clients.special(NORTHWIND, "departments", tenants=(NORTHWIND, HARBOUR))
    done = both.export()
    elsewhere = Integrator(both.platform, both.client_id, both.client_secret, HARBOUR)

    assert elsewhere.get("/data/v1/metadata").json()["tenant"] == HARBOUR
    assert elsewhere.get("/data/v1/operations").json()["operations"] == []
    assert elsewhere.quota()["used"] == 0
    status = elsewhere.get(f"/data/v1/fulldata/{done['operationId']}/status")
    assert status.status_code == 404
    foreign = elsewhere.starts(tenantId=NORTHWIND)
    assert foreign.status_code == 422
    third = Integrator(both.platform, both.client_id, both.client_secret, "northwind")
    assert third.asks_for_token().json()["error"] == "invalid_request"
    # Its own documents hold its own rows.
    ours, theirs = (
        client.document(client.export()["jobs"][0]["jobId"]) for client in (both, elsewhere)
    )
    assert not set(ours.splitlines()[1:]) & set(theirs.splitlines()[1:])


@pytest.mark.abuse(76)
def test_what_is_not_granted_is_in_no_document_and_no_description(
    platform: Platform, integrator: Integrator
) -> None:
    with attached(platform.home.warehouse) as connection:
        ids = connection.execute(
            "SELECT national_id FROM lake.hr.employees WHERE tenant_id = ? ORDER BY id LIMIT 50",
            [NORTHWIND],
        ).fetchall()
    hidden = [value for (value,) in ids if value]
    assert len(hidden) == 50
    described = integrator.get("/data/v1/metadata", params={"pageSize": 100})
    for file_format in ("csv", "ndjson", "parquet"):
        done = integrator.export(entity="employees", fileFormat=file_format)
        document = integrator.document(done["jobs"][0]["jobId"])
        names = _names(document, file_format)
        assert "email" in names
        for word in ("national", "tenant"):
            assert not [name for name in names if word in name.lower()]
        if file_format != "parquet":
            assert not [value for value in hidden if value.encode() in document]
        described_too = described.text + json.dumps(integrator.manifest(done["operationId"]))
        for word in ("national", "tenant_id", "hr.employees", "external_id"):
            assert word not in described_too


def _names(document: bytes, file_format: str) -> list[str]:
    if file_format == "csv":
        return document.split(b"\n")[0].decode().split(",")
    if file_format == "ndjson":
        return list(json.loads(document.split(b"\n")[0]))
    schema: list[str] = pq.read_schema(pa.BufferReader(document)).names
    return schema


@pytest.mark.abuse(131)
def test_a_table_that_is_not_granted_is_not_found_whatever_its_name(
    integrator: Integrator,
) -> None:
    for name in ("payroll", "hr.employees", '"a"; DROP TABLE employees; --', "Employees", "é" * 60):
        reply = integrator.starts(entity=name)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), name
        assert name not in reply.text
    assert integrator.quota()["used"] == 0


@pytest.mark.abuse(141)
def test_a_refusal_does_not_repeat_what_was_sent(integrator: Integrator) -> None:
    mark = f"canary{secrets.token_hex(8)}"
    for reply in (
        integrator.get(f"/data/v1/fulldata/{mark}/status"),
        integrator.get(f"/data/v1/jobs/{mark}"),
        integrator.get(f"/nowhere/{mark}", params={"q": mark}),
        integrator.get("/data/v1/metadata", params={"configurationId": mark}),
        integrator.get("/data/v1/operations", params={"cursor": mark}),
        integrator.starts(configurationId=mark),
        integrator.starts(entity=mark),
        integrator.starts(fileFormat=mark),
        integrator.platform.call(
            "GET", "/data/v1/operations", headers={"Authorization": f"Bearer {mark}"}
        ),
    ):
        assert 400 <= reply.status_code < 500
        assert mark not in reply.text
        assert mark not in str(reply.headers)
