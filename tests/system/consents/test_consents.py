"""Account holders share with a service or an organisation, and what is exported follows it."""

import csv
import io
import secrets
from dataclasses import replace

import pytest

from headrace.catalog.model import SCOPES, Service
from headrace.exports.sources import AccountColumn, ColumnType, Configuration, Table
from headrace.kernel.clock import SystemClock
from tests.component.consents.tables import Tables
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform, at_once

pytestmark = pytest.mark.system

GRANTED = (*SCOPES, "consents:manage")


def by_consent(configuration: Configuration) -> Configuration:
    """Employees are told by account; departments are public."""

    def told(table: Table) -> Table:
        whose = AccountColumn("id", ColumnType.BIGINT)
        return replace(table, account=whose) if table.name == "employees" else table

    tables = tuple(told(table) for table in configuration.tables)
    return replace(configuration, by_consent=True, tables=tables)


def a_service(clients: Clients, kind: str) -> Integrator:
    service = clients.special(
        NORTHWIND, "employees", "departments", service=Service(kind), scopes=GRANTED
    )
    clients.keep(service)
    clients.reconfigure(service, by_consent)
    return service


@pytest.fixture(scope="module")
def service(clients: Clients) -> Integrator:
    return a_service(clients, "external")


@pytest.fixture(scope="module")
def broker(clients: Clients) -> Integrator:
    return a_service(clients, "broker")


@pytest.fixture(scope="module")
def consents(platform: Platform) -> Tables:
    """What the operator does."""
    deployment = platform.deployment
    table = deployment.consents().table
    return Tables(table, deployment.catalogs().table, SystemClock())


def subscribe(service: Integrator, account: str) -> int:
    path = f"/services/{service.client_id}/subscriptions"
    return service.call("POST", path, json={"account": account}).status_code


def leave(service: Integrator, account: str) -> int:
    path = f"/services/{service.client_id}/subscriptions/{account}"
    return service.call("DELETE", path).status_code


def exported(client: Integrator) -> tuple[list[str], int]:
    """The ids of the employees in a new export, sorted, and how many departments it has."""
    operation = client.export(fileFormat="csv")
    documents = {
        job["table"]: list(csv.DictReader(io.StringIO(client.document(job["jobId"]).decode())))
        for job in operation["jobs"]
    }
    ids = sorted(row["id"] for row in documents["employees"])
    return ids, len(documents["departments"])


def on_behalf(broker: Integrator, organisation: str) -> Integrator:
    """The broker, whose every call names the organisation."""
    return broker.with_token(f"{broker.token()}; grp={organisation}")


def test_an_export_has_the_rows_of_those_who_share_then(service: Integrator) -> None:
    assert [subscribe(service, one) for one in ("100000", "100002")] == [201, 201]
    # An employee of the other tenant, who shares as well: no row of another tenant is a service's.
    assert subscribe(service, "100004") == 201
    employees, departments = exported(service)
    assert (employees, departments > 10) == (["100000", "100002"], True)
    assert [leave(service, "100000") for _ in range(2)] == [204, 204]
    assert exported(service)[0] == ["100002"]


def test_of_many_who_subscribe_an_account_at_once_one_begins_it(
    service: Integrator, platform: Platform
) -> None:
    path, account = f"/services/{service.client_id}/subscriptions", secrets.token_hex(4)
    headers = {"Authorization": f"Bearer {service.token()}"}
    replies = at_once(
        10, lambda _: platform.call("POST", path, json={"account": account}, headers=headers)
    )
    assert sorted(reply.status_code for reply in replies) == [200] * 9 + [201]
    assert len({reply.text for reply in replies}) == 1


@pytest.mark.abuse(68)
def test_the_files_of_who_left_are_handed_out_no_more(service: Integrator) -> None:
    subscribe(service, "100003")
    operation = service.export(fileFormat="csv")
    [job] = [one for one in operation["jobs"] if one["table"] == "employees"]
    assert service.get(f"/data/v1/jobs/{job['jobId']}").status_code == 303
    leave(service, "100003")
    assert subscribe(service, "100003") == 201
    reply = service.get(f"/data/v1/jobs/{job['jobId']}")
    assert (reply.status_code, reply.json()["code"]) == (403, "consent_withdrawn")


@pytest.mark.abuse(69)
def test_a_broker_exports_on_behalf_of_a_member_and_without_one_what_is_public(
    broker: Integrator, consents: Tables
) -> None:
    clinic = f"clinic-{secrets.token_hex(3)}"
    consents.organise(NORTHWIND, clinic)
    consents.begin(NORTHWIND, f"organisation#{clinic}", "100001")
    consents.begin(NORTHWIND, f"broker#{broker.client_id}", clinic)
    employees, departments = exported(on_behalf(broker, clinic))
    assert (employees, departments > 10) == (["100001"], True)
    employees, public = exported(broker)
    assert (employees, public) == ([], departments)

    found = on_behalf(broker, clinic).get("/consents", params={"organisation": clinic}).json()
    assert [one["account"] for one in found["consents"]] == ["100001"]
    consents.end(NORTHWIND, f"broker#{broker.client_id}", clinic)
    reply = on_behalf(broker, clinic).get("/data/v1/metadata")
    assert (reply.status_code, reply.json()["code"]) == (403, "organisation_not_allowed")


@pytest.mark.abuse(70)
@pytest.mark.abuse(72)
def test_nobody_acts_for_an_organisation_that_is_not_its_member(
    broker: Integrator, service: Integrator, consents: Tables
) -> None:
    clinic = f"clinic-{secrets.token_hex(3)}"
    consents.organise(NORTHWIND, clinic)
    consents.begin(NORTHWIND, f"broker#{service.client_id}", clinic)
    consents.begin(HARBOUR, f"broker#{broker.client_id}", clinic)
    told = set()
    for caller, named in ((broker, clinic), (broker, "never-was"), (service, clinic)):
        reply = on_behalf(caller, named).get("/data/v1/metadata")
        document = reply.json()
        assert (reply.status_code, document["code"]) == (403, "organisation_not_allowed")
        told.add((document["title"], document["detail"]))
        assert named not in reply.text
    assert len(told) == 1
    malformed = on_behalf(broker, '"x"').get("/data/v1/metadata")
    assert (malformed.status_code, malformed.json()["code"]) == (401, "invalid_token")


@pytest.mark.abuse(75)
def test_a_cursor_of_another_service_is_refused(
    service: Integrator, broker: Integrator, consents: Tables
) -> None:
    for account in ("a", "b"):
        subscribe(service, account)
    cursor = service.get("/consents", params={"pageSize": 1}).json()["next"]
    given = {"pageSize": 1, "cursor": cursor}
    assert service.get("/consents", params=given).status_code == 200
    reply = broker.get("/consents", params=given)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")


def test_accounts_with_signs_in_their_ids_subscribe_and_leave(service: Integrator) -> None:
    for account, path in (("a+b@x.example", "a%2Bb@x.example"), ("urn:x:1", "urn%3Ax%3A1")):
        assert subscribe(service, account) == 201
        assert leave(service, path) == 204
        [found] = service.get("/consents", params={"account": account}).json()["consents"]
        assert found["state"] == "DELETED"


def test_a_service_is_as_none_to_others(service: Integrator, broker: Integrator) -> None:
    replies = [
        broker.call("POST", f"/services/{name}/subscriptions", json={"account": "a"})
        for name in (service.client_id, broker.client_id, "never")
    ]
    assert {(one.status_code, one.json()["detail"]) for one in replies} == {
        (404, "There is no such service.")
    }
