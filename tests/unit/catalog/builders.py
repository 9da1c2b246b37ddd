"""Entries of a published catalog, with what a test does not care about filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headrace.catalog.model import (
    Catalog,
    ChoosingColumn,
    Client,
    PublishedTemplate,
    Region,
    Tenant,
)
from headrace.catalog.ports import ApplicationDatabase
from headrace.exports.sources import Column, ColumnType, Configuration, RowFilter, Source, Table
from headrace.exports.webhooks import Endpoint
from headrace.kernel.errors import SourceUnavailable
from headrace.templates.definitions import ApplicationVersion, Template


@dataclass(frozen=True)
class FakeDatabases:
    """Databases of applications, by the option ``database``."""

    databases: Mapping[str, ApplicationDatabase] = field(default_factory=dict)

    def describe(self, database: Source) -> ApplicationDatabase:
        name = database.options["database"]
        if name not in self.databases:
            raise SourceUnavailable("The source does not accept a connection now.")
        return self.databases[name]


def a_tenant(tenant_id: str = "northwind", **changes: object) -> Tenant:
    values = {"name": tenant_id.title(), "time_zone": "Europe/Amsterdam", **changes}
    return Tenant(tenant_id=tenant_id, **values)  # type: ignore[arg-type]


def a_client(client_id: str = "integrator", **changes: object) -> Client:
    values = {"name": client_id.title(), "tenants": ("northwind",), **changes}
    return Client(client_id=client_id, **values)  # type: ignore[arg-type]


def a_table(name: str = "employees", *, columns: int = 2, row_estimate: int = 10) -> Table:
    names = ["id", *(f"column{n}" for n in range(1, columns))]
    return Table(
        name=name,
        source=f"hr.{name}",
        columns=tuple(
            Column(n, f"source_{n}", ColumnType.DECIMAL, n != "id", 38, 10) for n in names
        ),
        primary_key=("id",),
        filters=(RowFilter("tenant_id", ("northwind", 'o"dd\n'), ColumnType.STRING),),
        row_estimate=row_estimate,
    )


def a_configuration(
    configuration_id: str = "hr-full",
    tenant: str = "northwind",
    client_id: str = "integrator",
    *,
    default: bool = True,
    tables: tuple[Table, ...] = (),
) -> Configuration:
    return Configuration(configuration_id, tenant, client_id, default, "hr", tables or (a_table(),))


def a_template(
    template_id: str = "persons", *, tenants: tuple[str, ...] | None = None, **changes: object
) -> PublishedTemplate:
    table = Table(
        name=template_id,
        source="hr.persons",
        columns=(
            Column("id", "id", ColumnType.BIGINT, nullable=False),
            Column("lastName", "last_name", ColumnType.STRING, nullable=True),
        ),
        primary_key=("id",),
        ordered=True,
    )
    values = {
        "template": Template(
            template_id=template_id,
            name=template_id.title(),
            columns=("id", "lastName"),
            has_date=True,
            has_anonymised=True,
            minimum_version=ApplicationVersion(2019, 2603),
            tenants=None if tenants is None else frozenset(tenants),
        ),
        "source": "hr",
        "table": table,
        "tenant_column": ChoosingColumn("tenant_id", ColumnType.STRING),
        "date_column": ChoosingColumn("updated_at", ColumnType.TIMESTAMPTZ),
        "anonymised_column": ChoosingColumn("anonymised", ColumnType.BOOLEAN),
        **changes,
    }
    return PublishedTemplate(**values)  # type: ignore[arg-type]


def a_catalog(*configurations: Configuration, **changes: object) -> Catalog:
    values = {
        "tenants": (
            a_tenant(
                application_version=ApplicationVersion(2019, 2603),
                organisation_id="5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11",
                region="aue",
                profile_url="https://hub.example/{profileId}",
            ),
            a_tenant("harbour", kms_key="alias/harbour"),
        ),
        "clients": (
            a_client(webhooks=(Endpoint("hooks", "https://hooks.example/in", default=True),)),
            a_client("bureau", tenants=("northwind", "harbour"), profile_groups=("First team",)),
        ),
        "sources": (Source("hr", "ducklake", {"catalog": "sqlite:/x", "data_path": "/y"}),),
        "templates": (
            a_template(),
            a_template(
                "sessions",
                tenants=("harbour",),
                table=replace(a_template().table, source="", query="SELECT 1 AS id"),
                tenant_column=None,
            ),
        ),
        "regions": (Region("aue", "https://aue.example/v1"),),
        **changes,
    }
    return Catalog(configurations=configurations or (a_configuration(),), **values)  # type: ignore[arg-type]
