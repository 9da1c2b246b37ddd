"""The tables of consents and of the catalog over moto, and what stands in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import boto3
from moto import mock_aws

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.consents import DynamoConsents, DynamoOrganisations
from headrace.adapters.dynamodb.services import CatalogServices
from headrace.adapters.dynamodb.sharing import DynamoSharing
from headrace.adapters.dynamodb.table import Table
from headrace.catalog.model import Catalog, Client, Service, Tenant
from headrace.consents.model import (
    Audience,
    AudienceKind,
    Change,
    Consent,
    Organisation,
    State,
    Validity,
)
from headrace.kernel.clock import Clock
from tests.component.keyed import KEYED


@dataclass
class Tables:
    """What consents are kept in."""

    consents: Table
    catalog: Table
    clock: Clock

    @property
    def sharing(self) -> DynamoSharing:
        return DynamoSharing(self.consents, CatalogServices(self.catalog), self.clock)

    def publish(self, services: dict[str, str | None], tenants: tuple[str, ...]) -> None:
        """Makes these clients the catalog's, of a kind of service each."""
        catalogs = DynamoCatalogs(self.catalog)
        current = catalogs.current()
        clients = tuple(
            Client(name, name, tenants, service=None if kind is None else Service(kind))
            for name, kind in services.items()
        )
        catalogs.publish(
            Catalog(tuple(Tenant(name, name, "UTC") for name in tenants), clients, (), ()),
            current.version if current else 0,
            self.clock.now(),
        )

    def begin(
        self,
        tenant: str,
        audience: str,
        party: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> None:
        """The party shares from then (now) until then (for good)."""
        consents, now = DynamoConsents(self.consents), self.clock.now()
        kind, audience_id = audience.split("#")
        whom = Audience(AudienceKind(kind), audience_id)
        before = consents.find(tenant, whom, party)
        validity = Validity(begins or now, ends)
        if before is None:
            after = Consent(tenant, party, whom, State.ACTIVE, validity, 1, now, "test")
        else:
            after = before.changed(now, "test", State.ACTIVE, validity)
        consents.save([Change(before, after)], now)

    def put_in(self, tenant: str, audience: str, party: str, state: str) -> None:
        """There is a consent in this state, from now on."""
        kind, audience_id = audience.split("#")
        now = self.clock.now()
        consent = Consent(
            tenant,
            party,
            Audience(AudienceKind(kind), audience_id),
            State(state),
            Validity(now),
            1,
            now,
            "test",
        )
        DynamoConsents(self.consents).save([Change(None, consent)], now)

    def organise(self, tenant: str, organisation: str) -> None:
        """There is such an organisation."""
        known = Organisation(tenant, organisation, self.clock.now(), "")
        DynamoOrganisations(self.consents).put(known)

    def end(self, tenant: str, audience: str, party: str) -> None:
        """The party shares no more."""
        consents, now = DynamoConsents(self.consents), self.clock.now()
        kind, audience_id = audience.split("#")
        before = consents.find(tenant, Audience(AudienceKind(kind), audience_id), party)
        if before is not None and before.state_at(now) is not State.DELETED:
            consents.save([Change(before, before.changed(now, "test", State.DELETED))], now)


@contextmanager
def tables(clock: Clock) -> Iterator[Tables]:
    """Empty tables."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        for name in ("consents", "catalog"):
            client.create_table(TableName=name, **KEYED)
        yield Tables(Table(client, "consents"), Table(client, "catalog"), clock)
