"""Tables of a benchmark's own, granted to a client of its own, on a platform that runs."""

from collections.abc import Mapping
from dataclasses import replace

from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.model import Client
from headrace.catalog.usecases import PublishCatalog
from headrace.exports.sources import Column, Configuration, Source, Table
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace_admin.deployment import Deployment
from local.home import LocalFailure

TENANT = "northwind-care"


def exported_columns(
    source: Source, place: str, names: tuple[str, ...] | None = None
) -> tuple[Column, ...]:
    """The columns of ``schema.table`` by their own names: all, or these in this order."""
    found = {
        c.name: Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale)
        for c in WarehouseByKind().describe(source, place)
        if c.type is not None
    }
    return tuple(found[name] for name in names or found)


def published(
    deployment: Deployment, source: Source, client_id: str, tables: Mapping[str, Table]
) -> str:
    """Grants each table by the configuration of that id, beside what is published; the secret."""
    catalogs = deployment.catalogs()
    current = catalogs.current()
    if current is None:
        raise LocalFailure("Nothing is published there: make up")
    client = Client(client_id, f"Benchmark {client_id}", daily_quota=10_000, tenants=(TENANT,))
    configurations = tuple(
        Configuration(name, TENANT, client_id, index == 0, source.name, (table,))
        for index, (name, table) in enumerate(tables.items())
    )
    base = catalogs.read(current.version)
    PublishCatalog(catalogs, SystemClock())(
        replace(
            base,
            sources=(*(s for s in base.sources if s.name != source.name), source),
            clients=(*(c for c in base.clients if c.client_id != client_id), client),
            configurations=(
                *(c for c in base.configurations if c.client_id != client_id),
                *configurations,
            ),
        )
    )
    secrets = deployment.client_secrets()
    for kept in secrets.of(client_id):
        secrets.revoke(client_id, kept.secret_id)
    return CreateClientSecret(secrets, SystemClock(), RandomIds())(client_id)[1]
