"""An export shows one state of the source, and keeps to the catalog that it was started under."""

import threading
from dataclasses import replace

import pytest

from headrace.exports.sources import Configuration
from local.sample.warehouse import Load, load_more
from tests.builders import number_of
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform, eventually
from tests.system.exports import columns
from tests.system.exports.rows import ABSENCES, EMPLOYEES, Expected, assert_same_rows

pytestmark = pytest.mark.system


def _without(configuration: Configuration, *names: str) -> Configuration:
    """The configuration with fewer columns of its tables."""
    return replace(
        configuration,
        tables=tuple(
            replace(table, columns=tuple(c for c in table.columns if c.name not in names))
            for table in configuration.tables
        ),
    )


def test_an_export_keeps_the_catalog_that_it_was_started_under(
    platform: Platform, clients: Clients, integrator: Integrator
) -> None:
    before = integrator.export(entity="departments")
    with platform.frozen("PlanExport") as frozen:
        started = integrator.start(entity="departments")
        eventually(frozen.given_work, within=60, what="PlanExport was given work")
        published = clients.reconfigure(integrator, lambda one: _without(one, "name"))

    done = integrator.ended(started["operationId"])
    assert done["status"] == "succeeded"
    assert started["catalogVersion"] == done["catalogVersion"] < published.version
    document = integrator.document(done["jobs"][0]["jobId"])
    assert document == integrator.document(before["jobs"][0]["jobId"])
    assert b"name" in document.split(b"\n")[0]

    described = integrator.get("/data/v1/metadata", params={"pageSize": 100}).json()
    assert described["catalogVersion"] == published.version
    [table] = [one for one in described["tables"] if one["name"] == "departments"]
    assert "name" not in [one["name"] for one in table["fields"]]
    later = integrator.export(entity="departments")
    assert later["catalogVersion"] == published.version
    header = integrator.document(later["jobs"][0]["jobId"]).split(b"\n")[0]
    assert header == b"id,parentId,costCentreId,openedOn,closedOn"
    [file] = integrator.manifest(later["operationId"])["files"]
    assert file["schemaHash"] == table["schemaHash"]
    [earlier] = integrator.manifest(before["operationId"])["files"]
    assert file["schemaVersion"] == table["schemaVersion"] == earlier["schemaVersion"] + 1


@pytest.mark.abuse(203)
def test_what_is_no_longer_granted_is_no_longer_handed_out(
    clients: Clients, integrator: Integrator
) -> None:
    done = integrator.export(entity="departments")
    job_id = done["jobs"][0]["jobId"]
    link = f"/data/v1/jobs/{job_id}"
    assert integrator.get(link).status_code == 303

    clients.reconfigure(
        integrator,
        lambda one: replace(
            one, tables=tuple(table for table in one.tables if table.name != "departments")
        ),
    )

    revoked = integrator.get(link)
    unknown = integrator.get(f"/data/v1/jobs/{job_id[:-4]}9999")
    assert revoked.status_code == unknown.status_code == 404
    assert revoked.json()["detail"] == unknown.json()["detail"]
    assert integrator.manifest(done["operationId"])["files"] == []
    assert integrator.starts(entity="departments").status_code == 404


@pytest.mark.abuse(202)
def test_a_client_that_is_unpublished_is_out_at_once(clients: Clients) -> None:
    client = clients.special(NORTHWIND, "cost_centres")
    client.export()
    assert client.get("/data/v1/operations").status_code == 200

    clients.change(client, lambda one: replace(one, client_id=f"{one.client_id}-renamed"))

    reply = client.get("/data/v1/operations")
    assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")
    assert client.asks_for_token().json()["error"] == "invalid_client"


@pytest.mark.abuse(211)
def test_all_tables_show_one_state_while_a_loader_writes(
    platform: Platform, clients: Clients
) -> None:
    client = clients.special(NORTHWIND, "employees", "absences", "payslips")
    first = client.start()
    client.until(
        first["operationId"], lambda seen: seen["syncVersion"], within=60, what="has a version"
    )
    loads: list[Load] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set() and len(loads) < 4:
            loads.append(load_more(platform.home.root))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        done = client.ended(first["operationId"])
        loaded = len(loads)
    finally:
        ended.set()
        loader.join()
    assert loaded >= 1, "nothing was loaded while it ran"
    assert done["status"] == "succeeded", done
    version = done["syncVersion"]
    assert int(number_of(version)) <= loads[0].before

    manifest = client.manifest(done["operationId"])
    assert {file["snapshot"] for file in manifest["files"]} == {version}
    documents = {file["table"]: client.document(file["jobId"]) for file in manifest["files"]}
    for table in (EMPLOYEES, ABSENCES):
        _assert_as_of(platform, table, documents[table.table], version)
    columns.assert_same(
        columns.in_document(documents["payslips"], "csv", "none"),
        columns.in_source(platform.home.warehouse, version, NORTHWIND),
    )

    later = client.export(entity="absences")
    assert number_of(later["syncVersion"]) == str(loads[-1].after)
    document = client.document(later["jobs"][0]["jobId"])
    assert document != documents["absences"]
    _assert_as_of(platform, ABSENCES, document, later["syncVersion"])


def _assert_as_of(platform: Platform, table: Expected, document: bytes, version: str) -> None:
    """The document holds the table's rows of that snapshot."""
    source = table.in_source(platform.home.warehouse, version, NORTHWIND)
    assert_same_rows(table.in_document(document, "csv", "none"), source, table.names)
