"""A release that is deployed, and taken back, while an export and an import are at work.

The emulator is harder than AWS here: it ends a worker whose function is replaced, in the middle
of what it does. On AWS that worker comes to the end of its invocation with the code that it has.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from local.demo_datasets import Environment
from local.postgresql import Server
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually
from tests.system.upgrade.releases import LAST_STATE, LAST_STATE_NEXT, Releases

pytestmark = pytest.mark.system

TABLES = ("payslips", "absences", "departments")
IMPORT = "/dataexchange/import/datasetdefinition/PROVIDERS"
CHANGED = "SELECT count(*) FROM claims.tariffs WHERE remark = 'changed here'"
WAITS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = 'claims' AND wait_event_type = 'Lock' AND state = 'active'"
)


def documents(integrator: Integrator, operation: Json) -> dict[str, bytes]:
    """The operation's documents by their tables."""
    return {job["table"]: integrator.document(job["jobId"]) for job in operation["jobs"]}


def tariffs(database: Server) -> str:
    """All that an import of providers' tariffs writes."""
    return database.run("SELECT * FROM claims.tariffs ORDER BY uuid", "claims")


def states(platform: Platform, operation_id: str) -> set[str]:
    """The states that the operation's execution came to."""
    pages = platform.aws("stepfunctions").get_paginator("get_execution_history")
    return {
        event["stateEnteredEventDetails"]["name"]
        for page in pages.paginate(executionArn=platform.execution_arn(operation_id, 1))
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    }


@pytest.fixture
def database(platform: Platform) -> Server:
    """The database that imports write to."""
    return Server(platform.home.roster)


@pytest.fixture
def environment(platform: Platform) -> Iterator[Environment]:
    """The environment, as its client calls it."""
    with Environment.of(platform.home) as environment:
        yield environment


@pytest.fixture
def payload(environment: Environment) -> bytes:
    """All providers with their tariffs, in a data set."""
    code = f"UPGRADE-{secrets.token_hex(4)}"
    path = "/dataexchange/createandexport/datasetdefinition/PROVIDERS/dataset"
    body = {"code": code, "description": "All"}
    environment.finished(environment.call("POST", path, body), print)
    path = f"/dataexchange/export/datasetdefinition/PROVIDERS/dataset/{code}"
    built = environment.call("GET", path, follow_redirects=True)
    return built.content


@contextmanager
def import_in_the_middle(
    environment: Environment, database: Server, payload: bytes
) -> Iterator[httpx.Response]:
    """An import that has written some of what it has to, and waits for the rest until this ends."""
    database.run("UPDATE claims.tariffs SET remark = 'changed here'", "claims")
    total = int(database.run(CHANGED, "claims"))
    address = f"host={database.socket_folder} user=postgres dbname=claims"
    with psycopg.connect(address) as holder:
        holder.execute(
            "SELECT FROM claims.providers p JOIN claims.tariffs t ON t.provider_id = p.id "
            "WHERE p.uuid = (SELECT max(uuid::text)::uuid FROM claims.providers) FOR UPDATE"
        )
        started = environment.call("POST", IMPORT, files={"file": ("set.zip", payload)})
        eventually(
            lambda: (
                int(database.run(CHANGED, "claims")) < total and int(database.run(WAITS, "claims"))
            ),
            within=60,
            what="the import wrote some and waits",
        )
        yield started


def test_a_release_deployed_or_taken_back_in_the_middle_of_work_loses_none(
    platform: Platform,
    clients: Clients,
    environment: Environment,
    database: Server,
    payload: bytes,
) -> None:
    releases = Releases(platform)
    integrator = clients.special(NORTHWIND, *TABLES)
    before, exported = tariffs(database), []
    try:
        for deploy, service, state, state_of_execution in (
            (releases.deploy_next, "headrace-next", LAST_STATE_NEXT, LAST_STATE),
            (releases.deploy_this, "headrace", LAST_STATE, LAST_STATE_NEXT),
        ):
            with (
                import_in_the_middle(environment, database, payload) as started,
                platform.frozen("ImportDataSet") as importer,
            ):
                operation_id = integrator.start()["operationId"]
                eventually(
                    lambda: platform.parts(integrator.prefix), within=60, what="a part was stored"
                )
                with platform.frozen("ExportRange") as exporters:
                    assert importer.pids and exporters.pids
                    deploy()
                    left = platform.workers("ImportDataSet") + platform.workers("ExportRange")
                    assert not {*importer.pids, *exporters.pids} & {*left}
            assert releases.deployed() == {service}
            assert state in releases.workflow() and state_of_execution not in releases.workflow()

            done = integrator.ended(operation_id)
            assert (done["status"], done["attempt"]) == ("succeeded", 1), done
            exported.append(documents(integrator, done))
            # What had begun went the way that it had begun to go.
            assert state_of_execution.strip('"') in states(platform, operation_id)
            environment.finished(started, print)
            assert tariffs(database) == before
    finally:
        if releases.deployed() != {"headrace"}:
            releases.deploy_this()

    undisturbed = documents(integrator, integrator.export())
    assert exported == [undisturbed, undisturbed]
    assert integrator.quota()["used"] == 3
    integrator.leaves(documents=3 * len(TABLES))
