"""A service and a broker as deployed: consents decide whose rows they get, from call to call."""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import pytest

from headrace.catalog.model import Service
from headrace.consents.model import Audience, AudienceKind, State
from headrace.consents.usecases import (
    Audiences,
    EndConsent,
    RegisterAccounts,
    RegisterOrganisation,
    SetConsents,
    Term,
)
from headrace.exports.sources import AccountColumn, ColumnType, Configuration
from headrace.kernel.clock import SystemClock
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform

pytestmark = pytest.mark.system

TABLE, ACCOUNT = "absences", "employeeId"


@dataclass(frozen=True)
class Operator:
    """What the operator does about consents, by the commands' own use cases."""

    platform: Platform

    def share(self, audience: Audience, *parties: str) -> None:
        """They share with the audience."""
        deployment = self.platform.deployment
        audiences = Audiences(
            deployment.services(), deployment.accounts(), deployment.organisations()
        )
        if audience.kind is not AudienceKind.BROKER:
            RegisterAccounts(deployment.accounts(), SystemClock())(NORTHWIND, parties)
        SetConsents(deployment.consents(), audiences, SystemClock())(
            NORTHWIND, audience, parties, State.ACTIVE, Term()
        )

    def end(self, audience: Audience, party: str) -> None:
        """It shares no more."""
        EndConsent(self.platform.deployment.consents(), SystemClock())(NORTHWIND, audience, party)

    def organisation(self, name: str) -> Audience:
        """An organisation of this name."""
        register = RegisterOrganisation(self.platform.deployment.organisations(), SystemClock())
        register(NORTHWIND, name, name.title())
        return Audience(AudienceKind.ORGANISATION, name)


@pytest.fixture
def operator(platform: Platform) -> Operator:
    return Operator(platform)


def by_account(configuration: Configuration) -> Configuration:
    """The configuration as it is published for a service."""
    account = AccountColumn("employee_id", ColumnType.BIGINT)
    tables = tuple(
        replace(table, account=account if table.name == TABLE else None)
        for table in configuration.tables
    )
    return replace(configuration, tables=tables, by_consent=True)


def a_service(clients: Clients, kind: str) -> Integrator:
    """A service that gets absences of those that share, and departments, which are public."""
    service = clients.special(NORTHWIND, TABLE, "departments", service=Service(kind))
    clients.reconfigure(service, by_account)
    return service


@pytest.fixture(scope="module")
def rows(clients: Clients) -> dict[str, set[int]]:
    """Whose absences there are, by employee; of those that have several."""
    client = clients.special(NORTHWIND, TABLE)
    done = client.export(fileFormat="ndjson")
    found: dict[str, set[int]] = defaultdict(set)
    for row in _lines(client.document(done["jobs"][0]["jobId"])):
        found[str(row[ACCOUNT])].add(row["id"])
    return {account: ids for account, ids in sorted(found.items()) if len(ids) > 1}


def _lines(document: bytes) -> list[Json]:
    return [json.loads(line) for line in document.splitlines()]


def _job(operation: Json, table: str = TABLE) -> str:
    return str(next(job["jobId"] for job in operation["jobs"] if job["table"] == table))


def ids_of(client: Integrator, operation: Json, table: str = TABLE) -> set[int]:
    """The ids in the operation's document."""
    return {row["id"] for row in _lines(client.document(_job(operation, table)))}


def refusal(client: Integrator, path: str) -> tuple[int, str]:
    """Status and code of the answer."""
    reply = client.get(path, follow_redirects=False)
    return reply.status_code, reply.json()["code"]


@pytest.mark.abuse(68)
def test_a_withdrawal_refuses_files_at_once_and_is_told_by_the_next_increment(
    clients: Clients, operator: Operator, rows: dict[str, set[int]]
) -> None:
    service = a_service(clients, "external")
    own = Audience(AudienceKind.SERVICE, service.client_id)
    ann, bob, eve = list(rows)[:3]
    operator.share(own, ann, bob)

    full = service.export(fileFormat="ndjson")
    assert ids_of(service, full) == rows[ann] | rows[bob]
    assert ids_of(service, full, "departments")
    version = service.manifest(full["operationId"])["syncVersion"]

    operator.end(own, ann)
    operator.share(own, eve)
    for path in (
        f"/data/v1/jobs/{_job(full)}",
        f"/data/v1/jobs/{_job(full, 'departments')}",
        f"/data/v1/operations/{full['operationId']}/manifest",
    ):
        assert refusal(service, path) == (403, "consent_withdrawn")

    increment = service.increment(version, fileFormat="ndjson")
    changes = _lines(service.document(_job(increment)))
    assert {row["id"] for row in changes if row["_change"] == "deleted"} == rows[ann]
    assert {row["id"] for row in changes if row["_change"] == "inserted"} == rows[eve]
    assert len(changes) == len(rows[ann]) + len(rows[eve])
    for row in changes:
        if row["_change"] == "deleted":
            assert row.keys() == {"_change", "id"}
    assert service.document(_job(increment, "departments")) == b""


@dataclass
class OnBehalf(Integrator):
    """A data broker that calls on behalf of an organisation."""

    organisation: str = ""

    def call(self, method: str, path: str, *, headers: Any = None, **options: Any) -> Any:
        """One call that names the organisation (seed 002)."""
        named = {"Authorization": f"Bearer {self.token()}; grp={self.organisation}"}
        return super().call(method, path, headers={**named, **(headers or {})}, **options)


@pytest.mark.abuse(69)
def test_a_broker_gets_what_is_shared_with_the_organisation_that_it_names(
    clients: Clients, operator: Operator, rows: dict[str, set[int]]
) -> None:
    broker = a_service(clients, "broker")
    members = Audience(AudienceKind.BROKER, broker.client_id)
    ann, bob = list(rows)[3:5]
    clinic = operator.organisation(f"clinic-{clients.run}")
    operator.share(clinic, ann, bob)
    named = OnBehalf(
        broker.platform,
        broker.client_id,
        broker.client_secret,
        NORTHWIND,
        organisation=clinic.audience_id,
    )
    assert named.get("/data/v1/operations").status_code == 403
    operator.share(members, clinic.audience_id)

    unnamed = broker.export(fileFormat="ndjson")
    assert ids_of(broker, unnamed) == set()
    assert ids_of(broker, unnamed, "departments")
    own = named.export(fileFormat="ndjson")
    assert ids_of(named, own) == rows[ann] | rows[bob]

    # What it has for the organisation is not there where it calls for nobody.
    assert refusal(broker, f"/data/v1/jobs/{_job(own)}") == (404, "not_found")
    listed = broker.get("/data/v1/operations").json()["operations"]
    assert [one["operationId"] for one in listed] == [unnamed["operationId"]]
