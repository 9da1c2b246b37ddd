"""What the commands show of catalogs and templates."""

from collections.abc import Sequence

from rich.console import Console

from headrace.catalog import document
from headrace.catalog.model import Catalog, Publication
from headrace.kernel.clock import rfc3339
from headrace.templates.activating import Standing
from headrace.templates.definitions import Template
from headrace_admin.grid import Json, print_grid, say, when


def publication_json(publication: Publication) -> Json:
    """A version."""
    return {
        "version": publication.version,
        "publishedAt": rfc3339(publication.published_at),
        "digest": publication.digest,
    }


def catalog_json(publication: Publication, catalog: Catalog) -> Json:
    """A version with all it holds."""
    return {**publication_json(publication), **document.catalog_to_json(catalog)}


def summary(catalog: Catalog) -> str:
    """How much a catalog holds, as a phrase."""
    tables = sum(len(configuration.tables) for configuration in catalog.configurations)
    counts = (
        (len(catalog.tenants), "tenant"),
        (len(catalog.clients), "client"),
        (len(catalog.sources), "source"),
        (len(catalog.configurations), "configuration"),
        (tables, "table"),
        *([(len(catalog.applications), "application")] if catalog.applications else []),
        *([(len(catalog.templates), "template")] if catalog.templates else []),
    )
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def print_catalog(out: Console, publication: Publication, catalog: Catalog) -> None:
    """A version, for people."""
    say(out, f"version {publication.version}, published {when(publication.published_at)}")
    print_grid(
        out,
        ("tenant", "name", "time zone", "KMS key", "version", "organisation id", "region"),
        [
            (
                tenant.tenant_id,
                tenant.name,
                tenant.time_zone,
                tenant.kms_key or "the stack's",
                str(tenant.application_version or ""),
                tenant.organisation_id or "",
                tenant.region or "",
            )
            for tenant in sorted(catalog.tenants, key=lambda t: t.tenant_id)
        ],
    )
    print_grid(
        out,
        ("client", "tenants", "a day", "scopes", "networks"),
        [
            (
                client.client_id,
                ", ".join(client.tenants),
                str(client.daily_quota),
                ", ".join(client.scopes),
                ", ".join(client.allowed_networks) or "any",
            )
            for client in sorted(catalog.clients, key=lambda c: c.client_id)
        ],
    )
    print_grid(
        out,
        ("source", "kind", "where"),
        [
            (source.name, source.kind, ", ".join(f"{k}: {v}" for k, v in source.options.items()))
            for source in sorted(catalog.sources, key=lambda s: s.name)
        ],
    )
    print_grid(
        out,
        ("configuration", "client", "tenant", "default", "table", "columns", "rows", "read from"),
        [
            (
                configuration.configuration_id,
                configuration.client_id,
                configuration.tenant,
                "yes" if configuration.default else "",
                table.name,
                str(len(table.columns)),
                f"{table.row_estimate:,}",
                f"{configuration.source}: {table.source}",
            )
            for configuration in sorted(
                catalog.configurations, key=lambda c: (c.tenant, c.client_id, c.configuration_id)
            )
            for table in configuration.tables
        ],
    )
    if catalog.applications:
        _print_applications(out, catalog)
    if catalog.templates:
        _print_templates(out, catalog)
    if catalog.regions:
        print_grid(
            out,
            ("region", "base URL"),
            [
                (region.region_id, region.base_url)
                for region in sorted(catalog.regions, key=lambda r: r.region_id)
            ],
        )


def _print_templates(out: Console, catalog: Catalog) -> None:
    print_grid(
        out,
        ("template", "for", "from version", "columns", "order", "read from"),
        [
            (
                one.template.template_id,
                "every tenant"
                if one.template.tenants is None
                else ", ".join(sorted(one.template.tenants)),
                str(one.template.minimum_version or ""),
                str(len(one.template.columns)),
                ", ".join(one.table.primary_key),
                f"{one.source}: {one.table.source or 'a query'}",
            )
            for one in sorted(catalog.templates, key=lambda one: one.template.template_id)
        ],
    )


def _print_applications(out: Console, catalog: Catalog) -> None:
    print_grid(
        out,
        ("application", "tenant", "environment", "version", "definition", "payload", "top level"),
        [
            (
                application.application_id,
                application.tenant,
                application.identifier,
                application.version,
                definition.code,
                definition.output.value,
                ", ".join(definition.table(number).name for number in definition.top_level),
            )
            for application in sorted(catalog.applications, key=lambda a: a.tenant)
            for definition in application.definitions
        ],
    )


def print_versions(out: Console, publications: Sequence[Publication]) -> None:
    """Versions, newest first."""
    print_grid(
        out,
        ("version", "published", "digest"),
        [(str(p.version), when(p.published_at), p.digest[:12]) for p in publications],
    )


def standing_json(standing: Standing) -> Json:
    """How a template stands for a tenant."""
    template = standing.template
    return {
        "template": standing.template_id,
        "name": None if template is None else template.name,
        "tenant": standing.tenant,
        "kind": None if template is None else _kind(template),
        "minimumVersion": None
        if template is None or template.minimum_version is None
        else str(template.minimum_version),
        "exists": standing.exists,
        "activeSince": None if standing.active_since is None else rfc3339(standing.active_since),
        "readable": standing.is_readable,
    }


def print_standings(out: Console, standings: Sequence[Standing]) -> None:
    """How templates stand for tenants, a line each."""
    print_grid(
        out,
        ("template", "tenant", "kind", "active since", "name"),
        [
            (
                one.template_id,
                one.tenant,
                "" if one.template is None else _kind(one.template),
                _active(one),
                "" if one.template is None else one.template.name,
            )
            for one in standings
        ],
    )


def _kind(template: Template) -> str:
    return "standard" if template.is_standard else "custom"


def _active(standing: Standing) -> str:
    since = "no" if standing.active_since is None else when(standing.active_since)
    if standing.exists:
        return since
    if standing.template is None:
        return f"{since} (not in the catalog)"
    if standing.template.minimum_version is None:
        return f"{since} (not for this tenant)"
    return f"{since} (from version {standing.template.minimum_version} on)"
