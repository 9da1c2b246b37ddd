"""Entries of a published catalog as JSON values, and back; and the digest over all of them.

Keys are stable: versions that were published stay readable. A key that a later release adds must
have a default here, and raises ``FORMAT`` if whoever does not know it would give more away.
"""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from headrace.catalog.model import (
    Catalog,
    ChoosingColumn,
    Client,
    PublishedTemplate,
    Region,
    Service,
    Tenant,
)
from headrace.datasets.definitions import (
    Application,
    Definition,
    OutputFormat,
    Reference,
)
from headrace.datasets.definitions import Table as ApplicationTable
from headrace.exports.model import Compression, FileFormat, OperationKind
from headrace.exports.schedules import Schedule
from headrace.exports.sources import (
    AccountColumn,
    Column,
    ColumnType,
    Configuration,
    Resync,
    RowFilter,
    SnapshotScope,
    Source,
    Table,
)
from headrace.exports.webhooks import Endpoint
from headrace.templates.definitions import ApplicationVersion, Template

type Json = dict[str, Any]

FORMAT = 1
"""Of what is published by this release. A reader refuses what is of a later one, since what it does
not know may be a restriction (docs/upgrade.md). Also the output ``CatalogFormat`` of the template.
"""


def tenant_to_json(tenant: Tenant) -> Json:
    """A tenant."""
    return {
        "tenantId": tenant.tenant_id,
        "name": tenant.name,
        "timeZone": tenant.time_zone,
        "kmsKey": tenant.kms_key,
        **(
            {"applicationVersion": str(tenant.application_version)}
            if tenant.application_version
            else {}
        ),
        **({"organisationId": tenant.organisation_id} if tenant.organisation_id else {}),
        **({"region": tenant.region} if tenant.region else {}),
        **({"profileUrl": tenant.profile_url} if tenant.profile_url else {}),
    }


def tenant_from_json(value: Json) -> Tenant:
    """The inverse of ``tenant_to_json``."""
    version = value.get("applicationVersion")
    return Tenant(
        tenant_id=value["tenantId"],
        name=value["name"],
        time_zone=value["timeZone"],
        kms_key=value["kmsKey"],
        application_version=ApplicationVersion.of(version) if version else None,
        organisation_id=value.get("organisationId"),
        region=value.get("region"),
        profile_url=value.get("profileUrl"),
    )


def region_to_json(region: Region) -> Json:
    """A region."""
    return {"regionId": region.region_id, "baseUrl": region.base_url}


def region_from_json(value: Json) -> Region:
    """The inverse of ``region_to_json``."""
    return Region(value["regionId"], value["baseUrl"])


def client_to_json(client: Client) -> Json:
    """A client."""
    return {
        "clientId": client.client_id,
        "name": client.name,
        "tenants": list(client.tenants),
        "scopes": list(client.scopes),
        "dailyQuota": client.daily_quota,
        "allowedNetworks": list(client.allowed_networks),
        "trustedIssuers": list(client.trusted_issuers),
        "webhooks": [
            {"name": one.name, "url": one.url, "default": one.default} for one in client.webhooks
        ],
        **({"dpopRequired": True} if client.dpop_required else {}),
        **({"jwks": client.jwks} if client.jwks else {}),
        **({"jwksUri": client.jwks_uri} if client.jwks_uri else {}),
        **({"service": {"kind": client.service.kind}} if client.service else {}),
        **(
            {"tlsClientAuthSubjectDn": client.tls_client_auth_subject_dn}
            if client.tls_client_auth_subject_dn
            else {}
        ),
        **({"certificateBound": True} if client.certificate_bound else {}),
        **(
            {"profileGroups": list(client.profile_groups)}
            if client.profile_groups is not None
            else {}
        ),
    }


def client_from_json(value: Json) -> Client:
    """The inverse of ``client_to_json``."""
    profile_groups = value.get("profileGroups")
    return Client(
        client_id=value["clientId"],
        name=value["name"],
        tenants=tuple(value["tenants"]),
        scopes=tuple(value["scopes"]),
        daily_quota=value["dailyQuota"],
        allowed_networks=tuple(value["allowedNetworks"]),
        trusted_issuers=tuple(value["trustedIssuers"]),
        webhooks=tuple(
            Endpoint(one["name"], one["url"], one["default"]) for one in value.get("webhooks", [])
        ),
        dpop_required=value.get("dpopRequired", False),
        jwks=value.get("jwks"),
        jwks_uri=value.get("jwksUri"),
        service=Service(value["service"]["kind"]) if "service" in value else None,
        tls_client_auth_subject_dn=value.get("tlsClientAuthSubjectDn"),
        certificate_bound=value.get("certificateBound", False),
        profile_groups=None if profile_groups is None else tuple(profile_groups),
    )


def source_to_json(source: Source) -> Json:
    """A source."""
    told: Json = {"name": source.name, "kind": source.kind, "options": dict(source.options)}
    if source.expected_every is not None:
        told["expectedEverySeconds"] = int(source.expected_every.total_seconds())
    return told


def source_from_json(value: Json) -> Source:
    """The inverse of ``source_to_json``."""
    every = value.get("expectedEverySeconds")
    expected_every = None if every is None else timedelta(seconds=every)
    return Source(value["name"], value["kind"], value["options"], expected_every)


def configuration_to_json(configuration: Configuration) -> Json:
    """A configuration with its tables."""
    return {
        "configurationId": configuration.configuration_id,
        "tenant": configuration.tenant,
        "clientId": configuration.client_id,
        "default": configuration.default,
        "source": configuration.source,
        "snapshot": configuration.snapshot.value,
        "resync": configuration.resync.value,
        **({"byConsent": True} if configuration.by_consent else {}),
        "tables": [_table_to_json(table) for table in configuration.tables],
    }


def configuration_from_json(value: Json) -> Configuration:
    """The inverse of ``configuration_to_json``."""
    return Configuration(
        configuration_id=value["configurationId"],
        tenant=value["tenant"],
        client_id=value["clientId"],
        default=value["default"],
        source=value["source"],
        tables=tuple(_table_from_json(table) for table in value["tables"]),
        snapshot=SnapshotScope(value.get("snapshot", SnapshotScope.JOB)),
        resync=Resync(value.get("resync", Resync.REFUSE)),
        by_consent=value.get("byConsent", False),
    )


def template_to_json(published: PublishedTemplate) -> Json:
    """A template with what is read for it."""
    template = published.template
    return {
        "templateId": template.template_id,
        "name": template.name,
        "minimumVersion": template.minimum_version and str(template.minimum_version),
        "tenants": None if template.tenants is None else sorted(template.tenants),
        "source": published.source,
        "table": _table_to_json(published.table),
        "tenantColumn": _choosing_to_json(published.tenant_column),
        "dateColumn": _choosing_to_json(published.date_column),
        "anonymisedColumn": _choosing_to_json(published.anonymised_column),
    }


def template_from_json(value: Json) -> PublishedTemplate:
    """The inverse of ``template_to_json``."""
    minimum, tenants = value["minimumVersion"], value["tenants"]
    table = _table_from_json(value["table"])
    template = Template(
        template_id=value["templateId"],
        name=value["name"],
        columns=tuple(column.name for column in table.columns),
        has_date=value["dateColumn"] is not None,
        has_anonymised=value["anonymisedColumn"] is not None,
        minimum_version=None if minimum is None else ApplicationVersion.of(minimum),
        tenants=None if tenants is None else frozenset(tenants),
    )
    return PublishedTemplate(
        template=template,
        source=value["source"],
        table=table,
        tenant_column=_choosing_from_json(value["tenantColumn"]),
        date_column=_choosing_from_json(value["dateColumn"]),
        anonymised_column=_choosing_from_json(value["anonymisedColumn"]),
    )


def _choosing_to_json(column: ChoosingColumn | None) -> Json | None:
    return None if column is None else {"name": column.name, "type": column.type.value}


def _choosing_from_json(value: Json | None) -> ChoosingColumn | None:
    return None if value is None else ChoosingColumn(value["name"], ColumnType(value["type"]))


def _table_to_json(table: Table) -> Json:
    return {
        "name": table.name,
        "source": table.source,
        "primaryKey": list(table.primary_key),
        "rowEstimate": table.row_estimate,
        "escapeFormulas": table.escape_formulas,
        "ordered": table.ordered,
        "schemaVersion": table.schema_version,
        "columns": [
            {
                "name": column.name,
                "source": column.source,
                "type": column.type.value,
                "nullable": column.nullable,
                "precision": column.precision,
                "scale": column.scale,
                "textOf": column.text_of,
            }
            for column in table.columns
        ],
        "filters": [
            {
                "column": row_filter.column,
                "values": list(row_filter.values),
                "type": row_filter.type.value,
            }
            for row_filter in table.filters
        ],
        **(
            {
                "account": {
                    "column": table.account.name,
                    "type": table.account.type.value,
                    "withPublic": table.account.with_public,
                }
            }
            if table.account
            else {}
        ),
        **({"query": table.query} if table.query is not None else {}),
    }


def _table_from_json(value: Json) -> Table:
    account = value.get("account")
    return Table(
        name=value["name"],
        source=value["source"],
        columns=tuple(
            Column(
                name=column["name"],
                source=column["source"],
                type=ColumnType(column["type"]),
                nullable=column["nullable"],
                precision=column["precision"],
                scale=column["scale"],
                text_of=column.get("textOf"),
            )
            for column in value["columns"]
        ),
        primary_key=tuple(value["primaryKey"]),
        filters=tuple(
            RowFilter(
                row_filter["column"], tuple(row_filter["values"]), ColumnType(row_filter["type"])
            )
            for row_filter in value["filters"]
        ),
        row_estimate=value["rowEstimate"],
        escape_formulas=value.get("escapeFormulas", False),
        ordered=value.get("ordered", False),
        schema_version=value.get("schemaVersion", 1),
        account=AccountColumn(account["column"], ColumnType(account["type"]), account["withPublic"])
        if account
        else None,
        query=value.get("query"),
    )


def schedule_to_json(schedule: Schedule) -> Json:
    """A schedule."""
    return {
        "name": schedule.name,
        "tenant": schedule.tenant,
        "clientId": schedule.client_id,
        "configurationId": schedule.configuration_id,
        "cron": schedule.cron,
        "timeZone": schedule.time_zone,
        "kind": schedule.kind.value,
        "fileFormat": schedule.file_format.value,
        "compression": schedule.compression.value,
        "entity": schedule.entity,
        "enabled": schedule.enabled,
        "webhook": schedule.webhook,
    }


def schedule_from_json(value: Json) -> Schedule:
    """The inverse of ``schedule_to_json``."""
    return Schedule(
        name=value["name"],
        tenant=value["tenant"],
        client_id=value["clientId"],
        configuration_id=value["configurationId"],
        cron=value["cron"],
        time_zone=value["timeZone"],
        kind=OperationKind(value["kind"]),
        file_format=FileFormat(value["fileFormat"]),
        compression=Compression(value["compression"]),
        entity=value["entity"],
        enabled=value["enabled"],
        webhook=value.get("webhook"),
    )


def application_to_json(application: Application) -> Json:
    """An application; each of its tables stands there once."""
    tables = {
        table.table_id: table
        for definition in application.definitions
        for table in (*definition.others, *definition.tables)
    }
    return {
        "applicationId": application.application_id,
        "tenant": application.tenant,
        "name": application.name,
        "identifier": application.identifier,
        "version": application.version,
        "options": dict(application.options),
        "taskProcessing": dict(application.task_processing),
        "tables": [_application_table_to_json(table) for _, table in sorted(tables.items())],
        "definitions": [
            {
                "code": definition.code,
                "description": definition.description,
                "output": definition.output.value,
                "tables": [table.table_id for table in definition.tables],
                "topLevel": list(definition.top_level),
                "referenceData": list(definition.reference_data),
                "sourcesProperty": definition.sources_property,
                "others": [table.table_id for table in definition.others],
            }
            for definition in application.definitions
        ],
    }


def application_from_json(value: Json) -> Application:
    """The inverse of ``application_to_json``."""
    tables = {table["tableId"]: _application_table_from_json(table) for table in value["tables"]}
    return Application(
        application_id=value["applicationId"],
        tenant=value["tenant"],
        name=value["name"],
        identifier=value["identifier"],
        version=value["version"],
        options=value["options"],
        task_processing=value["taskProcessing"],
        definitions=tuple(
            Definition(
                code=definition["code"],
                description=definition["description"],
                output=OutputFormat(definition["output"]),
                tables=tuple(tables[number] for number in definition["tables"]),
                top_level=tuple(definition["topLevel"]),
                reference_data=tuple(definition["referenceData"]),
                sources_property=definition["sourcesProperty"],
                others=tuple(tables[number] for number in definition["others"]),
            )
            for definition in value["definitions"]
        ),
    )


def _application_table_to_json(table: ApplicationTable) -> Json:
    return {
        "tableId": table.table_id,
        "name": table.name,
        "relation": table.relation,
        "columns": list(table.columns),
        "idColumn": table.id_column,
        "uuidColumn": table.uuid_column,
        "functionalKey": list(table.functional_key),
        "references": [{"column": one.column, "tableId": one.table_id} for one in table.references],
        "owner": table.owner and {"column": table.owner.column, "tableId": table.owner.table_id},
        "inclusionDateColumn": table.inclusion_date_column,
    }


def _application_table_from_json(value: Json) -> ApplicationTable:
    owner = value["owner"]
    return ApplicationTable(
        table_id=value["tableId"],
        name=value["name"],
        relation=value["relation"],
        columns=tuple(value["columns"]),
        id_column=value["idColumn"],
        uuid_column=value["uuidColumn"],
        functional_key=tuple(value["functionalKey"]),
        references=tuple(Reference(one["column"], one["tableId"]) for one in value["references"]),
        owner=Reference(owner["column"], owner["tableId"]) if owner else None,
        inclusion_date_column=value["inclusionDateColumn"],
    )


def catalog_to_json(catalog: Catalog) -> Json:
    """All of a catalog, its entries in a fixed order."""
    return {
        "tenants": [tenant_to_json(t) for t in sorted(catalog.tenants, key=lambda t: t.tenant_id)],
        "clients": [client_to_json(c) for c in sorted(catalog.clients, key=lambda c: c.client_id)],
        "sources": [source_to_json(s) for s in sorted(catalog.sources, key=lambda s: s.name)],
        "configurations": [
            configuration_to_json(c)
            for c in sorted(
                catalog.configurations, key=lambda c: (c.tenant, c.client_id, c.configuration_id)
            )
        ],
        "schedules": [
            schedule_to_json(s)
            for s in sorted(catalog.schedules, key=lambda s: (s.tenant, s.client_id, s.name))
        ],
        **(
            {
                "applications": [
                    application_to_json(a)
                    for a in sorted(catalog.applications, key=lambda a: a.tenant)
                ]
            }
            if catalog.applications
            else {}
        ),
        **(
            {
                "regions": [
                    region_to_json(r) for r in sorted(catalog.regions, key=lambda r: r.region_id)
                ]
            }
            if catalog.regions
            else {}
        ),
        **(
            {
                "templates": [
                    template_to_json(t)
                    for t in sorted(catalog.templates, key=lambda t: t.template.template_id)
                ]
            }
            if catalog.templates
            else {}
        ),
    }


def digest(catalog: Catalog) -> str:
    """SHA-256 (hex) of all that is declared, and of the schemas that it has: no row estimates.

    Estimates change with every load; they alone do not make another version. Nor do the versions
    of schemas, which come of the publications before.
    """
    settled = replace(
        catalog,
        configurations=tuple(
            replace(c, tables=tuple(replace(t, row_estimate=0, schema_version=1) for t in c.tables))
            for c in catalog.configurations
        ),
    )
    text = json.dumps(
        catalog_to_json(settled), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()
